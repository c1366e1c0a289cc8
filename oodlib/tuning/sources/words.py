"""TOE: outliers from words for what is outside, as the text tower places them."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from oodlib.errors import OodlibError
from oodlib.tuning.sources.base import Known, Source, mean_of

Offset = Literal["none", "once", "twice"]


def placed(text: Tensor, offset: Tensor, times: int, noise: Tensor) -> Tensor:
    r"""Text features moved towards the pictures, with noise.

    Parameters
    ----------
    text : Tensor
        (n, D).
    offset : Tensor
        (D,): the mean unit picture minus the mean unit text.
    times : int
        How often the offset is added. With 2 the text is scaled to length 1 between the first time and the second, as
        in the released code.
    noise : Tensor
        (n, D), on its own scale.

    Returns
    -------
    Tensor
        (n, D), L2-normalised.
    """
    moved = F.normalize(text, dim=1)
    if times == 2:
        moved = F.normalize(moved + offset, dim=1)
    return F.normalize(moved + min(times, 1) * offset + noise, dim=1)


class Words(Source):
    """The text features of outlier words, with noise.

    Parameters
    ----------
    variance : float, default=0.016
        Of the noise, in each dimension. In 512 dimensions the noise is then almost three times as long as the word.
    offset : "none", "once" or "twice", default="none"
        Whether the difference of the mean picture and the mean word is added; the authors' option adds it twice.

    References
    ----------
    Park et al., On the Powerfulness of Textual Outlier Exposure for Visual OoD Detection, NeurIPS 2023, and the
    authors' code (wiarae/TOE). Their words are decoded from ID pictures, written by a language model, or captions; here
    they are the outlier words of the concepts.
    """

    def __init__(self, variance: float = 0.016, offset: Offset = "none"):
        self.variance = variance
        self.offset = offset

    def make(self, known: Known, n: int, generator: torch.Generator) -> Tensor:
        if self.offset not in get_args(Offset) or not self.variance >= 0:
            raise OodlibError(f"{self!r}: offset is one of {', '.join(get_args(Offset))}, and variance at least 0.")
        text = known.outlier_text
        if text is None or not len(text):
            raise OodlibError("outliers from words need words: pass Concepts(outlier_names=..., outlier_text=...).")
        drawn = n * len(known.labels.unique())
        # Every word once, before one comes a second time with other noise.
        order = torch.cat([torch.randperm(len(text), generator=generator) for _ in range(-(-drawn // len(text)))])
        noise = self.variance**0.5 * torch.randn(drawn, text.shape[1], generator=generator)
        offset = mean_of(known.features) - mean_of(text)
        return placed(text[order[:drawn]], offset, get_args(Offset).index(self.offset), noise)
