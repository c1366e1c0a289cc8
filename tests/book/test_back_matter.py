"""The fragments of the back matter say what the records and CITATION.cff say."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from oodlib.book.back_matter import cite, wall_times
from oodlib.book.launch import Edition
from oodlib.provenance import RunRecord

ROOT = Path(__file__).parents[2]
RECORD = RunRecord(
    name="page",
    profile="pocket",
    run="0123456789ab",
    commit="c" * 40,
    dirty=False,
    parameters={},
    source_sha256="",
    code_sha256="",
    lock_sha256="",
    platform="Linux x86_64",
    cpus=2,
    started="2026-01-02T03:04:05+00:00",
    wall_seconds=1234.4,
    cpu_seconds=2001.6,
    processor="AMD EPYC, AVX2, no bfloat16",
)
LINK = "{download}`0123456789ab </runs/0123456789ab.json>` |"
CITATION = {"title": "A: b", "version": "1.2.3", "authors": [{"name": "The group"}]}


def test_every_notebook_has_a_row_and_the_sum_is_theirs():
    old = replace(
        RECORD,
        run="b" * 12,
        cpus=0,
        wall_seconds=65.4,
        cpu_seconds=0,
        processor="",
        started="2025-12-31T23:59:00+00:00",
    )
    text = wall_times({"one": RECORD, "two": old, "three": replace(RECORD, cpus=1, wall_seconds=0.2, cpu_seconds=1)})
    rows = [re.sub("\N{NO-BREAK SPACE}", " ", line) for line in text.splitlines() if line.startswith("|")][2:]
    assert rows == [
        "| {doc}`/notebooks/one` | 1,234 | 2,002 | 2 Jan 2026 03:04 | Linux x86_64, 2 cores | " + LINK,
        "| {doc}`/notebooks/two` | 65 | - | 31 Dec 2025 23:59 | Linux x86_64 | "
        + LINK.replace("0123456789a", "b" * 11),
        "| {doc}`/notebooks/three` | 0 | 1 | 2 Jan 2026 03:04 | Linux x86_64, 1 core | " + LINK,
        "| all 3 | 1,300 | 2,003 | | | |",
    ]
    assert text.startswith("Measured on: AMD EPYC, AVX2, no bfloat16.\n"), "said once"
    assert text.endswith("Together that is 22 minutes.\n")


@pytest.mark.parametrize(("seconds", "said"), [(89, "89 seconds"), (600, "10 minutes"), (7200, "2.0 hours")])
def test_a_span_is_said_in_the_unit_that_people_use(seconds, said):
    assert f"Together that is {said}." in wall_times({"one": replace(RECORD, wall_seconds=seconds)})


def test_the_citation_is_that_of_the_file():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    text = cite(citation)
    assert "@software{outliers_by_name,\n" in text
    assert f"  title = {{{{{citation['title']}}}}},\n" in text
    assert f"  version = {{{citation['version']}}}\n" in text, "the last field, where nothing more is known"
    assert text.startswith(f"{citation['authors'][0]['name']}. *{citation['title']}*. Version {citation['version']}\n")


def test_what_is_known_more_is_said_more():
    people = [{"family-names": "Doe", "given-names": "Jo"}, {"name": "The group"}]
    more = {"authors": people, "date-released": "2026-05-06", "doi": "10.5/x", "url": "https://example.org"}
    text = cite(CITATION | more, Edition("a/b", "v1.2.3"))
    for part in (
        "author = {Doe, Jo and {The group}}",
        "year = {2026}",
        "doi = {10.5/x}",
        "url = {https://example.org}",
    ):
        assert part in text
    assert "Version 1.2.3. 2026. <https://doi.org/10.5/x>. <https://example.org>" in text
    assert "url = {https://github.com/a/b/tree/v1.2.3}" in cite(CITATION, Edition("a/b", "v1.2.3"))
    assert "url" not in cite(CITATION)
