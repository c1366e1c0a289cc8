from types import SimpleNamespace

import open_clip
import pytest
import torch
from torch.nn.functional import normalize

from oodlib.checkpoint import save_checkpoint
from oodlib.concepts import Concepts
from oodlib.encoders.encoder import Encoder
from oodlib.encoders.load import load_encoder
from oodlib.tuning import Shots, _loop

D, C, VIEWS, PATCHES = 32, 5, 3, 4


def some(*shape, seed):
    return normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


@pytest.fixture
def no_encoder():
    """For methods that work on features alone: they ask for no more than its name."""
    return SimpleNamespace(digest="none", spec={"model": "none"})


@pytest.fixture
def concepts(classes):
    return Concepts(
        names=[f"class {i}" for i in range(C)],
        text=normalize(classes + 2.5 * some(C, D, seed=1), dim=-1),
        outlier_names=[f"word {i}" for i in range(20)],
        outlier_text=some(20, D, seed=2),
        logit_scale=50.0,
    )


@pytest.fixture
def classes():
    """Where the pictures of each class lie: not where its name lies, so that there is something to learn."""
    return some(C, D, seed=3)


@pytest.fixture
def shots(classes):
    labels = torch.arange(C).repeat(4)
    return Shots(normalize(classes[labels] + 0.8 * some(VIEWS, len(labels), D, seed=4), dim=-1), labels)


@pytest.fixture
def test_pictures(classes):
    labels = torch.arange(C).repeat(20)
    return normalize(classes[labels] + 0.8 * some(len(labels), D, seed=5), dim=-1), labels


@pytest.fixture(scope="session")
def pocket():
    return load_encoder("pocket")


@pytest.fixture(scope="session")
def small_clip():
    """OpenAI's architecture, small and untrained: open_clip's own text transformer, with a causal mask."""
    torch.manual_seed(0)
    model = open_clip.model.CLIP(
        embed_dim=D,
        vision_cfg={"image_size": 32, "layers": 2, "width": 64, "patch_size": 16},
        text_cfg={"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2},
    )
    spec = {"model": "small", "pretrained": None, "device": "cpu", "precision": "fp32", "preprocess": {"size": 32}}
    return Encoder(model, None, open_clip.get_tokenizer("ViT-B-16"), spec)


class StoppedError(Exception):
    """What an interrupted run ends with."""


@pytest.fixture
def interrupt(monkeypatch):
    """Run something that ends once it has written the checkpoint of a step; checkpoints come every few steps."""

    def run(step, interval, work):
        def save(path, tensors, optimizer, done, recipe):
            save_checkpoint(path, tensors, optimizer, done, recipe)
            if done == step:
                raise StoppedError

        monkeypatch.setattr(_loop, "CHECKPOINT_INTERVAL", interval)
        with monkeypatch.context() as patch:
            patch.setattr(_loop, "save_checkpoint", save)
            with pytest.raises(StoppedError):
                work()

    return run
