"""Weights of an ONNX model stored in half precision or in eight bits, and widened when a runtime loads it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

from oodlib.errors import naming_extras

# Smaller arrays stay as they are: 1 % of the bytes, most of the rounding error. The first depthwise kernels, with batch
# normalisation folded in, hold large numbers that cancel.
SMALLEST = 5000


def shrink(model: Any, *, eight_bits: bool, smallest: int = SMALLEST) -> None:
    """Store large weights in half precision or eight bits and widen them to float32 in the graph; in place."""
    onnx = package("onnx")
    graph, widen = model.graph, []
    for weight in list(graph.initializer):
        values = onnx.numpy_helper.to_array(weight)
        if values.dtype != np.float32 or values.size < smallest:
            continue
        name, small, wide, scale_name = (weight.name + end for end in ("", ".small", ".wide", ".scale"))
        if eight_bits:
            # One scale for each output: a column of a matrix that multiplies from the right, else a row.
            by_column = any(node.op_type == "MatMul" and name in node.input for node in graph.node)
            scale = np.abs(values).max(0 if by_column else 1, keepdims=True) / 127
            weight.CopyFrom(onnx.numpy_helper.from_array(_eight_bits(values, scale), small))
            graph.initializer.append(onnx.numpy_helper.from_array(scale, scale_name))
            # Not DequantizeLinear: runtimes take that before a product as leave to round the other factor too.
            widen.append(onnx.helper.make_node("Cast", [small], [wide], to=onnx.TensorProto.FLOAT))
            widen.append(onnx.helper.make_node("Mul", [wide, scale_name], [name]))
        else:
            weight.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), small))
            widen.append(onnx.helper.make_node("Cast", [small], [name], to=onnx.TensorProto.FLOAT))
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend(widen + nodes)
    onnx.checker.check_model(model)


def _eight_bits(values: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return np.round(values / np.where(scale == 0, 1, scale)).astype(np.int8)


def package(name: str) -> Any:
    """A package of the extra `onnx`, or an error that names it."""
    with naming_extras():
        return import_module(name)
