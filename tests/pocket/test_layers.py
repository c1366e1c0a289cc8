"""A tower that is no chain of convolutions is refused by the name of what cannot be computed."""

import numpy as np
import onnx
import pytest

from oodlib.errors import OodlibError
from oodlib.pocket.layers import pack_layers, read_layers

ROOM = {"low": np.float32(0), "high": np.float32(6), "wide": np.float32(9)}


def tower(*last: tuple[str, list[str]], pads: tuple[int, int, int, int] = (1, 1, 1, 1), stride: int = 1):
    """A convolution of two channels to three, then what is given, each on the map before it."""
    arrays = {"kernel": np.arange(54, dtype=np.float32).reshape(3, 2, 3, 3), **ROOM}
    nodes = [onnx.helper.make_node("Conv", ["x", "kernel"], ["m0"], group=1, pads=pads, strides=[stride] * 2)]
    for k, (kind, others) in enumerate(last):
        nodes.append(onnx.helper.make_node(kind, [f"m{k}", *others], [f"m{k + 1}"]))
    ends = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in ("x", nodes[-1].output[0])
    ]
    weights = [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in arrays.items()]
    return onnx.helper.make_graph(nodes, "tower", ends[:1], ends[1:], weights)


def test_kernels_have_their_channels_last():
    (layer,) = read_layers(tower(("Clip", ["low", "high"])), onnx)
    assert layer.clip
    assert layer.kernel.shape == (3, 3, 2, 3)
    assert layer.kernel[2, 1, 1, 0] == 2 * 3 + 1 + 9
    content, facts = pack_layers([layer])
    assert len(content) == 2 * 3 * 4 + 54 * 2
    assert facts == [{"kernel": (3, 3, 2, 3), "apart": False, "stride": 1, "pool": False, "clip": True, "add": None}]


def test_the_larger_half_of_an_odd_number_of_zeros_is_below():
    assert read_layers(tower(pads=(0, 0, 1, 1), stride=2), onnx)[0].stride == 2
    with pytest.raises(OodlibError, match="pads or groups a convolution otherwise"):
        read_layers(tower(pads=(1, 1, 0, 0), stride=2), onnx)


@pytest.mark.parametrize(
    ("last", "said"),
    [
        ([("Sigmoid", [])], "Sigmoid that a page cannot compute"),
        ([("Clip", ["low", "wide"])], "Clip that a page cannot compute"),
        ([("Relu", []), ("Add", ["x"])], "Relu that a page cannot compute"),
    ],
)
def test_what_a_page_cannot_compute_is_named(last, said):
    with pytest.raises(OodlibError, match=said):
        read_layers(tower(*last), onnx)
