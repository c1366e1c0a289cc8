"""What a model's folder declares: read, refused where it cannot be meant, and used for a person's own model."""

import json

import open_clip
import pytest
import torch
from safetensors.torch import save_file
from torch.testing import assert_close

from oodlib.detectors import get_detector
from oodlib.encoders.load import load_encoder
from oodlib.errors import OodlibError
from oodlib.guard.guard import Guard
from oodlib.guard.kept import kept_guard
from oodlib.prompts.capabilities import Capabilities, read_capabilities, read_no_head
from oodlib.prompts.sets import templates

MODEL = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 24, "heads": 1, "layers": 1},
}
LABELS = ["cat", "dog", "car"]
NO_FILE = ["gone", "../out", "..", ".", "", "sub", "sub/in", "a\0b", "\u00e9" * 200, "\ud800", 3, None]


def declare(folder, content):
    (folder / "oodlib.json").write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return folder


@pytest.fixture
def own(tmp_path):
    """A person's own small model, whose head says the contrary of "yes", and a folder that declares nothing yet."""
    torch.manual_seed(0)
    model = open_clip.model.CLIP(**MODEL)
    save_file(model.state_dict(), tmp_path / "open_clip_model.safetensors")
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": MODEL, "preprocess_cfg": {}}))
    contrary = -model.text_projection.detach().T.contiguous()
    save_file({"weight": contrary, "bias": torch.zeros(16)}, tmp_path / "no.safetensors")
    return tmp_path


def test_a_folder_that_declares_nothing_has_the_usual(tmp_path):
    usual = Capabilities(templates="photo", no_head=None)
    assert read_capabilities(tmp_path) == read_capabilities(tmp_path / "none") == usual
    assert read_capabilities(declare(tmp_path, {})) == usual


def test_each_key_may_stand_alone(tmp_path):
    (tmp_path / "no.safetensors").touch()
    assert read_capabilities(declare(tmp_path, {"templates": "nice"})) == Capabilities("nice")
    expected = Capabilities("photo", tmp_path / "no.safetensors")
    assert read_capabilities(declare(tmp_path, {"no_head": "no.safetensors"})) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot read .*: mend it or delete it"),
        ("[" * 100_000, "cannot read .*: mend it or delete it"),
        ("[]", r"declares \[\]: let it be an object with no keys but templates, no_head"),
        ({"templates": "photo", "head": "no.safetensors"}, r"declares .*no keys but templates, no_head"),
        ({"templates": "photos"}, r"names no template set \('photos'\): choose one of bare, photo"),
        ({"templates": ["a {}"]}, "names no template set"),
        ({"templates": "x" * 10_000}, "names no template set"),
        *(({"no_head": name}, "a no_head that is no file .*: put a file there") for name in NO_FILE),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_sentence(tmp_path, content, message):
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    for place in (tmp_path / "out", folder / "sub" / "in"):
        place.touch()  # what lies elsewhere is there, and still not taken
    with pytest.raises(OodlibError, match=message) as caught:
        read_capabilities(declare(folder, content))
    assert str(folder / "oodlib.json") in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "oodlib.json").write_bytes(b"\xff\xfe")
    with pytest.raises(OodlibError, match=r"cannot read .*oodlib\.json"):
        read_capabilities(tmp_path)
    (tmp_path / "oodlib.json").unlink()
    (tmp_path / "oodlib.json").mkdir()
    with pytest.raises(OodlibError, match=r"cannot read .*oodlib\.json"):
        read_capabilities(tmp_path)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"weight": torch.zeros(3, 2)}, "is missing or damaged"),
        ({"weight": torch.zeros(3, 2).bfloat16(), "bias": torch.zeros(3)}, "is missing or damaged .*bfloat16"),
        ({"weight": torch.zeros(2, 3), "bias": torch.zeros(2)}, r"\(2, 3\) .*does not fit m: .*weight is \(D, 2\)"),
        ({"weight": torch.zeros(2), "bias": torch.zeros(2)}, "does not fit m"),
        ({"weight": torch.zeros(3, 2), "bias": torch.zeros(3, 1)}, "does not fit m"),
        (None, "is missing or damaged"),
    ],
)
@pytest.mark.parametrize("taught", [False, True])
def test_a_bad_head_is_named(tmp_path, tensors, message, taught):
    if taught:
        pytest.importorskip("ml_dtypes")  # NumPy knows bfloat16 from then on
    file = tmp_path / "no.safetensors"
    if tensors is None:
        file.write_bytes(b"no tensors")
    else:
        save_file(tensors, file)
    with pytest.raises(OodlibError, match=message) as caught:
        read_no_head(file, "m", 2)
    assert "no.safetensors" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_head_is_named(tmp_path):
    with pytest.raises(OodlibError, match=r"gone\.safetensors is missing or damaged"):
        read_no_head(tmp_path / "gone.safetensors", "m", 2)
    with pytest.raises(OodlibError, match=r"m has no 'no' head: declare one in the oodlib\.json of its folder"):
        read_no_head(None, "m", 2)


def test_a_persons_own_model_gets_what_its_folder_declares(own):
    plain = load_encoder(f"local-dir:{own}")
    assert plain.capabilities == Capabilities()
    with pytest.raises(OodlibError, match="has no 'no' head"):
        plain.encode_no(["cat"])
    declare(own, {"templates": "nice", "no_head": "no.safetensors"})
    encoder = load_encoder(f"local-dir:{own}")
    assert encoder.capabilities == Capabilities("nice", own / "no.safetensors")
    assert encoder.digest == plain.digest  # kept features stay good
    assert encoder.spec == plain.spec
    assert_close(encoder.encode_no(LABELS, ["a {}", "{}"]), -encoder.encode_texts(LABELS, ["a {}", "{}"]))

    guard = Guard.make(LABELS, encoder, "clipn_ctw")
    assert guard.templates == templates("nice")
    assert_close(guard.concepts.no_text, -guard.concepts.text)
    assert guard.with_labels(["bus"]).concepts.no_text.shape == (4, 16)
    guard.save(own / "guard.safetensors")
    assert_close(Guard.load(own / "guard.safetensors", encoder).concepts.no_text, guard.concepts.no_text)
    bare = Guard.make(LABELS, plain, "mcm", threshold=0.5)
    assert bare.templates == templates("photo")
    assert bare.concepts.no_text is None
    with pytest.raises(OodlibError, match="needs a 'no' text tower, which this encoder lacks"):
        Guard.make(LABELS, plain, "clipn_ctw")


def test_what_a_folder_declares_wrongly_is_refused_when_the_model_is_loaded(own):
    declare(own, {"no_head": "gone.safetensors"})
    with pytest.raises(OodlibError, match=r"oodlib\.json names a no_head that is no file"):
        load_encoder(f"local-dir:{own}")


def test_a_guard_is_kept_for_one_head(own, tmp_path):
    declare(own, {"no_head": "no.safetensors"})
    encoder = load_encoder(f"local-dir:{own}")

    def no_text():
        return kept_guard(LABELS, encoder, get_detector("clipn_ctw"), home=tmp_path / "home").concepts.no_text

    before = no_text()
    save_file({"weight": torch.ones(16, 24), "bias": torch.ones(16)}, own / "no.safetensors")
    assert not torch.allclose(no_text(), before)
