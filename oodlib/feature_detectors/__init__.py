"""Detectors on plain feature matrices: one module a method. A new file here is found by its name."""

from typing import Any

from oodlib.feature_detectors._concepts import OnConcepts
from oodlib.feature_detectors.base import FeatureDetector
from oodlib.registry import Registry

__all__ = ["FeatureDetector", "get_feature_detector", "list_feature_detectors", "on_concepts"]

_registry: Registry[FeatureDetector] = Registry(__name__, FeatureDetector, "feature detector")  # type: ignore[type-abstract]


def list_feature_detectors() -> list[str]:
    """Return the names of all feature detectors, in alphabetical order.

    >>> "knn" in list_feature_detectors()
    True
    """
    return list(_registry.names)


def get_feature_detector(name: str, **parameters: Any) -> FeatureDetector:
    """Make a feature detector by name, for example ``get_feature_detector("knn", n_neighbors=10)``.

    >>> get_feature_detector("knn", n_neighbors=10)
    KNN(n_neighbors=10)
    """
    return _registry.make(name, **parameters)


def on_concepts(name: str, **parameters: Any) -> OnConcepts:
    """Make a detector for `oodlib.evaluation.score` out of a feature detector, by name.

    >>> on_concepts("knn", n_neighbors=10)
    OnConcepts(name='knn', parameters={'n_neighbors': 10})
    """
    get_feature_detector(name, **parameters)  # a wrong name is answered here, not when it is fitted
    return OnConcepts(name, parameters)


def __getattr__(name: str) -> Any:
    """Let ``from oodlib.feature_detectors import KNN`` work for every class, and for `mood_v2`, which takes several."""
    if name == "mood_v2":
        from oodlib.feature_detectors._mood import mood_v2

        return mood_v2
    return _registry.attribute(name)
