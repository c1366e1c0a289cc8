"""What a model's folder declares in addition to open_clip's files: the prompts that suit the model, and a "no" head.

A folder that `local-dir:FOLDER` loads may hold an `oodlib.json` with one or both of these keys:

    {"templates": "drawings", "no_head": "no_head.safetensors"}

`templates` names a set of `oodlib.prompts.sets.TEMPLATES`, which `oodlib.detect` then takes by default. `no_head` names
a safetensors file in the same folder with a map from the text tower's output `p`, before its projection, to the feature
of "not this": `no = normalise(weight p + bias)`, `weight` (D, P) and `bias` (D,). CLIPN's scores need it. Give the
model's own weights one of open_clip's names (`open_clip_model.safetensors`), so that none is taken for the other.

Neither changes a feature of a picture or a text, so neither is part of an encoder's specification.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from oodlib.cache import check_source
from oodlib.errors import OodlibError
from oodlib.prompts.sets import TEMPLATES

FILE = "oodlib.json"
KEYS = ("templates", "no_head")


@dataclass(frozen=True)
class Capabilities:
    """What an encoder offers besides features; as it stands, what a model offers whose folder declares nothing.

    Parameters
    ----------
    templates : str
        The set of prompts that suits the model, a key of `oodlib.prompts.sets.TEMPLATES`.
    no_head : Path, optional
        File of its "no" head.
    """

    templates: str = "photo"
    no_head: Path | None = None


def read_capabilities(folder: Path) -> Capabilities:
    """Read what a folder declares; a folder without an `oodlib.json` declares nothing.

    Raises
    ------
    OodlibError
        If the file cannot be read, or says what cannot be meant.
    """
    file = folder / FILE
    check_source(file)
    try:
        declared = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):  # that the folder itself is missing, the loader says better
        return Capabilities()
    except (OSError, ValueError, RecursionError) as error:
        raise OodlibError(f"cannot read {file} ({_brief(error)}): mend it or delete it") from None
    if not isinstance(declared, dict) or not declared.keys() <= set(KEYS):
        raise OodlibError(f"{file} declares {_brief(declared)}: let it be an object with no keys but {', '.join(KEYS)}")
    templates = declared.get("templates", Capabilities.templates)
    if not isinstance(templates, str) or templates not in TEMPLATES:
        raise OodlibError(f"{file} names no template set ({_brief(templates)}): choose one of {', '.join(TEMPLATES)}")
    return Capabilities(templates, _in_folder(file, declared["no_head"]) if "no_head" in declared else None)


def _in_folder(file: Path, name: Any) -> Path:
    """The file of that name in the folder of `file`, looked up among what lies there: no name leads away."""
    for path in file.parent.iterdir():
        if path.name == name and path.is_file():
            return path
    raise OodlibError(
        f"{file} names a no_head that is no file in its folder ({_brief(name)}): put a file there and give its "
        "bare name, or take the entry out"
    )


def read_no_head(file: Path | None, model: str, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The "no" head of a model whose text tower gives `width` numbers before its projection.

    Parameters
    ----------
    file : Path or None
        `Capabilities.no_head`.
    model : str
        The model's name, for the error.
    width : int

    Returns
    -------
    (array, array)
        Weight (D, width) and bias (D,), float32.

    Raises
    ------
    OodlibError
        If there is no head, or the file is missing, damaged or for another model.
    """
    if file is None:
        raise OodlibError(f"{model} has no 'no' head: declare one in the {FILE} of its folder, or take another model")
    try:
        tensors = load_file(file)
        types = {tensors[name].dtype for name in ("weight", "bias")}
        if any(one.kind != "f" for one in types):  # bfloat16, which NumPy reads where another package taught it to
            raise TypeError(f"stored as {' and '.join(map(str, types))}, not in float32 or float16")
        weight, bias = (tensors[name].astype(np.float32) for name in ("weight", "bias"))
    except (OSError, SafetensorError, KeyError, TypeError) as error:
        raise OodlibError(f"the 'no' head {file} is missing or damaged ({_brief(error)}): put it back") from None
    if weight.ndim != 2 or weight.shape[1] != width or bias.shape != weight.shape[:1]:
        raise OodlibError(
            f"the 'no' head {file} maps {weight.shape} and {bias.shape}, which does not fit {model}: put one there "
            f"whose weight is (D, {width}) and bias (D,)"
        )
    return weight, bias


def _brief(value: Any) -> str:
    said = " ".join((str(value) if isinstance(value, Exception) else repr(value)).split())
    return said if len(said) <= 80 else f"{said[:76]} ..."
