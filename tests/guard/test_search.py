import shutil
from pathlib import Path

import pytest

from oodlib.datasets.images import read_image
from oodlib.errors import OodlibError
from oodlib.guard.search import search


@pytest.fixture
def album(drawings, tmp_path):
    for name, path in drawings.items():
        shutil.copy(path, tmp_path / f"{name}.png")
    (tmp_path / "bad.png").write_bytes(b"")
    return tmp_path


def test_the_best_match_comes_first_and_bad_files_last(pocket, album):
    table = search("a yellow fruit", album, pocket, top=3)
    assert Path(table["image"][0]).stem == "banana"
    assert table["cosine"][:3].is_monotonic_decreasing
    assert table["rank"].tolist()[:3] == [1, 2, 3]
    assert table["rank"].isna().tolist() == [False] * 3 + [True]
    assert "bad.png cannot be read" in table["reason"][3]


def test_every_picture_is_compared(pocket, album, drawings):
    table = search("rocket", album, pocket, top=None)
    features = pocket.encode_images([read_image(path) for path in drawings.values()])
    by_hand = features @ pocket.encode_texts(["rocket"])[0]
    found = {Path(image).stem: cosine for image, cosine in zip(table["image"], table["cosine"], strict=True)}
    assert [found[name] for name in drawings] == pytest.approx(by_hand.tolist(), abs=1e-4)


def test_a_second_query_encodes_no_picture(pocket, album, monkeypatch):
    search("a tiger", album, pocket)
    monkeypatch.setattr(pocket, "encode_images", lambda *_, **__: pytest.fail("encoded again"))
    assert Path(search("a bicycle", album, pocket)["image"][0]).stem == "bicycle"


def test_senseless_queries_are_refused(pocket, album):
    with pytest.raises(OodlibError, match="query 1 is empty"):
        search(" ", album, pocket)
    with pytest.raises(OodlibError, match="top is 0"):
        search("cat", album, pocket, top=0)
