"""The folder that the page *Try it* loads from: towers, features, words, a few drawings, the runtime, and a manifest.

The manifest says what there is, with sizes and hashes, so that a page names its size before it loads anything, and a
browser that has kept an older file notices. Everything is a plain file beside the page; no other host is asked.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import shutil
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from oodlib.cache import write_atomically, write_text
from oodlib.errors import OodlibError
from oodlib.experiments.experiment import Experiment
from oodlib.pocket.browser import write_image_tower, write_text_tower
from oodlib.pocket.light import CONTEXT, LightEncoder
from oodlib.prompts.sets import templates
from oodlib.report.try_it import LABELS, Contents, border, contents, pack, page_detectors, same_as

# What computes pictures: the kernels of TensorFlow.js alone. Then what typed names need: the smallest build of ONNX
# Runtime with what it loads by itself, and the tokenizer.
RUNTIME = (
    "@tensorflow/tfjs-backend-wasm/wasm-out/tfjs-backend-wasm.js",
    "@tensorflow/tfjs-backend-wasm/wasm-out/tfjs-backend-wasm-simd.wasm",
)
TEXT_RUNTIME = (
    "onnxruntime-web/dist/ort.wasm.min.mjs",
    "onnxruntime-web/dist/ort-wasm-simd-threaded.mjs",
    "onnxruntime-web/dist/ort-wasm-simd-threaded.wasm",
    "@huggingface/tokenizers/dist/tokenizers.min.mjs",
)
FIRST = ("image", "features", "words", "runtime")  # what a click loads; the others follow when they are needed
PACKED = ".packed"  # gzip under a name that no server knows: one that says what it is may be unpacked on the way
DRAWINGS = {"in": 5, "near": 4, "far": 5}  # ready ones, by kind


def write_try_it(folder: Path, lab: Experiment, packages: Path) -> dict[str, Any]:
    """Write everything that the page loads.

    Parameters
    ----------
    folder : Path
        Where the page's scripts lie; created if need be.
    lab : Experiment
        On drawings; its main ID set gives the names that the page starts with.
    packages : Path
        The folder of npm packages.

    Returns
    -------
    dict
        The manifest.

    Raises
    ------
    OodlibError
        If an npm package or the package onnx is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    known = contents(lab)
    parts: dict[str, list[Path]] = {"runtime": vendor(folder / "vendor", packages, RUNTIME)}
    model = folder / "model"
    model.mkdir(exist_ok=True)
    image, layers = write_image_tower(model)
    text, tokenizer = write_text_tower(model)
    parts |= {"image": [image], "text": [text, _packed(tokenizer)]}
    parts["text"] += vendor(folder / "vendor", packages, TEXT_RUNTIME)
    packed, blocks = pack(known.blocks())
    parts["features"] = [model / "features.bin"]
    write_atomically(parts["features"][0], lambda path: path.write_bytes(packed))
    parts["words"] = [model / "words.json"]
    write_text(parts["words"][0], json.dumps(_words(known), separators=(",", ":")))
    parts["words"] = [_packed(parts["words"][0])]
    files = {name: [_file(path, folder) for path in paths] for name, paths in parts.items()}
    manifest = {
        "bytes": sum(file["bytes"] for name in FIRST for file in files[name]),
        "files": files,
        "blocks": blocks,
        "drawings": _drawings(folder / "drawings", lab),
        "names": known.names,
        "logit_scale": known.logit_scale,
        "context": CONTEXT,
        "templates": templates(lab.encoder.capabilities.templates),
        "image": {key: LightEncoder().spec["preprocess"][key] for key in ("size", "mean", "std")} | {"layers": layers},
        "detectors": [
            {"key": name, "label": LABELS[name], "parameters": one.get_params()}
            for name, one in page_detectors(known.names, known.names).items()
        ],
        **border(known),
    }
    write_text(folder / "manifest.json", json.dumps(manifest, ensure_ascii=True, indent=1) + "\n")
    return manifest


def vendor(folder: Path, packages: Path, names: Iterable[str]) -> list[Path]:
    """Copy files of npm packages into a folder; WebAssembly is packed, a classic script is made a module."""
    copied = []
    folder.mkdir(exist_ok=True)
    for name in names:
        if not (packages / name).is_file():
            raise OodlibError(f"the npm package of {Path(name).name} is missing: run `npm ci` (make setup)")
        path = Path(shutil.copy(packages / name, folder))
        if path.suffix == ".wasm":
            path = _packed(path)
        elif path.suffix == ".js":
            path = _module(path, packages / Path(*Path(name).parts[:2]))
        copied.append(path)
    return copied


def _module(path: Path, package: Path) -> Path:
    """The same script as a module in its place, its one function exported, and said what it is."""
    script, facts = path.read_text(encoding="utf-8"), json.loads((package / "package.json").read_text(encoding="utf-8"))
    found = re.match(r"\s*var (\w+) ?=", script)
    if not found:
        raise OodlibError(f"{path.name} of {facts['name']} does not start with a function: see {__name__}")
    target = path.with_suffix(".mjs")
    origin = f"{path.name} of {facts['name']} {facts['version']}, licence {facts['license']}"
    write_text(target, f"/* {origin}; the last line is added. */\n{script}\nexport default {found[1]};\n")
    path.unlink()
    return target


def _packed(path: Path) -> Path:
    """The same file packed, in its place: a third of the runtime's size."""
    target = path.with_name(path.name + PACKED)
    content = gzip.compress(path.read_bytes(), mtime=0)
    write_atomically(target, lambda file: file.write_bytes(content))
    path.unlink()
    return target


def _words(known: Contents) -> dict[str, Any]:
    return {
        "words": known.words,
        "outliers": known.outliers,
        "same": same_as(known.words[: known.outliers]),
        "labels": list(known.labels),
        "kinds": list(known.kinds),
    }


def _drawings(folder: Path, lab: Experiment) -> list[dict[str, str]]:
    """A few pictures of every kind, spread evenly over the sets: copies, and what the page says of them."""
    kinds = {lab.main: "in"} | dict(lab.benchmarks[lab.main].kinds)
    folder.mkdir(exist_ok=True)
    found: list[dict[str, str]] = []
    for kind, count in DRAWINGS.items():
        every = [
            (path, label)
            for part, own in kinds.items()
            if own == kind
            for path, label in zip(
                lab.sets[lab.main][part].paths(), lab.sets[lab.main][part].table["label"], strict=True
            )
        ]
        for path, label in [every[k] for k in np.linspace(0, len(every) - 1, count + 2).round().astype(int)[1:-1]]:
            name = f"{len(found):02}{path.suffix}"
            write_atomically(folder / name, partial(shutil.copy, path))
            found.append({"src": f"drawings/{name}", "name": label, "kind": kind})
    return found


def _file(path: Path, folder: Path) -> dict[str, Any]:
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:16]
    return {"path": path.relative_to(folder).as_posix(), "bytes": len(content), "sha256": digest}
