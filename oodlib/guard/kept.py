"""Guards that are kept between runs of the command: the second run with the same words reads what the first one made.

The key holds all that a guard depends on: labels, method, templates, outlier words, the threshold's rule, the
encoder and its "no" head. A guard that was calibrated depends on pictures, too, and is not kept. A file that is damaged
is made again, and that is said.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from oodlib import __version__
from oodlib.cache import home_folder, sha256_of
from oodlib.detectors import Detector, name_of
from oodlib.errors import OodlibError, mended
from oodlib.guard.file import FORMAT, FREE
from oodlib.guard.fit import check_outliers
from oodlib.guard.guard import Guard, prompts_for
from oodlib.guard.labels import Labels, check_labels

if TYPE_CHECKING:
    from oodlib.encoders.encoder import Encoder
    from oodlib.pocket.light import LightEncoder

LAYOUT = 2  # raise when the same words make another guard


def kept_guard(
    labels: Labels,
    encoder: Encoder | LightEncoder,
    detector: Detector,
    *,
    threshold: str | float = "auto",
    outliers: Sequence[str] | None = None,
    templates: str | Sequence[str] | None = None,
    home: Path | None = None,
) -> Guard:
    """Read the guard of these words from the cache folder, or make and keep it; `Guard.make` explains the parameters.

    Raises
    ------
    OodlibError
        As `Guard.make`, or if the cache folder cannot be written.
    """
    described = check_labels(labels)
    words = check_outliers(detector, outliers)
    no_head = encoder.capabilities.no_head
    ingredients = [
        [LAYOUT, FORMAT, __version__],
        {key: value for key, value in encoder.spec.items() if key not in FREE},
        sha256_of(no_head) if no_head else None,
        [[name, list(lines)] for name, lines in described.items()],
        [name_of(detector), detector.get_params()],
        list(prompts_for(templates, encoder)),
        words,
        str(threshold),
    ]
    key = hashlib.sha256(json.dumps(ingredients, sort_keys=True, default=repr).encode()).hexdigest()[:24]
    path = home_folder(home) / "guards" / f"{key}.safetensors"
    if path.exists():
        try:
            return Guard.load(path, encoder)
        except OodlibError as error:
            mended("the guard that is kept of these words", error)
    guard = Guard.make(described, encoder, detector, threshold=threshold, outliers=words, templates=templates)
    guard.save(path)
    return guard
