r"""Scores that lie between two bounds, as log-odds: how far from the lower bound over how far from the upper one.

A softmax of cosines over 0.01 often gives a class all but 1e-9 of the mass, and next to 1 a float32 has steps of 6e-8:
thousands of pictures would share the score 1, and no order would be left among them. Log-odds have no such wall. They
are made of differences of logarithms, so that no share that is nearly 1 is ever written down.

Here `odds` is always :math:`\log p - \log(1 - p)` of a share p between 0 and 1.
"""

import math

import numpy as np

from oodlib.arrays import Array, log_sigmoid, log_softmax, logsumexp, namespace, pick, softmax


def share_of(logits: Array, places: Array) -> Array:
    """The odds of one entry of each row's softmax: (..., n), (...) of int -> (...); infinite where n is 1."""
    xp = namespace(logits)
    chosen = xp.arange(logits.shape[-1], device=logits.device) == places[..., None]
    return pick(logits, places) - logsumexp(xp.where(chosen, -math.inf, logits))


def largest_share(logits: Array) -> Array:
    """The odds of the largest entry of each row's softmax: (..., n) -> (...)."""
    return share_of(logits, logits.argmax(-1))


def mean_share(odds: Array, log_weights: Array | float = 0.0) -> Array:
    """The odds of the weighted mean of the shares in each row: (..., n) -> (...).

    `log_weights` broadcasts against `odds`; what the weights of a row add up to does not matter.
    """
    return logsumexp(log_sigmoid(odds) + log_weights) - logsumexp(log_sigmoid(-odds) + log_weights)


def log_weight(weight: float) -> float:
    """Its logarithm; minus infinity of 0."""
    return math.log(weight) if weight else -math.inf


def weighted_sum(odds: Array, others: Array, weight: float) -> Array:
    r"""The odds of :math:`(p + \lambda q) / (1 + \lambda)` for the weight :math:`\lambda \ge 0`: twice (n,) -> (n,)."""
    add, more = namespace(odds).logaddexp, log_weight(weight)
    return add(log_sigmoid(odds), log_sigmoid(others) + more) - add(log_sigmoid(-odds), log_sigmoid(-others) + more)


def product(odds: Array, others: Array) -> Array:
    """The odds of the product p q, for which 1 - p q = (1 - p) + p (1 - q): twice (n,) -> (n,)."""
    sure = log_sigmoid(odds)
    missing = namespace(odds).logaddexp(log_sigmoid(-odds), sure + log_sigmoid(-others))
    return sure + log_sigmoid(others) - missing


def log_entropy(logits: Array) -> Array:
    """The logarithm of the entropy, in nats, of each row's softmax: (..., n) -> (...); minus infinity where n is 1."""
    xp = namespace(logits)
    odds = largest_share(logits)
    below = xp.amax(logits, -1)[..., None] - logits
    # Entropy is the sum of p times `below`, minus the logarithm of the largest p. No term is negative: none cancels.
    with np.errstate(divide="ignore"):
        spread = logsumexp(log_softmax(logits) + xp.log(below))
        return xp.logaddexp(spread, xp.where(odds > 30, -odds, xp.log(-log_sigmoid(odds))))  # the same, to 1e-13


def log_divergence(logits: Array) -> Array:
    """The logarithm of what the entropy of each row's softmax lacks to log n: (..., n) -> (...).

    That is its divergence from equal shares, computed from what the logits differ by: near log n nothing else is left.
    """
    xp = namespace(logits)
    centred = logits - logits.mean(-1)[..., None]
    small = xp.log1p(xp.expm1(xp.clip(centred, None, 1)).mean(-1))
    mean = xp.where(xp.amax(centred, -1) < 1, small, logsumexp(centred) - math.log(logits.shape[-1]))
    with np.errstate(divide="ignore"):
        return xp.log(xp.clip((softmax(logits) * centred).sum(-1) - mean, 0, None))


def odds_of(value: float, low: float = 0.0, high: float = 1.0) -> float:
    """The odds of a value between two bounds; infinite where it lies on one or beyond."""
    if value <= low:
        return -math.inf
    return math.log((value - low) / (high - value)) if value < high else math.inf
