"""What methods share that need a classifier's last layer."""

from typing import Any, ClassVar

import numpy as np
from scipy.special import logsumexp

from oodlib.arrays import as_numpy, plain
from oodlib.errors import OodlibError
from oodlib.feature_detectors.base import Array, FeatureDetector


class HeadDetector(FeatureDetector):
    r"""A feature detector that reads the logits :math:`l = W z + b` of a classification head.

    With a vision-language model the head is ``logit_scale * text`` and a bias of zeros, for L2-normalised features.

    Parameters
    ----------
    weight : array, shape (C, D)
        The head's weight, a row a class; it must be given before `fit`.
    bias : array, shape (C,)
        The head's bias; it must be given before `fit`.

    Attributes
    ----------
    weight_, bias_ : array, shapes (C, D) and (C,)
        Both, checked, in float64.
    """

    needs_head: ClassVar[bool] = True

    weight: Any
    bias: Any
    weight_: Array
    bias_: Array

    def learn(self, X: Array, labels: Array | None) -> None:
        if self.weight is None or self.bias is None:
            raise OodlibError(
                f"{type(self).__name__} needs a classification head: pass weight=(C, D) and bias=(C,); with a "
                "vision-language model, logit_scale * text features and zeros."
            )
        weight, bias = as_numpy(plain(self.weight, "weight")), as_numpy(plain(self.bias, "bias"))
        if "c" in (weight.dtype.kind, bias.dtype.kind):
            raise OodlibError("weight or bias are complex numbers: pass the head of a trained model.")
        weight, bias = weight.astype(np.float64), bias.astype(np.float64)
        if weight.ndim != 2 or not len(weight) or weight.shape[1] != X.shape[1] or bias.shape != weight.shape[:1]:
            raise OodlibError(
                f"weight has shape {weight.shape} and bias {bias.shape}: with {X.shape[1]} features pass "
                f"(C, {X.shape[1]}) and (C,)."
            )
        if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
            raise OodlibError("weight or bias has NaN or infinite values: pass the head of a trained model.")
        self.weight_, self.bias_ = weight, bias

    def _width(self) -> int:
        return len(self.weight_)

    def _logits(self, X: Array) -> Array:
        """Logits of every class: (n, D) -> (n, C)."""
        logits: Array = X @ self.weight_.T + self.bias_
        return logits

    def _energy(self, X: Array) -> Array:
        """Negative free energy at temperature 1: (n, D) -> (n,)."""
        energy: Array = logsumexp(self._logits(X), axis=1)
        return energy
