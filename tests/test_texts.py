import pytest
import torch
from torch.nn.functional import normalize

from oodlib.errors import OodlibError
from oodlib.texts import embed_texts


class Counting:
    """An encoder that counts how often it works."""

    digest = "a" * 64

    def __init__(self):
        self.calls = 0

    def encode_texts(self, texts, templates=None):
        self.calls += 1
        torch.manual_seed(len(texts) + len(templates or ()))
        return normalize(torch.randn(len(texts), 8), dim=1)


def test_texts_are_encoded_once(tmp_path):
    encoder = Counting()
    first = embed_texts(encoder, ["cat", "dog"], home=tmp_path)
    again = embed_texts(encoder, ["cat", "dog"], home=tmp_path)
    assert encoder.calls == 1
    assert torch.equal(first, again)


@pytest.mark.parametrize("change", [{"texts": ["dog", "cat"]}, {"templates": ["a {}"]}, {"digest": "b" * 64}])
def test_anything_else_is_another_key(tmp_path, change):
    encoder = Counting()
    embed_texts(encoder, ["cat", "dog"], home=tmp_path)
    encoder.digest = change.get("digest", encoder.digest)
    embed_texts(encoder, change.get("texts", ["cat", "dog"]), change.get("templates"), home=tmp_path)
    assert encoder.calls == 2


@pytest.mark.parametrize("content", [b"", b"not tensors"])
def test_a_damaged_file_is_made_again(tmp_path, content):
    encoder = Counting()
    first = embed_texts(encoder, ["cat", "dog"], home=tmp_path)
    (path,) = (tmp_path / "texts").glob("*.safetensors")
    path.write_bytes(content)
    assert torch.equal(embed_texts(encoder, ["cat", "dog"], home=tmp_path), first)
    assert encoder.calls == 2


def test_a_home_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OodlibError, match="cannot write in the cache folder"):
        embed_texts(Counting(), ["cat"], home=tmp_path / "file")
