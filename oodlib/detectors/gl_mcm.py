"""Global-local maximum concept matching: MCM of the picture and of its best patch."""

from typing import Any, ClassVar

from oodlib.arrays import Array, join, largest, like, plain, split, widen
from oodlib.concepts import Concepts, check_normalised
from oodlib.detectors._log_odds import largest_share, weighted_sum
from oodlib.detectors.base import Detector
from oodlib.errors import OodlibError

_CELLS = 2**24  # cosines in memory at once: 64 MB


class GLMCM(Detector):
    r"""MCM of the whole picture plus that of the patch which matches a class best.

    .. math:: S(x) = \max_c \frac{e^{s_c/\tau}}{\sum_j e^{s_j/\tau}}
        + \lambda \max_{p, c} \frac{e^{s_{pc}/\tau}}{\sum_j e^{s_{pj}/\tau}}

    with cosines :math:`s_c` of the picture and :math:`s_{pc}` of patch p. Larger = more in-distribution.

    Parameters
    ----------
    temperature : float, default=1.0
        Divides raw cosines.
    weight : float, default=1.0
        Of the patches, 0 or more; at 0 this is `MCM`.

    References
    ----------
    Miyai et al., GL-MCM: Global and Local Maximum Concept Matching for Zero-Shot Out-of-Distribution Detection, IJCV
    2025, and the authors' code (AtsuMiyai/GL-MCM).

    Examples
    --------
    >>> import torch
    >>> from oodlib.concepts import Concepts
    >>> concepts = Concepts(["cat", "dog"], torch.eye(2))
    >>> both = torch.tensor([[0.7071, 0.7071]])
    >>> detector = GLMCM().fit(concepts)
    >>> detector.to_paper(detector.score_samples(both, patches=torch.eye(2)[None]))
    tensor([1.2311])
    """

    requires: ClassVar[tuple[str, ...]] = ("patches",)

    def __init__(self, temperature: float = 1.0, weight: float = 1.0):
        self.temperature = temperature
        self.weight = weight

    def score_samples(self, features: Any, patches: Array | None = None) -> Array:
        """Score pictures. Patches are compared with `concepts.text`, whatever `match` says.

        Parameters
        ----------
        features : tensor or array, shape (N, D)
            Of whole pictures, L2-normalised.
        patches : tensor or array, shape (N, P, D)
            Local features of the same pictures, as `Encoder.encode_patches` gives them. Half precision is computed in
            float32.

        Returns
        -------
        tensor or array, shape (N,)

        Raises
        ------
        OodlibError
            If there are no patches, or the two do not belong together or are not L2-normalised.
        sklearn.exceptions.NotFittedError
            Before `fit`.
        """
        whole = super().score_samples(features)
        if patches is None:
            raise OodlibError("GLMCM looks at patches: pass score_samples(features, patches) with (N, P, D) of them")
        patches = plain(patches, "patches")
        if patches.ndim != 3 or len(patches) != len(whole) or patches.shape[2] != self.text_.shape[1]:
            raise OodlibError(
                f"patches have shape {tuple(patches.shape)}: pass (N, P, D) for the same {len(whole)} pictures."
            )
        best = join(
            [self._best(block) for block in split(patches, max(1, _CELLS // (patches.shape[1] * len(self.text_))))]
        )
        return weighted_sum(whole, like(best, whole), self.weight)

    @property
    def bounds(self) -> tuple[float, float]:
        """No match at all, and a certain one of picture and patch."""
        return 0.0, 1.0 + self.weight

    def learn(self, concepts: Concepts) -> None:
        if self.weight < 0:
            raise OodlibError(f"{self!r}: the weight of the patches must be 0 or more.")

    def score_block(self, features: Array) -> Array:
        return largest_share(self.cosines(features) / self.temperature)

    def _best(self, patches: Array) -> Array:
        """Of each picture the patch that matches a class best: (n, P, D) -> (n,)."""
        check_normalised(patches.reshape(-1, patches.shape[-1]), "patches")
        patches = widen(patches)
        return largest(largest_share(patches @ like(self.text_, patches).T / self.temperature))
