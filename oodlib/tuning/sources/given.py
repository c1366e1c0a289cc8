"""Outliers that are there already: real pictures, or a bank that another source made."""

from __future__ import annotations

import torch
from torch import Tensor

from oodlib.errors import OodlibError
from oodlib.tuning.sources.base import Known, Source, check_rows


class Given(Source):
    """Features of outliers, in a random order.

    Real pictures of the kind that a test asks for give an upper bound, not a method: no made outlier can be more real.

    Parameters
    ----------
    features : Tensor
        (B, D).

    References
    ----------
    Hendrycks et al., Deep Anomaly Detection with Outlier Exposure, ICLR 2019.
    """

    def __init__(self, features: Tensor | None = None):
        self.features = features

    def make(self, known: Known, n: int, generator: torch.Generator) -> Tensor:
        if self.features is None or not len(self.features):
            raise OodlibError("there are no outliers: pass Given(features) with features of shape (B, D).")
        check_rows(self.features, "the outliers that are given")
        order = torch.randperm(len(self.features), generator=generator)
        return self.features[order[: n * len(known.labels.unique())]]
