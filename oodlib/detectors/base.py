"""The contract that every detector keeps: scikit-learn's outlier API over kept features."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Self

from oodlib.arrays import Array, as_tensor, join, like, namespace, sigmoid, split, widen
from oodlib.concepts import Concepts, as_matrix, check_normalised
from oodlib.detectors._estimator import Estimator
from oodlib.detectors._log_odds import odds_of
from oodlib.errors import OodlibError

# Cosines in memory at once: 32 MB in float32, whatever the number of pictures and labels. Linux's C library gives every
# larger piece back at once, and gets the next one cleared anew, page by page.
_CELLS = 2**23


class Detector(Estimator, ABC):
    """An out-of-distribution detector over image features, NumPy arrays and torch tensors alike.

    Larger scores mean *more in-distribution*, for every detector in the book. Scores are what the features are, arrays
    or tensors, whatever the detector was fitted to.

    Where a method's formula S lies between two bounds, as a probability does, its scores are log-odds,
    ``log((S - low) / (high - S))`` (of `EOE` another map): the order is that of S, but float32 has no numbers left
    between 1 - 6e-8 and 1, where many pictures lie. `to_paper` gives S, and `from_paper` turns a value of S into a
    score, for a threshold. All other scores are S itself, and both functions leave them as they are.

    A method is a subclass with `score_block`, and with `learn` where it learns more than the text features: `fit` and
    `score_samples` check what they are given and call them, as in `FeatureDetector`. Hyper-parameters are only stored
    in ``__init__``; what is learned ends in an underscore. The class docstring says "Larger = more in-distribution"
    where it says what the score is.

    Attributes
    ----------
    text_ : tensor or array, shape (C, D)
        Text feature of each class.
    match_ : callable or None
        `Concepts.match` of what it was fitted to.
    threshold_ : float
        Images that score below it are called out-of-distribution. NaN after `fit`, until somebody sets it; from a value
        of the paper's, ``detector.threshold_ = detector.from_paper(0.9)``.
    order_dependent : bool
        True where the score of an image depends on the images seen before it in the same `score_samples` call.
    transductive : bool
        True where the method looks at the test images as a set, not at one alone. Pass a mixed stream of ID and OOD
        images to one call of `score_samples`, as `oodlib.evaluation.score` does.
    requires : tuple of str
        What the method needs besides the names: fields of `Concepts` ("outlier_text", "no_text", "shots", "encode"), or
        "patches", which `score_samples` then takes as well. Whoever prepares concepts reads it instead of trying.
    default_words : tuple of str
        The method's own outlier labels, for those who pass none; empty where any list of words will do.
    even_odds : float or None
        Where S is a probability that the classes, not something else, explain the image: the S at which both are
        equally likely. It is a cut that needs no images. None for every other score.
    """

    order_dependent: ClassVar[bool] = False
    transductive: ClassVar[bool] = False
    requires: ClassVar[tuple[str, ...]] = ()
    default_words: ClassVar[tuple[str, ...]] = ()
    even_odds: ClassVar[float | None] = None

    text_: Array
    match_: Callable[[Array], Array] | None
    threshold_: float

    def fit(self, concepts: Concepts) -> Self:
        """Learn what is in-distribution. The threshold is forgotten: it belongs to the earlier concepts.

        Raises
        ------
        OodlibError
            If there are no concepts, a parameter named `temperature` is not above 0, or the method refuses (`learn`).
        """
        if not isinstance(concepts, Concepts):
            raise OodlibError(f"{self!r} is fitted to Concepts(names=..., text=...), not to {type(concepts).__name__}.")
        temperature = self.get_params().get("temperature")
        if temperature is not None and not 0 < temperature < math.inf:
            raise OodlibError(f"{self!r}: the temperature divides cosines, so it must be a number above 0.")
        self.text_ = concepts.text
        self.match_ = concepts.match
        self.threshold_ = math.nan
        self.learn(concepts)
        return self

    def learn(self, concepts: Concepts) -> None:
        """Learn from checked concepts what the method needs besides `text_` and `match_`.

        A method that cannot work with its parameters or with these concepts (too few names, say) raises `OodlibError`
        here. A parameter named `temperature` has been checked.
        """
        return

    def score_samples(self, features: Any) -> Array:
        """Score images: the larger, the more in-distribution.

        Parameters
        ----------
        features : tensor or array, shape (N, D)
            L2-normalised image features. Half precision is computed in float32.

        Returns
        -------
        tensor or array, shape (N,)
            What `features` is, for a tensor on its device; a list counts as an array. Log-odds where there are
            `bounds`.

        Raises
        ------
        OodlibError
            If `features` is not a finite, L2-normalised matrix of as many columns as the concepts have.
        sklearn.exceptions.NotFittedError
            Before `fit`.
        """
        self.check_is_fitted()
        matrix = as_matrix(features, "features")
        if matrix.shape[1] != self.text_.shape[1]:
            raise OodlibError(
                f"features have {matrix.shape[1]} columns but the concepts have {self.text_.shape[1]}: encode images "
                "and class names with the same model."
            )
        check_normalised(matrix, "features")
        return self.score_stream(widen(matrix))

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Between which values S lies, which may hang on what was learned; None where scores are S itself."""
        return None

    def to_paper(self, scores: Any) -> Any:
        """Turn scores into values of the paper's formula: float, array or tensor, of any shape."""
        if self.bounds is None:
            return scores
        low, high = self.bounds
        return low * sigmoid(-scores) + high * sigmoid(scores)

    def from_paper(self, value: float) -> float:
        """Turn a value of the paper's formula into a score; infinite where it lies on a bound or beyond."""
        return value if self.bounds is None else odds_of(value, *self.bounds)

    def score_stream(self, matrix: Array) -> Array:
        """Score checked features block by block: (N, D) -> (N,).

        A method that remembers pictures overrides this: its memory begins empty and ends with the call, so that
        scoring the same pictures in the same order again gives the same scores.
        """
        return join([self.score_block(block) for block in self.blocks(matrix)])

    def blocks(self, matrix: Array) -> list[Array]:
        """Split pictures so that the cosines of a block with all labels stay within a fixed amount of memory."""
        return split(matrix, max(1, _CELLS // self.labels_compared()))

    def labels_compared(self) -> int:
        """How many text features every image is compared with: what the memory of a block grows with."""
        return len(self.text_)

    @abstractmethod
    def score_block(self, features: Array) -> Array:
        """Score checked features of float32 or float64: (N, D) -> (N,). This is the method itself.

        A subclass with `bounds` returns log-odds; `oodlib.detectors._log_odds` computes them without ever writing down
        a share near 1.

        They are arrays or tensors: take sums, maxima and the like from `oodlib.arrays`, which serves both, and compare
        with the classes by `cosines`, which knows of tuned models.
        """

    def cosines(self, features: Array) -> Array:
        """Compare images with classes: (N, D) -> (N, C), on the device and in the precision of `features`."""
        if self.match_ is not None:  # of a model tuned with torch, in float32
            return like(self.match_(as_tensor(features).float()), features)
        return features @ like(self.text_, features).T

    def decision_function(self, features: Any) -> Array:
        """Return the score minus the threshold: (N, D) -> (N,), negative for out-of-distribution."""
        scores = self.score_samples(features)
        if math.isnan(self.threshold_):
            raise OodlibError(
                f"{type(self).__name__} has no threshold yet: set threshold_, for example to the 5 % quantile of its "
                "scores of in-distribution images."
            )
        return scores - self.threshold_

    def predict(self, features: Any) -> Array:
        """Return +1 for in-distribution and -1 for out-of-distribution: (N, D) -> (N,)."""
        margin = self.decision_function(features)
        return namespace(margin).where(margin >= 0, 1, -1)
