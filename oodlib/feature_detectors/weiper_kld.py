"""WeiPer+KLD: how the values of a feature and of its perturbed logits are distributed."""

from collections.abc import Iterator

import numpy as np
from scipy.ndimage import uniform_filter1d

from oodlib.errors import OodlibError
from oodlib.feature_detectors._weiper import WeiPerDetector, mean_max_softmax
from oodlib.feature_detectors.base import Array

_EPS = {"feature": 0.01, "space": 0.025}  # added to densities before logarithms, as the authors' code fixes them


class WeiPerKLD(WeiPerDetector):
    r"""How unlike the training set's histograms the picture's own are; WeiPer's softmax is added.

    A feature z has D values, and its WeiPer space (`WeiPerMSP`) r C. The histogram p of either is compared with the
    mean histogram q of the training set, over the range of the training set:

    .. math::

        S(z) = -D_z - \lambda_1 D_W + \lambda_2 \, \mathrm{MSP}_W(z), \qquad
        D = \mathrm{KL}(p \,\|\, q) + \mathrm{KL}(q \,\|\, p)

    Larger = more in-distribution.

    Parameters
    ----------
    repeats : int, default=100
        Number r of copies of the head.
    delta : float, default=1.8
        Length of the noise, in lengths of the class weight it is added to.
    bins : int, default=100
        Of each histogram.
    space_weight, softmax_weight : float, default=2.5 and 0.1
        The weights of the two later parts, :math:`\lambda_1` and :math:`\lambda_2`.
    smoothing, space_smoothing : int, default=4 and 15
        Over how many bins a *scored* picture's histogram is averaged, that of z and that of the space; 1 is none. The
        training histograms stay as they are.
    random_state : int, RandomState or None, default=0
        Of the noise, drawn once, in `fit`. The authors' code draws it anew at every call, by accident.
    weight, bias : array, shapes (C, D) and (C,)
        The classification head; for a vision-language model ``logit_scale * text`` and zeros.
    contamination : float, default=0.05
        Share of training rows below `offset_`.

    Attributes
    ----------
    ranges_ : dict of str to (float, float)
        Smallest and largest training value, of "feature" and of "space".
    densities_ : dict of str to array, shape (bins,)
        The training histograms q.

    Notes
    -----
    Values outside the training range, and the largest training value itself, fall into no bin, as in the authors' code.
    That code averages chunks of 1000 values when there are more, which is the same where they come out even. The values
    of `delta`, `bins`, the weights and the smoothing were tuned by the authors for each network: nothing says that
    these suit features of another.

    References
    ----------
    Granz, Heurich and Landgraf, WeiPer: OOD Detection using Weight Perturbations of Class Projections, NeurIPS 2024;
    the defaults are the authors' for CIFAR-10 (mgranz/weiper, commit 1c27a4f).
    """

    ranges_: dict[str, tuple[float, float]]
    densities_: dict[str, Array]

    def __init__(
        self,
        repeats: int = 100,
        delta: float = 1.8,
        bins: int = 100,
        space_weight: float = 2.5,
        softmax_weight: float = 0.1,
        smoothing: int = 4,
        space_smoothing: int = 15,
        random_state: int | np.random.RandomState | None = 0,
        *,
        weight: Array | None = None,
        bias: Array | None = None,
        contamination: float = 0.05,
    ):
        self.repeats = repeats
        self.delta = delta
        self.bins = bins
        self.space_weight = space_weight
        self.softmax_weight = softmax_weight
        self.smoothing = smoothing
        self.space_smoothing = space_smoothing
        self.random_state = random_state
        self.weight = weight
        self.bias = bias
        self.contamination = contamination

    def learn(self, X: Array, labels: Array | None) -> None:
        super().learn(X, labels)
        if not (self.bins >= 2 and min(self.smoothing, self.space_smoothing) >= 1):
            raise OodlibError("WeiPerKLD needs at least 2 bins and a smoothing over at least 1: pass larger numbers.")
        self.ranges_, self.densities_ = {}, {}
        for part in _EPS:
            ends = [(values.min(), values.max()) for values in self._values(part, X)]
            low, high = float(min(low for low, _ in ends)), float(max(high for _, high in ends))
            if not low < high:
                raise OodlibError(f"all training values of the {part} are {low:.4g}: pass features that vary.")
            self.ranges_[part] = low, high
            self.densities_[part] = sum(self._density(v, part).sum(axis=0) for v in self._values(part, X)) / len(X)

    def _values(self, part: str, X: Array) -> Iterator[Array]:
        """Block by block: the space is far wider than the features."""
        for block in self._blocks(X):
            yield block if part == "feature" else self._space(block)

    def _density(self, values: Array, part: str) -> Array:
        """Histogram of each row, as shares of all its values: (n, V) -> (n, bins)."""
        low, high = self.ranges_[part]
        places = np.floor((values - low) / (high - low) * self.bins)
        inside = (places >= 0) & (places < self.bins)
        rows = np.nonzero(inside)[0] * self.bins
        counts = np.bincount(rows + places[inside].astype(int), minlength=len(values) * self.bins)
        shares: Array = counts.reshape(-1, self.bins) / values.shape[1]
        return shares

    def _divergence(self, values: Array, part: str, width: int) -> Array:
        """Symmetric Kullback-Leibler divergence from the training histogram: (n, V) -> (n,)."""
        # An even window reaches one bin further up than down.
        p = uniform_filter1d(self._density(values, part), width, axis=1, mode="nearest", origin=-(width % 2 == 0))
        p, q = (_smeared(density, _EPS[part]) for density in (p, self.densities_[part]))
        divergence: Array = ((p - q) * (np.log(p) - np.log(q))).sum(axis=1)
        return divergence

    def score_block(self, X: Array) -> Array:
        space = self._space(X)
        from_features = self._divergence(X, "feature", self.smoothing)
        from_space = self._divergence(space, "space", self.space_smoothing)
        sure = mean_max_softmax(space, len(self.weight_))
        return -from_features - self.space_weight * from_space + self.softmax_weight * sure


def _smeared(density: Array, eps: float) -> Array:
    """Add eps to every bin, so that none is empty, and let the bins sum to 1 again."""
    smeared: Array = (density + eps) / (density + eps).sum(axis=-1, keepdims=True)
    return smeared
