"""The interactive twin of a map: what its points are, a sheet of small pictures, and the block that a page shows.

Everything goes out as plain files that a browser may read from disk: the points as a script that sets one variable (a
page opened from disk may not fetch), the pictures as one sheet, of which the page shows a part. The drawing itself is
done by plotly and by `book/_static/explorer.js`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from oodlib.cache import write_atomically, write_text
from oodlib.datasets.images import read_image
from oodlib.errors import OodlibError, naming_extras

with naming_extras():
    from IPython.display import display

CELL = 48  # pixels of a picture's side on the sheet
LARGEST = 16_383  # pixels: a WebP picture can have no longer side
FILES = ("points.js", "pictures.webp")
COLUMNS = ("name", "set", "hand", "x", "y")

_BLOCK = """<link rel="stylesheet" href="../_static/explorer.css">
<div class="explorer" data-folder="../_static/explorer/" hidden>
<div class="explorer-bar">
<label>Colour by <select class="explorer-colour"><option value="set">set</option><option value="hand">hand</option>
<option value="score">score</option></select></label>
<label>Score <select class="explorer-score"></select></label>
<label>Find <input class="explorer-find" type="search" size="10"></label>
<span class="explorer-buttons"><button type="button" value="in" aria-label="Zoom in">+</button><button type="button"
value="out" aria-label="Zoom out">−</button><button type="button" value="all">Whole map</button></span>
</div>
<div class="explorer-body">
<div class="explorer-map" tabindex="0" role="application" aria-label="Map of pictures, names and words"
aria-describedby="explorer-help"><div class="explorer-plot" aria-hidden="true"></div></div>
<div class="explorer-card"><p class="explorer-hint">Point at a picture.</p></div>
</div>
<div class="explorer-key" role="group" aria-label="Show or hide"></div>
<p class="explorer-help" id="explorer-help">Drag to move the map; click it, then turn the wheel to zoom. By keyboard:
arrow keys go from point to point, plus and minus zoom, 0 shows the whole map, Escape lets go of the point.</p>
<p class="explorer-said" role="status"></p>
</div>
<noscript><p>The interactive map needs JavaScript; the figure above shows the same points.</p></noscript>
<script defer src="../_static/plotly/plotly-basic.min.js"></script>
<script defer src="../_static/explorer/points.js"></script>
<script defer src="../_static/explorer.js"></script>"""


def write_explorer(
    folder: Path,
    points: pd.DataFrame,
    pictures: Sequence[Path | None],
    near: Mapping[str, Sequence[Sequence[tuple[str, float]]]],
    scores: Mapping[str, Sequence[float]],
    cuts: Mapping[str, float],
) -> None:
    """Write the files of an explorer into a folder: `points.js` and `pictures.webp`.

    Parameters
    ----------
    folder : Path
        It exists already, as `oodlib.provenance.product` makes it.
    points : DataFrame
        N rows with the columns `name`, `set`, `hand`, `x`, `y`; a point without a hand has the empty string.
    pictures : sequence of Path or None, length N
        The picture of each point; None for words.
    near : mapping of title to N lists of (word, cosine)
        The nearest words of each point, nearest first, under a title such as "nearest names".
    scores : mapping of detector to N numbers
        Larger = more in-distribution; NaN where a point has none.
    cuts : mapping of detector to float
        A point whose score is at or above the cut counts as in-distribution.

    Raises
    ------
    OodlibError
        If a column is missing, lengths differ, or a picture cannot be read.
    """
    lacking = [column for column in COLUMNS if column not in points.columns]
    if lacking:
        raise OodlibError(f"the points of an explorer lack the column(s) {', '.join(lacking)}: add them")
    given = {"pictures": pictures, **near, **scores}
    for what, values in given.items():
        if len(values) != len(points):
            raise OodlibError(f"{what} has {len(values)} entries for {len(points)} points: pass one for each")
    if set(scores) != set(cuts):
        raise OodlibError(f"scores of {', '.join(scores)} need a cut each, not of {', '.join(cuts)}")
    shown = [path for path in pictures if path is not None]
    columns = max(1, math.ceil(math.sqrt(len(shown))))
    place = iter(range(len(shown)))
    data = {
        "cell": CELL,
        "columns": columns,
        "rows": math.ceil(len(shown) / columns),
        "x": _rounded(points["x"], 3),
        "y": _rounded(points["y"], 3),
        "name": points["name"].tolist(),
        "set": _coded(points["set"]),
        "hand": _coded(points["hand"]),
        "picture": [-1 if path is None else next(place) for path in pictures],
        "near": _near(near),
        "scores": {name: {"cut": cuts[name], "of": _digits(values)} for name, values in scores.items()},
    }
    script = f"window.oodlibExplorer = {json.dumps(data, ensure_ascii=True, separators=(',', ':'), allow_nan=False)};\n"
    write_text(folder / FILES[0], script)
    sheet = contact(shown, columns)
    write_atomically(folder / FILES[1], partial(sheet.save, format="WEBP", quality=75, method=4))


def contact(pictures: Sequence[Path], columns: int) -> Image.Image:
    """Small pictures side by side, `columns` in a row, in order; each in a square of `CELL` pixels, on white.

    Raises
    ------
    OodlibError
        If a picture cannot be read, or there are more than fit on one sheet.
    """
    rows = max(1, math.ceil(len(pictures) / columns))
    if CELL * max(rows, columns) > LARGEST:
        raise OodlibError(f"{len(pictures)} pictures do not fit on one sheet: show fewer than {(LARGEST // CELL) ** 2}")
    sheet = Image.new("RGB", (CELL * columns, CELL * rows), "white")
    for k, path in enumerate(pictures):
        small = read_image(path)
        small.thumbnail((CELL, CELL), Image.Resampling.LANCZOS)
        left, top = CELL * (k % columns), CELL * (k // columns)
        sheet.paste(small, (left + (CELL - small.width) // 2, top + (CELL - small.height) // 2))
    return sheet


def show_explorer() -> None:
    """Put the explorer on the page: as HTML in the book, as a sentence in a notebook program."""
    twin = "<p>The interactive map stands on this page of the book; here the figure above has to do.</p>"
    markdown = f"```{{raw}} html\n{_BLOCK}\n```"
    display({"text/markdown": markdown, "text/html": twin, "text/plain": ""}, raw=True)


def _rounded(values: pd.Series, digits: int) -> list[float]:
    return [round(float(value), digits) for value in values]


def _digits(values: Sequence[float]) -> list[float | None]:
    """Five significant digits; None for NaN, which JSON does not know."""
    return [float(f"{value:.5g}") if np.isfinite(value) else None for value in values]


def _coded(values: pd.Series) -> dict[str, list[Any]]:
    """A column of few different words as their list, in order of appearance, and a place in it for each row."""
    codes, names = pd.factorize(values)
    return {"names": list(names), "of": codes.tolist()}


def _near(near: Mapping[str, Sequence[Sequence[tuple[str, float]]]]) -> dict[str, Any]:
    """Nearest words: every word once, and for each point its words by place, with hundredths of the cosine."""
    listed = dict.fromkeys(word for lists in near.values() for row in lists for word, _ in row)
    place = {word: k for k, word in enumerate(listed)}
    lists = {
        title: [[[place[word], round(100 * cosine)] for word, cosine in row] for row in rows]
        for title, rows in near.items()
    }
    return {"words": list(place), "lists": lists}
