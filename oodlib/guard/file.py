"""A guard on disk: one safetensors file, its features as tensors and the rest as JSON in the header. Never pickle.

What the detector learned is in the file, so that nothing is fitted again, and a hash of everything
(`oodlib.cache.save_sealed`), so that a damaged file decides nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from oodlib.arrays import as_numpy
from oodlib.cache import check_source, load_sealed, save_sealed
from oodlib.concepts import Concepts
from oodlib.detectors import Detector, get_detector, list_detectors, name_of
from oodlib.embeddings.texts import text_tower
from oodlib.encoders.named import named_encoder
from oodlib.errors import DamagedError, OodlibError
from oodlib.evaluation.thresholds import Threshold

if TYPE_CHECKING:
    from oodlib.encoders.encoder import Encoder
    from oodlib.pocket.light import LightEncoder

FORMAT = "oodlib guard 5"
FIELDS = {
    *("format", "encoder", "labels", "outliers", "logit_scale", "templates"),
    *("method", "parameters", "learned", "threshold", "notes"),
}
LEARNED = "learned."  # before the names of arrays that the detector learned
# Other versions and devices, and torch or ONNX Runtime, change features by rounding only (1e-5); everything else in a
# specification changes their meaning.
FREE = ("versions", "device", "runtime")


def save_guard(
    path: Path,
    *,
    encoder: Encoder | LightEncoder,
    detector: Detector,
    concepts: Concepts,
    descriptions: Mapping[str, tuple[str, ...]],
    templates: tuple[str, ...],
    threshold: Threshold,
    calibration: Any,
    notes: tuple[str, ...],
) -> None:
    """Write the parts of a `Guard`, which explains them: the whole file or none.

    Raises
    ------
    OodlibError
        If the method is not one of `oodlib.detectors`, has parameters that JSON cannot hold, or the disk refuses.
    """
    method = name_of(detector)
    if method not in list_detectors():
        raise OodlibError(f"{method} is no detector of oodlib, so that a file could not bring it back: keep its code")
    learned = detector.state()
    arrays = {name: value for name, value in learned.items() if hasattr(value, "dtype")}
    about = {
        "format": FORMAT,
        "encoder": encoder.spec,
        "labels": [[name, list(descriptions[name])] for name in concepts.names],
        "outliers": [list(concepts.outlier_names), list(concepts.outlier_kinds)],
        "logit_scale": concepts.logit_scale,
        "templates": list(templates),
        "method": method,
        "parameters": detector.get_params(),
        "learned": {name: value for name, value in learned.items() if name not in arrays},
        "threshold": asdict(threshold),
        "notes": list(notes),
    }
    contents = {
        "text": concepts.text,
        "no_text": concepts.no_text,
        "outlier_text": concepts.outlier_text,
        "calibration": calibration,
        **{LEARNED + name: array for name, array in arrays.items()},
    }
    try:
        save_sealed(path, {name: as_numpy(array) for name, array in contents.items() if array is not None}, about)
    except TypeError as error:
        raise OodlibError(f"{detector!r} cannot be kept ({error}): use plain numbers and words") from None


def load_guard(
    path: Path, encoder: str | Encoder | LightEncoder | None = None, pretrained: str | None = None
) -> dict[str, Any]:
    """Read the parts of a `Guard`, by their names; its classes are not encoded again.

    Parameters
    ----------
    path : Path
    encoder : str, Encoder or LightEncoder, optional
        By default the one that the file names, where its name is enough to load it.
    pretrained : str, optional
        Weights of an architecture given by name.

    Raises
    ------
    OodlibError
        If the file is missing, damaged or none of this kind, or was made with another encoder: model, files,
        activation, preprocessing and precision must agree; versions, device and runtime may differ.
    """
    if pretrained is not None and not isinstance(encoder, str):  # it would change nothing
        raise OodlibError(
            f"pretrained={pretrained!r} are weights of an architecture: name that as the encoder (--encoder), too"
        )
    about, tensors = _read(path)
    spec = about["encoder"]
    if encoder is None:
        encoder, pretrained = _name(spec, path), spec["pretrained"]
    if isinstance(encoder, str):
        encoder = named_encoder(encoder, pretrained, precision=spec["precision"], **_trained(spec, pretrained))
    for field in sorted((spec.keys() | encoder.spec.keys()) - set(FREE)):
        kept, given = spec.get(field), encoder.spec.get(field)
        if kept != given:
            raise OodlibError(
                f"{path} belongs to another encoder ({field} {_brief(kept)}, here {_brief(given)}): load that one, "
                "or make the guard again"
            )
    features: dict[str, Any] = {name: encoder.as_features(array) for name, array in tensors.items()}
    concepts = Concepts(
        names=tuple(name for name, _ in about["labels"]),
        text=features["text"],
        outlier_names=tuple(about["outliers"][0]),
        outlier_text=features.get("outlier_text"),
        outlier_kinds=tuple(about["outliers"][1]),
        no_text=features.get("no_text"),
        logit_scale=about["logit_scale"],
        encode=text_tower(encoder, about["templates"]),
    )
    parameters = {key: tuple(value) if isinstance(value, list) else value for key, value in about["parameters"].items()}
    learned = {name: tuple(value) if isinstance(value, list) else value for name, value in about["learned"].items()}
    learned |= {name.removeprefix(LEARNED): value for name, value in features.items() if name.startswith(LEARNED)}
    detector = get_detector(about["method"], **parameters)
    if "encode" in detector.requires:
        learned["encode_"] = concepts.encode
    detector.restore(learned)
    described = {name: tuple(lines) for name, lines in about["labels"]}
    return {
        "encoder": encoder,
        "detector": detector,
        "concepts": concepts,
        "descriptions": described,
        "templates": tuple(about["templates"]),
        "threshold": Threshold(**about["threshold"]),
        "calibration": features.get("calibration"),
        "notes": tuple(about["notes"]),
    }


def _read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    check_source(path)
    remedy = "make it again with `oodlib detect --save`"
    try:
        arrays, about = load_sealed(path)
    except OSError as error:
        raise OodlibError(f"cannot read {path} ({error.strerror or error}): check the path") from None
    except DamagedError:
        raise DamagedError(f"{path} is no guard of this version of oodlib, or is damaged: {remedy}") from None
    if about.get("format") != FORMAT:
        raise OodlibError(f"{path} was made by another version of oodlib: {remedy}")
    if not _fits(about):
        raise DamagedError(f"{path} says of its guard what cannot be meant: {remedy}")
    return about, arrays


def _fits(about: dict[str, Any]) -> bool:
    """Whether all is there that makes a guard, and of the types that it takes; somebody may have edited the file."""
    try:
        names = [name for name, _ in about["labels"]]
        lines = [line for _, described in about["labels"] for line in described]
        outliers, kinds = about["outliers"]
        threshold = Threshold(**about["threshold"])
        words = [*names, *lines, *outliers, *kinds, *about["templates"], *about["notes"], about["method"]]
        return (
            about.keys() == FIELDS
            and all(isinstance(word, str) for word in (*words, threshold.rule))
            and len(set(names)) == len(names)
            and math.isfinite(threshold.value)
            and math.isfinite(about["logit_scale"])
            and all(isinstance(about[field], dict) for field in ("parameters", "learned", "encoder"))
            and {"model", "pretrained", "precision", "weights_sha256", "quick_gelu", "preprocess"}
            <= about["encoder"].keys()
        )
    except (KeyError, TypeError, ValueError):
        return False


def _name(spec: dict[str, Any], path: Path) -> str:
    """What to load, where the specification says it: a file or folder of weights may lie anywhere."""
    name = str(spec["model"])
    # A model that comes with the package has a hash of its weights, too, but is named without any.
    if name.startswith("local-dir:") or (spec["pretrained"] and spec["weights_sha256"]):
        raise OodlibError(f"{path} belongs to weights in a file ({name}, {spec['pretrained']}): name the encoder, too")
    return name


def _trained(spec: dict[str, Any], pretrained: str | None) -> dict[str, Any]:
    """What a weight file does not say; the guard's was of the same content, so that its answers hold."""
    if pretrained is None or not Path(pretrained).is_file() or "variant" in spec["preprocess"]:
        return {}
    stated = {key: spec["preprocess"][key] for key in ("mean", "std", "interpolation", "resize_mode")}
    return {"quick_gelu": spec["quick_gelu"], "preprocess": stated}


def _brief(value: Any) -> str:
    said = str(value)
    return said if len(said) <= 40 else f"{said[:36]} ..."
