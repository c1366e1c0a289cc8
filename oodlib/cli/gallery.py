"""A report in one HTML file: how the scores lie around the cut, and every picture by its score. Nothing is fetched."""

from __future__ import annotations

import base64
import io
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, StrictUndefined
from matplotlib import rc_context
from matplotlib.figure import Figure

from oodlib.cli.printing import safe
from oodlib.datasets.images import read_image
from oodlib.datasets.listing import as_named
from oodlib.errors import OodlibError
from oodlib.guard.decisions import IN, OUT, UNREADABLE
from oodlib.report.style import ID_COLOUR, OOD_COLOUR, STYLE, WIDTH

SIDE = 112  # pixels of a thumbnail

# Names of files and labels come from anywhere: every value is escaped, and what is not printable shown as its code.
_PAGE = Environment(
    autoescape=True, finalize=safe, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
).from_string("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>In or out</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 68rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a;
  background: #fff }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(10rem, 1fr)); gap: 1rem; padding: 0;
  list-style: none }
.pictures li { border: 1px solid #ccc; border-left: 6px solid {{ inside }}; padding: .5rem; overflow-wrap: anywhere;
  font-size: .85rem }
.pictures li.out { border-left-color: {{ outside }} }
img { max-width: 100% }
td, th { text-align: left; padding: .2rem 1rem .2rem 0; vertical-align: top; overflow-wrap: anywhere }
</style>
</head>
<body>
<main>
<h1>In or out</h1>
<p>{{ summary }}</p>
<table>
{% for name, value in facts.items() if value %}
<tr><th>{{ name }}</th><td>{{ value }}</td></tr>
{% endfor %}
</table>
{% if scored %}
<img src="{{ histogram.src }}" alt="{{ histogram.alt }}">
<h2>By score, highest first</h2>
<ol class="pictures">
{% for row in scored %}
<li class="{{ row.decision }}">
{% if row.thumbnail %}
<img src="{{ row.thumbnail }}" alt="{{ row.alt }}">
{% endif %}
<br><strong>{{ row.decision }}</strong> {{ row.shown }}
<br>most like {{ row.best_label }}
{% if row.nearest_outlier %}
<br>nearest outlier word {{ row.nearest_outlier }}
{% endif %}
<br>{{ row.image }}
</li>
{% endfor %}
</ol>
{% endif %}
{% if unreadable %}
<h2>Unreadable</h2>
<table>
{% for row in unreadable %}
<tr><td>{{ row.image }}</td><td>{{ row.reason }}</td></tr>
{% endfor %}
</table>
{% endif %}
</main>
</body>
</html>
""")


def as_html(table: pd.DataFrame) -> str:
    """A self-contained page of a table that `oodlib.guard.decisions.decide` returns.

    Parameters
    ----------
    table : DataFrame
        The name of an image is its path. Where there is no such file there is no thumbnail.

    Returns
    -------
    str
        HTML. Names are escaped, thumbnails and the histogram are data URIs.
    """
    unreadable = table["decision"] == UNREADABLE
    scored = table[~unreadable].sort_values("score", ascending=False, kind="stable")
    counts = {kind: int((table["decision"] == kind).sum()) for kind in (IN, OUT, UNREADABLE)}
    facts = {name: table.attrs.get(name, "") for name in ("method", "encoder", "threshold")}
    return _PAGE.render(
        inside=ID_COLOUR,
        outside=OOD_COLOUR,
        summary=f"{len(table)} pictures: {counts[IN]} in, {counts[OUT]} out, {counts[UNREADABLE]} unreadable.",
        facts={"labels": ", ".join(table.attrs.get("labels", [])), **facts},
        histogram=_histogram(scored) if len(scored) else None,
        scored=[_card(row) for row in scored.to_dict("records")],
        unreadable=table[unreadable].to_dict("records"),
    )


def _card(row: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
    """What the page shows of a row; without a thumbnail where the picture was in memory, or its file has gone since."""
    file = Path(as_named(row["image"]))
    try:
        thumbnail = _thumbnail(file)
    except OodlibError:
        thumbnail = ""
    shown = f"{row['score']:.3f}"
    alt = f"{Path(row['image']).name}: {row['decision']}, score {shown}, most like {row['best_label']}"
    return {**row, "shown": shown, "alt": alt, "thumbnail": thumbnail}


def _thumbnail(file: Path) -> str:
    picture = read_image(file)
    picture.thumbnail((SIDE, SIDE))
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=80)
    return _data_uri("jpeg", stream)


def _data_uri(kind: str, stream: io.BytesIO) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode()}"


def _histogram(scored: pd.DataFrame) -> dict[str, str]:
    """Scores as bars, coloured by the side of the cut that they fall on: the picture and its alternative text."""
    scores, cut = scored["score"].to_numpy(), float(scored["threshold"].iloc[0])
    low, high = min(scores.min(), cut), max(scores.max(), cut)
    width = (high - low) / 30 or 0.01
    # The cut is an edge of a bar, so that no bar has two colours.
    below, above = int(np.ceil((cut - low) / width)), int(np.ceil((high - cut) / width)) + 1
    edges = cut + width * np.arange(-below, above + 1)
    edges[0] = min(edges[0], low)  # rounding
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 2.2), layout="constrained", dpi=160)
        axes = figure.add_subplot()
        for part, colour, label in ((scores[scores >= cut], ID_COLOUR, IN), (scores[scores < cut], OOD_COLOUR, OUT)):
            axes.stairs(np.histogram(part, edges)[0], edges, color=colour, fill=True, label=f"{label} ({len(part)})")
        axes.axvline(cut, color="black", linestyle="--", label=f"threshold {cut:.4g}")
        axes.set(xlabel="score (larger = more in-distribution)", ylabel="pictures")
        figure.legend(loc="outside lower center", ncols=3)
        stream = io.BytesIO()
        figure.savefig(stream, format="png")
    alt = (
        f"Histogram of {len(scores)} scores from {scores.min():.3g} to {scores.max():.3g}: {(scores >= cut).sum()} "
        f"at or above the threshold {cut:.4g}, {(scores < cut).sum()} below"
    )
    return {"src": _data_uri("png", stream), "alt": alt}
