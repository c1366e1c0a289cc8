"""Pairs of a picture and a text, judged without labels, on the real small model."""

import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oodlib.datasets.images import read_image
from oodlib.datasets.pair_table import read_pairs
from oodlib.datasets.wordnet import default_words
from oodlib.guard.guard import Guard
from oodlib.guard.pairs import SHOWN, detect_pairs, pair_rows
from oodlib.guard.texts import NEEDED, fits
from oodlib.pocket.light import LightEncoder
from oodlib.prompts.sets import templates

GOOD = ["banana.png,a banana", "tiger.png,a bicycle", "bicycle.png,a bicycle", "tiger.png,a tiger"]


@pytest.fixture(scope="module")
def light():
    """PocketCLIP as the command has it, without torch."""
    return LightEncoder()


@pytest.fixture(scope="module")
def guard(light):
    outliers = ["glasses", "bicycle", "rocket", "hammer", "shoe"]
    return Guard.make(["banana", "tiger", "pineapple"], light, "outlier_softmax", outliers=outliers)


@pytest.fixture(scope="module")
def album(drawings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("album")
    for name, path in drawings.items():
        shutil.copy(path, folder / f"{name}.png")
    return folder


def judged(guard, album, lines):
    table = album / "pairs.csv"
    table.write_text("\n".join(["path,text", *lines, ""]), encoding="utf-8-sig")
    return detect_pairs(guard, table)


def test_a_picture_and_its_text_are_asked_apart(guard, album):
    table = judged(guard, album, GOOD)
    assert list(table["decision"]) == ["in", "out", "out", "in"]
    assert list(table["picture"]) == ["in", "in", "out", "in"]
    assert list(table["match"]) == ["yes", "no", "yes", "yes"]
    assert list(table["said_label"])[::3] == ["banana", "tiger"]
    assert ((table["fit"] >= NEEDED) == (table["match"] == "yes")).all()
    assert (table["score"][1], table["threshold"][1]) == (table["score"][3], 0.5), "the text does not move it"
    assert "fit the picture less well" in table["reason"][1]


def test_pictures_are_judged_as_the_guard_judges_them(guard, album):
    table = judged(guard, album, GOOD)
    alone = guard.detect([album / line.split(",")[0] for line in GOOD]).set_index("image")
    for row in table.itertuples():
        own = alone.loc[str(album / row.image)]
        assert (own["decision"], own["best_label"]) == (row.picture, row.best_label)
        assert own["score"] == pytest.approx(row.score, abs=1e-6)


def test_bad_lines_lose_no_others(guard, album):
    (album / "broken.png").write_bytes((album / "tiger.png").read_bytes()[:200])
    (album / "folder").mkdir(exist_ok=True)
    bad = {
        "none.png,a cat": "cannot be opened",
        "broken.png,a tiger": "is damaged",
        "tiger.png,": "there is no text",
        "tiger.png,\u200b\x07": "there is no text",
        "tiger.png,\u732b": "cannot read the text",
        "tiger.png,a tiger, asleep": "has 3 cells for 2 columns",
        ",a tiger": "names no picture",
        "folder,a tiger": "is no file",
        "*.png,a tiger": "cannot be opened",
        f"{'x' * 5000}.png,a tiger": "cannot be opened",
    }
    table = judged(guard, album, [line for pair in zip(bad, GOOD * 3, strict=False) for line in pair])
    assert list(table["decision"][::2]) == ["unreadable"] * len(bad)
    for reason, said in zip(table["reason"][::2], bad.values(), strict=True):
        assert said in reason
    assert table["picture"][4] == "in", "the text is what cannot be judged"
    alone = judged(guard, album, GOOD)
    for name in ("decision", "match", "fit", "best_label"):
        assert list(table[name][1:8:2]) == list(alone[name]), name


def test_a_text_of_ten_thousand_words_is_read_as_far_as_the_model_reads(guard, album):
    table = judged(guard, album, ["tiger.png," + "a tiger " * 5000, "tiger.png,a tiger"])
    assert table["match"][0] in ("yes", "no")
    assert "reads the first" in table["reason"][0]
    assert "reads the first" not in table["reason"][1]
    assert len(table["text"][0]) <= SHOWN


def test_repeated_lines_and_two_spellings_get_the_same_answer(guard, album):
    lines = ["tiger.png,a tiger", "tiger.png,a tiger", "./tiger.png,a  tiger", f"{album / 'tiger.png'},a tiger"]
    table = judged(guard, album, lines)
    assert list(table["line"]) == [2, 3, 4, 5]
    assert table.attrs["repeated"] == 1
    rest = table.drop(columns=["line", "image", "text"])
    assert all(rest.iloc[0].equals(rest.iloc[k]) for k in range(1, 4))


@settings(max_examples=5)
@given(st.permutations(range(len(GOOD))))
def test_no_line_changes_the_answer_of_another(guard, album, order):
    (album / "order.csv").write_text("\n".join(["path,text", *GOOD]), encoding="utf-8")
    lines = read_pairs(album / "order.csv")
    whole = pair_rows(guard, lines, album).rows
    part = pair_rows(guard, [lines[k] for k in order[:2]], album).rows
    for k, row in zip(order[:2], part, strict=True):
        assert row["fit"] == whole[k]["fit"]
        assert row["decision"] == whole[k]["decision"]


def test_the_fit_is_that_of_a_plain_loop(light, drawings):
    prompts = templates(light.capabilities.templates)
    pictures = light.encode_images([read_image(drawings["tiger"]), read_image(drawings["rocket"])])
    texts = ["striped cat of the jungle", "tiger"]
    fit, cosines, rivals = fits(light, pictures, texts, prompts)
    nouns = default_words()
    encoded = np.stack([*light.shipped_texts(prompts).values(), *light.encode_texts(texts, prompts)])
    for k, text in enumerate(texts):
        own = float(pictures[k] @ encoded[len(nouns) + k])
        others = {noun: float(pictures[k] @ encoded[place]) for place, noun in enumerate(nouns) if noun != text}
        assert fit[k] == pytest.approx(np.mean([value < own for value in others.values()]), abs=2e-3)
        assert cosines[k] == pytest.approx(own, abs=1e-4)
        assert others[rivals[k]] == pytest.approx(max(others.values()), abs=1e-4)


def test_a_noun_does_not_compete_with_itself(light, drawings):
    picture = light.encode_images([read_image(drawings["banana"])])
    noun = "banana" if "banana" in default_words() else default_words()[0]
    _, _, (rival,) = fits(light, picture, [noun], templates(light.capabilities.templates))
    assert rival != noun
