"""The two towers as single files: what a browser loads says what the library says."""

import os

import numpy as np
import onnxruntime
from PIL import Image

from oodlib.pocket.assemble import MODEL, assemble
from oodlib.pocket.browser import write_towers
from oodlib.pocket.light import LightEncoder


def test_towers_are_written_from_a_model_that_has_a_second_name(tmp_path, drawings):
    """As in a cache that was copied by links, of which onnx reads no weights."""
    os.link(assemble() / MODEL, tmp_path / "second name")
    towers = write_towers(tmp_path)
    session = onnxruntime.InferenceSession(str(towers["image.onnx"]), providers=["CPUExecutionProvider"])
    encoder = LightEncoder()
    pictures = [Image.open(path) for path in drawings.values()]
    found = session.run(None, {"x": encoder.normal(encoder.pixels(pictures))})[0]
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    np.testing.assert_allclose(found, encoder.encode_images(pictures), atol=1e-5)
