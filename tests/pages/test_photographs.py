"""The book of the profile `imagenet`, made whole from a made-up tree: real layouts, real class ids, random weights."""

import json
import re
from pathlib import Path

import pytest

from oodlib import provenance
from oodlib.book import chapters, notebooks, site, staging
from oodlib.evaluation.results import read_results
from oodlib.experiments.profiles import load_profile

pytestmark = [pytest.mark.notebook, pytest.mark.slow]
OWN = (
    "zero_shot",
    "outlier_words",
    "ole",
    "outlier_methods",
    "outlier_failures",
    "conventions",
    "results",
    "photographs",
)
# What a sample cannot run, and says so.
EXPECTED = (
    *("this run takes only the first", "fewer than 16 pictures", "is a checkpoint of its authors"),
    *("labels are envisioned", "tuned on all 1.28 million pictures"),
)


@pytest.fixture(scope="module")
def made(built, small, sample_tree):
    """The folder of the sample's run, beside the book that it takes pages about EmojiShift from."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IMAGENET_ROOT", str(sample_tree))
        # A sample takes them from the small book; here from that which is there.
        for module in (chapters, notebooks, staging):
            patch.setattr(module, "load_profile", lambda name, **_: load_profile(name, small=small))
        profile = load_profile("imagenet")
        assert profile.is_sample
        for name, run_as in chapters.runs_of(profile):
            notebooks.execute(name, run_as.name, small=run_as.is_small)
        index, _ = site.build("imagenet")
        assert index.parent.parent == profile.folder == built.parent / "imagenet-sample"
        yield profile.folder


def text_of(made: Path, page: str) -> str:
    return (made / "html" / "notebooks" / f"{page}.html").read_text(encoding="utf-8")


def test_every_page_of_photographs_warns_and_no_other(made):
    for name in chapters.notebook_names():
        own = (made / "runs" / f"{name}.json").is_file()
        assert ("The numbers on this page mean nothing" in text_of(made, name)) == own, name
        assert own or name not in OWN


def test_pages_about_emojishift_are_those_of_the_pocket_book(made, built):
    record = provenance.read_record(built / "runs" / "emojishift.json")
    assert record.run in text_of(made, "emojishift")


def test_the_model_has_random_weights_and_says_so(made):
    record = provenance.read_record(made / "runs" / "zero_shot.json")
    assert (record.encoder["model"], record.encoder["pretrained"]) == ("ViT-S-32-alt", "random")
    assert {"imagenet-1k", "inaturalist", "ninco"} <= set(record.manifests)


def test_the_protocols_ran_or_say_why_not(made):
    text = re.sub(r"<[^>]+>", "", text_of(made, "photographs"))
    reasons = re.findall(r"not run here: ([^\n]+)", text)
    assert reasons
    strange = [reason for reason in reasons if not any(part in reason for part in EXPECTED)]
    assert all("tokenizer of ViT-B-16-SigLIP" in reason for reason in strange), strange
    rows = read_results(made / "results")
    of_papers = rows[rows["parameters"].str.contains('"protocol"')]
    ran = {json.loads(parameters)["protocol"] for parameters in of_papers["parameters"]}
    assert {"mcm", "gl-mcm", "hard", "neg-label", "csp", "clip-scope", "ole-plain", "spurious", "locoop"} <= ran
    assert {"mean of four", "waterbirds"} <= {*of_papers["ood_set"], *of_papers["id_set"]}
    assert of_papers["encoder"].str.endswith(" random").all()


def test_made_up_numbers_are_never_set_beside_reported_ones(made):
    text = text_of(made, "results")
    assert "None of them was run here." in text
    assert 'id="tab-results-beside' not in text
