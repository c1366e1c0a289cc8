"""A report in one HTML file: how the scores lie around the cut, and every picture by its score. Nothing is fetched."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure

from oodlib.datasets.images import read_image
from oodlib.errors import OodlibError
from oodlib.guard.decisions import IN, OUT, UNREADABLE
from oodlib.report.plots import ID_COLOUR, OOD_COLOUR, STYLE, WIDTH

SIDE = 112  # pixels of a thumbnail

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 68rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a;
  background: #fff }}
.pictures {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(10rem, 1fr)); gap: 1rem; padding: 0;
  list-style: none }}
.pictures li {{ border: 1px solid #ccc; border-left: 6px solid {inside}; padding: .5rem; overflow-wrap: anywhere;
  font-size: .85rem }}
.pictures li.out {{ border-left-color: {outside} }}
img {{ max-width: 100% }}
td, th {{ text-align: left; padding: .2rem 1rem .2rem 0; vertical-align: top; overflow-wrap: anywhere }}
</style>
</head>
<body>
<main>
<h1>{title}</h1>
<p>{summary}</p>
<table>{facts}</table>
{histogram}
{pictures}
{unreadable}
</main>
</body>
</html>
"""


def as_html(table: pd.DataFrame, files: Mapping[str, Path] | None = None) -> str:
    """A self-contained page of a table that `oodlib.guard.decisions.decide` returns.

    Parameters
    ----------
    table : DataFrame
    files : mapping of str to Path, optional
        Where an image lies; by default its name is its path. Where there is no such file there is no thumbnail.

    Returns
    -------
    str
        HTML. Names are escaped, thumbnails and the histogram are data URIs.
    """
    scored = table[table["decision"] != UNREADABLE].sort_values("score", ascending=False, kind="stable")
    counts = {kind: int((table["decision"] == kind).sum()) for kind in (IN, OUT, UNREADABLE)}
    facts = {
        "labels": ", ".join(table.attrs.get("labels", [])),
        "method": table.attrs.get("method", ""),
        "encoder": table.attrs.get("encoder", ""),
        "threshold": table.attrs.get("threshold", ""),
    }
    cards = "\n".join(_card(row, (files or {}).get(row["image"], Path(row["image"]))) for _, row in scored.iterrows())
    bad = "".join(
        f"<tr><td>{text(row['image'])}</td><td>{text(row['reason'])}</td></tr>"
        for _, row in table[table["decision"] == UNREADABLE].iterrows()
    )
    return _PAGE.format(
        title="In or out",
        inside=ID_COLOUR,
        outside=OOD_COLOUR,
        summary=f"{len(table)} pictures: {counts[IN]} in, {counts[OUT]} out, {counts[UNREADABLE]} unreadable.",
        facts="".join(f"<tr><th>{name}</th><td>{text(value)}</td></tr>" for name, value in facts.items() if value),
        histogram=_histogram(scored) if len(scored) else "",
        pictures=f'<h2>By score, highest first</h2>\n<ol class="pictures">{cards}</ol>' if cards else "",
        unreadable=f"<h2>Unreadable</h2>\n<table>{bad}</table>" if bad else "",
    )


def text(value: object) -> str:
    """Escape a name that may hold markup, control characters or bytes that are no UTF-8."""
    return escape("".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(value)))


def _card(row: pd.Series, file: Path) -> str:
    alt = f"{Path(row['image']).name}: {row['decision']}, score {row['score']:.3f}, most like {row['best_label']}"
    try:
        picture = f'<img src="{_thumbnail(file)}" alt="{text(alt)}">'
    except OodlibError:  # a picture in memory, or a file that has gone since
        picture = ""
    other = f"<br>nearest outlier word {text(row['nearest_outlier'])}" if row["nearest_outlier"] else ""
    return (
        f'<li class="{row["decision"]}">{picture}<br><strong>{row["decision"]}</strong> {row["score"]:.3f}'
        f"<br>most like {text(row['best_label'])}{other}<br>{text(row['image'])}</li>"
    )


def _thumbnail(file: Path) -> str:
    picture = read_image(file)
    picture.thumbnail((SIDE, SIDE))
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"


def _histogram(scored: pd.DataFrame) -> str:
    """Scores as bars, coloured by the side of the cut that they fall on."""
    scores, cut = scored["score"].to_numpy(), float(scored["threshold"].iloc[0])
    low, high = min(scores.min(), cut), max(scores.max(), cut)
    width = (high - low) / 30 or 0.01
    # The cut is an edge of a bar, so that no bar has two colours.
    below, above = int(np.ceil((cut - low) / width)), int(np.ceil((high - cut) / width)) + 1
    edges = cut + width * np.arange(-below, above + 1)
    edges[0] = min(edges[0], low)  # rounding
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 2.2), layout="constrained", dpi=110)
        axes = figure.add_subplot()
        for part, colour, label in ((scores[scores >= cut], ID_COLOUR, IN), (scores[scores < cut], OOD_COLOUR, OUT)):
            axes.stairs(np.histogram(part, edges)[0], edges, color=colour, fill=True, label=f"{label} ({len(part)})")
        axes.axvline(cut, color="black", linestyle="--", label=f"threshold {cut:.4g}")
        axes.set(xlabel="score (larger = more in-distribution)", ylabel="pictures")
        figure.legend(loc="outside right center")
        stream = io.BytesIO()
        figure.savefig(stream, format="png")
    alt = (
        f"Histogram of {len(scores)} scores from {scores.min():.3g} to {scores.max():.3g}: {(scores >= cut).sum()} "
        f"at or above the threshold {cut:.4g}, {(scores < cut).sum()} below"
    )
    return f'<img src="data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}" alt="{alt}">'
