"""The detector in the page computes what the library computes: features, five detectors' scores, names that are typed.

Run by node on the folder that the book makes, with few pictures.
"""

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from oodlib.arrays import normalize
from oodlib.concepts import Concepts
from oodlib.detectors import get_detector
from oodlib.detectors._prototypes import hard_prototypes
from oodlib.evaluation.thresholds import at_recall
from oodlib.experiments import Experiment, profiles
from oodlib.pocket.light import LightEncoder
from oodlib.prompts.sets import templates
from oodlib.report.try_it import KINDS, LABELS, border, contents, pack, page_concepts, page_detectors, unpack
from oodlib.report.try_it_files import write_try_it

ROOT = Path(__file__).parents[2]
NODE = shutil.which("node")
DRIVER = Path(__file__).with_name("tryit_engine.mjs")
FEW = ("tiger", "horse", "banana", "pizza")
TYPED = ("striped purple umbrella", "Wasserfall", "old brass trumpet", "tiger")
STRANGE = ("tiger", "Tíger", "", "  ", "tiger ", "猫", "🙂", "猫猫", "y" * 201, "255", "purple tiger", "purple  TIGER")

pytestmark = [pytest.mark.slow, pytest.mark.skipif(NODE is None, reason="there is no node on this machine")]


@pytest.fixture(scope="module")
def lab() -> Experiment:
    return Experiment.of(profiles.load_profile("pocket", small=True))


@pytest.fixture(scope="module")
def whole(lab):
    """What the page knows, before it is rounded."""
    return contents(lab)


@pytest.fixture(scope="module")
def known(whole):
    """The same with features in eight bits, as the page has them."""
    return replace(whole, **unpack(*pack(whole.blocks())))


@pytest.fixture(scope="module")
def site(lab, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "tryit"
    shutil.copytree(ROOT / "book" / "_static" / "tryit", folder)
    write_try_it(folder, lab, ROOT / "node_modules")
    return folder


@pytest.fixture(scope="module")
def photographs() -> list[Image.Image]:
    """Crops of photographs, of every shape; one with transparency."""
    found = [
        Image.fromarray(pixels).crop(box)
        for pixels in load_sample_images().images
        for box in ((0, 0, 128, 128), (10, 20, 400, 300), (100, 0, 200, 420), (0, 0, 640, 427))
    ]
    found[1].putalpha(Image.linear_gradient("L").resize(found[1].size))
    return found


def lists(known) -> dict[str, list[str]]:
    labels = dict.fromkeys(known.words[k] for k in known.labels)
    return {
        "start": list(known.names),
        "few": list(FEW),
        "many": list(dict.fromkeys([*labels, *known.words[-100:]]))[:90],
        "one": ["tiger"],
        "typed": list(TYPED),
        "strange": list(STRANGE),
    }


@pytest.fixture(scope="module")
def told(site, known, photographs, tmp_path_factory) -> dict:
    folder = tmp_path_factory.mktemp("pictures")
    pictures = []
    for place, picture in enumerate(photographs):
        file = folder / f"{place}.rgba"
        file.write_bytes(picture.convert("RGBA").tobytes())
        pictures.append({"width": picture.width, "height": picture.height, "file": file.as_posix()})
    asked = lists(known)
    jobs = [{"names": names, "pictures": pictures} for names in asked.values()]
    done = subprocess.run([str(NODE), str(DRIVER), str(site)], input=json.dumps(jobs).encode(), capture_output=True)
    assert done.returncode == 0, done.stderr.decode()[-600:]
    answer = json.loads(done.stdout)
    return answer | {"answers": dict(zip(asked, answer["answers"], strict=True))}


def test_the_manifest_says_what_there_is(site, told, known):
    manifest = json.loads((site / "manifest.json").read_text(encoding="utf-8"))
    for name, files in manifest["files"].items():
        sizes = [(site / file["path"]).stat().st_size for file in files]
        assert sizes == [file["bytes"] for file in files]
        assert told["sizes"][name] == sum(sizes)
    assert manifest["bytes"] <= 24e6
    assert told["progress"][-1] == [manifest["bytes"], manifest["bytes"]]
    assert [done for done, _ in told["progress"]] == sorted(done for done, _ in told["progress"])
    assert told["defaults"]["names"] == list(known.names)
    for drawing in told["defaults"]["drawings"]:
        assert Image.open(site / drawing["src"]).size == (128, 128)
        assert drawing["kind"] in KINDS
        assert (drawing["name"] in known.names) == (drawing["kind"] == "in")


def test_features_are_the_librarys(told, photographs):
    expected = LightEncoder().encode_images(photographs)
    found = np.array(told["answers"]["few"]["features"])
    assert (found * expected).sum(1).min() > 1 - 1e-6
    assert np.abs(found - expected).max() < 1e-4


@pytest.mark.parametrize("which", ["start", "few", "many", "one"])
@pytest.mark.parametrize("key", LABELS)
def test_scores_are_the_librarys(told, whole, known, which, key):
    names = lists(known)[which]
    detector = page_detectors(names, known.names)[key].fit(page_concepts(known, names)[key])
    if (which, key) == ("start", "ole"):  # rounded names have other clusters: the page has those of the exact ones
        edge = detector.text_[border(whole)["edge"]]
        detector.hard_ = hard_prototypes(edge, detector.kept_, detector.text_, detector.prototype_threshold_)
        detector.bank_ = np.concatenate([detector.kept_, detector.hard_])
    labels = np.array([known.words[k] for k in known.labels])
    own = np.isin(labels, names)
    answer = told["answers"][which]
    found = answer["reference"][key]
    alone = which == "one" and key in ("msp", "mcm")  # the library's scores are infinite
    for part, rows in (("id", own), ("far", ~own & (np.array(known.kinds) == "far"))):
        assert len(found[part]) == rows.sum() > 0
        expected = np.zeros(rows.sum()) if alone else detector.score_samples(known.pictures[rows])
        np.testing.assert_allclose(found[part], expected, rtol=1e-4, atol=1e-4)
    assert found["cut"] == at_recall(found["id"])
    features = np.array(answer["features"], np.float32)
    scores = [reading["score"] for reading in answer["read"][key]]
    if not alone:
        np.testing.assert_allclose(scores, detector.score_samples(features), rtol=1e-4, atol=1e-4)
        shown = [reading["shown"] for reading in answer["read"][key]]
        np.testing.assert_allclose(shown, detector.to_paper(np.array(scores)), rtol=1e-6)


@pytest.mark.parametrize("key", LABELS)
def test_a_reading_tells_who_takes_which_share(told, known, key):
    concepts = page_concepts(known, FEW)["neg_label"]
    answer = told["answers"]["few"]
    for feature, reading in zip(np.array(answer["features"]), answer["read"][key], strict=True):
        assert sorted(one["name"] for one in reading["names"]) == sorted(FEW)
        shares = [one["p"] for one in reading["names"]]
        assert shares == sorted(shares, reverse=True)
        assert (
            reading["names"][0]["name"]
            == FEW[int((known.text[[known.words.index(n) for n in FEW]] @ feature).argmax())]
        )
        weights = [one["weight"] for one in reading["words"]]
        for one in reading["words"]:
            cosine = concepts.outlier_text[concepts.outlier_names.index(one["word"])] @ feature
            assert one["cosine"] == pytest.approx(cosine, abs=1e-5)
        if "outlier_text" in get_detector(key).requires:
            assert weights == sorted(weights, reverse=True)
            assert 0 < sum(shares) + sum(weights) <= 1 + 1e-9
            assert reading["pulledBy"] == (reading["words"][0]["word"] if sum(shares) < 0.5 else None)
        else:
            assert weights == [0] * len(weights)
            assert sum(shares) == pytest.approx(1)
            assert reading["pulledBy"] is None
            near = concepts.outlier_names[int((concepts.outlier_text @ feature).argmax())]
            assert reading["words"][0]["word"] == near


def test_typed_names_are_read_by_the_text_tower(told, known, photographs):
    encoder = LightEncoder()
    text = encoder.encode_texts(TYPED, templates("drawings"))
    concepts = Concepts(TYPED, text, logit_scale=encoder.logit_scale)
    answer = told["answers"]["typed"]
    assert answer["unknown"] == []
    energy = get_detector("energy").fit(concepts).score_samples(np.array(answer["features"], np.float32))
    found = [reading["score"] for reading in answer["read"]["energy"]]
    np.testing.assert_allclose(found, energy, atol=0.01)
    best = [reading["names"][0]["name"] for reading in answer["read"]["energy"]]
    cosines = np.array(answer["features"]) @ normalize(text).T
    sure = np.sort(cosines)[:, -1] - np.sort(cosines)[:, -2] > 0.02
    assert sure.any()
    assert [TYPED[k] for k in cosines[sure].argmax(1)] == [best[k] for k in np.flatnonzero(sure)]


def test_names_that_mean_nothing_are_told(told):
    answer = told["answers"]["strange"]
    used = [one["name"] for one in answer["read"]["energy"][0]["names"]]
    assert sorted(used) == sorted(["tiger", "255", "purple tiger"])
    assert set(answer["unknown"]) == {"猫", "🙂", "猫猫"} - set(used)
    said = " ".join(answer["notes"])
    for part in ("cannot tell “Tíger” from “tiger”", "nothing of “猫”", "more than 200 characters", "“255” looks like"):
        assert part in said
    assert "no drawings of these names" not in said
    assert "MSP and MCM" in " ".join(told["answers"]["one"]["notes"])


def test_where_ole_may_differ_from_the_library_it_is_said(told, known):
    """Classes are clustered in Python alone: with two clusters or more of other names than the page starts with."""
    many = 2 * get_detector("ole").get_params()["each"]
    for which, names in lists(known).items():
        said = any("OLE near the cut" in note for note in told["answers"][which]["notes"])
        assert said == (which != "start" and len(names) >= many), which
    assert len(lists(known)["many"]) >= many


def test_eight_bits_keep_the_decisions(whole, known):
    for key in LABELS:
        scores = [
            page_detectors(one.names, one.names)[key]
            .fit(page_concepts(one, one.names)[key])
            .score_samples(whole.pictures)
            for one in (whole, known)
        ]
        cut = at_recall(scores[0][np.array(whole.kinds) == "in"])
        assert ((scores[0] >= cut) == (scores[1] >= cut)).mean() > 0.98, key
