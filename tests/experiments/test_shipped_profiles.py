"""The profiles of photographs that come with the book: what they name exists, and which reported numbers they make."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
import timm

from oodlib.datasets import photos
from oodlib.detectors import get_detector, list_detectors
from oodlib.encoders.papers import paper_encoder
from oodlib.encoders.preprocessing import check_variant
from oodlib.experiments.profile_parts import TIMM
from oodlib.experiments.profiles import Profile, load_profile
from oodlib.experiments.protocol_parts import FeatureProtocol, NameProtocol
from oodlib.feature_detectors import get_feature_detector
from oodlib.prompts.sets import templates
from oodlib.report.reported import beside_run, load_reported
from oodlib.tuning import get_tuner, list_tuners

ROOT = Path(__file__).parents[2]
NAMES = ("imagenet", "cifar")
TABLES = ("zero-shot", "near", "hard", "encoders", "imagenet-100", "few-shot")

FOUR = "Places, SUN, Textures, iNaturalist, mean of four"
GROUPS = ["table", "label", "encoder", "shots", "source"]
# Reported numbers of detectors and tuning methods that the library has, which no protocol makes, and why not: table,
# label, encoder, shots, source and OOD sets. Whatever leaves this list or should join it fails the test.
NOT_MADE = {
    ("zero-shot", "MCM", "ViT-B/16", "0", "openoodvlm", FOUR): "its set of prompts, named simple, is not known here",
    ("near", "MCM", "ViT-B/16", "0", "openoodvlm", "NINCO, SSB-hard, mean of SSB-hard and NINCO"): "the same prompts",
    ("zero-shot", "CLIPN", "ViT-B/16", "0", "wang2023clipn", FOUR): 'the "no" tower cannot be loaded, as `clipn` says',
    ("zero-shot", "DNM", "ViT-B/16", "0", "dnm2026", "SUN, iNaturalist"): "which FPR95 is meant is not known",
    ("near", "NegRefine", "ViT-B/16", "0", "ansari2025negrefine", "NINCO, cleaned"): "the set has no card",
    ("encoders", "MCM", "AltCLIP ViT-L/14", "0", "zhang2024cover", FOUR): "open_clip has no such model",
    ("encoders", "MCM", "MetaCLIP ViT-B/16-quickgelu", "0", "zhang2024cover", FOUR): "which of two weights is not said",
    ("encoders", "MCM", "GroupViT", "0", "zhang2024cover", FOUR): "open_clip has no such model",
    ("near", "Energy", "ViT-B/16", "0", "liang2025logitgap", "ImageNet-OOD"): "the set has no card",
    ("near", "MCM", "ViT-B/16", "0", "liang2025logitgap", "ImageNet-OOD"): "the set has no card",
    ("near", "MaxLogit", "ViT-B/16", "0", "liang2025logitgap", "ImageNet-OOD"): "the set has no card",
    ("hard", "MCM", "ViT-B/16", "0", "zhang2024cover", "spurious background"): "`spurious` calls this set placesbg",
    ("few-shot", "CoOp, MCM", "ViT-B/16", "16", "lafon2024gallop", ""): "accuracy, which a run has without a detector",
    ("few-shot", "CoOp, GL-MCM", "ViT-B/16", "16", "lafon2024gallop", ""): "accuracy, as above",
    ("few-shot", "LoCoOp, MCM", "ViT-B/16", "16", "lafon2024gallop", ""): "accuracy, as above",
    ("few-shot", "LoCoOp, GL-MCM", "ViT-B/16", "16", "lafon2024gallop", ""): "accuracy, as above",
    ("few-shot", "LoCoOp, MCM", "ViT-B/16", "", "zhang2024cover", FOUR): "the number of shots was not read",
    ("few-shot", "LoRA, MCM", "ViT-B/16", "1", "li2024setar", FOUR): "no protocol tunes by LoRA",
    ("few-shot", "LoRA, GL-MCM", "ViT-B/16", "1", "li2024setar", ", mean of four"): "no protocol tunes by LoRA",
}
# Protocols of the profile imagenet that make none of the reported numbers, of any table, and why.
NO_NUMBER = {
    "hard-train": "the reported pairs do not say that the OOD pictures are those of the training set",
    "spurious": "its OOD set has another name in the file of reported numbers",
    "neg-label-hard": "no reported number was read",
    "eoe-fine": "no reported number was read",
    "fine-grained": "no reported number was read",
    "probe": "the reported probes learned from all of ImageNet-1k",
}


@pytest.fixture(scope="module")
def shipped(tmp_path_factory) -> dict[str, Profile]:
    """Both, where there are no photographs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("OODLIB_PROJECT", raising=False)
        for variable in ("IMAGENET_ROOT", "CIFAR_ROOT"):
            patch.setenv(variable, str(tmp_path_factory.mktemp("nothing")))
        patch.chdir(ROOT)
        return {name: load_profile(name) for name in NAMES}


@pytest.fixture(scope="module")
def protocols(shipped) -> list[tuple[Profile, str, NameProtocol]]:
    return [(run, label, one) for run in shipped.values() for label, one in run.protocols.items()]


@pytest.fixture(scope="module")
def on_features(shipped) -> dict[str, FeatureProtocol]:
    return {label: one for run in shipped.values() for label, one in run.feature_protocols.items()}


def detector_of(label: str, chosen: dict):
    """The detector of a protocol, with its parameters."""
    parameters = {key: value for key, value in chosen.items() if key != "method"}
    return get_detector(chosen.get("method", label), **parameters)


@pytest.mark.parametrize("name", NAMES)
def test_they_load_small_too(shipped, name, monkeypatch, tmp_path):
    monkeypatch.setenv("OODLIB_PROJECT", str(ROOT))
    monkeypatch.setenv(shipped[name].photos.root, str(tmp_path))
    small, whole = load_profile(name, small=True), shipped[name]
    assert (small.is_small, whole.is_small, whole.is_sample) == (True, False, False)
    assert 4 <= small.pictures <= 10
    assert whole.pictures is None
    assert small.n_boot < whole.n_boot
    assert small.vocabulary.words < whole.vocabulary.words
    assert small.protocols == whole.protocols
    assert small.encoders == whole.encoders


def test_protocols_on_features_name_what_there_is(shipped, on_features):
    assert on_features
    text = (ROOT / "book" / "references.bib").read_text(encoding="utf-8")
    for label, one in on_features.items():
        assert {*one.names_of_sets, one.taught} <= set(photos.names()), label
        assert all(f"{{{paper}," in text for paper in one.papers), label
        for reading in one.detectors.values():
            assert not get_feature_detector(reading.method, **reading.parameters).needs_head, label
        towers = [shipped["imagenet"].encoders[name].name for name in one.encoders]
        assert len(set(towers)) == len(towers)


def test_every_set_has_a_card_and_is_used_as_the_card_says(shipped, protocols):
    for run in shipped.values():
        named = {name for one, kinds in run.photos.sets.items() for sets in kinds.values() for name in [one, *sets]}
        assert named <= set(photos.names())
    for _, label, one in protocols:
        assert set(one.names_of_sets) <= set(photos.names()), label
        for id_set in one.sets:
            assert photos.class_ids(id_set), f"{label}: {id_set} has no list of class names to ask for"
        if one.tuning:
            assert set(one.sets) == {"imagenet-1k"}, f"{label}: the shots are those of imagenet-1k-train"


def test_every_prompt_lexicon_and_preprocessing_exists(shipped, protocols):
    for run in shipped.values():
        templates(run.templates)
        for words in run.lexicons.values():
            for name in (words.prompts, words.adjective_prompts):
                assert name is None or templates(name)
        for choice in [run.encoder, *run.encoders.values()]:
            assert choice.preprocess is None or check_variant(choice.preprocess) is None
    assert all(templates(one.prompts) for _, _, one in protocols)


@pytest.mark.parametrize("name", NAMES)
def test_lexicons_name_files_of_wordnet(shipped, name):
    for label, words in shipped[name].lexicons.items():
        found = words.model_copy(update={"words": 20}).listed()
        assert found["noun"], label
        assert ("adjective" in found) == bool(words.adjectives)


def test_every_encoder_is_one_of_the_papers_with_the_activation_of_its_weights(shipped):
    for run in shipped.values():
        for label, choice in {"": run.encoder, **run.encoders}.items():
            if choice.name.startswith(TIMM):
                assert choice.name.removeprefix(TIMM) in timm.list_pretrained(), label
                continue
            known = paper_encoder(choice.name, choice.pretrained)
            assert known, f"{label}: {choice.label} is none of the papers' encoders"
            assert choice.quick_gelu == known.quick_gelu, label


def test_encoders_of_a_protocol_can_be_told_apart_in_its_rows(protocols):
    """Rows have the model's name and weights, and the preprocessing."""
    for run, label, one in protocols:
        seen = [(run.encoders[name].label, run.encoders[name].preprocess) for name in one.encoders]
        assert len(set(seen)) == len(seen), label


def test_every_detector_and_tuner_takes_its_parameters(shipped, protocols):
    for run in shipped.values():
        for name, parameters in run.detectors.items():
            get_detector(name, **parameters)
    for _, label, one in protocols:
        for name, chosen in one.detectors.items():
            assert detector_of(name, chosen), label
        if one.tuning:
            get_tuner(one.tuning.method, **one.tuning.parameters)


def test_every_protocol_has_the_words_that_its_detectors_need(protocols):
    needy = {"neg_label", "ada_neg", "csp", "clip_scope", "ole", "eoe", "neg_refine", "dnm", "renyi_neg"}
    for _, label, one in protocols:
        methods = {chosen.get("method", name) for name, chosen in one.detectors.items()}
        assert bool(one.words) == bool(methods & needy), label


def test_every_paper_is_in_the_bibliography(protocols):
    text = (ROOT / "book" / "references.bib").read_text(encoding="utf-8")
    known = set(re.findall(r"^@\w+\{([^,\s]+),", text, re.MULTILINE))
    for _, label, one in protocols:
        assert set(one.papers) <= known, label


def cells_of(run: Profile, label: str, one: NameProtocol) -> list[dict]:
    """The rows that a protocol would give, with made-up values."""
    rows = []
    for name in one.encoders:
        for shots in one.tuning.shots if one.tuning else [0]:
            shared = {"encoder": run.encoders[name].label, "tuning": one.tuning.method if one.tuning else "none"}
            shared |= {"shots": shots, "value": 0.5, "low": 0.5, "high": 0.5}
            for id_set, kinds in one.sets.items():
                outside = [other for sets in kinds.values() for other in sets]
                outside += [mean for mean, parts in one.means.items() if set(parts) <= set(outside)]
                about = {"prompts": one.prompts, "protocol": label}
                rows.append(shared | {"id_set": id_set, "ood_set": "", "detector": "argmax", "metric": "id_accuracy"})
                rows[-1]["parameters"] = json.dumps(about)
                for detector, chosen in one.detectors.items():
                    parameters = json.dumps(detector_of(detector, chosen).get_params() | about)
                    rows += [
                        shared
                        | {
                            "id_set": id_set,
                            "ood_set": other,
                            "detector": detector,
                            "metric": metric,
                            "parameters": parameters,
                        }
                        for other in outside
                        for metric in ("auroc", "fpr95", "fpr95_ood")
                    ]
    return rows


@pytest.fixture(scope="module")
def joined(shipped, protocols) -> pd.DataFrame:
    """The reported numbers joined to what all protocols that can be run would give, as on the page of results."""
    rows = pd.DataFrame([row for run, label, one in protocols if not one.not_run for row in cells_of(run, label, one)])
    models = {c.label: (c.name, c.pretrained) for run in shipped.values() for c in run.encoders.values()}
    return beside_run(load_reported(ROOT / "book" / "_data" / "reported.csv"), rows, models)


def test_every_reported_number_that_could_be_made_is_or_has_a_reason(joined):
    """A reader sees in `NOT_MADE` which ones are not."""
    ours = {*list_detectors(), "argmax", *(name for name in joined["detector"] if name.startswith("eoe"))}
    part = joined[joined["table"].isin(TABLES) & joined["detector"].isin(ours)]
    part = part[part["tuning"].isin(["none", *list_tuners()])]
    assert set(part["table"]) == set(TABLES)
    missing = part[part["here"].isna()]
    sets = missing.groupby(GROUPS)["ood_set"].agg(lambda names: ", ".join(sorted(set(names))))
    found = {(*key, names) for key, names in sets.items()}
    assert found - set(NOT_MADE) == set(), "no protocol makes these: name them in one, or say why not"
    assert set(NOT_MADE) - found == set(), "these are made now: take them off the list"
    assert part["here"].notna().mean() > 0.75


def test_a_protocol_that_makes_no_reported_number_has_a_reason(joined, protocols):
    """One whose names are spelled otherwise than those of the reported numbers would stand alone, unseen."""
    used = {json.loads(text)["protocol"] for text in joined["parameters"].dropna()}
    idle = {label for run, label, one in protocols if run.name == "imagenet" and not one.not_run and label not in used}
    assert idle == set(NO_NUMBER)
