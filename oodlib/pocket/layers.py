"""PocketCLIP's image tower as a list of convolutions, for runtimes that have kernels and read no graphs.

The tower is a chain: convolution, batch normalisation, clipping at 0 and 6, here and there the sum with an earlier map,
at the end the mean of the last map and a matrix. Batch normalisation is a factor and a number to add for each channel,
so that a layer is one convolution. Maps and kernels have their channels last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodlib.errors import OodlibError

Floats = NDArray[np.float32]
PLUMBING = {"Shape", "Squeeze", "Constant", "Concat"}  # what exporters leave: shapes, constants
ROOM = (0.0, 6.0)  # of what is clipped


@dataclass(frozen=True, eq=False)
class Layer:
    """A convolution of every channel with every other, or of each one alone.

    Parameters
    ----------
    kernel : array, shape (H, W, inputs, outputs), or (H, W, channels, 1) where channels stay apart
        As it is shipped.
    scale, bias : array, shape (outputs,)
        What a channel is multiplied by after the convolution, and what is added then.
    apart : bool
        Whether channels stay apart (depthwise).
    stride : int
    pool : bool
        Whether it takes the mean of the map in its place.
    clip : bool
        Whether its output is clipped to 0 to 6.
    add : int, optional
        The layer whose output is added to its own.

    Notes
    -----
    The map is padded with zeros so that only the stride makes it smaller; of an odd number of zeros the larger half
    stands at the right and at the bottom.
    """

    kernel: Floats
    scale: Floats
    bias: Floats
    apart: bool = False
    stride: int = 1
    pool: bool = False
    clip: bool = False
    add: int | None = None


def read_layers(graph: Any, onnx: Any) -> list[Layer]:
    """The layers of an ONNX graph that has its weights inside.

    Parameters
    ----------
    graph : onnx.GraphProto
        One input and one output, as `oodlib.pocket.graphs` writes it.
    onnx : module

    Raises
    ------
    OodlibError
        If the graph is no such chain.
    """
    chain = _Chain(graph, onnx)
    for node in graph.node:
        if node.op_type not in PLUMBING and any(name in chain.place for name in node.input):
            given = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
            chain.take(node.op_type, list(node.input), node.output[0], given)
    if chain.place.get(graph.output[0].name) != len(chain.layers) - 1:
        raise OodlibError(f"the image tower does not end in its last layer: see {__name__}")
    return chain.layers


class _Chain:
    """What has been read of a graph."""

    def __init__(self, graph: Any, onnx: Any):
        self.values = _constants(graph, onnx)
        self.place = {graph.input[0].name: -1}  # of a map: the layer whose output it is
        self.padded: dict[str, list[int]] = {}
        self.pooled = False
        self.layers: list[Layer] = []

    def take(self, kind: str, inputs: list[str], target: str, given: Mapping[str, Any]) -> None:
        """Read one operator, which must go on from where the chain ends."""
        last = len(self.layers) - 1
        places = [self.place[name] for name in inputs if name in self.place]
        values = [self.values[name] for name in inputs[1:] if name in self.values]
        if last not in places:
            raise OodlibError(f"the image tower's {kind} does not follow its last layer: see {__name__}")
        if kind == "Pad":
            self.padded[target] = np.delete(values[0], (0, 1, 4, 5)).tolist()
        elif kind in ("ReduceMean", "Reshape"):
            self.pooled |= kind == "ReduceMean"
        elif kind == "Conv":
            self.layers.append(_convolution(values[0], given, self.padded.get(inputs[0])))
        elif kind == "Gemm" and self.pooled and given["transB"] and len(inputs) == 2:
            kernel = values[0].T[None, None]
            self.layers.append(Layer(kernel, *_plain(kernel.shape[3]), pool=True))
        elif kind == "Add" and len(places) == 2:
            self.layers[-1] = replace(self.layers[-1], add=min(places))
        else:
            self.layers[-1] = _changed(self.layers[-1], kind, given, values)
        self.place[target] = len(self.layers) - 1


def _constants(graph: Any, onnx: Any) -> dict[str, Any]:
    """Arrays that a graph states, by name."""
    values = {weight.name: onnx.numpy_helper.to_array(weight) for weight in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            (given,) = node.attribute
            value = onnx.helper.get_attribute_value(given)
            values[node.output[0]] = onnx.numpy_helper.to_array(value) if given.name == "value" else np.array(value)
    return values


def pack_layers(layers: Sequence[Layer]) -> tuple[bytes, list[dict[str, Any]]]:
    """Scale and bias of all layers in float32, then their kernels in float16; and the other facts of each."""
    numbers = [part.astype("<f4").tobytes() for layer in layers for part in (layer.scale, layer.bias)]
    kernels = [layer.kernel.astype("<f2").tobytes() for layer in layers]
    facts = [
        {
            "kernel": layer.kernel.shape,
            "apart": layer.apart,
            "stride": layer.stride,
            "pool": layer.pool,
            "clip": layer.clip,
            "add": layer.add,
        }
        for layer in layers
    ]
    return b"".join(numbers + kernels), facts


def _convolution(kernel: Floats, given: Mapping[str, Any], padded: list[int] | None) -> Layer:
    outputs, _, height, width = kernel.shape
    apart, stride = given["group"] == outputs, given["strides"][0]
    zeros = [(side - stride) // 2 for side in (height, width)]
    expected = [*zeros, height - stride - zeros[0], width - stride - zeros[1]]
    if (padded or list(given["pads"])) != [max(0, side) for side in expected] or given["group"] not in (1, outputs):
        raise OodlibError(f"the image tower pads or groups a convolution otherwise than a page can: see {__name__}")
    order = (2, 3, 0, 1) if apart else (2, 3, 1, 0)
    return Layer(kernel.transpose(order), *_plain(outputs), apart=apart, stride=stride)


def _changed(layer: Layer, kind: str, given: Mapping[str, Any], values: Sequence[Any]) -> Layer:
    if kind == "BatchNormalization":
        factor, offset, mean, variance = (value.astype(np.float64) for value in values)
        scale = factor / np.sqrt(variance + given["epsilon"])
        return replace(layer, scale=scale.astype(np.float32), bias=(offset - mean * scale).astype(np.float32))
    if kind == "Clip" and tuple(map(float, values)) == ROOM:
        return replace(layer, clip=True)
    raise OodlibError(f"the image tower has a {kind} that a page cannot compute: see {__name__}")


def _plain(outputs: int) -> tuple[Floats, Floats]:
    return np.ones(outputs, np.float32), np.zeros(outputs, np.float32)
