"""What a run on photographs needs, before it starts: what is there, what is missing, whether it may go on."""

import io
import shutil

import pytest
from rich.console import Console

from oodlib.datasets import photos
from oodlib.errors import OodlibError
from oodlib.experiments import preflight
from oodlib.experiments.preflight import Need, check, needs
from oodlib.experiments.profiles import Profile, load_profile
from oodlib.experiments.protocol_parts import Tuning

ROOTS = {"imagenet": "IMAGENET_ROOT", "cifar": "CIFAR_ROOT"}


def screen(run: Profile) -> tuple[list[str], str]:
    """The lines that are said on a screen of 80 columns, and the error."""
    said = io.StringIO()
    with pytest.raises(OodlibError) as caught:
        check(run, Console(file=said, width=80))
    return said.getvalue().splitlines(), str(caught.value)


@pytest.fixture
def nothing(tmp_path, monkeypatch):
    """No photographs, and no weights."""
    for variable in ROOTS.values():
        monkeypatch.setenv(variable, str(tmp_path / "nothing"))
    monkeypatch.setattr(preflight, "weights_here", lambda name, pretrained: pretrained == "random")
    return tmp_path / "nothing"


@pytest.fixture
def tree(sample_tree, tmp_path, monkeypatch):
    """A copy of the made-up tree, to take something out of."""
    for folder in sample_tree.iterdir():
        (tmp_path / folder.name).symlink_to(folder)
    monkeypatch.setenv("IMAGENET_ROOT", str(tmp_path))
    return tmp_path


def damaged(tree, sample_tree):
    """Textures without one of its classes."""
    (tree / "dtd").unlink()
    shutil.copytree(sample_tree / "dtd", tree / "dtd")
    shutil.rmtree(tree / "dtd" / "images" / "banded")


@pytest.mark.parametrize("name", list(ROOTS))
def test_with_nothing_there_one_screen_says_what_to_get(nothing, name):
    run = load_profile(name)
    lines, error = screen(run)
    assert len(lines) <= 32, "one screen"
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    assert "…" not in text, "nothing is cut off"
    wanted = needs(run)
    for need in wanted:
        (line,) = [line for line in lines if line.startswith(f"{need.what} ")]
        assert need.state in line
        assert need.size in line
        assert need.source in line
    assert "oodlib data get NAME" in text
    needed, optional = ([need.what for need in wanted if need.needed is flag] for flag in (True, False))
    positions = [text.index(f"\n{what} ") for what in (*needed, *optional)]
    assert positions == sorted(positions)
    sets = [what for what in needed if what != run.encoder.label]
    assert error.startswith(f"{', '.join(sets)} cannot be read in {nothing}: get them as the list says")
    assert f"set {ROOTS[name]} to the folder" in error
    assert "tools/sample_tree.py" in error
    assert "\n" not in error


def test_what_the_pages_need_comes_first(nothing):
    run = load_profile("imagenet")
    found = {need.what: need for need in needs(run)}
    needed = {what for what, need in found.items() if need.needed}
    assert needed == {"imagenet-1k", "inaturalist", "sun", "places", "textures", "ninco", "ViT-B-16 openai"}
    assert {"ssb-hard", "imagenet-o", "openimage-o", "cub-200", "imagenet-1k-train"} <= set(found) - needed
    assert "imagenet-20" not in found, "a part of imagenet-1k comes with it"
    assert found["textures"] == Need("textures", "not there", False, True, "625.2 MB", "robots.ox.ac.uk", "get")
    assert found["ninco"].size == "about 674.4 MB", "of the same pictures in another packing"
    assert found["sun"].size == "10,000 pictures", "where no size is known"
    assert found["RN50 openai"] == Need("RN50 openai", "not there", False, False, "408.2 MB", "huggingface.co", "")
    assert [need.needed for need in needs(run)] == sorted((need.needed for need in needs(run)), reverse=True)


def test_training_pictures_are_for_what_is_tuned(nothing):
    run = load_profile("cifar")
    assert "imagenet-1k-train" not in {need.what for need in needs(run)}
    (label, one), *_ = run.protocols.items()
    tuned = one.model_copy(update={"tuning": Tuning(method="coop", shots=[1])})
    run = run.model_copy(update={"protocols": {label: tuned}})
    assert "imagenet-1k-train" in {need.what for need in needs(run) if not need.needed}


def test_a_profile_of_drawings_needs_no_photographs():
    assert needs(load_profile("pocket")) == []


def test_a_sample_says_that_its_numbers_mean_nothing_and_goes_on(tree):
    said = io.StringIO()
    run = load_profile("imagenet")
    assert run.is_sample
    check(run, Console(file=said, width=200))
    text = said.getvalue()
    assert f"made-up pictures in {tree}: small settings, random weights, numbers that mean nothing" in text
    assert not any(f"{need.what} " in text for need in needs(run) if need.fine)
    assert "needed by every page" not in text


def test_an_optional_set_that_is_not_there_stops_nothing(tree):
    (tree / "imagenet-o").unlink()
    (tree / "waterbird_complete95_forest2water2").unlink()
    said = io.StringIO()
    check(load_profile("imagenet"), Console(file=said, width=80))
    assert "needed by some tables, which say so without it:\n" in said.getvalue()
    assert "imagenet-o " in said.getvalue()
    assert "waterbirds " in said.getvalue()


def test_a_set_that_is_wrong_is_to_be_checked(tree, sample_tree):
    damaged(tree, sample_tree)
    lines, error = screen(load_profile("imagenet"))
    (line,) = [line for line in lines if line.startswith("textures ")]
    assert "not complete" in line
    assert any("oodlib data check NAME" in line for line in lines)
    assert error.startswith("textures cannot be read")


def test_an_optional_set_of_the_pages_that_is_wrong_stops_them(tree, sample_tree):
    """The pages would read it, and fail: better before anything is embedded."""
    run = load_profile("imagenet")
    optional = run.photos.model_copy(update={"optional": ["textures"]})
    run = run.model_copy(update={"photos": optional})
    damaged(tree, sample_tree)
    assert screen(run)[1].startswith("textures cannot be read")
    shutil.rmtree(tree / "dtd")
    check(run, Console(file=io.StringIO()))


def test_a_folder_with_brackets_is_named_as_it_is(nothing, tmp_path, monkeypatch):
    folder = tmp_path / "a [red] place, with a name that is longer than a screen is wide, as folders of data may be"
    folder.mkdir()
    (folder / "SAMPLE.json").write_text('{"sample": true, "classes": [], "others": {}}', encoding="utf-8")
    monkeypatch.setenv("CIFAR_ROOT", str(folder))
    lines, error = screen(load_profile("cifar"))
    assert any(str(folder) in line for line in lines), "in one line, to copy it"
    assert str(folder) in error


def test_a_part_is_looked_at_with_the_set_it_comes_with(tree, sample_tree):
    """A class of imagenet-20 that is missing is a problem of imagenet-1k."""
    (tree / "imagenet").unlink()
    shutil.copytree(sample_tree / "imagenet", tree / "imagenet")
    shutil.rmtree(tree / "imagenet" / "val" / photos.class_ids("imagenet-20")[0])
    found = {need.what: need for need in needs(load_profile("imagenet"))}
    assert (found["imagenet-1k"].fine, found["imagenet-1k"].how) == (False, "check")
