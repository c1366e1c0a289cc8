"""Fragments that the pages of the back matter include: how long every notebook took, and how to cite the book."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from oodlib.book.launch import Edition
from oodlib.provenance import RunRecord, run_link

NBSP = "\N{NO-BREAK SPACE}"


def wall_times(records: Mapping[str, RunRecord]) -> str:
    """What the times were measured on, and a table in MyST of what every notebook took, in the order of the pages.

    Parameters
    ----------
    records : mapping of notebook name to RunRecord
    """
    rows = [
        f"| {{doc}}`/notebooks/{name}` | {record.wall_seconds:,.0f} | {_cpu(record)} | {_when(record.started)} "
        f"| {_machine(record)} | {run_link(record.run)} |"
        for name, record in records.items()
    ]
    seconds = sum(record.wall_seconds for record in records.values())
    computing = sum(record.cpu_seconds for record in records.values())
    processors = " and ".join(dict.fromkeys(record.processor for record in records.values() if record.processor))
    lines = [
        *([f"Measured on: {processors}.", ""] if processors else []),
        (
            ":::{table} How long every notebook took when it was last executed: seconds by the clock, and CPU seconds "
            "of all cores together, which depend less on what else the machine did. What several notebooks need, such "
            "as pictures, features and imported libraries, was often there."
        ),
        ":name: tab-wall-times",
        "",
        "| page | seconds | CPU seconds | started (UTC) | machine | run |",
        "|---|---:|---:|---|---|---|",
        *rows,
        f"| all {len(records)} | {seconds:,.0f} | {computing:,.0f} | | | |",
        ":::",
        "",
        f"Together that is {_span(seconds)}.",
    ]
    return "\n".join(lines) + "\n"


def cite(citation: Mapping[str, Any], published: Edition | None = None) -> str:
    """How to cite the book: one line of text, and an entry for BibTeX.

    Parameters
    ----------
    citation : mapping
        What CITATION.cff says.
    published : Edition, optional
        Adds its address and, where it is a commit and not a release, the commit.
    """
    title, version = citation["title"], citation["version"]
    year = str(citation.get("date-released", ""))[:4]
    address = citation.get("url") or (published.address if published else "")
    doi = citation.get("doi", "")
    people = [_person(author) for author in citation["authors"]]
    braced = [
        f"{{{name}}}" if "name" in author else name for author, name in zip(citation["authors"], people, strict=True)
    ]
    plain = [" and ".join(people), f"*{title}*", f"Version {version}", year, f"<https://doi.org/{doi}>" if doi else ""]
    plain += [f"<{address}>" if address else ""]
    fields = {
        "author": " and ".join(braced),
        "title": f"{{{title}}}",
        "version": version,
        "year": year,
        "doi": doi,
        "url": address,
    }
    key = re.sub(r"\W+", "_", title.partition(":")[0].lower()).strip("_")
    entry = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items() if value)
    return f"{'. '.join(part for part in plain if part)}\n\n```bibtex\n@software{{{key},\n{entry}\n}}\n```\n"


def _person(author: Mapping[str, str]) -> str:
    """A person as BibTeX orders the parts, or a group by its name."""
    return author.get("name") or f"{author['family-names']}, {author['given-names']}"


def _machine(record: RunRecord) -> str:
    """What it ran on: "Linux x86_64, 2 cores"."""
    return f"{record.platform}, {record.cpus} core{'s'[: record.cpus != 1]}" if record.cpus else record.platform


def _cpu(record: RunRecord) -> str:
    return f"{record.cpu_seconds:,.0f}" if record.cpu_seconds else "-"


def _when(started: str) -> str:
    """An ISO time for people, the day on one line: "2 Jan 2026 03:04"."""
    time = datetime.fromisoformat(started)
    return f"{time.day} {time:%b %Y}".replace(" ", NBSP) + f" {time:%H:%M}"


def _span(seconds: float) -> str:
    """Seconds in the unit that people would use."""
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
