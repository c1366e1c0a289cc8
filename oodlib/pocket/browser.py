"""PocketCLIP's two towers as single files for a browser, made from the graphs of `oodlib.pocket.graphs`.

The image tower, which every reader loads, goes out as a list of layers (`oodlib.pocket.layers`) for a runtime that
starts at once: a twentieth of what one that reads any graph takes. Its weights are in half precision, as they are
shipped, so that nothing is rounded. The text tower, for names that the page's words lack, stays a graph, its weights
in eight bits with a scale for each row, a quarter of their size. Both compute in float32.
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
from oodlib.pocket.layers import pack_layers, read_layers
from oodlib.pocket.small_weights import package, shrink
from oodlib.prompts.capabilities import read_capabilities, read_no_head

GRAPHS = Path(__file__).parent


def write_image_tower(folder: Path, home: Path | None = None) -> tuple[Path, list[dict[str, Any]]]:
    """Write the image tower's weights into a folder.

    Parameters
    ----------
    folder : Path
        It exists already.
    home : Path, optional
        Cache folder that PocketCLIP is assembled in.

    Returns
    -------
    path : Path
        `image.bin`, as `oodlib.pocket.layers.pack_layers` writes it.
    layers : list of dict
        What else there is to know. Maps have their channels last: the layers lead from (128, 128, 3) float32 to the
        256 numbers of a feature, not normalised.

    Raises
    ------
    OodlibError
        If the package onnx is missing, the model cannot be assembled, or its graph is no chain of convolutions.
    """
    onnx = package("onnx")
    content, layers = pack_layers(read_layers(_whole(onnx, "image.onnx", assemble(home)).graph, onnx))
    write_atomically(folder / "image.bin", lambda path: path.write_bytes(content))
    return folder / "image.bin", layers


def write_text_tower(folder: Path, home: Path | None = None) -> tuple[Path, Path]:
    """Write the text tower and its tokenizer into a folder.

    Returns
    -------
    tower : Path
        `text.onnx`: `input_ids` and `attention_mask` (N, L) int64 to `text` and `no`, both (N, 256) and not normalised:
        the feature of a text and what the "no" head makes of it.
    tokenizer : Path
        `tokenizer.json`, in the format of Hugging Face's `tokenizers`.

    Raises
    ------
    OodlibError
        If the package onnx is missing, or the model cannot be assembled.
    """
    onnx, model = package("onnx"), assemble(home)
    text = _whole(onnx, "text.onnx", model)
    shrink(text, eight_bits=True)
    _add_heads(onnx, text, model)
    tower, tokenizer = folder / "text.onnx", folder / "tokenizer.json"
    write_atomically(tower, functools.partial(onnx.save, text))
    write_atomically(tokenizer, functools.partial(shutil.copy, model / "tokenizer.json"))
    return tower, tokenizer


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
