"""The contract that every detector keeps: scikit-learn's outlier API over kept features."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self

import torch
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from oodlib.concepts import Concepts
from oodlib.errors import OodlibError
from oodlib.features import as_matrix, check_normalised

_CELLS = 2**24  # cosines in memory at once: 64 MB in float32, whatever the number of pictures and labels


class Detector(OutlierMixin, BaseEstimator, ABC):
    """An out-of-distribution detector over image features.

    Larger scores mean *more in-distribution*, for every detector in the book.

    A method is a subclass with `score_block`, and with `fit` where it learns more than the text features.
    Hyper-parameters are only stored in ``__init__``; what `fit` learns ends in an underscore.

    Attributes
    ----------
    text_ : tensor, shape (C, D)
        Text feature of each class.
    match_ : callable or None
        `Concepts.match` of what it was fitted to.
    threshold_ : float
        Images that score below it are called out-of-distribution. NaN after `fit`, until somebody sets it.
    order_dependent : bool
        True where the score of an image depends on the images seen before it in the same `score_samples` call.
    transductive : bool
        True where the method looks at the test images as a set, not at one alone. Pass a mixed stream of ID and OOD
        images to one call of `score_samples`, as `oodlib.evaluation.score` does.
    even_odds : float or None
        Where the score is a probability that the classes, not something else, explain the image: the score at which
        both are equally likely. It is a cut that needs no images. None for every other score.
    """

    order_dependent: ClassVar[bool] = False
    transductive: ClassVar[bool] = False
    even_odds: ClassVar[float | None] = None

    text_: Tensor
    match_: Callable[[Tensor], Tensor] | None
    threshold_: float

    def fit(self, concepts: Concepts) -> Self:
        """Learn what is in-distribution. The threshold is forgotten: it belongs to the earlier concepts."""
        if not isinstance(concepts, Concepts):
            raise OodlibError(f"{self!r} is fitted to Concepts(names=..., text=...), not to {type(concepts).__name__}.")
        temperature = self.get_params().get("temperature")
        if temperature is not None and not 0 < temperature < math.inf:
            raise OodlibError(f"{self!r}: the temperature divides cosines, so it must be a number above 0.")
        self.text_ = concepts.text
        self.match_ = concepts.match
        self.threshold_ = math.nan
        return self

    def score_samples(self, features: Any) -> Tensor:
        """Score images: the larger, the more in-distribution.

        Parameters
        ----------
        features : tensor or array, shape (N, D)
            L2-normalised image features. Half precision is computed in float32.

        Returns
        -------
        tensor, shape (N,)
            On the device of `features`.

        Raises
        ------
        OodlibError
            If `features` is not a finite, L2-normalised matrix of as many columns as the concepts have.
        sklearn.exceptions.NotFittedError
            Before `fit`.
        """
        check_is_fitted(self, "text_")
        matrix = as_matrix(features, "features")
        if matrix.shape[1] != self.text_.shape[1]:
            raise OodlibError(
                f"features have {matrix.shape[1]} columns but the concepts have {self.text_.shape[1]}: encode images "
                "and class names with the same model."
            )
        check_normalised(matrix, "features")
        matrix = matrix.to(torch.promote_types(matrix.dtype, torch.float32))
        return self.score_stream(matrix)

    def score_stream(self, matrix: Tensor) -> Tensor:
        """Score checked features block by block: (N, D) -> (N,).

        A method that remembers pictures overrides this: its memory begins empty and ends with the call, so that
        scoring the same pictures in the same order again gives the same scores.
        """
        return torch.cat([self.score_block(block) for block in self.blocks(matrix)])

    def blocks(self, matrix: Tensor) -> Sequence[Tensor]:
        """Split pictures so that the cosines of a block with all labels stay within a fixed amount of memory."""
        return matrix.split(max(1, _CELLS // self.labels_compared()))

    def labels_compared(self) -> int:
        """How many text features every image is compared with: what the memory of a block grows with."""
        return len(self.text_)

    @abstractmethod
    def score_block(self, features: Tensor) -> Tensor:
        """Score checked features of float32 or float64: (N, D) -> (N,). This is the method itself."""

    def cosines(self, features: Tensor) -> Tensor:
        """Compare images with classes: (N, D) -> (N, C), on the device and in the precision of `features`."""
        if self.match_ is not None:
            return self.match_(features)
        return features @ self.text_.to(features).T

    def decision_function(self, features: Any) -> Tensor:
        """Return the score minus the threshold: (N, D) -> (N,), negative for out-of-distribution."""
        scores = self.score_samples(features)
        if math.isnan(self.threshold_):
            raise OodlibError(
                f"{type(self).__name__} has no threshold yet: set threshold_, for example to the 5 % quantile of its "
                "scores of in-distribution images."
            )
        return scores - self.threshold_

    def predict(self, features: Any) -> Tensor:
        """Return +1 for in-distribution and -1 for out-of-distribution: (N, D) -> (N,)."""
        return torch.where(self.decision_function(features) >= 0, 1, -1)
