"""What Jupyter Book builds from: pages of two profiles in one book, and the warning on a made-up sample."""

import json
import re
import shutil
from pathlib import Path

import nbformat
import pytest
import yaml

from oodlib.book import staging
from oodlib.errors import OodlibError
from oodlib.experiments.profiles import load_profile
from oodlib.provenance import RunRecord, read_record, stamp

ROOT = Path(__file__).parents[2]
DRAWINGS = {
    "title": "Drawings",
    "encoder": {"name": "none"},
    "dataset": "emojishift",
    "templates": "none",
    "detectors": {"mcm": {}},
    "id_sets": ["none"],
    "n_boot": 10,
    "small": {"n_boot": 11},
}
PHOTOGRAPHS = DRAWINGS | {
    "title": "Photographs",
    "dataset": "photos",
    "id_sets": ["imagenet-10"],
    "photos": {"root": "STAGING_ROOT", "sets": {"imagenet-10": {"hard": ["imagenet-20"]}}},
}


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A checkout with a profile of drawings and one of photographs, of which there are none."""
    monkeypatch.setenv("OODLIB_PROJECT", str(tmp_path))
    monkeypatch.setenv("STAGING_ROOT", str(tmp_path / "photos"))
    monkeypatch.delenv("OODLIB_BUILD", raising=False)
    for folder in ("book", "notebooks", "profiles"):
        (tmp_path / folder).mkdir()
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: book/index\n", encoding="utf-8")
    (tmp_path / "book" / "index.md").write_text("# A book\n", encoding="utf-8")
    (tmp_path / "node_modules").symlink_to(ROOT / "node_modules")
    for name, values in (("pocket", DRAWINGS), ("photos", PHOTOGRAPHS)):
        (tmp_path / "profiles" / f"{name}.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    return tmp_path


def executed(project: Path, name: str, profile: str, *, about: str = "", reads: tuple[str, ...] = ()) -> RunRecord:
    """A page as an execution leaves it: the notebook, its products with the profile's name in them, its record."""
    folder = load_profile(profile).folder
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(f"# {name}\n\nWhat it is about.")])
    book["metadata"]["oodlib"] = {"reads": list(reads)} | ({"profile": about} if about else {})
    (folder / "notebooks").mkdir(parents=True, exist_ok=True)
    for path in (project / "notebooks", folder / "notebooks"):
        nbformat.write(book, path / f"{name}.ipynb")
    products = [f"figures/{name}.svg", f"tables/{name}.csv", f"results/{name}.parquet", f"results/{name}.csv"]
    for path in products:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(f"{name} under {profile}", encoding="utf-8")
    record = folder / "runs" / f"{name}.json"
    facts = {
        "name": name,
        "profile": profile,
        "run": f"run-of-{name}",
        "parameters": {},
        "products": dict.fromkeys(products, "x"),
    }
    facts |= {"inputs": {}, "source_sha256": "x", "started": "2026-01-01T00:00:00+00:00", "wall_seconds": 1.0}
    stamp(record, root=project, **facts)
    return read_record(record)


def text_of(source: Path, name: str) -> list[str]:
    """The cells of a staged page."""
    cells = json.loads((source / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells]


def laid_out(project: Path, profile: str, pages: dict[str, RunRecord]) -> Path:
    source = project / "src"
    shutil.rmtree(source, ignore_errors=True)
    staging.stage(project, load_profile(profile), pages, source)
    return source


def test_each_page_brings_what_its_own_profile_made(project):
    pages = {
        "mine": executed(project, "mine", "photos"),
        "borrowed": executed(project, "borrowed", "pocket", about="pocket"),
    }
    source = laid_out(project, "photos", pages)
    for name, profile in (("mine", "photos"), ("borrowed", "pocket")):
        for path in (f"figures/{name}.svg", f"tables/{name}.csv", f"downloads/{profile}/results/{name}.csv"):
            assert (source / path).read_text(encoding="utf-8") == f"{name} under {profile}"
        assert (source / "downloads" / profile / "notebooks" / f"{name}.ipynb").is_file()
        record = json.loads((source / "runs" / f"run-of-{name}.json").read_text(encoding="utf-8"))
        assert (record["name"], record["profile"]) == (name, profile)
        assert f"</downloads/source/{name}.source.ipynb>" in text_of(source, name)[-1]
        written = (project / "notebooks" / f"{name}.ipynb").read_bytes()
        assert (source / "downloads" / "source" / f"{name}.source.ipynb").read_bytes() == written
        assert text_of(source, name)[0] == f"# {name}"
    assert not (source / "results").exists(), "files that no page shows stay where they are"


def test_a_page_shows_its_parameters_once_and_names_its_folds(project):
    pages = {"mine": executed(project, "mine", "photos")}
    path = load_profile("photos").folder / "notebooks" / "mine.ipynb"
    book = nbformat.read(path, as_version=4)
    for source, tag in (
        ("small = False", "parameters"),
        ("small = True", "injected-parameters"),
        ("import os", "hide-input"),
    ):
        book["cells"].append(nbformat.v4.new_code_cell(source, metadata={"tags": [tag]}))
    nbformat.write(book, path)
    source = laid_out(project, "photos", pages)
    cells = json.loads((source / "notebooks" / "mine.ipynb").read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert ["".join(cell["source"]) for cell in code] == ["small = True", "import os"]
    assert code[1]["metadata"]["mystnb"]["code_prompt_show"] == "Code: imports and settings"


def test_two_profiles_may_have_results_of_one_name(project):
    """A page about another profile reads that profile's results; both offer their own to take along."""
    executed(project, "shared", "pocket")
    pages = {
        "shared": executed(project, "shared", "photos"),
        "borrowed": executed(project, "borrowed", "pocket", about="pocket", reads=("results",)),
    }
    source = laid_out(project, "photos", pages)
    for name, profile in (("shared", "photos"), ("borrowed", "pocket")):
        below = "\n".join(text_of(source, name))
        (path,) = set(re.findall(r"`shared\.csv <([^>]+)>", below))
        assert (source / path.lstrip("/")).read_text(encoding="utf-8") == f"shared under {profile}"


def test_every_page_of_a_sample_says_that_its_numbers_mean_nothing(project, sample_tree, monkeypatch):
    monkeypatch.setenv("STAGING_ROOT", str(sample_tree))
    assert load_profile("photos").is_sample
    pages = {name: executed(project, name, "photos") for name in ("one", "two")}
    pages["borrowed"] = executed(project, "borrowed", "pocket", about="pocket")
    executed_small = load_profile("pocket", small=True).folder
    shutil.copytree(load_profile("pocket").folder, executed_small)
    source = laid_out(project, "photos", pages)
    for name in ("one", "two"):
        first, second, *_ = text_of(source, name)
        assert first == f"# {name}"
        assert second == staging.SAMPLE, "right under the title"
    assert staging.SAMPLE not in text_of(source, "borrowed"), "its pictures are real"


def test_a_page_of_real_pictures_has_no_warning(project):
    source = laid_out(project, "photos", {"one": executed(project, "one", "photos")})
    assert not any("mean nothing" in text for text in text_of(source, "one"))


def test_mathjax_missing_is_said(project):
    (project / "node_modules").unlink()
    with pytest.raises(OodlibError, match="MathJax is missing"):
        laid_out(project, "photos", {})


def test_what_scripts_read_lies_where_they_look(project):
    record = executed(project, "moving", "pocket")
    record.products["cut/moving.js"] = "x"
    path = load_profile("pocket").folder / "cut" / "moving.js"
    path.parent.mkdir()
    path.write_text("window.oodlibCuts = {};", encoding="utf-8")
    source = laid_out(project, "pocket", {"moving": record})
    assert (source / "book" / "_static" / "cut" / "moving.js").is_file()
    assert not (source / "book" / "_static" / "plotly").exists(), "plotly is for the map alone"


def test_a_page_opens_with_its_finding_in_words_and_then_in_figures(project):
    record = executed(project, "opening", "pocket")
    path = load_profile("pocket").folder / "notebooks" / "opening.ipynb"
    book = nbformat.read(path, as_version=4)
    for text in ("the figure", "**The finding.** It is so.", "the map"):
        data = {"text/markdown": text}
        shown = nbformat.v4.new_output("display_data", data=data)
        book.cells.append(nbformat.v4.new_code_cell("", outputs=[shown], metadata={"tags": ["lead"]}))
    nbformat.write(book, path)
    cells = text_of(laid_out(project, "pocket", {"opening": record}), "opening")
    assert "**The finding.** It is so.\n\nthe figure\n\nthe map" in cells
