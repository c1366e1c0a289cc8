"""Weights by tag: what is on this machine is found without a network, and what is not is said within seconds."""

import json
import time

import huggingface_hub.constants as hub
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch.testing import assert_close

from oodlib.cache import sha256_of
from oodlib.encoders.load import load_encoder
from oodlib.encoders.papers import ENCODERS
from oodlib.encoders.weights import download_of, local_weights, weights_here
from oodlib.errors import OodlibError

TINY = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1},
}
TAG = {
    "hf_hub": "someone/tiny/",
    "mean": (0.5, 0.4, 0.3),
    "std": (0.2, 0.3, 0.4),
    "interpolation": "bilinear",
    "resize_mode": "squash",
    "quick_gelu": True,
}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache, and a hub that nobody answers for."""
    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path


def put(cache, repository, file):
    """Where the hub's client keeps a file."""
    folder = cache / f"models--{repository.replace('/', '--')}"
    path = folder / "snapshots" / "abc" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    (folder / "refs").mkdir(exist_ok=True)
    (folder / "refs" / "main").write_text("abc")
    return path


@pytest.fixture
def tiny(monkeypatch, tmp_path_factory):
    """A very small architecture with a tag of its own."""
    path = tmp_path_factory.mktemp("configs") / "tiny-for-tests.json"
    path.write_text(json.dumps(TINY))
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, "tiny-for-tests", {"some_tag": TAG})
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "tiny-for-tests", TINY)
    torch.manual_seed(0)
    return open_clip.model.CLIP(**TINY, quick_gelu=True).state_dict()


@pytest.mark.parametrize("file", ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"])
def test_a_tag_is_read_from_the_cache_without_a_network(cache, tiny, file):
    assert not weights_here("tiny-for-tests", "some_tag")
    path = put(cache, "someone/tiny", file)
    (save_file if file.endswith("safetensors") else torch.save)(tiny, path)
    assert weights_here("tiny-for-tests", "some_tag")
    assert local_weights("tiny-for-tests", "some_tag") == path
    encoder = load_encoder("tiny-for-tests", "some_tag")
    assert encoder.spec["pretrained"] == "some_tag"
    assert encoder.spec["weights_sha256"] == sha256_of(path)
    assert encoder.spec["quick_gelu"] is True
    used = {key: encoder.spec["preprocess"][key] for key in ("mean", "std", "interpolation", "resize_mode")}
    assert used == {key: list(v) if isinstance(v := TAG[key], tuple) else v for key in used}
    assert str(cache) not in json.dumps(encoder.spec)
    plain = open_clip.model.CLIP(**TINY, quick_gelu=True).eval()
    plain.load_state_dict(tiny)
    pixels = encoder.prepare([Image.new("RGB", (50, 40), "teal")])
    with torch.inference_mode():
        assert_close(encoder.encode_images(pixels), plain.encode_image(pixels, normalize=True), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("row", ENCODERS, ids=lambda row: f"{row.name}-{row.pretrained}")
def test_missing_weights_are_named_at_once(cache, row):
    assert not weights_here(row.name, row.pretrained)
    start = time.monotonic()
    with pytest.raises(OodlibError) as caught:
        load_encoder(row.name, row.pretrained)
    assert time.monotonic() - start < 5
    message = str(caught.value)
    assert "\n" not in message
    assert f"about {row.bytes / 1e6:,.0f} MB from https://huggingface.co/" in message
    assert "host cannot be reached" in message
    assert "'pocket', which needs no download" in message


def test_a_tokenizer_that_is_on_the_hub_is_part_of_it(cache):
    """SigLIP's weights alone do not make it load."""
    put(cache, "timm/ViT-B-16-SigLIP", "open_clip_model.safetensors").write_bytes(b"")
    assert not weights_here("ViT-B-16-SigLIP", "webli")
    for pretrained in ("webli", "random"):
        with pytest.raises(OodlibError, match=r"the tokenizer of ViT-B-16-SigLIP, .* cannot be reached"):
            load_encoder("ViT-B-16-SigLIP", pretrained)
    put(cache, "timm/ViT-B-16-SigLIP", "tokenizer_config.json").write_text("{}")
    assert weights_here("ViT-B-16-SigLIP", "webli")


def test_what_needs_no_download_is_here(cache, tmp_path):
    file = tmp_path / "mine.pt"
    file.write_bytes(b"")
    assert weights_here("pocket")
    assert weights_here("local-dir:somewhere")
    assert weights_here("ViT-B-16", "random")
    assert weights_here("ViT-B-16", str(file))
    assert not weights_here("hf-hub:someone/model")
    assert not weights_here("ViT-B-16")
    assert not weights_here("ViT-B-16", "no_such_tag")


def test_a_download_in_words():
    assert download_of("RN50", "yfcc15m").startswith("RN50 (yfcc15m), size not known here from https://")
