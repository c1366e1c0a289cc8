"""From concepts, detectors and kept features to scores. Larger scores mean more in-distribution.

Test-time methods, those with ``transductive = True``, look at the test pictures as a set. They get the ID and the OOD
pictures of one pair as a single stream, mixed in an order that a seed fixes, so that an ID picture has another score
beside each OOD set.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from sklearn.base import clone
from torch import Tensor

from oodlib.arrays import as_numpy, as_tensor, plain
from oodlib.concepts import Concepts
from oodlib.detectors import Detector, get_detector, name_of
from oodlib.errors import OodlibError
from oodlib.evaluation.ranking import Array

Scores = dict[str, dict[str, Array]]
Detectors = Mapping[str, Detector] | Iterable[str | Detector]


def name_detectors(detectors: Detectors) -> dict[str, Detector]:
    """Give each detector the name it has in tables.

    A mapping keeps its own names. In a list, a name stands for the detector with its default parameters.

    >>> name_detectors(["mcm", get_detector("energy", temperature=1.0)])
    {'mcm': MCM(), 'energy': Energy(temperature=1.0)}
    """
    if isinstance(detectors, Mapping):
        return dict(detectors)
    if isinstance(detectors, str | Detector):
        detectors = [detectors]
    listed = [get_detector(detector) if isinstance(detector, str) else detector for detector in detectors]
    named = {name_of(detector): detector for detector in listed}
    if len(named) < len(listed):
        raise OodlibError("Two detectors share a name: pass a mapping such as {'mcm': MCM(), 'mcm-half': MCM(0.5)}.")
    return named


def pair_name(id_set: str, ood_set: str) -> str:
    """Name the scores of ID pictures that were seen in one stream with an OOD set.

    >>> pair_name("animals", "objects")
    'animals beside objects'
    """
    return f"{id_set} beside {ood_set}"


def of_pair(scores: Mapping[str, Any], id_set: str, ood_set: str) -> tuple[Any, Any]:
    """Return one detector's scores of the ID and of the OOD pictures of a pair: (n_id,), (n_ood,).

    >>> of_pair({"animals": [0.9], "objects": [0.1]}, "animals", "objects")
    ([0.9], [0.1])
    """
    together = pair_name(id_set, ood_set)
    return scores[together if together in scores else id_set], scores[ood_set]


def score(
    concepts: Concepts,
    detectors: Detectors,
    feature_sets: Mapping[str, Any],
    *,
    id_set: str | None = None,
    seed: int = 0,
    patches: Callable[[str], Iterable[Any]] | None = None,
) -> Scores:
    """Score every set with every detector. The detectors passed in stay as they are; copies are fitted.

    Parameters
    ----------
    concepts : Concepts
        What is in-distribution.
    detectors : mapping, or sequence of names and detectors
        As `name_detectors` takes them.
    feature_sets : mapping of set name to features (n, D)
        ID and OOD sets alike.
    id_set : str, optional
        Which of the sets is in-distribution. Transductive detectors must know it, the others do not care.
    seed : int
        Of the order in which a transductive detector meets the pictures.
    patches : callable, optional
        From the name of a set to blocks of its pictures' local features, (n, P, D) each, in their order: for detectors
        that require them. They are large, so a block is let go before the next is asked for.

    Returns
    -------
    dict
        ``scores[detector][set]``, an array of shape (n,), larger = more ID. A transductive detector has no scores of
        `id_set` alone, but of ``pair_name(id_set, ood_set)`` for each other set; `of_pair` reads both kinds.

    Raises
    ------
    OodlibError
        If a detector is transductive and `id_set` is none of the sets, or requires patches and there are none.
    """
    match = _Remembered(concepts.match) if concepts.match is not None else None
    asked = replace(concepts, match=match)
    # Streams of mixed pictures are asked for once: what was answered for them would only fill the memory.
    fitted = {
        name: clone(detector).fit(concepts if detector.transductive else asked)
        for name, detector in name_detectors(detectors).items()
    }
    scores: Scores = {name: {} for name in fitted}
    for name, detector in fitted.items():
        if detector.transductive:
            scores[name] = _score_pairs(name, detector, feature_sets, id_set, seed)
    for set_name, features in feature_sets.items():
        if match is not None:
            match.answers.clear()
        for name, detector in fitted.items():
            if "patches" in detector.requires and patches is not None:
                scores[name][set_name] = _score_blocks(detector, features, patches(set_name))
            elif not detector.transductive:
                scores[name][set_name] = as_numpy(detector.score_samples(features))
    return scores


class _Remembered:
    """How pictures match the classes of a tuned model, asked once: it may run a tower, and every detector asks."""

    def __init__(self, match: Callable[[Any], Any]):
        self.match = match
        self.answers: dict[Any, tuple[Any, Any]] = {}

    def __call__(self, features: Any) -> Any:
        key = (features.data_ptr(), features.shape, features.stride(), features.dtype)
        if key not in self.answers:  # with the features, so that their place in memory stays theirs
            self.answers[key] = features, self.match(features)
        return self.answers[key][1]


def _score_blocks(fitted: Any, features: Any, blocks: Iterable[Any]) -> Array:
    """Score pictures by blocks of their patches."""
    parts, start = [], 0
    for block in blocks:
        parts.append(as_numpy(fitted.score_samples(features[start : start + len(block)], block)))
        start += len(block)
    return np.concatenate(parts)


def _score_pairs(
    name: str, fitted: Detector, feature_sets: Mapping[str, Any], id_set: str | None, seed: int
) -> dict[str, Array]:
    """Score each OOD set mixed with the ID set; put the scores back into the order of the pictures."""
    if id_set is None or id_set not in feature_sets:
        raise OodlibError(
            f"{name} looks at the test pictures as a set: tell score(..., id_set=...) which of "
            f"{', '.join(feature_sets)} is in-distribution."
        )
    scores: dict[str, Array] = {}
    inside = as_tensor(plain(feature_sets[id_set], id_set))
    for ood_set, features in feature_sets.items():
        if ood_set == id_set:
            continue
        stream = torch.cat([inside, as_tensor(plain(features, ood_set)).to(inside)])
        order = torch.from_numpy(np.random.default_rng(seed).permutation(len(stream)))
        mixed = fitted.score_samples(stream[order.to(stream.device)]).cpu()
        found = torch.empty_like(mixed)
        found[order] = mixed
        scores[pair_name(id_set, ood_set)], scores[ood_set] = (
            part.numpy() for part in found.tensor_split([len(inside)])
        )
    return scores


def classify(concepts: Concepts, features: Tensor) -> Tensor:
    """Return the place of the best-matching class for each picture: (N, D) -> (N,)."""
    cosines: Tensor = get_detector("max_logit").fit(concepts).cosines(as_tensor(plain(features, "features")))
    return cosines.argmax(dim=1)
