"""What a source of outliers is given, and what it gives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from sklearn.base import BaseEstimator
from torch import Tensor
from torch.nn import functional as F

from oodlib.errors import OodlibError


@dataclass(frozen=True, eq=False)
class Known:
    """What is known when outliers are made: features of labelled pictures, and words for what is outside.

    Parameters
    ----------
    features : Tensor
        (N, D): of the ID pictures, all views of them.
    labels : Tensor
        int64 (N,): their classes. Numbers may be left out.
    outlier_text : Tensor, optional
        (K, D): of outlier words, for the sources that take words.

    Raises
    ------
    OodlibError
        If there are no pictures, labels do not fit them, or a feature is zero or not finite: scaled to length 1 it is
        nowhere, and a neighbour search puts it first.
    """

    features: Tensor
    labels: Tensor
    outlier_text: Tensor | None = None

    def __post_init__(self) -> None:
        """Check the features, and that labels fit."""
        if self.features.ndim != 2 or not len(self.features) or self.labels.shape != self.features.shape[:1]:
            raise OodlibError(
                f"outliers are made from features of shape (N, D) and one label each, not from "
                f"{tuple(self.features.shape)} and {tuple(self.labels.shape)}."
            )
        check_rows(self.features, "the features that outliers are made from")

    def queues(self, length: int) -> list[Tensor]:
        """The last `length` features of every class that has any, in the order of the labels: (n_c, D) each."""
        if length < 1:
            raise OodlibError(f"a queue of {length} features holds nothing: make it at least 1 long.")
        return [self.features[self.labels == label][-length:] for label in self.labels.unique()]


def check_rows(features: Tensor, what: str) -> None:
    """Refuse rows (n, D) that are zero or not finite."""
    lengths = features.norm(dim=1)
    bad = torch.nonzero(~lengths.isfinite() | (lengths == 0)).flatten()
    if len(bad):
        raise OodlibError(
            f"{what} are zero or not finite in {len(bad)} rows, the first is row {int(bad[0])}: leave those rows out "
            "or encode them again."
        )


class Source(BaseEstimator, ABC):  # type: ignore[misc]  # scikit-learn has no types
    """A source of outliers. `__init__` only stores parameters; `bank` checks and calls `make`, the method.

    The features that outliers are made from stay as they are during a training, so outliers are made once for it, as a
    bank from which every step draws.
    """

    def bank(self, known: Known, n: int, seed: int = 0) -> Tensor:
        """Make outliers.

        Parameters
        ----------
        known : Known
        n : int
            How many for each class that has pictures, about: a source gives fewer where it has no more.
        seed : int
            Of all that is drawn.

        Returns
        -------
        Tensor
            (B, D), not normalised.

        Raises
        ------
        OodlibError
            If the source cannot start with what is known; it says what it lacks.
        """
        if n < 1:
            raise OodlibError(f"{n} outliers a class: make at least 1.")
        made = self.make(known, n, torch.Generator().manual_seed(seed))
        check_rows(made, f"the outliers of {self!r}")
        return made

    @abstractmethod
    def make(self, known: Known, n: int, generator: torch.Generator) -> Tensor:
        """Do the work, on checked input: this is the source itself."""


def unit(features: Tensor) -> Tensor:
    """Features of length 1; a row of zeros becomes NaN, as in the released codes, and is not hidden."""
    scaled: Tensor = features / features.norm(dim=1, keepdim=True)
    return scaled


def mean_of(features: Tensor) -> Tensor:
    """The mean of unit features: (n, D) -> (D,)."""
    return F.normalize(features, dim=1).mean(dim=0)
