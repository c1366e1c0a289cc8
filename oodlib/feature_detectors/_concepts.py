"""A feature detector where `oodlib.evaluation.score` expects a detector on concepts."""

from typing import Any, ClassVar

import numpy as np

from oodlib.arrays import Array, as_numpy, as_tensor, is_tensor
from oodlib.concepts import Concepts
from oodlib.detectors.base import Detector
from oodlib.errors import OodlibError
from oodlib.feature_detectors.base import FeatureDetector


class OnConcepts(Detector):
    """A feature detector fitted to the labelled pictures of concepts; `on_concepts` makes it.

    Its features are `Concepts.shots`, its classes `Concepts.shot_labels`, and where it needs a classification head that
    is ``logit_scale * text`` without bias. Larger = more in-distribution.

    Parameters
    ----------
    name : str
        What `get_feature_detector` knows the method by.
    parameters : dict, optional
        Its hyper-parameters.

    Attributes
    ----------
    detector_ : FeatureDetector
        The fitted method. Its `offset_` comes from the shots and is not the threshold here.

    Raises
    ------
    OodlibError
        If the concepts have no shots, or a head is needed and they match by something else than the cosine with `text`.
    """

    requires: ClassVar[tuple[str, ...]] = ("shots",)

    detector_: FeatureDetector

    def __init__(self, name: str, parameters: dict[str, Any] | None = None):
        self.name = name
        self.parameters = parameters

    def learn(self, concepts: Concepts) -> None:
        from oodlib.feature_detectors import get_feature_detector  # not above: the package imports this module

        shots, labels = (concepts.require(part, by=self.name) for part in ("shots", "shot_labels"))
        detector = get_feature_detector(self.name, **(self.parameters or {}))
        if detector.needs_head:
            if concepts.match is not None:
                raise OodlibError(f"{self.name} needs a linear head: fit it to concepts without match=.")
            head = concepts.logit_scale * as_numpy(concepts.text).astype(np.float64)
            detector.set_params(weight=head, bias=head[:, 0] * 0)
        self.detector_ = detector.fit(as_numpy(shots), as_numpy(labels))

    def score_block(self, features: Array) -> Array:
        # in float64, whatever the features are: float32 has no room for a softmax near 1
        scores = self.detector_.score_samples(as_numpy(features))
        if not is_tensor(features):
            return scores
        apple = features.device.type == "mps"  # which has no float64
        return as_tensor(scores.astype(np.float32) if apple else scores).to(features.device)
