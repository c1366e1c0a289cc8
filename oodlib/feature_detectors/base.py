"""The contract that every feature detector keeps: scikit-learn's outlier API on plain matrices."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from oodlib.arrays import as_numpy, is_tensor, plain
from oodlib.errors import OodlibError

Array = NDArray[Any]

_CELLS = 2**23  # numbers in memory at once while scoring: 64 MB in float64, however many rows there are


class FeatureDetector(OutlierMixin, BaseEstimator, ABC):  # type: ignore[misc]  # scikit-learn has no types
    """An outlier detector that learns what is in-distribution from features alone.

    Larger scores mean *more in-distribution*, for every method. Features need not be normalised; all is computed in
    float64, in blocks of rows.

    A method is a subclass with `score_block`, and with `learn` where it learns something: `fit` and `score_samples`
    check what they are given and call them, as in `Detector`. Hyper-parameters are only stored in ``__init__``; what is
    learned ends in an underscore. `HeadDetector` is the base of those that need a classifier's last layer, too: a
    weight and a bias, with a vision-language model ``logit_scale * text`` and zeros.

    Parameters
    ----------
    contamination : float, default=0.05
        Share of the training rows, from 0 to 0.5; at most so many score below `offset_`, and as many as there can be
        where scores differ. It moves `predict`, not the scores.

    Attributes
    ----------
    n_features_in_ : int
        Number of columns, D.
    offset_ : float
        Features that score below it are called out-of-distribution. It comes from the *training* rows, which a method
        may know too well (a row is its own nearest neighbour): set it to a quantile of the scores of held-out rows
        where the cut matters.
    needs_head : bool
        Whether the method takes the `weight` and `bias` of a classification head.
    """

    needs_head: ClassVar[bool] = False

    contamination: float
    n_features_in_: int
    offset_: float

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from in-distribution features.

        Parameters
        ----------
        X : array, shape (N, D)
            At least two rows.
        y : array, shape (N,), optional
            The class of each row: numbers or strings. Methods that know no classes ignore it.

        Raises
        ------
        OodlibError
            If `X` is not a finite matrix, `y` does not fit it, a parameter is out of its range, or the rows are too few
            for the method.
        """
        if not 0 <= self.contamination <= 0.5:
            raise OodlibError(f"contamination is {self.contamination}: pass a share of the rows from 0 to 0.5.")
        checked = self._checked(X, "no_validation" if y is None else y, reset=True)
        matrix, labels = (checked, None) if y is None else checked
        matrix = _finite(matrix).astype(np.float64, copy=False)
        self.learn(matrix, labels)
        # An interpolated quantile would leave out 2 of 24 rows, 8 %, where 5 % are said. The offset lies a hair below
        # the score, whose last digits depend on which rows are scored together.
        found = np.sort(self._scores(matrix))
        self.offset_ = float(found[int(self.contamination * len(matrix))] - 1e-9 * (found[-1] - found[0]))
        return self

    def score_samples(self, X: Any) -> Array:
        """Score features: (N, D) -> float64 (N,), the larger, the more in-distribution.

        Raises
        ------
        OodlibError
            If `X` is not a finite matrix of as many columns as in `fit`.
        sklearn.exceptions.NotFittedError
            Before `fit`.
        """
        check_is_fitted(self, "offset_")
        return self._scores(_finite(self._checked(X, "no_validation", reset=False)))

    def decision_function(self, X: Any) -> Array:
        """Return the score minus `offset_`: (N, D) -> (N,), negative for out-of-distribution."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> Array:
        """Return +1 for in-distribution and -1 for out-of-distribution: (N, D) -> (N,)."""
        return np.where(self.decision_function(X) >= 0, 1, -1)

    def fit_predict(self, X: Any, y: Any = None) -> Array:
        """Fit, and return +1 or -1 for each training row: (N,). Scikit-learn's own would leave `y` out."""
        return self.fit(X, y).predict(X)

    def learn(self, X: Array, labels: Array | None) -> None:
        """Learn from checked float64 features (N, D) and the class of each row, (N,) or None."""
        return

    @abstractmethod
    def score_block(self, X: Array) -> Array:
        """Score a block of checked float64 features: (n, D) -> (n,). This is the method itself."""

    def _width(self) -> int:
        """How many numbers scoring makes of one row: what the memory of a block grows with."""
        return 1

    def _blocks(self, X: Array) -> Iterator[Array]:
        rows = max(1, _CELLS // max(self.n_features_in_, self._width()))
        for start in range(0, len(X), rows):
            yield X[start : start + rows].astype(np.float64, copy=False)

    def _scores(self, X: Array) -> Array:
        return np.concatenate([self.score_block(block) for block in self._blocks(X)])

    def _checked(self, X: Any, y: Any, *, reset: bool) -> Any:
        X = _plain_table(X)
        if not isinstance(y, str) and y is not None and (is_tensor(y) or np.ma.isMaskedArray(y)):
            y = as_numpy(plain(y, "y"))
        try:
            return validate_data(
                self,
                X,
                y,
                reset=reset,
                dtype=[np.float64, np.float32],
                ensure_all_finite=False,  # `_finite` says which row
                ensure_min_samples=2 if reset else 1,
            )
        except ValueError as error:
            raise OodlibError(" ".join(str(error).split())) from error


def _plain_table(X: Any) -> Any:
    """What scikit-learn takes as it is, such as a table whose column names it keeps; the rest as an array."""
    tensors = is_tensor(X) or (isinstance(X, list | tuple) and any(map(is_tensor, X)))
    return as_numpy(plain(X, "X")) if tensors or np.ma.isMaskedArray(X) else X


def _finite(X: Array) -> Array:
    bad = np.flatnonzero(~np.isfinite(X).all(axis=1))
    if len(bad):
        raise OodlibError(
            f"X has NaN or infinite values in {len(bad)} rows, the first is row {bad[0]}: leave those rows out or "
            "encode them again."
        )
    return X
