"""Profiles: what is read, and what each mistake gets."""

import shutil

import pandas as pd
import pytest
import yaml

from oodlib.datasets.base import Manifest
from oodlib.errors import OodlibError
from oodlib.experiments.profile_parts import SMALL_MODEL
from oodlib.experiments.profiles import Profile, build_root, list_profiles, load_profile, project_root

GOOD = """
title: A profile
encoder: {name: pocket}
dataset: emojishift
templates: photo
detectors: {mcm: {temperature: 0.5}}
id_sets: [one]
n_boot: 100
small: {n_boot: 20, pictures: 10}
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A checkout with one profile; returns a function that replaces the profile's text."""
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: book/index\n", encoding="utf-8")
    (tmp_path / "profiles").mkdir()
    monkeypatch.setenv("OODLIB_PROJECT", str(tmp_path))
    monkeypatch.delenv("OODLIB_BUILD", raising=False)

    def write(text: str) -> None:
        (tmp_path / "profiles" / "mine.yaml").write_text(text, encoding="utf-8")

    write(GOOD)
    return write


def test_reads_a_profile_and_its_small_block(project):
    full, small = load_profile("mine"), load_profile("mine", small=True)
    assert (full.n_boot, full.pictures, full.is_small) == (100, None, False)
    assert (small.n_boot, small.pictures, small.is_small) == (20, 10, True)
    assert full.detectors == small.detectors == {"mcm": {"temperature": 0.5}}
    assert full.folder == build_root() / "mine"
    assert small.folder == build_root() / "mine-small", "a small run must never overwrite the full one"


@pytest.mark.parametrize("text", ["1e-2", "1E-2", "+1.e-2", ".1e-1", "0.01", "1.0e-2"])
def test_a_number_is_one_however_it_is_written(project, text):
    project(GOOD.replace("0.5", text))
    assert load_profile("mine").detectors == {"mcm": {"temperature": 0.01}}


@pytest.mark.parametrize("text", ["e-2", "1e", "a1e-2", "1e-2b"])
def test_what_only_looks_like_a_number_stays_text(project, text):
    project(GOOD.replace("A profile", text))
    assert load_profile("mine").title == text


def test_the_shipped_profile_names_things_that_exist(monkeypatch):
    monkeypatch.delenv("OODLIB_PROJECT", raising=False)
    from oodlib.detectors import get_detector

    assert "pocket" in list_profiles()
    for small in (False, True):
        profile = load_profile("pocket", small=small)
        for name, parameters in profile.detectors.items():
            get_detector(name, **parameters)


def test_outlier_words_are_chosen_by_file_and_spread_over_the_alphabet(project):
    with pytest.raises(OodlibError, match="names no outlier words: add a `vocabulary`"):
        load_profile("mine").outlier_words()
    project(GOOD + "vocabulary: {nouns: [noun.food], words: 40}\n")
    some = load_profile("mine").outlier_words()
    assert set(some) == {"noun", "adjective"}
    assert all(20 < len(words) <= 40 for words in some.values())
    assert some["noun"][0][0] == "a"
    assert some["noun"][-1][0] > "r"
    project(GOOD + "vocabulary: {nouns: [noun.food], adjectives: false}\n")
    words = load_profile("mine").outlier_words()
    assert set(words) == {"noun"}
    assert {"apple", "bread"} <= set(words["noun"])
    assert not any(" " in word for word in words["noun"])


FEW_SHOT = "few_shot: {shots: [[ann], [ann, bob]], test: [carl], words: 10, views: 1, seeds: 1, methods: {coop: {}}}\n"


def test_a_hand_is_on_one_side_of_the_few_shot_study(project):
    project(GOOD + FEW_SHOT)
    assert load_profile("mine").few_shot.shots == [["ann"], ["ann", "bob"]]
    project(GOOD + FEW_SHOT.replace("test: [carl]", "test: [carl, bob]"))
    with pytest.raises(OodlibError, match="bob draws shots and test pictures: a hand belongs on one side"):
        load_profile("mine")


def test_the_shipped_few_shot_study_names_methods_and_parameters_that_exist(monkeypatch):
    monkeypatch.delenv("OODLIB_PROJECT", raising=False)
    from oodlib.tuning import get_tuner

    for small in (False, True):
        study = load_profile("pocket", small=small).few_shot
        for label, setting in (study.methods | study.ten).items():
            parameters = dict(setting)
            get_tuner(parameters.pop("method", label), **parameters)
        assert set(study.once) <= set(study.methods)


def test_unknown_profile_names_those_that_exist(project):
    with pytest.raises(OodlibError, match="no profile 'nine': did you mean 'mine'"):
        load_profile("nine")
    with pytest.raises(OodlibError, match="choose one of: mine"):
        load_profile("zzz")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD.replace("n_boot: 100", "n_bot: 100"), "'n_bot' is not a key, the keys are"),
        (GOOD.replace("{name: pocket}", "{nam: pocket}"), "encoder.nam"),
        (GOOD.replace("n_boot: 100", "n_boot: many"), "n_boot"),
        (GOOD.replace("n_boot: 100\n", ""), "n_boot"),
        (GOOD.replace("detectors: {mcm: {temperature: 0.5}}", "detectors: {}"), "detectors"),
        (GOOD.replace("small: {n_boot: 20, pictures: 10}", "small: {n_boot: 3}"), "n_boot"),
        (GOOD.replace("small: {n_boot: 20, pictures: 10}", "small: 3"), "`small` block"),
        ("title: [", "is not YAML"),
        ("- a list", "keys and values"),
    ],
)
def test_a_wrong_profile_is_named_with_its_key(project, text, message):
    project(text)
    with pytest.raises(OodlibError, match=message) as caught:
        load_profile("mine", small=True)
    assert "profiles/mine.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_yaml_cannot_make_objects(project):
    project("title: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(OodlibError, match="is not YAML"):
        load_profile("mine")


def test_project_is_found_from_a_folder_below(project, monkeypatch, tmp_path):
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.delenv("OODLIB_PROJECT")
    monkeypatch.chdir(below)
    assert project_root() == tmp_path


def test_no_project_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.delenv("OODLIB_PROJECT", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OodlibError, match="OODLIB_PROJECT"):
        project_root()
    monkeypatch.setenv("OODLIB_PROJECT", str(tmp_path))
    with pytest.raises(OodlibError, match=r"has no _toc\.yml"):
        project_root()


def _manifest(n: int) -> Manifest:
    rows = [
        {"id": f"{k}", "uri": f"{k}.png", "label": "x", "split": "s", "sha256": f"{(k * 37) % 101:03d}"}
        for k in range(n)
    ]
    return Manifest("made-up", None, pd.DataFrame(rows))


def test_limit_takes_the_first_hashes_and_keeps_the_order(project):
    profile: Profile = load_profile("mine", small=True)
    everything = _manifest(30)
    chosen = profile.limit(everything)
    assert list(chosen.table["sha256"].sort_values()) == sorted(everything.table["sha256"])[:10]
    assert list(chosen.table["id"]) == sorted(chosen.table["id"], key=int)
    half = everything.select(everything.table.index < 15)
    assert set(chosen.table["id"]) & set(half.table["id"]) <= set(profile.limit(half).table["id"])
    assert profile.limit(_manifest(10)).digest == _manifest(10).digest
    assert load_profile("mine").limit(everything) is everything


PHOTOS = """
title: Photographs
encoder: {name: RN50, pretrained: openai, quick_gelu: true, device: auto}
dataset: photos
photos: {root: MY_PHOTOS, sets: {imagenet-10: {hard: [imagenet-20]}}}
templates: photo
detectors: {mcm: {}}
id_sets: [imagenet-10]
n_boot: 100
encoders:
  RN50: {name: RN50, pretrained: openai, preprocess: mcm}
  big: {name: ViT-L-14, pretrained: openai, quick_gelu: true}
lexicons:
  food: {nouns: [noun.food], words: 10}
protocols:
  encoders:
    title: Two encoders
    papers: [ming2022delving]
    encoders: [RN50, big]
    prompts: photo
    names: clean
    sets: {imagenet-10: {hard: [imagenet-20]}}
    words: food
    detectors: {mcm: {}}
small: {n_boot: 20, pictures: 10}
"""


@pytest.fixture
def photographs(project, tmp_path, monkeypatch):
    """A profile of photographs, of which there are none."""
    monkeypatch.setenv("MY_PHOTOS", str(tmp_path / "photos"))
    monkeypatch.delenv("OODLIB_DATA", raising=False)
    project(PHOTOS)
    return project


def test_photographs_lie_where_the_profile_says(photographs, tmp_path, monkeypatch):
    profile = load_profile("mine")
    assert profile.photo_root == tmp_path / "photos"
    assert profile.folder == build_root() / "mine"
    assert not profile.is_sample
    assert profile.encoders["big"].pretrained == "openai"
    monkeypatch.delenv("MY_PHOTOS")
    monkeypatch.setenv("OODLIB_DATA", str(tmp_path / "elsewhere"))
    assert profile.photo_root == tmp_path / "elsewhere"
    photographs(GOOD)
    with pytest.raises(OodlibError, match=r"profile mine .*: choose .*`photos`"):
        _ = load_profile("mine").photo_root


@pytest.mark.parametrize("small", [False, True])
def test_a_sample_is_small_has_random_weights_and_its_own_folder(photographs, sample_tree, monkeypatch, small):
    monkeypatch.setenv("MY_PHOTOS", str(sample_tree))
    profile = load_profile("mine", small=small)
    assert (profile.is_sample, profile.is_small, profile.n_boot, profile.pictures) == (True, True, 20, 10)
    assert profile.folder == build_root() / "mine-sample", "numbers that mean nothing never replace others"
    models = [profile.encoder, *profile.encoders.values()]
    assert [model.pretrained for model in models] == ["random"] * 3
    assert {model.name for model in models} == {SMALL_MODEL}
    assert (profile.encoder.quick_gelu, profile.encoders["RN50"].preprocess) == (None, "mcm")
    assert profile.protocols == load_profile("mine").protocols


def test_a_damaged_sample_is_said(photographs, sample_tree, tmp_path):
    (tmp_path / "photos").mkdir()
    shutil.copy(sample_tree / "SAMPLE.json", tmp_path / "photos")
    assert load_profile("mine").is_sample
    (tmp_path / "photos" / "SAMPLE.json").write_text("{", encoding="utf-8")
    with pytest.raises(OodlibError, match=r"SAMPLE\.json is damaged: make the sample again"):
        load_profile("mine")


CHANGES = [
    ({"photos": None}, "`photos` belongs to the data set photos, and to no other"),
    ({"dataset": "emojishift"}, "`photos` belongs to the data set photos, and to no other"),
    ({"id_sets": ["imagenet-20"]}, "`id_sets` and `photos.sets` must name the same ID sets in the same order"),
    ({"encoders": {}}, "the protocol encoders names the encoder RN50, which `encoders` lacks"),
    ({"lexicons": {}}, "the protocol encoders names the words food, which `lexicons` lacks"),
    ({"photos.rooot": 1}, "'photos.rooot' is not a key, the keys are root, names, sets, optional"),
    ({"encoders.big.nam": 1}, "'encoders.big.nam' is not a key, the keys are name, pretrained, quick_gelu"),
    ({"lexicons.food.noun": 1}, "'lexicons.food.noun' is not a key, the keys are nouns, adjectives, single"),
    ({"protocols.encoders.titel": 1}, "'protocols.encoders.titel' is not a key, the keys are title, papers"),
    (
        {"protocols.encoders.tuning": {"method": "coop", "shots": [1], "seed": 1}},
        "'protocols.encoders.tuning.seed' is not a key, the keys are method, shots, views, seeds",
    ),
    ({"protocols.encoders.names": "short"}, "'protocols.encoders.names': input should be 'clean' or 'openai'"),
    ({"small": {"encoders": 3}}, "'encoders': input should be a valid dictionary"),
    ({"small": {"encoders": {"RN50": 3}}}, "'encoders.RN50': input should be"),
]


@pytest.mark.parametrize(("changes", "message"), CHANGES, ids=[message[:40] for _, message in CHANGES])
def test_a_wrong_part_is_named_with_its_place(photographs, sample_tree, monkeypatch, changes, message):
    monkeypatch.setenv("MY_PHOTOS", str(sample_tree))
    values = yaml.safe_load(PHOTOS)
    for key, value in changes.items():
        *path, last = key.split(".")
        place = values
        for part in path:
            place = place[part]
        place[last] = value
    photographs(yaml.safe_dump(values))
    with pytest.raises(OodlibError) as caught:
        load_profile("mine")
    said = str(caught.value)
    assert said.startswith(f"profiles/mine.yaml does not fit: {message}")
    assert "\n" not in said
