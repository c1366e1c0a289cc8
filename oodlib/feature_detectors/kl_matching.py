"""KL-Matching: how unlike the usual softmax of any class."""

import numpy as np
from scipy.special import log_softmax, logsumexp, xlogy

from oodlib.feature_detectors._head import HeadDetector
from oodlib.feature_detectors.base import Array


class KLMatching(HeadDetector):
    r"""The divergence of the softmax from the nearest of the classes' mean softmaxes, negated.

    .. math::

        S(z) = -\min_{c \le C} \mathrm{KL}(p(z) \,\Vert\, q_c), \qquad
        q_c = \mathrm{mean} \{ p(z_i) : \arg\max_k p_k(z_i) = c \}, \qquad p = \mathrm{softmax}(W z + b)

    over training features :math:`z_i`; labels are not used. Larger = more in-distribution.

    Parameters
    ----------
    weight, bias : array, shapes (C, D) and (C,)
        The classification head; for a vision-language model ``logit_scale * text`` and zeros.
    contamination : float, default=0.05
        Share of training rows below `offset_`.

    Attributes
    ----------
    log_templates_ : array, shape (c, C)
        The logarithms of the q of all classes that some training row is taken for. The others have none: the released
        code would have a mean of nothing there.

    References
    ----------
    Hendrycks et al., Scaling Out-of-Distribution Detection for Real-World Settings, ICML 2022, as in MOODv2's benchmark
    (dvlab-research/MOOD, benchmark.py, commit 06be45f).
    """

    log_templates_: Array

    def __init__(self, *, weight: Array | None = None, bias: Array | None = None, contamination: float = 0.05):
        self.weight = weight
        self.bias = bias
        self.contamination = contamination

    def learn(self, X: Array, labels: Array | None) -> None:
        super().learn(X, labels)
        log_shares = np.concatenate([log_softmax(self._logits(block), axis=1) for block in self._blocks(X)])
        taken_for = log_shares.argmax(axis=1)
        groups = (log_shares[taken_for == place] for place in np.unique(taken_for))
        # In logarithms: a share of 1e-400 of a sure classifier is no number, and its logarithm is.
        self.log_templates_ = np.stack([logsumexp(rows, axis=0) - np.log(len(rows)) for rows in groups])

    def score_block(self, X: Array) -> Array:
        log_shares = log_softmax(self._logits(X), axis=1)
        shares = np.exp(log_shares)
        divergence = xlogy(shares, shares).sum(axis=1, keepdims=True) - shares @ self.log_templates_.T
        score: Array = -divergence.min(axis=1)
        return score
