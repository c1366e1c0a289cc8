"""The two towers as a browser loads them say what the library says."""

import os

import numpy as np
import onnxruntime
import torch
from PIL import Image
from tokenizers import Tokenizer
from torch.nn import functional as F

from oodlib.pocket.assemble import MODEL, assemble
from oodlib.pocket.browser import write_image_tower, write_text_tower
from oodlib.pocket.light import LightEncoder


def run_layers(content, layers, pictures):
    """The image tower from its two parts alone, by torch: pictures (N, 3, 128, 128) to features (N, 256)."""
    outputs = [facts["kernel"][2 if facts["apart"] else 3] for facts in layers]
    numbers = np.split(np.frombuffer(content, "<f4", 2 * sum(outputs)), np.cumsum(np.repeat(outputs, 2))[:-1])
    kernels = np.frombuffer(content, "<f2", offset=8 * sum(outputs)).astype(np.float32)
    maps, used, x = [], 0, torch.from_numpy(pictures)
    for k, facts in enumerate(layers):
        height, width, *_ = shape = facts["kernel"]
        kernel = kernels[used : (used := used + int(np.prod(shape)))].reshape(shape)
        kernel = torch.from_numpy(kernel.transpose((2, 3, 0, 1) if facts["apart"] else (3, 2, 0, 1)))
        if facts["pool"]:
            x = x.mean((2, 3), keepdim=True)
        zeros = [side - facts["stride"] for side in (width, width, height, height)]
        x = F.pad(x, [max(0, zero // 2 + zero % 2 * (place % 2)) for place, zero in enumerate(zeros)])
        x = F.conv2d(x, kernel, stride=facts["stride"], groups=x.shape[1] if facts["apart"] else 1)
        x = x * torch.tensor(numbers[2 * k])[:, None, None] + torch.tensor(numbers[2 * k + 1])[:, None, None]
        x = x.clip(0, 6) if facts["clip"] else x
        x = x if facts["add"] is None else x + maps[facts["add"]]
        maps.append(x)
    assert used == len(kernels)
    return x[:, :, 0, 0].numpy()


def test_layers_are_the_image_tower(tmp_path, drawings):
    path, layers = write_image_tower(tmp_path)
    encoder = LightEncoder()
    pictures = [Image.open(path) for path in drawings.values()]
    found = run_layers(path.read_bytes(), layers, encoder.normal(encoder.pixels(pictures)))
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    np.testing.assert_allclose(found, encoder.encode_images(pictures), atol=1e-5)


def test_the_text_tower_is_written_from_a_model_that_has_a_second_name(tmp_path):
    """As in a cache that was copied by links, of which onnx reads no weights."""
    os.link(assemble() / MODEL, tmp_path / "second name")
    tower, tokenizer = write_text_tower(tmp_path)
    session = onnxruntime.InferenceSession(str(tower), providers=["CPUExecutionProvider"])
    encoder = LightEncoder()
    texts = ["a picture of a cat", "an old brass trumpet"]
    reads = Tokenizer.from_file(str(tokenizer))
    reads.no_padding()
    for text in texts:
        ids = np.array([reads.encode(text).ids])
        found = session.run(["text"], {"input_ids": ids, "attention_mask": np.ones_like(ids)})[0]
        assert (found @ encoder.encode_texts([text]).T).item() / np.linalg.norm(found) > 0.998
