"""A weight file says neither activation nor preprocessing: they come from where they are written, or are asked for."""

import json

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_file

from oodlib.encoders import weight_files
from oodlib.encoders.load import load_encoder
from oodlib.encoders.weight_files import how_trained
from oodlib.errors import OodlibError
from oodlib.guard.guard import Guard

TINY = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1},
}
OWN = {"mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.4), "interpolation": "bilinear", "resize_mode": "squash"}
OPENAI = {
    "mean": open_clip.OPENAI_DATASET_MEAN,
    "std": open_clip.OPENAI_DATASET_STD,
    "interpolation": "bicubic",
    "resize_mode": "shortest",
}


@pytest.fixture(scope="module")
def state():
    torch.manual_seed(0)
    return open_clip.model.CLIP(**TINY).state_dict()


@pytest.fixture
def named(monkeypatch):
    """Have open_clip know the small architecture under a name, with tags of these configurations."""

    def name_it(**tags):
        monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "tiny", TINY)
        monkeypatch.setitem(open_clip.pretrained._PRETRAINED, "tiny", {k: {"url": "x", **v} for k, v in tags.items()})
        return "tiny"

    return name_it


@pytest.fixture
def file(tmp_path, state):
    torch.save(state, tmp_path / "mine.pt")
    return tmp_path / "mine.pt"


def used(encoder):
    return {key: tuple(v) if isinstance(v := encoder.spec["preprocess"][key], list) else v for key in OWN}


@pytest.mark.parametrize("name", open_clip.list_models())
def test_no_architecture_gets_another_ones_preprocessing(name, tmp_path):
    """Where all tags agree it is theirs; where they differ it is asked for."""
    tags = [open_clip.get_pretrained_cfg(name, tag) for tag in open_clip.list_pretrained_tags_by_model(name)]
    known = {tuple((key, tuple(v) if isinstance(v := tag[key], list) else v) for key in OWN) for tag in tags}
    ask = {"quick_gelu": False, "like": None, "stated": None}
    if len(known) > 1:
        with pytest.raises(OodlibError, match=f"tags of {name} differ: pass like=TAG .*--like TAG") as caught:
            how_trained(name, tmp_path / "mine.pt", **ask)
        assert "\n" not in str(caught.value)
    else:
        own = how_trained(name, tmp_path / "mine.pt", **ask)[1]
        assert own == (dict(known.pop()) if known else {})


def test_of_tags_that_agree_it_is_theirs(named, file):
    encoder = load_encoder(named(one=OWN, other=OWN), str(file), quick_gelu=False)
    assert used(encoder) == OWN


def test_of_tags_that_differ_one_is_named(named, file):
    name = named(one=OWN | {"quick_gelu": True}, other=OPENAI)
    with pytest.raises(OodlibError, match="tiny differ: pass like=TAG"):
        load_encoder(name, str(file), quick_gelu=False)
    encoder = load_encoder(name, str(file), like="one")
    assert (used(encoder), encoder.spec["quick_gelu"]) == (OWN, True)
    encoder = load_encoder(name, str(file), like="other")
    assert (used(encoder), encoder.spec["quick_gelu"]) == (OPENAI, False)
    with pytest.raises(OodlibError, match="no tag 'third' that weights could be like: one of one, other"):
        load_encoder(name, str(file), like="third")
    for wrong in ({"name": "pocket"}, {"name": name, "pretrained": "random"}):
        with pytest.raises(OodlibError, match="leave like='one'"):
            load_encoder(**wrong, like="one")
    stated = {**OWN, "mean": (0.5,) * 3}
    with pytest.raises(OodlibError, match="say all that a tag would: leave like='one'"):
        load_encoder(name, str(file), quick_gelu=True, preprocess=stated, like="one")


def test_the_configuration_beside_the_file_says_both(named, file):
    name = named(one=OPENAI)
    about = {"model_cfg": TINY | {"quick_gelu": True}, "preprocess_cfg": {**OWN, "mean": list(OWN["mean"])}}
    beside = file.with_name("open_clip_config.json")
    beside.write_text(json.dumps(about))
    encoder = load_encoder(name, str(file))
    assert (used(encoder), encoder.spec["quick_gelu"]) == (OWN, True)
    assert load_encoder(name, str(file), quick_gelu=False).spec["quick_gelu"] is False  # what was said counts
    beside.write_text(json.dumps(about | {"model_cfg": TINY | {"embed_dim": 17}}))
    with pytest.raises(OodlibError, match=r"describes another model than tiny"):
        load_encoder(name, str(file))
    beside.write_text("{")
    with pytest.raises(OodlibError, match=r"open_clip_config.json cannot be read .*move mine.pt"):
        load_encoder(name, str(file))


def test_statistics_may_be_stated(named, file):
    name = named(one=OPENAI, other=OWN)
    assert used(load_encoder(name, str(file), quick_gelu=False, preprocess=OWN)) == OWN
    assert used(load_encoder("pocket", preprocess=OWN)) == OWN


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mean": [0.5]}, "three numbers"),
        ({"std": [0.5, 0, 0.5]}, "three numbers"),
        ({"std": "half"}, "three numbers"),
        ({"interpolation": "cubic"}, "no interpolation 'cubic': choose one of bicubic, bilinear"),
        ({"resize_mode": "fit"}, "no resize_mode 'fit'"),
        ({"size": 3}, "pass exactly mean, std, interpolation, resize_mode"),
    ],
)
def test_statistics_that_cannot_be_meant_are_refused(change, message):
    with pytest.raises(OodlibError, match=message):
        load_encoder("pocket", preprocess=OWN | change)


def test_a_guard_knows_how_its_weight_file_was_trained(named, file, tmp_path):
    name = named(one=OPENAI, other=OWN)
    encoder = load_encoder(name, str(file), like="other")
    guard = Guard.make(["cat", "dog"], encoder, "mcm", threshold=0.5)
    guard.save(tmp_path / "mine.safetensors")
    again = Guard.load(tmp_path / "mine.safetensors", name, str(file))
    assert again.encoder.digest == encoder.digest


def wrap(state, prefix):
    return {prefix + key: value for key, value in state.items()}


LAYOUTS = {
    "plain": lambda state: state,
    "open_clip": lambda state: {"epoch": 3, "name": "run", "state_dict": wrap(state, "module."), "optimizer": {}},
    "lightning": lambda state: {"epoch": 3, "state_dict": wrap(state, "model."), "optimizer_states": [{"lr": 0.1}]},
    "compiled": lambda state: wrap(state, "_orig_mod."),
    "compiled, in parallel": lambda state: {"model": wrap(state, "module._orig_mod.")},
    "loop": lambda state: {"model_state_dict": state, "optimizer_state_dict": {"state": {}, "param_groups": []}},
    "numbers of NumPy": lambda state: {
        "state_dict": state,
        "best": np.float64(0.5),
        "step": np.int64(3),
        "done": np.bool_(True),
        "losses": np.arange(3.0),
    },
    "half": lambda state: {key: value.half() for key, value in state.items()},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_weights_are_found_in_what_training_leaves(layout, named, state, tmp_path):
    torch.save(LAYOUTS[layout](state), tmp_path / "mine.pt")
    encoder = load_encoder(named(), str(tmp_path / "mine.pt"), quick_gelu=False)
    for key, value in encoder.model.state_dict().items():
        torch.testing.assert_close(value, state[key], atol=1e-2 if layout == "half" else 0, rtol=0)


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_a_model_trained_with_a_sigmoid_keeps_its_shift(suffix, named, state, tmp_path):
    path = tmp_path / f"mine.{suffix}"
    for shift in (torch.tensor(-10.0), torch.tensor([-10.0])):
        shifted = state | {"logit_bias": shift}
        if suffix == "pt":
            torch.save(shifted, path)
        else:
            save_file(shifted, path, {"format": "pt", "of": "somebody"})
        assert load_encoder(named(), str(path), quick_gelu=False).logit_bias == -10


class Mine:
    pass


@pytest.mark.parametrize(
    ("held", "message"),
    [
        ({"epoch": 3, "weights": {"a": "b"}}, "holds no state dict, alone or under state_dict, .* but epoch, weights"),
        ([torch.ones(2)], "holds no state dict, .* but list"),
        ({}, "holds no state dict"),
        ({"state_dict": {"a": torch.ones(2)}, "args": Mine()}, r"holds more than weights \(.*Mine\)"),
        ({"state_dict": {"a": torch.ones(2)}, "names": np.array(["a"], object)}, "holds more than weights"),
    ],
)
def test_other_files_are_refused_in_their_own_words(held, message, named, tmp_path):
    torch.save(held, tmp_path / "mine.pt")
    with pytest.raises(OodlibError, match=message) as caught:
        load_encoder(named(), str(tmp_path / "mine.pt"), quick_gelu=False)
    assert "\n" not in str(caught.value)
    assert "save model.state_dict() alone" in str(caught.value)


def test_weights_of_another_architecture_are_named(named, state, tmp_path):
    torch.save(state | {"more": torch.ones(1)}, tmp_path / "mine.pt")
    with pytest.raises(OodlibError, match=r"cannot be loaded: .*more"):
        load_encoder(named(), str(tmp_path / "mine.pt"), quick_gelu=False)


def test_the_words_of_the_options_are_open_clips():
    assert set(weight_files.STATED) < set(open_clip.transform.PreprocessCfg.__dataclass_fields__)
