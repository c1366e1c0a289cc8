"""Scores that look at patches as well as the whole picture. Their input is more than a matrix, so they stand apart."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from oodlib.arrays import as_tensor, like
from oodlib.concepts import Concepts
from oodlib.detectors.mcm import MCM, max_softmax
from oodlib.errors import OodlibError
from oodlib.features import check_normalised

_CELLS = 2**24  # cosines in memory at once: 64 MB


class GLMCM(BaseEstimator):
    r"""MCM of the whole picture plus that of the patch which matches a class best.

    .. math:: S(x) = \max_c \frac{e^{s_c/\tau}}{\sum_j e^{s_j/\tau}}
        + \lambda \max_{p, c} \frac{e^{s_{pc}/\tau}}{\sum_j e^{s_{pj}/\tau}}

    with cosines :math:`s_c` of the picture and :math:`s_{pc}` of patch p. Larger = more in-distribution.

    Parameters
    ----------
    temperature : float, default=1.0
        Divides raw cosines.
    weight : float, default=1.0
        Of the patches; at 0 this is `MCM`.

    References
    ----------
    Miyai et al., GL-MCM: Global and Local Maximum Concept Matching for Zero-Shot Out-of-Distribution Detection, IJCV
    2025, and the authors' code (AtsuMiyai/GL-MCM).

    Examples
    --------
    >>> concepts = Concepts(["cat", "dog"], torch.eye(2))
    >>> both = torch.tensor([[0.7071, 0.7071]])
    >>> GLMCM().fit(concepts).score_samples(both, patches=torch.eye(2)[None])
    tensor([1.2311])
    """

    transductive: ClassVar[bool] = False

    text_: Tensor
    whole_: MCM

    def __init__(self, temperature: float = 1.0, weight: float = 1.0):
        self.temperature = temperature
        self.weight = weight

    def fit(self, concepts: Concepts) -> Self:
        """Learn what is in-distribution. Patches are compared with `concepts.text`, whatever `match` says."""
        self.whole_ = MCM(self.temperature).fit(concepts)
        self.text_ = concepts.text
        return self

    def score_samples(self, features: Any, patches: Tensor) -> Tensor:
        """Score pictures.

        Parameters
        ----------
        features : tensor, shape (N, D)
            Of whole pictures, L2-normalised.
        patches : tensor, shape (N, P, D)
            Local features of the same pictures, as `Encoder.encode_patches` gives them.

        Returns
        -------
        tensor, shape (N,)

        Raises
        ------
        OodlibError
            If the two do not belong together or are not L2-normalised.
        sklearn.exceptions.NotFittedError
            Before `fit`.
        """
        check_is_fitted(self, "text_")
        whole = self.whole_.score_samples(features)
        if patches.ndim != 3 or len(patches) != len(whole) or patches.shape[2] != self.text_.shape[1]:
            raise OodlibError(
                f"patches have shape {tuple(patches.shape)}: pass (N, P, D) for the same {len(whole)} pictures."
            )
        rows = max(1, _CELLS // (patches.shape[1] * len(self.text_)))
        best = []
        for block in patches.split(rows):
            check_normalised(block.flatten(0, 1), "patches")
            best.append(max_softmax(block @ like(self.text_, block).T, self.temperature).amax(dim=1))
        return as_tensor(whole) + self.weight * torch.cat(best).to(as_tensor(whole))
