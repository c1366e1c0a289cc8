"""PocketCLIP's two towers as single files for a browser: the graphs of `oodlib.pocket.graphs` with weights inside.

The image tower's weights go out in half precision, as they are shipped, so that nothing is rounded; the text tower's
in eight bits with a scale for each row, a quarter of their size. Both compute in float32. No exporter is needed: the
graphs are there, and only where they find their weights is changed.
"""

from __future__ import annotations

import functools
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from oodlib.cache import write_atomically
from oodlib.pocket.assemble import MODEL, assemble
from oodlib.pocket.export import package, shrink
from oodlib.prompts.capabilities import read_capabilities, read_no_head

GRAPHS = Path(__file__).parent
FILES = ("image.onnx", "text.onnx", "tokenizer.json")


def write_towers(folder: Path, home: Path | None = None) -> dict[str, Path]:
    """Write both towers and the tokenizer into a folder.

    Parameters
    ----------
    folder : Path
        It exists already.
    home : Path, optional
        Cache folder that PocketCLIP is assembled in.

    Returns
    -------
    dict of str to Path
        `image.onnx`: `x` (N, 3, 128, 128) float32 to `features` (N, 256) float32, not normalised. `text.onnx`:
        `input_ids` and `attention_mask` (N, L) int64 to `text` and `no`, both (N, 256) and not normalised: the feature
        of a text and what the "no" head makes of it. `tokenizer.json`: in the format of Hugging Face's `tokenizers`.

    Raises
    ------
    OodlibError
        If the package onnx is missing, or the model cannot be assembled.
    """
    onnx, model = package("onnx"), assemble(home)
    image, text = (_whole(onnx, name, model) for name in FILES[:2])
    shrink(image, eight_bits=False, smallest=1)  # nothing is rounded, however small
    shrink(text, eight_bits=True)
    _add_heads(onnx, text, model)
    paths = {name: folder / name for name in FILES}
    for name, graph in (("image.onnx", image), ("text.onnx", text)):
        write_atomically(paths[name], functools.partial(onnx.save, graph))
    write_atomically(paths["tokenizer.json"], functools.partial(shutil.copy, model / "tokenizer.json"))
    return paths


def _whole(onnx: Any, name: str, model: Path) -> Any:
    graph = onnx.load(GRAPHS / name, load_external_data=False)
    for weight in graph.graph.initializer:
        where = {entry.key: entry.value for entry in weight.external_data}
        if where:  # onnx itself reads no file that has a second name, as files of a copied cache may have
            with (model / where["location"]).open("rb") as file:
                file.seek(int(where["offset"]))
                weight.raw_data = file.read(int(where["length"]))
        weight.ClearField("external_data")
        weight.data_location = onnx.TensorProto.DEFAULT
    return graph


def _add_heads(onnx: Any, text: Any, model: Path) -> None:
    """Behind the text tower its two projections, in half precision; in place."""
    graph, make = text.graph, onnx.helper
    pooled = graph.output[0].name
    projection = load_file(model / MODEL)["text.proj.weight"]
    weight, bias = read_no_head(read_capabilities(GRAPHS).no_head, "pocket", projection.shape[1])
    del graph.output[:]
    for name, matrix in (("text", projection), ("no", weight)):
        graph.initializer.append(onnx.numpy_helper.from_array(matrix.T.astype(np.float16), f"{name}.small"))
        graph.node.append(make.make_node("Cast", [f"{name}.small"], [f"{name}.matrix"], to=onnx.TensorProto.FLOAT))
        graph.node.append(make.make_node("MatMul", [pooled, f"{name}.matrix"], [f"{name}.product"]))
        graph.output.append(make.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", len(matrix)]))
    graph.initializer.append(onnx.numpy_helper.from_array(bias, "no.bias"))
    graph.node.append(make.make_node("Identity", ["text.product"], ["text"]))
    graph.node.append(make.make_node("Add", ["no.product", "no.bias"], ["no"]))
    onnx.checker.check_model(text)
