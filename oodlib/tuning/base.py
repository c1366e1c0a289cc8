"""What every fine-tuning method takes and gives: a few labelled pictures in, concepts and a feature map out.

Ming & Li call detection with a model like CLIP *multi-modal concept matching*: a picture is matched with one prototype
a class, and how well the best one matches is the score. Fine-tuning changes one of three things: the prototypes (prompt
learning), the picture's feature (adapters, tuning the tower), or how the two are matched (Tip-Adapter, linear probes).
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import torch
from sklearn.base import BaseEstimator
from torch import Tensor

from oodlib.concepts import Concepts
from oodlib.encoders.encoder import Encoder
from oodlib.errors import OodlibError


@dataclass(frozen=True, eq=False)
class Shots:
    """A few labelled in-distribution pictures, encoded once.

    Parameters
    ----------
    features : Tensor
        (A, M, D): L2-normalised features of M pictures in A random views each.
    labels : Tensor
        int64 (M,): the class of each picture, as a place in the concepts' names.
    patches : Tensor, optional
        (A, M, P, D): local features of the same views, for LoCoOp.
    pictures : Tensor, optional
        (A, M, 3, H, W): the views themselves, prepared, for methods that tune the image tower; or (A, M, ...), what its
        first stages make of them.
    frozen : int
        How many stages `pictures` went through already; they are not tuned.
    """

    features: Tensor
    labels: Tensor
    patches: Tensor | None = None
    pictures: Tensor | None = None
    frozen: int = 0

    def __post_init__(self) -> None:
        """Check that the parts belong together."""
        if self.features.ndim != 3 or self.features.shape[1] != len(self.labels) or not len(self.labels):
            raise OodlibError(
                f"shots have features of shape {tuple(self.features.shape)} and {len(self.labels)} labels: pass "
                "(views, pictures, D) and one label a picture."
            )
        for name in ("patches", "pictures"):
            part = getattr(self, name)
            if part is not None and part.shape[:2] != self.features.shape[:2]:
                raise OodlibError(f"{name} of the shots must have a row for each of {tuple(self.features.shape[:2])}.")

    def __len__(self) -> int:
        return len(self.labels)

    def some(self, rows: Tensor) -> Shots:
        """Some of the pictures, in the views that were drawn of them.

        >>> Shots(torch.eye(3)[None], torch.tensor([0, 1, 2])).some(torch.tensor([True, False, True])).labels
        tensor([0, 2])
        """
        patches, pictures = (None if part is None else part[:, rows] for part in (self.patches, self.pictures))
        return replace(
            self, features=self.features[:, rows], labels=self.labels[rows], patches=patches, pictures=pictures
        )

    @property
    def digest(self) -> str:
        """Fingerprint of features and labels, which name the rest as well: all parts are of the same views."""
        return _digest(self.features) + _digest(self.labels)

    def drawn(self, rows: Tensor, generator: torch.Generator, part: str = "features") -> Tensor:
        """One random view of each of some pictures: (n, ...) of `features`, `patches` or `pictures`."""
        views: Tensor = getattr(self, part)
        return views[torch.randint(len(views), (len(rows),), generator=generator), rows]


def _digest(tensor: Tensor) -> str:
    return hashlib.sha256(tensor.detach().cpu().contiguous().numpy().tobytes()).hexdigest()[:16]


def _same(features: Tensor) -> Tensor:
    return features


@dataclass(frozen=True, eq=False)
class Tuned:
    """A tuned model: all that a detector needs.

    Parameters
    ----------
    concepts : Concepts
        Prototypes, and `Concepts.match` where classes are not matched by the cosine with them.
    state : dict of str to Tensor
        What was trained.
    losses : tuple of float
        The loss of every step.
    transform : callable
        From kept image features (n, D) to those to score, L2-normalised. Most methods leave them as they are.
    encode : callable, optional
        From other names to their text features under what was learned; None where the text side did not change, or
        changed for the classes alone.
    encoder : Encoder, optional
        The model with the tuned image tower: pictures must be embedded again.
    """

    concepts: Concepts
    state: dict[str, Tensor]
    losses: tuple[float, ...] = ()
    transform: Callable[[Tensor], Tensor] = field(default=_same)
    encode: Callable[[Sequence[str]], Tensor] | None = None
    encoder: Encoder | None = None

    @property
    def trained(self) -> int:
        """How many numbers were trained; for a method without training, how many it keeps."""
        return sum(tensor.numel() for tensor in self.state.values())


class Tuner(BaseEstimator, ABC):  # type: ignore[misc]  # scikit-learn has no types
    """A fine-tuning method. `__init__` only stores hyper-parameters; `fit` checks and calls `learn`, the method.

    Attributes
    ----------
    needs : str or None
        The part of `Shots` that it needs besides the features: "patches" or "pictures".
    """

    needs: ClassVar[str | None] = None

    def fit(
        self,
        encoder: Encoder,
        concepts: Concepts,
        shots: Shots,
        *,
        seed: int = 0,
        checkpoint: Path | None = None,
        progress: bool = False,
    ) -> Tuned:
        """Tune to the shots.

        Parameters
        ----------
        encoder : Encoder
            Stays as it is.
        concepts : Concepts
            The zero-shot concepts: names, and the text features to start from.
        shots : Shots
        seed : int
            Of all that is drawn at random: the same seed gives the same weights on the same machine.
        checkpoint : Path, optional
            Where to keep the state while training; a run that was interrupted goes on from there and ends with the same
            weights.
        progress : bool
            Whether to show a progress bar on standard error.

        Returns
        -------
        Tuned

        Raises
        ------
        OodlibError
            If the shots lack what the method needs, a label is no class, or the loss is not finite.
        """
        if self.needs and getattr(shots, self.needs) is None:
            raise OodlibError(f"{type(self).__name__} needs the shots' {self.needs}: pass Shots({self.needs}=...).")
        if int(shots.labels.min()) < 0 or int(shots.labels.max()) >= len(concepts.names):
            raise OodlibError(f"the shots' labels must be whole numbers from 0 to {len(concepts.names) - 1}.")
        if shots.features.shape[2] != concepts.text.shape[1]:
            raise OodlibError(
                "the shots and the concepts have different numbers of columns: encode both with one model."
            )
        recipe = f"{self!r} {seed} {encoder.digest} {concepts.names} {_digest(concepts.text)} {shots.digest}"
        # Dropout and new layers draw from torch's own generators, which the caller gets back as they were.
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            torch.manual_seed(seed)
            return self.learn(encoder, concepts, shots, Session(seed, checkpoint, progress, recipe))

    @abstractmethod
    def learn(self, encoder: Encoder, concepts: Concepts, shots: Shots, session: Session) -> Tuned:
        """Do the work, on checked input: this is the method itself."""


@dataclass(frozen=True)
class Session:
    """How to run: what is the same for every method.

    Parameters
    ----------
    seed : int
        Of all that is drawn.
    checkpoint : Path, optional
        Where to keep the state while training.
    progress : bool
        Whether to show a progress bar.
    recipe : str
        All that decides the run: a checkpoint of another recipe is refused.
    """

    seed: int
    checkpoint: Path | None = None
    progress: bool = False
    recipe: str = ""

    def generator(self) -> torch.Generator:
        """A generator that starts from the seed."""
        return torch.Generator().manual_seed(self.seed)
