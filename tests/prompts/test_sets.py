import hashlib

import open_clip
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from oodlib.errors import OodlibError
from oodlib.prompts.sets import TEMPLATES, ensemble, fill, templates


def test_every_named_set_takes_a_name_exactly_once():
    for name in TEMPLATES:
        assert all("cat" in prompt for prompt in fill(["cat"], templates(name)))


def test_unknown_set_is_named_with_the_choices():
    with pytest.raises(OodlibError, match="no template set 'foto': choose one of bare, photo"):
        templates("foto")


@pytest.mark.parametrize("wrong", ["a photo of a {c}", "a photo", "{} and {}"])
def test_template_of_another_library_is_refused(wrong):
    with pytest.raises(OodlibError, match="exactly once"):
        fill(["cat"], [wrong])


@given(st.text(min_size=1, max_size=20))
def test_names_with_braces_are_only_text(name):
    assert fill([name], ["a {}"]) == ["a " + name]


def test_ensemble_ignores_the_length_of_single_prompts():
    features = torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(0))
    assert_close(ensemble(features), ensemble(features * torch.tensor([1.0, 9, 2, 0.1, 5]).view(1, 5, 1)))
    assert_close(ensemble(features).norm(dim=-1), torch.ones(3))


def test_sets_are_as_long_as_those_of_the_official_codes(golden):
    g = golden("csp")
    assert len(templates("csp-noun")) == g["noun_text_raw"].shape[1] == len(set(templates("csp-noun")))
    assert len(templates("csp-adjective")) == g["adj_text_raw"].shape[1] == len(set(templates("csp-adjective")))
    assert list(templates("five")) == golden("eoe")["ens_templates"].tolist()


def test_openais_eighty_are_those_of_open_clip():
    assert list(templates("openai-80")) == [fill_in("{}") for fill_in in open_clip.OPENAI_IMAGENET_TEMPLATES]


def test_clipns_lines_keep_their_quotes():
    """The hash is that of the lines as they were read in CLIPN's file."""
    lines = templates("clipn")
    assert len(lines) == len(set(lines)) == 128
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16] == "b6c115442a72f3d7"
    assert lines[0] == "'a bad photo of a {}.'"
    assert lines[34] == "'a photo of a {}.',"
    assert fill(["cat"], lines)[-1] == "'a tattoo with the cat.'"


def test_datasets_have_coops_prompts():
    assert templates("coop-food") == ("a photo of {}, a type of food.",)
    assert fill(["beagle"], templates("coop-pet")) == ["a photo of a beagle, a type of pet."]
