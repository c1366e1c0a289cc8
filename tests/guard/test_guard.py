"""`oodlib.detect` and the object behind it, on the real small model."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import oodlib
from oodlib.cache import load_sealed, save_sealed
from oodlib.datasets import emojishift
from oodlib.encoders.load import load_encoder
from oodlib.errors import OodlibError
from oodlib.guard import file as guard_file
from oodlib.guard.decisions import COLUMNS
from oodlib.guard.fit import default_words
from oodlib.guard.guard import Guard

LABELS = ["banana", "tiger", "pineapple"]
OUTLIERS = ["glasses", "bicycle", "rocket", "hammer", "shoe"]


@pytest.fixture(scope="module")
def guard(pocket):
    return Guard.make(LABELS, pocket, "outlier_softmax", outliers=OUTLIERS)


@pytest.fixture
def album(drawings, tmp_path):
    folder = tmp_path / "album"
    folder.mkdir()
    for name, path in drawings.items():
        shutil.copy(path, folder / f"{name}.png")
    return folder


def test_from_a_folder_and_words_to_decisions(pocket, album):
    # OLE with WordNet's nouns, cut where both are equally likely; one template, because there are 2,000 nouns
    table = oodlib.detect(album, LABELS, pocket, templates="bare")
    assert list(table.columns) == COLUMNS
    decided = {Path(row.image).stem: row for row in table.itertuples()}
    assert {name: decided[name].decision for name in (*LABELS, "glasses", "bicycle", "rocket")} == {
        **dict.fromkeys(LABELS, "in"),
        **dict.fromkeys(["glasses", "bicycle", "rocket"], "out"),
    }
    assert all(decided[name].best_label == name for name in LABELS)
    assert set(table["nearest_outlier"]) <= set(default_words()) - {"banana", "tiger", "pineapple", "ananas"}
    assert (table["threshold"] == 0.5).all()
    np.testing.assert_allclose(table["margin"], table["score"] - 0.5)
    assert ((table["margin"] >= 0) == (table["decision"] == "in")).all()
    assert repr(decided["banana"].nearest_outlier) in decided["banana"].reason


def test_importing_the_package_stays_light():
    program = "import sys, oodlib; assert 'detect' in dir(oodlib); assert not {'torch', 'pandas'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(oodlib.__file__).parent.parent)


def test_one_picture_is_a_path_a_glob_a_pil_image_or_an_array(guard, drawings, album):
    picture = Image.open(drawings["tiger"])
    array = np.asarray(picture.convert("RGB"))
    sources = [drawings["tiger"], str(album / "tig*.png"), picture, array, array / 255.0, np.stack([array])]
    scores = [guard.detect(source)["score"].item() for source in sources]
    assert scores == pytest.approx([scores[0]] * len(sources), abs=1e-3)


def test_order_and_names_are_those_of_the_input(guard, drawings):
    paths = [drawings["rocket"], "none.png", drawings["tiger"]]
    assert guard.detect(paths)["image"].tolist() == [str(path) for path in paths]
    pictures = [Image.open(drawings["rocket"]), np.zeros((0, 3)), Image.open(drawings["tiger"])]
    table = guard.detect(pictures)
    assert table["image"].tolist() == ["image 1", "image 2", "image 3"]
    assert table["decision"].tolist() == ["out", "unreadable", "in"]


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((2, 2, 7)), "its shape is"),
        (np.full((2, 2), np.nan), "from 0 to 1"),
        (np.full((2, 2), 300), "from 0 to 255"),
        (b"text", "of type bytes"),
    ],
)
def test_arrays_that_are_no_pictures_have_a_reason(guard, array, reason):
    table = guard.detect([array, np.zeros((4, 4), dtype=np.uint8)])
    assert table["decision"][0] == "unreadable"
    assert reason in table["reason"][0]
    assert np.isfinite(table["score"][1])


def bad_and_odd(folder: Path, source: Path) -> tuple[set[str], set[str]]:
    """Write what people have in their folders; returns the names that cannot and that can be read."""
    whole = Image.open(source).convert("RGB")
    whole.convert("CMYK").save(folder / "cmyk.jpg")
    whole.convert("P").save(folder / "palette.png")
    whole.save(folder / "animated.gif", save_all=True, append_images=[whole.rotate(90)])
    exif = Image.Exif()
    exif[0x0112] = 6
    whole.rotate(90, expand=True).save(folder / "rotated.jpg", exif=exif, quality=95)
    Image.fromarray(np.linspace(0, 65535, 4096).astype(np.uint16).reshape(64, 64)).save(folder / "deep.png")
    Image.new("RGB", (1, 1), "red").save(folder / "dot.png")
    Image.new("RGB", (30_000, 1), "red").save(folder / "strip.png")
    Image.new("RGB", (30_000, 40), "red").save(folder / "wide.png")
    shutil.copy(source, folder / "really_png.jpg")
    odd = {"cmyk.jpg", "palette.png", "animated.gif", "rotated.jpg", "deep.png", "dot.png", "strip.png", "wide.png"}
    (folder / "empty.png").write_bytes(b"")
    (folder / "half.png").write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    (folder / "words.jpg").write_text("hello")
    Image.new("1", (20_000, 20_000)).save(folder / "bomb.png")
    (folder / "gone.png").symlink_to(folder / "nothing")
    (folder / "round").symlink_to(folder)
    return {"empty.png", "half.png", "words.jpg", "bomb.png", "gone.png", "round"}, odd | {"really_png.jpg"}


def test_no_bad_file_loses_the_others(guard, tmp_path, drawings, monkeypatch):
    monkeypatch.setenv("OODLIB_HOME", str(tmp_path / ".home"))  # nothing is kept there yet
    bad, odd = bad_and_odd(tmp_path, drawings["tiger"])
    table = guard.detect(tmp_path).assign(name=lambda rows: [Path(image).name for image in rows["image"]])
    unreadable = table[table["decision"] == "unreadable"]
    assert set(unreadable["name"]) == bad
    assert (unreadable["reason"].str.len() > 10).all()
    assert not unreadable["reason"].str.contains(str(tmp_path / "half")).any()  # kept reasons name no folder
    readable = table[table["decision"] != "unreadable"].set_index("name")
    assert set(readable.index) == odd
    assert np.isfinite(readable["score"].astype(float)).all()
    for same in ("really_png.jpg", "cmyk.jpg", "animated.gif", "rotated.jpg"):
        assert readable.loc[same, "best_label"] == "tiger", same
    assert guard.detect(tmp_path).equals(table.drop(columns="name"))  # what is kept says the same, reasons included


def test_a_file_that_vanishes_is_not_remembered_as_bad(guard, tmp_path, drawings, monkeypatch):
    from oodlib.embeddings import embedding as embeddings

    monkeypatch.setenv("OODLIB_HOME", str(tmp_path / "home"))  # nothing is kept there yet
    path = tmp_path / "tiger.png"
    shutil.copy(drawings["tiger"], path)
    read = embeddings.read_image

    def vanish(source):
        source.path.rename(tmp_path / "away")
        return read(source)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(embeddings, "read_image", vanish)
        assert guard.detect(path)["reason"].item().endswith("does not exist: check the path")
    (tmp_path / "away").rename(path)
    assert guard.detect(path)["decision"].item() == "in"


def test_features_of_files_are_kept(guard, album, monkeypatch):
    first = guard.detect(album)
    monkeypatch.setattr(guard.encoder, "encode_images", lambda *_, **__: pytest.fail("encoded again"))
    pd.testing.assert_frame_equal(guard.detect(album), first)


def test_only_unreadable_files_are_a_table_and_no_images_an_error(guard, tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    assert guard.detect(tmp_path)["decision"].tolist() == ["unreadable"]
    assert guard.detect([tmp_path / "b.png"])["decision"].tolist() == ["unreadable"]
    with pytest.raises(OodlibError, match="no images"):
        guard.detect([])
    with pytest.raises(OodlibError, match="two calls"):
        guard.detect([tmp_path / "a.png", np.zeros((2, 2))])


def test_a_class_more_encodes_only_that_class(pocket, guard, drawings, monkeypatch):
    encoded = []
    encode = pocket.encode_texts
    monkeypatch.setattr(pocket, "encode_texts", lambda texts, *rest: encoded.extend(texts) or encode(texts, *rest))
    grown = guard.with_labels(["bicycle"])
    assert {text.split()[-1] for text in encoded} == {"bicycle"}
    assert guard.detect(drawings["bicycle"])["decision"].item() == "out"
    assert grown.detect(drawings["bicycle"])["decision"].item() == "in"
    assert "bicycle" not in grown.concepts.outlier_names
    anew = Guard.make([*LABELS, "bicycle"], pocket, "outlier_softmax", outliers=OUTLIERS)
    torch.testing.assert_close(grown.concepts.text, anew.concepts.text, atol=1e-5, rtol=1e-4)
    with pytest.raises(OodlibError, match="'tiger' and 'tiger' are the same"):
        grown.with_labels(["tiger"])


def test_calibration_chooses_the_cut_and_does_so_again_for_more_classes(pocket, album, drawings):
    known = [drawings[name] for name in LABELS]
    guard = Guard.make(LABELS, pocket, "mcm", calibrate=known)
    scores = guard.detect(known)["score"]
    assert (guard.threshold.rule, guard.threshold.n, guard.threshold.value) == ("id95", 3, scores.min())
    grown = guard.with_labels(["bicycle"])
    assert grown.threshold.value == grown.detect(known)["score"].min() != guard.threshold.value
    with pytest.raises(OodlibError, match="at least 19"):
        guard.with_threshold("conformal")
    assert guard.with_threshold(0.4).threshold.rule == "number"
    (album / "bad.png").write_bytes(b"")
    assert "1 calibration picture(s) left out" in Guard.make(LABELS, pocket, "mcm", calibrate=album).notes[0]
    with pytest.raises(OodlibError, match="no calibration picture can be read"):
        Guard.make(LABELS, pocket, "mcm", calibrate=album / "bad.png")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "mcm"}, "mcm has no cut that words alone justify"),
        ({"method": "mcn"}, "unknown detector 'mcn'"),
        ({"method": "mcm", "temprature": 2}, "no parameter 'temprature'"),
        (
            {"labels": ["tiger"], "method": "mcm", "threshold": 0.5},
            "with 'tiger' alone mcm scores every picture the same",
        ),
        ({"labels": []}, "there are no labels"),
        (
            {"outliers": ["big cat", "Tiger", "banana"], "method": "outlier_softmax", "labels": ["banana", "tiger"]},
            None,
        ),
        ({"outliers": ["tiger"], "method": "outlier_softmax"}, "every outlier word names one of the classes"),
        ({"method": "clip_scope", "outliers": OUTLIERS, "calibrate": np.zeros((4, 4))}, "scores a picture by those"),
        ({"templates": "photos"}, "no template set 'photos'"),
        (
            {"method": "mcm", "threshold": 0.5, "pretrained": "openai"},
            "is loaded already: leave pretrained='openai' out",
        ),
    ],
)
def test_what_cannot_work_is_refused_in_one_sentence(pocket, arguments, message):
    arguments = {"labels": LABELS, "encoder": pocket} | arguments
    if message is None:
        assert any("left out" in note for note in Guard.make(**arguments).notes)
        return
    with pytest.raises(OodlibError, match=message):
        Guard.make(**arguments)


def test_one_class_is_enough_with_outlier_words(pocket, drawings):
    guard = Guard.make(["tiger"], pocket, "outlier_softmax", outliers=OUTLIERS)
    assert guard.detect([drawings["tiger"], drawings["rocket"]])["decision"].tolist() == ["in", "out"]


def test_the_unknown_candidate_brings_its_own_words(pocket):
    assert Guard.make(LABELS, pocket, "unknown").concepts.outlier_names == ("unknown object", "something else")


def test_synonyms_are_warned_about_and_useless_words_refused(pocket, drawings):
    with pytest.warns(UserWarning, match="'car' and 'automobile' can mean the same"):
        oodlib.detect(drawings["tiger"], ["car", "automobile", "tiger"], pocket, "energy", 0.0)
    with pytest.raises(OodlibError, match="energy uses no outlier words: leave yours"):
        oodlib.detect(drawings["tiger"], LABELS, pocket, "energy", 0.0, outliers=["shoe"])


def test_a_saved_guard_decides_the_same(pocket, album, tmp_path, drawings):
    labels = {"banana": ["a yellow fruit"], "tiger": [], "pineapple": []}
    guard = Guard.make(labels, pocket, "ole", outliers=default_words(60), n_prototypes=40, quantile=0.5, threshold=0.25)
    guard.save(tmp_path / "mine.safetensors")
    back = Guard.load(tmp_path / "mine.safetensors", pocket)
    pd.testing.assert_frame_equal(back.detect(album), guard.detect(album))
    assert back.threshold == guard.threshold
    assert back.descriptions == guard.descriptions
    assert back.detector.get_params() == guard.detector.get_params()
    _, about = load_sealed(tmp_path / "mine.safetensors")
    assert about["encoder"] == pocket.spec
    assert [name for name, _ in about["labels"]] == LABELS
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["mine.safetensors"]


@pytest.mark.parametrize("method", ["neg_refine", "dnm", "renyi_neg"])
def test_a_guard_with_refined_words_is_saved_and_grows(pocket, drawings, tmp_path, method):
    chosen = {"weight": "safe"} if method == "dnm" else {}
    guard = Guard.make(LABELS, pocket, method, outliers=OUTLIERS, templates="bare", threshold=0.1, **chosen)
    pictures = [drawings["banana"], drawings["bicycle"]]
    expected = guard.detect(pictures)["score"]
    assert expected[0] > expected[1]
    guard.save(tmp_path / "mine.safetensors")
    back = Guard.load(tmp_path / "mine.safetensors", pocket)
    np.testing.assert_allclose(back.detect(pictures)["score"], expected, rtol=1e-5)
    grown = back.with_labels(["bicycle"])  # no longer an outlier word
    assert grown.detect(pictures)["best_label"].tolist() == ["banana", "bicycle"]


def test_a_method_that_few_classes_break_says_what_to_pass(pocket):
    with pytest.raises(
        OodlibError, match=r'DNM.*: its denominator turns negative with 3 classes .*: pass weight="safe"'
    ):
        Guard.make(LABELS, pocket, "dnm", outliers=OUTLIERS, templates="bare", threshold=0.1, groups=1, keep=1.0)


def test_a_saved_guard_is_refused_under_another_encoder(guard, tmp_path):
    path = tmp_path / "mine.safetensors"
    guard.save(path)
    other = load_encoder("pocket", precision="bf16")
    with pytest.raises(OodlibError, match=r"another encoder \(precision fp32, here bf16\)"):
        Guard.load(path, other)
    other.spec = guard.encoder.spec | {"versions": {"torch": "0"}}
    Guard.load(path, other)  # another version of torch only rounds otherwise


@pytest.mark.parametrize(
    ("model", "pretrained", "weights", "enough"),
    [
        ("pocket", None, "ab", True),
        ("hf-hub:one/model", None, None, True),
        ("ViT-B-32", "random", None, True),
        ("ViT-B-32", "mine.pt", "ab", False),
        ("local-dir:mine", None, "ab", False),
        ("local-dir:mine", None, None, False),
    ],
)
def test_a_guard_loads_the_encoder_whose_name_is_enough(model, pretrained, weights, enough):
    spec = {"model": model, "pretrained": pretrained, "weights_sha256": weights}
    if enough:
        assert guard_file._name(spec, Path("mine.safetensors")) == model
    else:
        with pytest.raises(OodlibError, match=r"mine\.safetensors belongs to weights in a file .*: name the encoder"):
            guard_file._name(spec, Path("mine.safetensors"))


def test_weights_without_an_architecture_are_refused(guard, tmp_path):
    guard.save(tmp_path / "g.safetensors")
    for encoder in (None, guard.encoder):
        with pytest.raises(OodlibError, match=r"pretrained='openai'.*name that as the encoder"):
            Guard.load(tmp_path / "g.safetensors", encoder, "openai")


def test_files_that_are_no_guard_are_refused(guard, tmp_path):
    path = tmp_path / "mine.safetensors"
    with pytest.raises(OodlibError, match="cannot read"):
        Guard.load(path)
    guard.save(path)
    whole = path.read_bytes()
    for content in (b"", whole[:200], whole[:-5] + bytes([whole[-5] ^ 1]) + whole[-4:]):
        path.write_bytes(content)
        with pytest.raises(OodlibError, match="is no guard of this version of oodlib, or is damaged: make it again"):
            Guard.load(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guard_file, "FORMAT", "oodlib guard 0")
        guard.save(path)
    with pytest.raises(OodlibError, match="made by another version of oodlib: make it again"):
        Guard.load(path)
    save_file({"text": torch.eye(2)}, path)
    with pytest.raises(OodlibError, match="is no guard of this version"):
        Guard.load(path)
    (tmp_path / "file").write_text("")
    with pytest.raises(OodlibError, match="cannot write"):
        guard.save(tmp_path / "file" / "mine.safetensors")


@pytest.mark.parametrize(
    "edited",
    [
        {"labels": [["banana", []], ["banana", []], ["banana", []]]},
        {"labels": ["banana", "tiger", "pineapple"]},
        {"threshold": {"value": float("nan"), "rule": "number", "n": 0}},
        {"threshold": {"value": "0.2", "rule": "number", "n": 0}},
        {"threshold": {"value": 0.2}},
        {"logit_scale": None},
        {"outliers": []},
        {"templates": [1]},
        {"parameters": []},
        {"encoder": {"model": "pocket"}},
        {"mine": "a key more"},
        {"notes": ...},
    ],
    ids=str,
)
def test_a_guard_that_was_edited_and_sealed_again_is_one_sentence(guard, edited, tmp_path):
    guard.save(tmp_path / "mine.safetensors")
    arrays, about = load_sealed(tmp_path / "mine.safetensors")
    about = {key: value for key, value in (about | edited).items() if value is not ...}
    save_sealed(tmp_path / "mine.safetensors", arrays, about)
    with pytest.raises(OodlibError, match="says of its guard what cannot be meant: make it again"):
        Guard.load(tmp_path / "mine.safetensors", guard.encoder)


def test_what_is_said_of_a_guard_may_be_deep(guard, tmp_path):
    path = tmp_path / "mine.safetensors"
    save_file({"text": torch.eye(2)}, path, metadata={"sealed": "[" * 100_000})
    with pytest.raises(OodlibError, match="is no guard of this version of oodlib, or is damaged"):
        Guard.load(path, guard.encoder)


def test_beside_calibration_pictures_the_share_that_is_out_is_estimated(pocket):
    manifest = emojishift.load()
    table = manifest.table
    names = table.loc[(table["subgroup"] == "animal-mammal") & (table["hand"] == "twemoji"), "label"].tolist()

    def drawn(mask, hands):
        return manifest.select(mask & table["hand"].isin(hands)).paths()

    own = table["label"].isin(names)
    known, same = drawn(own, ["twemoji", "fluent-emoji"]), drawn(own, ["fluent-emoji-flat"])
    others = drawn(table["group"] == "symbols", ["fluent-emoji-flat"])[:120]
    true = len(others) / (len(same) + len(others))
    guard = Guard.make(names, pocket, "energy", calibrate=known)
    about = guard.decisions([*same, *others]).about
    assert 0.2 < about["share_out_low"] <= about["share_out"]
    assert about["share_out_low"] <= true
    assert about["share_out"] == pytest.approx(true, abs=0.15)
    assert guard.decisions(same).about["share_out_low"] == 0
    unknown = Guard.make(names, pocket, "energy", threshold=0.0)
    assert "share_out" not in unknown.decisions(same[:2]).about
