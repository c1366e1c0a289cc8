"""PocketCLIP's two towers as ONNX graphs without weights: they read those of the assembled model where they lie.

A graph's weights are *external data*: a file name, an offset and a length. The file is the assembled model's
safetensors file, whose tensors lie in it as plain little-endian numbers, so that nothing is stored twice and features
are those of the same float32 numbers. Run `python -m oodlib.pocket.graphs` after a change of the model's structure; new
weights of the same shapes need no new graphs.
"""

from __future__ import annotations

import argparse
import functools
import json
from pathlib import Path
from typing import Any

import open_clip
import torch
from torch import Tensor, nn

from oodlib.cache import write_atomically
from oodlib.errors import OodlibError, naming_extras
from oodlib.pocket.assemble import MODEL, assemble
from oodlib.pocket.export import graph_of

BUFFERS = ("position_ids", "token_type_ids")


class _Pooled(nn.Module):
    """The text tower before its projection, with the mask as an input."""

    def __init__(self, tower: nn.Module):
        super().__init__()
        self.tower = tower

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        states = self.tower.transformer(input_ids=input_ids, attention_mask=attention_mask)
        pooled: Tensor = self.tower.pooler(states, attention_mask)
        return pooled


def make_graphs(folder: Path) -> dict[str, Path]:
    """Write both graphs into a folder.

    Returns
    -------
    dict of str to Path
        `image.onnx`: `pixels` (N, 3, 128, 128) float32 to `features` (N, 256) float32, not normalised.
        `text.onnx`: `input_ids` and `attention_mask` (N, L) int64 to `features` (N, 384), the output of the text tower
        before its projection, which the "no" head needs as well.

    Raises
    ------
    OodlibError
        If a weight of a graph is not one of the assembled file.
    """
    model_folder = assemble()
    model: Any = open_clip.create_model(f"local-dir:{model_folder}").eval()
    model.text.transformer.set_attn_implementation("eager")  # the plain form of attention: common operators
    pixels = torch.zeros(2, 3, *model.visual.image_size)
    ids, mask = torch.ones(2, 8, dtype=torch.int64), torch.ones(2, 8, dtype=torch.int64)
    free = {0: "batch", 1: "sequence"}
    graphs = {
        "image.onnx": graph_of(model.visual, {"x": pixels}, {"x": {0: "batch"}}, optimize=False),
        "text.onnx": graph_of(
            _Pooled(model.text),
            {"input_ids": ids, "attention_mask": mask},
            {"input_ids": free, "attention_mask": free},
            optimize=False,
        ),
    }
    places = _places(model_folder / MODEL)
    prefixes = {"image.onnx": ("", "visual."), "text.onnx": ("tower.", "text.")}
    paths = {}
    for name, graph in graphs.items():
        settle(graph.graph)
        _point(graph, places, *prefixes[name])
        paths[name] = folder / name
        write_atomically(paths[name], functools.partial(_write, graph.SerializeToString()))
    return paths


def settle(graph: Any) -> None:
    """Write plainly what the exporter computes anew at every run and what never changes, in place.

    It gives a convolution without bias one of zeros, made of shapes and types of the pictures' own maps, and does the
    same to the bounds of a ReLU6. ONNX Runtime, which cannot tell that these are constants, then leaves every batch
    norm and ReLU6 by itself and takes its slow convolutions: 3.7 times the time of a picture.

    Raises
    ------
    OodlibError
        If a bias that is no weight of the model is anything but zero.
    """
    made = {name: node for node in graph.node for name in node.output}
    weights = {weight.name for weight in graph.initializer}

    def source(name: str) -> str:
        """The constant behind changes of type and shape."""
        while name in made and made[name].op_type in ("CastLike", "Expand"):
            name = made[name].input[0]
        return name

    for node in graph.node:
        if node.op_type == "Clip":
            node.input[1:] = [source(bound) for bound in node.input[1:]]
        if node.op_type == "Conv" and len(node.input) > 2 and node.input[2] not in weights:
            constant = made.get(source(node.input[2]))
            if constant is None or any(part.t.raw_data.strip(b"\0") for part in constant.attribute):
                raise OodlibError(f"the graph's bias {node.input[2]} is not zero: have `settle` keep it")
            del node.input[2]
    read = {name for node in graph.node for name in node.input} | {output.name for output in graph.output}
    while unread := [node for node in graph.node if not read.intersection(node.output)]:
        for node in unread:
            graph.node.remove(node)
        read = {name for node in graph.node for name in node.input} | {output.name for output in graph.output}


def _places(file: Path) -> dict[str, tuple[int, int]]:
    """Offset in the file and length of every tensor, in bytes."""
    with file.open("rb") as content:
        size = int.from_bytes(content.read(8), "little")
        header = json.loads(content.read(size))
    return {
        name: (8 + size + begin, end - begin)
        for name, (begin, end) in ((n, entry["data_offsets"]) for n, entry in header.items() if n != "__metadata__")
    }


def _point(graph: Any, places: dict[str, tuple[int, int]], prefix: str, real: str) -> None:
    """Replace the weights of a graph by where they lie in the model's file, in place."""
    with naming_extras():
        from onnx import TensorProto

    for weight in graph.graph.initializer:
        name = real + weight.name.removeprefix(prefix)
        if name.endswith(BUFFERS):  # whole numbers that count, which no file has
            continue
        if name not in places:
            raise OodlibError(
                f"the graph has a weight {weight.name}, which the assembled model lacks: name it in BUFFERS"
            )
        offset, length = places[name]
        weight.ClearField("raw_data")
        weight.data_location = TensorProto.EXTERNAL
        del weight.external_data[:]
        for key, value in (("location", MODEL), ("offset", offset), ("length", length)):
            weight.external_data.add(key=key, value=str(value))


def _write(content: bytes, path: Path) -> None:
    path.write_bytes(content)


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m oodlib.pocket.graphs", description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path(__file__).parent)
    for path in make_graphs(parser.parse_args().folder).values():
        print(f"{path.name:12}{path.stat().st_size / 1e3:6.0f} kB")


if __name__ == "__main__":
    _main()
