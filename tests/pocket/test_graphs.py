"""The graphs that ONNX Runtime reads: it must be able to fold what is constant in them."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from oodlib.errors import OodlibError
from oodlib.pocket.assemble import WEIGHTS, assemble
from oodlib.pocket.graphs import settle


def operators_after_folding(graph, folder, tmp_path):
    """What is left when the runtime has folded what every processor's build of it can fold."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(tmp_path / "folded.onnx")
    options.log_severity_level = 3
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
    onnxruntime.InferenceSession(graph.read_bytes(), options, providers=["CPUExecutionProvider"])
    return {node.op_type for node in onnx.load(tmp_path / "folded.onnx", load_external_data=False).graph.node}


def test_batch_norms_and_relus_of_the_image_tower_are_folded_into_its_convolutions(tmp_path):
    left = operators_after_folding(WEIGHTS.parent / "image.onnx", assemble(), tmp_path)
    assert "FusedConv" in left
    assert not left & {"BatchNormalization", "Clip", "Cast", "Expand"}


def written(bias):
    """A convolution and a ReLU6 as torch's exporter writes them: everything made of something else."""
    constant = onnx.numpy_helper.from_array
    nodes = [
        helper.make_node("Constant", [], ["zero"], value=constant(np.float32(bias))),
        helper.make_node("Constant", [], ["six"], value=constant(np.float32(6))),
        helper.make_node("Shape", ["weight"], ["shape"], start=0, end=1),
        helper.make_node("CastLike", ["zero", "x"], ["one zero"]),
        helper.make_node("Expand", ["one zero", "shape"], ["zeros"]),
        helper.make_node("Conv", ["x", "weight", "zeros"], ["map"]),
        helper.make_node("CastLike", ["zero", "map"], ["least"]),
        helper.make_node("CastLike", ["six", "map"], ["most"]),
        helper.make_node("Clip", ["map", "least", "most"], ["y"]),
    ]
    places = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2, 3, 3]) for name in "xy"]
    weight = constant(np.ones((2, 2, 1, 1), np.float32), "weight")
    graph = helper.make_graph(nodes, "one", places[:1], places[1:], [weight])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def test_what_is_constant_is_written_as_a_constant_and_computes_the_same():
    model, picture = written(0), np.linspace(-9, 9, 18, dtype=np.float32).reshape(1, 2, 3, 3)

    def run():
        return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": picture})[0]

    before = run()
    settle(model.graph)
    assert [node.op_type for node in model.graph.node] == ["Constant", "Constant", "Conv", "Clip"]
    np.testing.assert_array_equal(run(), before)


def test_a_bias_that_is_not_zero_is_refused():
    with pytest.raises(OodlibError, match="zeros is not zero"):
        settle(written(0.5).graph)
