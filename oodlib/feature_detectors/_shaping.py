"""What ReAct, ASH and SCALE share: the energy of features that were reshaped first."""

from abc import abstractmethod
from typing import ClassVar

import numpy as np

from oodlib.errors import OodlibError
from oodlib.feature_detectors._head import HeadDetector
from oodlib.feature_detectors.base import Array


class ShapingDetector(HeadDetector):
    """The energy of reshaped features, made for activations behind a ReLU, which are never negative.

    Image features of CLIP are signed: there a large entry is no "strong activation", and the sums that ASH spreads and
    SCALE divides by may be near 0 or negative. So features with a negative entry are refused, unless `negative` allows
    them.

    Parameters
    ----------
    quantile : float
        From 0 to below 1.
    negative : {"refuse", "clip"}
        "clip" sets negative entries to 0, which is what a ReLU would do; the head was not trained for that.
    """

    ways: ClassVar[tuple[str, ...]] = ("refuse", "clip")  # what `negative` may be

    quantile: float
    negative: str

    def learn(self, X: Array, labels: Array | None) -> None:
        super().learn(X, labels)
        if not 0 <= self.quantile < 1:
            raise OodlibError(f"quantile is {self.quantile}: pass a number from 0 to below 1.")
        if self.negative not in self.ways:
            raise OodlibError(f"negative is {self.negative!r}: choose from {', '.join(map(repr, self.ways))}.")

    def score_block(self, X: Array) -> Array:
        return self._energy(self._shape(self._rectified(X)))

    def _rectified(self, X: Array) -> Array:
        if self.negative == "refuse" and (X < 0).any():
            raise OodlibError(
                f"{type(self).__name__} is made for activations behind a ReLU, but there are negative entries: "
                "pass negative='clip' to set those to 0, or take another method."
            )
        return X if self.negative == "keep" else np.maximum(X, 0)

    @abstractmethod
    def _shape(self, X: Array) -> Array:
        """Reshape non-negative features: (n, D) -> (n, D)."""

    def _kept(self) -> int:
        """How many of the D entries are kept when the share `quantile` is pruned; at least one."""
        pruned = round(self.n_features_in_ * self.quantile)
        return max(1, self.n_features_in_ - pruned)
