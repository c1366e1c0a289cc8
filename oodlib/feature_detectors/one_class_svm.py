"""A one-class support vector machine."""

from sklearn import svm

from oodlib.errors import OodlibError
from oodlib.feature_detectors.base import Array, FeatureDetector


class OneClassSVM(FeatureDetector):
    r"""How densely the training features lie around a feature, as far as its support vectors tell.

    .. math:: S(z) = \sum_i \alpha_i \, k(z_i, z), \qquad k(a, b) = e^{-\gamma \lVert a - b \rVert^2}

    with the :math:`\alpha` that minimise :math:`\alpha^\top K \alpha` under :math:`0 \le \alpha_i \le 1` and
    :math:`\sum_i \alpha_i = \nu N`. Larger = more in-distribution.

    Parameters
    ----------
    nu : float, default=0.5
        Above 0 and up to 1: of the exact solution, an upper bound on the share of training rows outside the machine's
        own cut, and a lower bound on that of support vectors. The solver stops before it is exact, and rows on the edge
        may then fall outside, with few rows a large share. `predict` does not use that cut.
    gamma : float or {"scale", "auto"}, default="scale"
        Of the kernel; "scale" is 1 / (D times the variance of all entries), "auto" is 1 / D.
    contamination : float, default=0.05
        Share of training rows, at most, below `offset_`, which takes the place of the machine's own cut.

    Attributes
    ----------
    machine_ : sklearn.svm.OneClassSVM
        The fitted machine.

    Notes
    -----
    It sees no classes: many classes are one cloud to it. Training takes between N**2 and N**3 steps.

    References
    ----------
    Schölkopf et al., Estimating the Support of a High-Dimensional Distribution, Neural Computation 2001; the defaults
    are scikit-learn's.
    """

    machine_: svm.OneClassSVM

    def __init__(self, nu: float = 0.5, gamma: float | str = "scale", *, contamination: float = 0.05):
        self.nu = nu
        self.gamma = gamma
        self.contamination = contamination

    def learn(self, X: Array, labels: Array | None) -> None:
        if not 0 < self.nu <= 1:
            raise OodlibError(f"nu is {self.nu}: pass a share of the rows above 0, up to 1.")
        usable = self.gamma in ("scale", "auto") if isinstance(self.gamma, str) else self.gamma > 0
        if not usable:
            raise OodlibError(f"gamma is {self.gamma!r}: pass 'scale', 'auto' or a number above 0.")
        self.machine_ = svm.OneClassSVM(nu=self.nu, gamma=self.gamma).fit(X)

    def score_block(self, X: Array) -> Array:
        score: Array = self.machine_.score_samples(X)
        return score
