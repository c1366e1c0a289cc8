"""A guard that is kept, or made by the other runtime, decides as a new one does."""

import numpy as np
import pytest

from oodlib.datasets.wordnet import default_words
from oodlib.detectors import get_detector
from oodlib.embeddings.texts import embed_texts
from oodlib.errors import MendedWarning, OodlibError
from oodlib.guard import kept as module
from oodlib.guard.guard import Guard
from oodlib.guard.kept import kept_guard
from oodlib.pocket.light import LightEncoder
from oodlib.pocket.words import WORDS, ship, shipped_words
from oodlib.prompts.sets import templates

LABELS = ["banana", "tiger", "pineapple"]


@pytest.fixture(scope="module")
def light():
    return LightEncoder()


@pytest.fixture(scope="module")
def guard(light):
    return Guard.make(LABELS, light)


def refuse(*_, **__):
    pytest.fail("fitted again")


def same(one, other, atol=0.0):
    np.testing.assert_allclose(one["score"], other["score"], atol=atol, rtol=0)
    for column in ("image", "decision", "best_label", "nearest_outlier"):
        assert one[column].tolist() == other[column].tolist()


def test_the_second_run_fits_nothing_and_decides_the_same(light, guard, drawings, tmp_path, monkeypatch):
    paths = list(drawings.values())
    first = kept_guard(LABELS, light, get_detector("ole"), home=tmp_path)
    monkeypatch.setattr(module.Guard, "make", refuse)
    second = kept_guard(LABELS, light, get_detector("ole"), home=tmp_path)
    same(first.detect(paths), guard.detect(paths), atol=1e-6)
    same(second.detect(paths), first.detect(paths))
    assert second.threshold == first.threshold


def test_notes_come_along(light, tmp_path):
    labels = ["car", "dog", "automobile"]
    first, second = (kept_guard(labels, light, get_detector("outlier_softmax"), home=tmp_path) for _ in range(2))
    assert len(first.notes) == 1
    assert second.notes == first.notes


@pytest.mark.parametrize(
    "change",
    [
        {"labels": {"banana": ["a yellow fruit"], "tiger": [], "pineapple": []}},
        {"labels": LABELS[::-1]},
        {"detector": get_detector("ole", quantile=0.2)},
        {"threshold": 0.4},
        {"outliers": ["hammer", "bicycle"]},
        {"templates": "bare"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_a_guard_depends_on_is_in_its_key(change, light, guard, tmp_path, monkeypatch):
    asked = {"labels": LABELS, "detector": get_detector("ole")}
    monkeypatch.setattr(module.Guard, "make", lambda *_, **__: guard)
    kept_guard(**asked, encoder=light, home=tmp_path)
    kept_guard(**asked, encoder=light, home=tmp_path)
    assert len(list((tmp_path / "guards").iterdir())) == 1
    kept_guard(**{**asked, **change}, encoder=light, home=tmp_path)
    assert len(list((tmp_path / "guards").iterdir())) == 2


def test_a_damaged_guard_is_made_again(light, guard, tmp_path, monkeypatch):
    monkeypatch.setattr(module.Guard, "make", lambda *_, **__: guard)
    kept_guard(LABELS, light, get_detector("ole"), home=tmp_path)
    (file,) = (tmp_path / "guards").iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:-5] + bytes([whole[-5] ^ 1]) + whole[-4:])  # one bit of one feature
    with pytest.raises(OodlibError, match="or is damaged"):
        Guard.load(file, light)
    with pytest.warns(MendedWarning, match=f"the guard that is kept of these words is made again: {file} is no guard"):
        again = kept_guard(LABELS, light, get_detector("ole"), home=tmp_path)
    assert again is guard
    np.testing.assert_array_equal(Guard.load(file, light).concepts.outlier_text, guard.concepts.outlier_text)


def test_either_runtime_reads_the_guards_of_the_other(light, pocket, drawings, tmp_path):
    """On some of WordNet's words: torch would encode all 2,000, which come encoded to the other runtime."""
    paths, words = list(drawings.values()), default_words(60)
    of_torch, of_light = (Guard.make(LABELS, encoder, outliers=words, n_prototypes=40) for encoder in (pocket, light))
    same(of_torch.detect(paths), of_light.detect(paths), atol=1e-4)
    of_torch.save(tmp_path / "torch.safetensors")
    of_light.save(tmp_path / "light.safetensors")
    same(Guard.load(tmp_path / "torch.safetensors", light).detect(paths), of_torch.detect(paths), atol=1e-4)
    same(Guard.load(tmp_path / "light.safetensors", pocket).detect(paths), of_light.detect(paths), atol=1e-4)


def test_shipped_words_are_those_of_the_encoder(light):
    words, prompts = default_words(), templates("drawings")
    shipped = shipped_words(light.spec["weights_sha256"], prompts)
    assert list(shipped) == words, "run `python -m oodlib.pocket.words`"
    exact = light.encode_texts(words[::100], prompts)
    np.testing.assert_allclose([shipped[word] for word in words[::100]], exact, atol=1e-5, rtol=0)


def test_a_shipped_word_is_not_encoded_in_whatever_list_it_stands(light, tmp_path, monkeypatch):
    words, prompts, encoded = default_words()[:3], templates("drawings"), []
    encode = light.encode_texts
    monkeypatch.setattr(light, "encode_texts", lambda texts, *more: encoded.extend(texts) or encode(texts, *more))
    found = embed_texts(light, ["no such word", *words[::-1]], prompts, home=tmp_path)
    assert encoded == ["no such word"]
    shipped = shipped_words(light.spec["weights_sha256"], prompts)
    np.testing.assert_array_equal(found[1:], [shipped[word] for word in words[::-1]])
    embed_texts(light, words, prompts[:1], home=tmp_path)
    assert encoded == ["no such word", *words], "in other templates they are others"


def test_shipped_words_stand_for_nothing_else(light, tmp_path):
    prompts, weights = templates("drawings"), light.spec["weights_sha256"]
    assert not shipped_words("0" * 64, prompts)
    assert not shipped_words(weights, prompts[::-1])
    assert not shipped_words(weights, None)
    assert not shipped_words(weights, prompts, tmp_path / "none.safetensors")
    (tmp_path / "half.safetensors").write_bytes(WORDS.read_bytes()[:1000])
    assert not shipped_words(weights, prompts, tmp_path / "half.safetensors")
    other = WORDS.read_bytes().replace(b'\\"abies\\"', b'\\"abyss\\"')
    assert other != WORDS.read_bytes()
    (tmp_path / "other.safetensors").write_bytes(other)
    assert not shipped_words(weights, prompts, tmp_path / "other.safetensors"), "the key holds the words"
    features = np.eye(3, 256, dtype=np.float32)
    ship(weights, ["a", "b", "c"], prompts, features, tmp_path / "own.safetensors")
    found = shipped_words(weights, prompts, tmp_path / "own.safetensors")
    assert list(found) == ["a", "b", "c"]
    np.testing.assert_array_equal(list(found.values()), features)
