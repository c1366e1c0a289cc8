r"""What is shown and how it is shown, told apart by text alone: language-aligned image feature decomposition (LAID).

Texts are made of names and manners, "a blurred picture of a tiger", so that a set of text features :math:`T_{sc}` knows
both. An orthogonal map W is learned on them; the first half of :math:`Wf` is to hold the name s, the second the manner
c, and the same W is then applied to image features.

The idea is that of IS-OOD. Its prompts, its margin, its distances and the cuts of its levels could not be read, so
these are ours, as is the closed form beside it.

References
----------
Long et al., Rethinking the Evaluation of Out-of-Distribution Detection: A Sorites Paradox, NeurIPS 2024.
"""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn.functional import normalize

from oodlib.errors import OodlibError


@dataclass(frozen=True, eq=False)
class Halves:
    """An orthogonal map whose outputs are split in two.

    Attributes
    ----------
    weight : tensor, shape (D, D)
        Orthogonal. Its first half of rows reads the name, the second the manner.
    """

    weight: Tensor

    def semantic(self, features: Tensor) -> Tensor:
        """The half that holds what is shown: (n, D) -> (n, D // 2), L2-normalised."""
        return normalize(features @ self.weight[: len(self.weight) // 2].T, dim=-1)

    def covariate(self, features: Tensor) -> Tensor:
        """The half that holds how it is shown: (n, D) -> (n, D - D // 2), L2-normalised."""
        return normalize(features @ self.weight[len(self.weight) // 2 :].T, dim=-1)

    def shifts(self, features: Tensor, class_text: Tensor, inside: Tensor) -> tuple[Tensor, Tensor]:
        """How far pictures are from the ID classes in either half: two tensors (n,), larger = farther.

        The semantic shift is one minus the largest cosine with a class (C, D), the covariate shift one minus the cosine
        with the mean of ID pictures (m, D).
        """
        semantic = 1 - (self.semantic(features) @ self.semantic(class_text).T).amax(dim=1)
        centre = normalize(self.covariate(inside).mean(dim=0), dim=0)
        return semantic, 1 - self.covariate(features) @ centre

    @classmethod
    def closed_form(cls, text: Tensor) -> Self:
        """Read the halves from the two-way means of the texts (S, C, D), without training.

        With :math:`T_{sc} = m + a_s + b_c + r_{sc}`, the directions in which names vary more than manners do are the
        leading eigenvectors of cov(a) / tr cov(a) - cov(b) / tr cov(b).
        """
        _check(text)
        mean = text.mean(dim=(0, 1))
        names, manners = ((text.mean(dim=axis) - mean).double() for axis in (1, 0))
        spread = [part.T @ part / part.square().sum() for part in (names, manners)]
        vectors = torch.linalg.eigh(spread[0] - spread[1]).eigenvectors.flip(1)
        return cls(vectors.T.to(text.dtype))

    @classmethod
    def learn(
        cls,
        text: Tensor,
        *,
        margin: float = 0.2,
        steps: int = 300,
        batch_size: int = 256,
        lr: float = 3e-3,
        random_state: int = 0,
    ) -> Self:
        """Learn the halves by triplets of texts.

        In the first half a text should be nearer, by `margin`, to the same name in another manner than to another name
        in its own manner; in the second half the other way round. Distances are one minus the cosine. Adam moves a free
        matrix, of which W is the orthogonal factor.

        Parameters
        ----------
        text : tensor, shape (S, C, D)
            Feature of each of S names in each of C manners.
        margin, steps, batch_size, lr, random_state
            Of the training.

        Raises
        ------
        OodlibError
            If there are fewer than two names, manners or dimensions.
        """
        _check(text)
        drawn = torch.Generator().manual_seed(random_state)
        width = text.shape[-1]
        free = torch.linalg.qr(torch.randn(width, width, generator=drawn)).Q.requires_grad_()
        optimizer = torch.optim.Adam([free], lr)
        for _ in range(steps):
            loss = _triplets(cls(torch.linalg.qr(free).Q.T), text, margin, batch_size, drawn)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            return cls(torch.linalg.qr(free).Q.T)


def _triplets(halves: Halves, text: Tensor, margin: float, n: int, drawn: torch.Generator) -> Tensor:
    """Mean loss of random triplets in both halves."""
    names, manners, _ = text.shape
    name, manner = (torch.randint(size, (n,), generator=drawn) for size in (names, manners))
    other_name = (name + torch.randint(1, names, (n,), generator=drawn)) % names
    other_manner = (manner + torch.randint(1, manners, (n,), generator=drawn)) % manners
    anchor, same_name, same_manner = text[name, manner], text[name, other_manner], text[other_name, manner]
    losses = []
    for half, positive, negative in (
        (halves.semantic, same_name, same_manner),
        (halves.covariate, same_manner, same_name),
    ):
        near, far = ((half(anchor) * half(other)).sum(dim=1) for other in (positive, negative))
        losses.append((margin + far - near).clamp(min=0).mean())
    return losses[0] + losses[1]


def explained(half: Tensor) -> tuple[float, float]:
    """Shares of the variance of features (S, C, D) that the row and that the column explain; the rest is neither."""
    _check(half)
    mean = half.mean(dim=(0, 1))
    total = float((half - mean).square().mean(dim=(0, 1)).sum())
    if total == 0:
        return 0.0, 0.0
    rows, columns = ((half.mean(dim=axis) - mean).square().mean(dim=0).sum() for axis in (1, 0))
    return float(rows) / total, float(columns) / total


def _check(text: Tensor) -> None:
    if text.ndim != 3 or min(text.shape) < 2:
        raise OodlibError(
            f"pass features of shape (names, manners, dimensions), at least two of each, not {tuple(text.shape)}"
        )
