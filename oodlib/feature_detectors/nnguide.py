"""NNGuide: the energy, guided by the nearest training features."""

import numpy as np
from sklearn.preprocessing import normalize
from sklearn.utils import check_random_state

from oodlib.errors import OodlibError
from oodlib.feature_detectors._head import HeadDetector
from oodlib.feature_detectors.base import Array


class NNGuide(HeadDetector):
    r"""The energy of a feature times how well it matches its neighbours, each weighted with its own energy.

    .. math::

        S(z) = E(z) \cdot \frac1K \sum_{i \in N_K(z)} E(z_i) \, \frac{z^\top z_i}{\lVert z \rVert \lVert z_i \rVert},
        \qquad E(z) = \log \sum_{k \le C} e^{w_k^\top z + b_k}

    over the K rows of the bank, a part of the training features, for which the summand is largest. Larger = more
    in-distribution.

    Parameters
    ----------
    n_neighbors : int or None, default=None
        Number K; with a smaller bank, all of it. None takes 100 as OpenOOD does, but no more than a tenth of the bank:
        the mean over all of it asks for no neighbour.
    share : float, default=0.01
        Share of the training rows that the bank holds, above 0 and up to 1; it holds at least `n_neighbors` rows (with
        None, 1,000) where there are so many.
    random_state : int, RandomState or None, default=0
        Of the draw of the bank.
    weight, bias : array, shapes (C, D) and (C,)
        The classification head; for a vision-language model ``logit_scale * text`` and zeros.
    contamination : float, default=0.05
        Share of training rows below `offset_`.

    Attributes
    ----------
    bank_ : array, shape (M, D)
        The unit features of the bank, each times its energy.

    Notes
    -----
    OpenOOD's bank is the *first* rows of the training set, whole batches of them: where that is ordered by class, the
    bank lacks most classes. Here it is a random draw; give rows in your own order with ``share=1``.

    References
    ----------
    Park, Jung and Teoh, Nearest Neighbor Guidance for Out-of-Distribution Detection, ICCV 2023; the defaults are
    OpenOOD's (nnguide_postprocessor.py, commit 3c35632).
    """

    bank_: Array

    def __init__(
        self,
        n_neighbors: int | None = None,
        share: float = 0.01,
        random_state: int | np.random.RandomState | None = 0,
        *,
        weight: Array | None = None,
        bias: Array | None = None,
        contamination: float = 0.05,
    ):
        self.n_neighbors = n_neighbors
        self.share = share
        self.random_state = random_state
        self.weight = weight
        self.bias = bias
        self.contamination = contamination

    def learn(self, X: Array, labels: Array | None) -> None:
        super().learn(X, labels)
        fewest = 1000 if self.n_neighbors is None else self.n_neighbors
        if not (fewest >= 1 and 0 < self.share <= 1):
            raise OodlibError(
                f"n_neighbors is {self.n_neighbors} and share is {self.share}: pass at least 1, and above 0 up to 1."
            )
        size = min(len(X), max(round(self.share * len(X)), fewest))
        rows = check_random_state(self.random_state).permutation(len(X))[:size]
        self.bank_ = normalize(X[rows])
        self.bank_ *= np.concatenate([self._energy(block) for block in self._blocks(X[rows])])[:, None]

    def _width(self) -> int:
        return max(super()._width(), len(self.bank_))

    def score_block(self, X: Array) -> Array:
        guidance = normalize(X) @ self.bank_.T
        few = max(1, min(100, len(self.bank_) // 10))
        kept = few if self.n_neighbors is None else min(self.n_neighbors, len(self.bank_))
        guidance.partition(len(self.bank_) - kept, axis=1)
        score: Array = self._energy(X) * guidance[:, -kept:].mean(axis=1)
        return score
