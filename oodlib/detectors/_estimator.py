"""Scikit-learn's contract for estimators, and the learned state of a detector as plain values."""

from __future__ import annotations

import inspect
from typing import Any, Self

from oodlib.arrays import is_tensor
from oodlib.errors import OodlibError


class Estimator:
    """What scikit-learn expects of an outlier detector: parameters that `clone` can copy, tags, "not fitted".

    This is no subclass of `sklearn.base.BaseEstimator`, because importing that takes longer than a detector needs to
    score a thousand pictures, and `oodlib detect` of one picture would wait for it. Scikit-learn asks for methods, not
    for the class.
    """

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the hyper-parameters by name, in alphabetical order; `deep` changes nothing."""
        return {name: getattr(self, name) for name in sorted(self._defaults())}

    def set_params(self, **parameters: Any) -> Self:
        """Change hyper-parameters; they count from the next `fit` on."""
        known = sorted(self._defaults())
        for name, value in parameters.items():
            if name not in known:
                raise OodlibError(f"{self!r} has no parameter {name!r}: it takes {', '.join(known) or 'none'}.")
            setattr(self, name, value)
        return self

    @classmethod
    def _defaults(cls) -> dict[str, Any]:
        if cls.__init__ is object.__init__:
            return {}
        parameters = inspect.signature(cls).parameters.values()
        return {parameter.name: parameter.default for parameter in parameters}

    def __repr__(self) -> str:
        """The call that makes it, with the parameters that are not their defaults."""
        defaults = self._defaults()
        changed = [(k, v) for k, v in self.get_params().items() if repr(v) != repr(defaults[k])]
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in changed)})"

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn should know: this is an outlier detector."""
        from sklearn.utils import Tags, TargetTags

        return Tags(estimator_type="outlier_detector", target_tags=TargetTags(required=False))

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "text_")

    def check_is_fitted(self) -> None:
        """Raise `sklearn.exceptions.NotFittedError` before `fit`."""
        if not self.__sklearn_is_fitted__():
            from sklearn.exceptions import NotFittedError

            raise NotFittedError(f"This {type(self).__name__} is not fitted yet: call fit with concepts first.")

    def state(self) -> dict[str, Any]:
        """Return what `fit` learned, by attribute: arrays or tensors, numbers, strings, tuples of strings, and None.

        ``restore`` of it makes the same detector without fitting, for example from a file.

        Raises
        ------
        OodlibError
            If something was learned that is no such value, as the matching function of a tuned model.
        sklearn.exceptions.NotFittedError
            Before `fit`.
        """
        self.check_is_fitted()
        learned = {name: value for name, value in vars(self).items() if name.endswith("_")}
        for name, value in learned.items():
            if not _plain(value):
                raise OodlibError(
                    f"{self!r} has learned {name}, a {type(value).__name__}, which a file cannot hold: fit it again."
                )
        return learned

    def restore(self, state: dict[str, Any]) -> Self:
        """Take back what `state` returned, in place of `fit`. Hyper-parameters are not part of it.

        Raises
        ------
        OodlibError
            If it is not the state of a detector.
        """
        if "text_" not in state or not all(name.endswith("_") for name in state):
            raise OodlibError(f"{type(self).__name__} is restored from what state() returned, and this is not it.")
        for name in [name for name in vars(self) if name.endswith("_")]:
            delattr(self, name)
        for name, value in state.items():
            setattr(self, name, value)
        return self


def _plain(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(isinstance(part, str) for part in value)
    return value is None or is_tensor(value) or hasattr(value, "dtype") or isinstance(value, bool | int | float | str)
