"""What notebooks put on their pages."""

import json
from dataclasses import replace

import pandas as pd
import pytest
from matplotlib.figure import Figure

from oodlib import provenance
from oodlib.provenance import RunRecord
from oodlib.report import pages
from oodlib.report.cells import NBSP, Interval


@pytest.fixture
def shown(monkeypatch) -> list:
    caught: list = []
    monkeypatch.setattr(pages, "display", lambda data, **_: caught.append(data))
    return caught


def test_a_figure_goes_out_with_its_alternative_text_in_both_forms(shown, tmp_path, monkeypatch):
    monkeypatch.setenv(provenance.PRODUCTS_VARIABLE, str(tmp_path))
    alt = 'A "curve" that rises: first slowly,\nthen fast'
    pages.show(Figure(), "curve", alt=alt, caption="The curve.")
    markdown, twin = shown[0]["text/markdown"], shown[0]["text/html"]
    assert ':alt: "A \\"curve\\" that rises: first slowly, then fast"' in markdown
    assert markdown.startswith("```{figure} /figures/curve.svg\n:name: fig-curve\n")
    assert 'alt="A &quot;curve&quot; that rises' in twin
    assert (tmp_path / "figures" / "curve.svg").read_bytes().startswith(b"<svg ")


def test_an_interactive_run_writes_no_file(shown, tmp_path, monkeypatch):
    monkeypatch.delenv(provenance.PRODUCTS_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    pages.show(Figure(), "curve", alt="A curve that rises slowly", caption="The curve.")
    assert list(tmp_path.iterdir()) == []
    assert "data:image/svg+xml;base64," in shown[0]["text/html"]


@pytest.mark.parametrize("alt", ["", "   ", "figure 1"])
def test_a_figure_without_alternative_text_is_refused(shown, alt):
    with pytest.raises(ValueError, match="alternative text"):
        pages.show(Figure(), "curve", alt=alt, caption="The curve.")
    assert shown == []


def test_a_table_shows_what_it_is_given():
    frame = pd.DataFrame({"score": ["a|b", "c"], "n": [1, 22]})
    markdown = pages.table_markdown(frame, name="counts", caption="Counts in `code`.")
    assert markdown.splitlines() == [
        ":::{table} Counts in `code`.",
        ":name: tab-counts",
        "",
        "| score | n |",
        "|---|---:|",
        "| a\\|b | 1 |",
        "| c | 22 |",
        ":::",
    ]


def test_a_recorded_table_links_its_rows_and_its_run(shown, tmp_path, monkeypatch):
    frame = pd.DataFrame({"score": ["`mcm`"], "AUROC": [Interval(0.9, 0.8, 0.95)]})
    monkeypatch.delenv(provenance.PRODUCTS_VARIABLE, raising=False)
    pages.table(frame, "counts", caption="Counts.")
    monkeypatch.setenv(provenance.PRODUCTS_VARIABLE, str(tmp_path))
    monkeypatch.setenv(provenance.RUN_VARIABLE, "0123456789ab")
    pages.table(frame, "counts", caption="Counts.")
    data = "{download}`Data (csv) </tables/counts.csv>`"
    assert [part["text/markdown"].splitlines()[0] for part in shown] == [
        ":::{table} Counts.",
        f":::{{table}} Counts. {data} {{download}}`Run 0123456789ab </runs/0123456789ab.json>`",
    ]
    assert all("csv" not in part["text/html"] for part in shown), "there is no file beside a notebook program"
    rows = (tmp_path / "tables" / "counts.csv").read_text(encoding="utf-8")
    assert rows == "score,AUROC,AUROC low,AUROC high\nmcm,90.0,80.0,95.0\n"


def test_a_group_is_named_once_on_the_page_and_in_every_row_of_the_file(shown, tmp_path, monkeypatch):
    monkeypatch.setenv(provenance.PRODUCTS_VARIABLE, str(tmp_path))
    frame = pd.DataFrame({"set": ["far", "far", "near", "near"], "score": ["mcm", "msp", "mcm", "msp"]})
    pages.table(frame, "pairs", caption="Pairs.", group="set")
    assert shown[0]["text/markdown"].splitlines()[5:9] == [
        "| far | mcm |",
        "|  | msp |",
        "| near | mcm |",
        "|  | msp |",
    ]
    assert shown[0]["text/html"].count("far") == 1
    rows = (tmp_path / "tables" / "pairs.csv").read_text(encoding="utf-8").splitlines()
    assert rows == ["set,score", "far,mcm", "far,msp", "near,mcm", "near,msp"]
    assert frame["set"].tolist() == ["far", "far", "near", "near"], "the caller's frame stays as it is"


def test_a_long_table_can_stand_in_a_fold(shown):
    frame = pd.DataFrame({"n": [1]})
    pages.table(frame, "counts", caption="Counts.", fold="All 5 % of them")
    markdown = shown[0]["text/markdown"]
    inside = pages.table_markdown(frame, name="counts", caption="Counts.")
    assert markdown.splitlines()[:2] == [
        f"::::{{admonition}} All 5{NBSP}% of them",
        ":class: dropdown note table-fold",
    ]
    assert inside in markdown
    assert markdown.endswith(":::\n::::"), "the outer fence is the longer one"
    assert shown[0]["text/html"].startswith("<details><summary>All 5 % of them</summary>")


def test_a_percent_sign_stays_with_its_number(shown):
    pages.say("about 5 % of it")
    assert shown[0].data == "about 5\N{NO-BREAK SPACE}% of it"


def test_the_fold_names_every_ingredient():
    record = RunRecord(
        name="page",
        profile="pocket",
        run="0123456789ab",
        commit="c" * 40,
        dirty=True,
        parameters={"small": True},
        source_sha256="d" * 64,
        code_sha256="e" * 64,
        lock_sha256="absent",
        versions={"python": "3.11"},
        platform="Linux x86_64",
        seeds={"bootstrap": 4},
        manifests={"emojishift": "f" * 64},
        encoder={"model": "pocket", "digest": "a" * 64},  # as `Encoder.spec` has it
        embeddings={"emojishift": "b" * 64},
        started="2026-01-02T03:04:05+00:00",
        wall_seconds=12.34,
    )
    fold = pages.how_made(record, "/source/page.ipynb", ["/results/a.csv"])
    for part in (
        "0123456789ab",
        "c" * 12,
        "not committed",
        "small = True",
        "d" * 12,
        "absent",
        "python 3.11",
        "bootstrap = 4",
    ):
        assert part in fold
    for part in (
        "emojishift = " + "f" * 12,
        "a" * 12,
        "b" * 12,
        "2026-01-02T03:04:05",
        "12.3 s",
        "Linux x86_64",
        "float32 on cpu",
    ):
        assert part in fold
    for link in ("0123456789ab </runs/0123456789ab.json>", "notebook </source/page.ipynb>", "a.csv </results/a.csv>"):
        assert f"{{download}}`{link}`" in fold
    assert "**Model**: pocket, digest" in fold
    assert "Model" not in pages.how_made(replace(record, encoder={}), "/page.ipynb"), (
        "a page without one does not speak of it"
    )
    assert "dropdown" in fold
    json.dumps(fold)
