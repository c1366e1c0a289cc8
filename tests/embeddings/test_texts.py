import copy
import shutil

import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import save_file
from torch.nn.functional import normalize
from torch.testing import assert_close

from oodlib.embeddings.texts import embed_texts
from oodlib.encoders.no_texts import NoTexts
from oodlib.errors import MendedWarning, OodlibError
from oodlib.pocket.light import LightEncoder


class Counting:
    """An encoder that notes what it works on."""

    digest = "a" * 64

    def __init__(self):
        self.seen = []

    def encode_texts(self, texts, templates=None):
        self.seen.append(list(texts))
        numbers = [[float(len(text)), float(ord(text[0])), float(len(templates or ()))] for text in texts]
        return normalize(torch.tensor(numbers), dim=1)

    def as_features(self, kept):
        return torch.from_numpy(kept)


def test_texts_are_encoded_once(tmp_path):
    encoder = Counting()
    first = embed_texts(encoder, ["cat", "horse", "cat"], home=tmp_path)
    again = embed_texts(encoder, ["cat", "horse", "cat"], home=tmp_path)
    assert encoder.seen == [["cat", "horse"]]
    assert torch.equal(first, again)


def test_of_another_list_only_new_texts_are_encoded(tmp_path):
    encoder = Counting()
    embed_texts(encoder, ["cat", "horse"], home=tmp_path)
    found = embed_texts(encoder, ["bee", "horse", "owl", "cat"], home=tmp_path)
    assert encoder.seen[1:] == [["bee", "owl"]]
    assert torch.equal(found, Counting().encode_texts(["bee", "horse", "owl", "cat"]))


@pytest.mark.parametrize("change", [{"templates": ["a {}"]}, {"digest": "b" * 64}])
def test_another_prompt_or_model_is_another_key(tmp_path, change):
    encoder = Counting()
    embed_texts(encoder, ["cat", "dog"], home=tmp_path)
    encoder.digest = change.get("digest", encoder.digest)
    embed_texts(encoder, ["cat", "dog"], change.get("templates"), home=tmp_path)
    assert len(encoder.seen) == 2


def test_kept_features_are_those_of_the_encoder(tmp_path, pocket):
    names, templates = ["cat", "a rather long name of a thing"], ["{}", "a drawing of a {}", "an icon of a {}"]
    assert_close(embed_texts(pocket, names, templates, home=tmp_path), pocket.encode_texts(names, templates))


def test_one_model_in_two_runtimes_keeps_its_texts_once(tmp_path, pocket, monkeypatch):
    light = LightEncoder()
    kept = embed_texts(light, ["cat", "dog"], ["{}"], home=tmp_path)
    monkeypatch.setattr(LightEncoder, "encode_texts", None)
    found = embed_texts(pocket, ["dog", "cat"], ["{}"], home=tmp_path)
    assert torch.equal(found, torch.from_numpy(kept[::-1].copy()))


def test_a_tuned_model_encodes_its_own_texts(tmp_path, pocket):
    tuned = copy.copy(pocket)
    tuned.spec = {**pocket.spec, "tuned": "f" * 64}
    vars(tuned).pop("digest", None)
    seen = []
    tuned.encode_texts = lambda texts, templates=None: seen.append(texts) or pocket.encode_texts(texts, templates)
    embed_texts(tuned, ["cat"], home=tmp_path)
    assert seen == [["cat"]]


def test_the_no_head_is_kept_under_another_key(tmp_path, pocket):
    names, templates = ["cat", "dog"], ["{}", "a drawing of a {}"]
    embed_texts(pocket, names, templates, home=tmp_path)
    assert_close(embed_texts(NoTexts(pocket), names, templates, home=tmp_path), pocket.encode_no(names, templates))


def reversed_rows(path):
    """As a file of the layout before had it: nothing but the shape would tell."""
    with safe_open(path, "np") as file:
        save_file({"features": file.get_tensor("features")[::-1].copy()}, path, metadata=file.metadata())


def of_another_folder(path):
    other = embed_texts(Counting(), ["cat", "dog"], ["a {}"], home=path.parent.parent.parent / "other")
    assert len(other) == 2
    (file,) = (path.parent.parent.parent / "other").rglob("*.safetensors")
    shutil.copy(file, path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"not tensors"),
        lambda path: path.write_bytes(path.read_bytes()[:-1] + b"?"),
        reversed_rows,
        of_another_folder,
        lambda path: (path.unlink(), path.mkdir()),
    ],
    ids=["empty", "no tensors", "a byte", "rows", "elsewhere", "a folder"],
)
def test_a_damaged_file_is_made_again_and_said(tmp_path, damage):
    encoder = Counting()
    first = embed_texts(encoder, ["cat", "dog"], home=tmp_path)
    (path,) = (tmp_path / "texts").glob("*/*.safetensors")
    damage(path)
    with pytest.warns(MendedWarning, match=f"what is kept of some texts is made again: .*{path.name}"):
        assert torch.equal(embed_texts(encoder, ["cat", "dog"], home=tmp_path), first)
    assert len(encoder.seen) == 2
    assert torch.equal(embed_texts(encoder, ["dog", "cat"], home=tmp_path), first.flip(0))
    assert len(encoder.seen) == 2


def test_a_home_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OodlibError, match="cannot write in the cache folder"):
        embed_texts(Counting(), ["cat"], home=tmp_path / "file")
