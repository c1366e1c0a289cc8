"""The encoder on models other than PocketCLIP: a ViT with random weights in every layout a person may have it in."""

import json
import os
import zipfile

import open_clip
import pytest
import torch
from PIL import Image, ImageDraw
from safetensors.torch import save_file
from torch import nn
from torch.testing import assert_close

from oodlib.encoders.load import load_encoder
from oodlib.encoders.torchscript import archived_weights
from oodlib.errors import OodlibError

# The archives that OpenAI published are TorchScript, which torch no longer wants to make or read.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")

VIT = "ViT-S-16-alt"  # in all but its widths CLIP's ViT-B-16, with a quarter of its weights
TEXTS = ["a photo of a cat", "a rather longer sentence about a heron on one leg"]
SMALL = {
    "embed_dim": 16,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1},
}


@pytest.fixture(scope="module")
def pictures():
    drawn = []
    for colour, size in (("red", (224, 224)), ("green", (300, 200))):
        picture = Image.new("RGB", size, "white")
        ImageDraw.Draw(picture).ellipse((10, 10, 180, 150), fill=colour)
        drawn.append(picture)
    return drawn


def as_openai_publishes(model: nn.Module) -> torch.jit.ScriptModule:
    """A TorchScript archive with half-precision weights and three integers, under OpenAI's names."""

    class Part(nn.Module):
        def forward(self, x):
            return x

    def copy(module):
        part = Part()
        for name, value in module.named_parameters(recurse=False):
            part.register_parameter(name, nn.Parameter(value.detach().half(), requires_grad=False))
        for name, child in module.named_children():
            part.add_module(name, copy(child))
        return part

    whole = copy(model)
    for name, value in (("input_resolution", 224), ("context_length", 77), ("vocab_size", 49408)):
        whole.register_buffer(name, torch.tensor(value))
    return torch.jit.trace(whole, torch.zeros(1))


@pytest.fixture(scope="module")
def vit(tmp_path_factory, pictures):
    """Files of one ViT with QuickGELU in three layouts, and what plain open_clip computes with it."""
    folder = tmp_path_factory.mktemp("vit")
    torch.manual_seed(0)
    model = open_clip.create_model(VIT, force_quick_gelu=True).eval()
    state = model.state_dict()
    for value in state.values():  # numbers that half precision holds exactly, so that every layout holds the same ones
        value.copy_(value.half())
    torch.save(state, folder / "open_clip.pt")
    torch.save({name: value.half() for name, value in state.items()}, folder / "openai_state_dict.pt")
    as_openai_publishes(model).save(folder / "openai_archive.pt")
    # The reference is read back by open_clip's loader of OpenAI's archives, so the archive here is a faithful one.
    model = open_clip.load_openai_model(str(folder / "openai_archive.pt"), precision="fp32", device="cpu")
    preprocess = open_clip.image_transform(
        224, is_train=False, mean=open_clip.OPENAI_DATASET_MEAN, std=open_clip.OPENAI_DATASET_STD
    )
    with torch.inference_mode():
        images = model.encode_image(torch.stack([preprocess(picture) for picture in pictures]), normalize=True)
        texts = model.encode_text(open_clip.get_tokenizer(VIT)(TEXTS), normalize=True)
    yield folder, images, texts
    for path in folder.iterdir():  # a quarter of a gigabyte
        path.unlink()


@pytest.mark.parametrize("file", ["open_clip.pt", "openai_state_dict.pt", "openai_archive.pt"])
def test_every_layout_gives_the_features_of_plain_open_clip(vit, pictures, file):
    folder, images, texts = vit
    encoder = load_encoder(VIT, str(folder / file), quick_gelu=True)
    assert_close(encoder.encode_images(pictures), images, atol=1e-5, rtol=1e-5)
    assert_close(encoder.encode_texts(TEXTS), texts, atol=1e-5, rtol=1e-5)
    assert encoder.logit_scale == pytest.approx(1 / 0.07, rel=1e-3)
    assert (encoder.spec["quick_gelu"], encoder.spec["pretrained"]) == (True, file)
    assert encoder.spec["preprocess"]["size"] == [224, 224]
    assert encoder.spec["preprocess"]["mean"] == list(open_clip.OPENAI_DATASET_MEAN)
    assert len(encoder.spec["weights_sha256"]) == 64
    assert str(folder) not in json.dumps(encoder.spec)
    if file == "open_clip.pt":
        assert encoder.encode_patches(pictures[:1]).shape == (1, 196, 256)


@pytest.mark.parametrize("file", ["open_clip.pt", "openai_state_dict.pt", "openai_archive.pt"])
def test_a_file_never_decides_the_activation(vit, file):
    with pytest.raises(OodlibError, match="activation: pass quick_gelu=True"):
        load_encoder(VIT, str(vit[0] / file))


def test_an_architecture_that_is_always_quick_refuses_to_be_otherwise(tmp_path):
    path = tmp_path / "weights.pt"
    path.touch()
    with pytest.raises(OodlibError, match=r"ViT-B-16-quickgelu .*: .*without '-quickgelu'"):
        load_encoder("ViT-B-16-quickgelu", str(path), quick_gelu=False)


def test_a_file_of_another_architecture_is_named(tmp_path):
    path = tmp_path / "resnet.safetensors"
    save_file({"visual.layer1.0.conv1.weight": torch.zeros(2, 2)}, path)
    with pytest.raises(OodlibError, match=r"'ViT-S-32-alt' .*resnet.*: .*weight file") as caught:
        load_encoder("ViT-S-32-alt", str(path), quick_gelu=True)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_damaged_archive_is_named(tmp_path):
    as_openai_publishes(open_clip.model.CLIP(**SMALL)).save(tmp_path / "whole.pt")
    assert len(archived_weights(tmp_path / "whole.pt")) == len(open_clip.model.CLIP(**SMALL).state_dict())
    with zipfile.ZipFile(tmp_path / "whole.pt") as whole, zipfile.ZipFile(tmp_path / "part.pt", "w") as part:
        for name in whole.namelist():
            if not name.endswith("/data.pkl"):
                part.writestr(name, whole.read(name))
    with pytest.raises(OodlibError, match=r"part.pt' cannot be loaded"):
        load_encoder("ViT-S-32-alt", str(tmp_path / "part.pt"), quick_gelu=True)


def directory(folder, model_cfg=SMALL, preprocess_cfg=None, weights="open_clip_model.safetensors", seed=0):
    """A model directory as open_clip's training writes it, with a very small ViT."""
    folder.mkdir(parents=True)
    config = {"model_cfg": model_cfg, "preprocess_cfg": preprocess_cfg or {}}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    torch.manual_seed(seed)
    state = open_clip.model.CLIP(**model_cfg).state_dict()
    if weights:
        (save_file if weights.endswith("safetensors") else torch.save)(state, folder / weights)
    return folder


@pytest.mark.parametrize("quick", [True, False])
def test_a_directory_states_activation_and_preprocessing_itself(tmp_path, pictures, quick):
    stated = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4], "interpolation": "bilinear", "resize_mode": "squash"}
    folder = directory(tmp_path / "model", SMALL | {"quick_gelu": quick}, stated)
    encoder = load_encoder(f"local-dir:{folder}")
    assert encoder.spec["quick_gelu"] is quick
    assert {name: encoder.spec["preprocess"][name] for name in stated} == stated
    squashed = pictures[1].resize((32, 32), Image.Resampling.BILINEAR)
    pixels = torch.tensor(list(squashed.get_flattened_data())).view(32, 32, 3) / 255
    expected = ((pixels - torch.tensor(stated["mean"])) / torch.tensor(stated["std"])).permute(2, 0, 1)
    assert_close(encoder.prepare(pictures)[1], expected)
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    with torch.inference_mode():
        images = model.eval().encode_image(torch.stack([preprocess(p) for p in pictures]), normalize=True)
    assert_close(encoder.encode_images(pictures), images, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("file", ["open_clip_model.safetensors", "open_clip_pytorch_model.bin", "model.pth"])
def test_weights_decide_the_digest_whatever_their_file_is_called(tmp_path, file):
    one, other = (
        load_encoder(f"local-dir:{directory(tmp_path / str(seed) / 'model', weights=file, seed=seed)}")
        for seed in (0, 1)
    )
    assert one.spec["model"] == other.spec["model"] == "local-dir:model"
    assert one.digest != other.digest


def test_a_directory_without_weights_is_refused(tmp_path):
    folder = directory(tmp_path / "model", weights=None)
    with pytest.raises(OodlibError, match=r"cannot be loaded: .*[Ww]eights"):
        load_encoder(f"local-dir:{folder}")


def test_loading_changes_nothing_for_the_next_model(tmp_path):
    """open_clip keeps its configurations in a module: asking for QuickGELU once must not stay."""
    before = json.dumps(open_clip.get_model_config("ViT-S-32-alt"), sort_keys=True)
    path = tmp_path / "weights.pt"
    path.write_bytes(b"")
    with pytest.raises(OodlibError, match="cannot be loaded"):
        load_encoder("ViT-S-32-alt", os.fspath(path), quick_gelu=True)
    assert json.dumps(open_clip.get_model_config("ViT-S-32-alt"), sort_keys=True) == before


def test_random_weights_are_the_same_every_time_and_leave_the_callers_numbers_alone(pictures, monkeypatch):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one, other = (load_encoder("ViT-S-32-alt", "random", quick_gelu=quick) for quick in (None, True))
    assert torch.equal(torch.get_rng_state(), before)
    assert one.spec["pretrained"] == "random"
    assert one.spec["weights_sha256"] is None
    assert (one.spec["quick_gelu"], other.spec["quick_gelu"]) == (False, True)
    assert one.digest != other.digest
    again = load_encoder("ViT-S-32-alt", "random")
    assert again.digest == one.digest
    assert_close(again.encode_images(pictures), one.encode_images(pictures), rtol=0, atol=0)
    assert_close(again.encode_texts(TEXTS), one.encode_texts(TEXTS), rtol=0, atol=0)
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "small-quickgelu", SMALL)
    assert load_encoder("small-quickgelu", "random").spec["quick_gelu"] is True
    with pytest.raises(OodlibError, match="is built with QuickGELU"):
        load_encoder("small-quickgelu", "random", quick_gelu=False)


def test_a_model_trained_with_a_sigmoid_has_a_bias(tmp_path, pocket):
    shifted = directory(tmp_path / "model", SMALL | {"init_logit_bias": -10})
    assert load_encoder(f"local-dir:{shifted}").logit_bias == -10
    assert pocket.logit_bias == 0
