"""What the WeiPer detectors share: the head, copied many times with perturbed weights."""

import numpy as np
from scipy.special import softmax
from sklearn.utils import check_random_state

from oodlib.errors import OodlibError
from oodlib.feature_detectors._head import HeadDetector
from oodlib.feature_detectors.base import Array


class WeiPerDetector(HeadDetector):
    r"""A detector in WeiPer space, the logits of `repeats` copies of the head.

    In each copy class c has the weight :math:`w_c + \delta \lVert w_c \rVert \, n / \lVert n \rVert`, with normal noise
    n of its own, and the bias it had.

    Attributes
    ----------
    perturbed_ : array, shape (repeats * C, D)
        The copies' weights, one copy after the other.
    """

    repeats: int
    delta: float
    random_state: int | np.random.RandomState | None
    perturbed_: Array

    def learn(self, X: Array, labels: Array | None) -> None:
        super().learn(X, labels)
        if not (self.repeats >= 1 and self.delta >= 0):
            raise OodlibError(
                f"repeats is {self.repeats} and delta is {self.delta}: pass at least one copy and a delta of 0 or more."
            )
        self.perturbed_ = self._perturb()

    def _perturb(self) -> Array:
        """Draw the copies, once: fresh noise at each call would give the same picture another score each time."""
        noise = check_random_state(self.random_state).standard_normal((self.repeats, *self.weight_.shape))
        noise *= np.linalg.norm(self.weight_, axis=1, keepdims=True) / np.linalg.norm(noise, axis=2, keepdims=True)
        rows: Array = (self.weight_ + self.delta * noise).reshape(-1, self.weight_.shape[1])
        return rows

    def _width(self) -> int:
        return len(self.perturbed_)

    def _space(self, X: Array) -> Array:
        """Map features to WeiPer space: (n, D) -> (n, repeats * C)."""
        logits: Array = X @ self.perturbed_.T + np.tile(self.bias_, len(self.perturbed_) // len(self.bias_))
        return logits


def mean_max_softmax(space: Array, classes: int) -> Array:
    """Average over the copies how sure each one is: (n, repeats * classes) -> (n,)."""
    mean: Array = softmax(space.reshape(len(space), -1, classes), axis=2).max(axis=2).mean(axis=1)
    return mean
