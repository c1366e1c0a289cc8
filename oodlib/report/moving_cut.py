"""A cut that a reader moves over kept scores: the scores for the browser, a few pictures, and the block of the page.

The scores go out as they are kept, as the bytes of float32 numbers, so that the page counts what `oodlib.evaluation`
counts, to the last picture. As with the map (`oodlib.report.explorer`) all are plain files that a browser may read from
disk. `book/_static/rates.js` counts, and `book/_static/cut.js` draws.
"""

from __future__ import annotations

import base64
import html
import json
import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oodlib.cache import write_atomically, write_text
from oodlib.datasets.base import Manifest
from oodlib.errors import OodlibError, naming_extras
from oodlib.provenance import product, recording
from oodlib.report.explorer import CELL, contact

with naming_extras():
    from IPython.display import display

MOST = 2000  # pictures of a set whose scores a page takes: about 11 kB for each detector
SHOWN = 64  # pictures of a set that can be seen: about 20 kB

_BLOCK = """<link rel="stylesheet" href="../_static/cut.css">
{still}<section class="cut" data-name="{name}" aria-label="A cut to move" hidden>
<div class="cut-bar">
<label>Detector <select class="cut-detector"></select></label>
<label>OOD set <select class="cut-set"></select></label>
<span class="cut-buttons"><button type="button" value="keep">Keep 95 % of ID</button>
<button type="button" value="catch">Catch 95 % of OOD</button></span>
</div>
<div class="cut-figures">
<div class="cut-scores">
<p class="cut-key"><span class="cut-in">■ in-distribution</span> <span class="cut-out">□ out-of-distribution</span></p>
<svg class="cut-histogram" role="img" preserveAspectRatio="none"></svg>
<input class="cut-slider" type="range" aria-label="Cut">
<p class="cut-ends"><span>← lower: rejected</span> <span class="cut-value"></span> <span>higher: accepted →</span></p>
</div>
<div class="cut-curve">
<svg class="cut-roc" role="img"></svg>
<p>ROC curve: to the right OOD accepted, upwards ID kept. Dashed: 95 % of ID kept. Dotted: 95 % of OOD caught.</p>
</div>
</div>
<table>
<thead><tr><th scope="col">Positive class</th><th scope="col">True positives (TPR)</th>
<th scope="col">False positives (FPR)</th></tr></thead>
<tbody><tr><th scope="row">ID (fpr95)</th><td class="cut-kept"></td><td class="cut-accepted"></td></tr>
<tr><th scope="row">OOD (fpr95_ood)</th><td class="cut-caught"></td><td class="cut-rejected"></td></tr></tbody>
</table>
<p class="cut-moved" role="status"></p>
<div class="cut-sides">
<div><p>Rejected, and next to the cut</p><ul class="cut-below"></ul></div>
<div><p>Accepted, and next to the cut</p><ul class="cut-above"></ul></div>
</div>
</section>
<script defer src="../_static/cut/{name}.js"></script>
<script defer src="../_static/rates.js"></script>
<script defer src="../_static/cut.js"></script>"""
_NO_SCRIPT = "<noscript><p>Moving the cut needs JavaScript; the figure above shows the same scores.</p></noscript>\n"


def write_cut(
    path: Path,
    scores: pd.DataFrame,
    sets: Mapping[str, Manifest],
    id_set: str,
    kinds: Mapping[str, str],
    detectors: Sequence[str],
) -> None:
    """Write what the page of a moving cut reads: a script with the scores, and beside it a sheet of small pictures.

    Parameters
    ----------
    path : Path
        Of the script; its stem is the name that `cut_block` is given. The sheet has the suffix `.webp`.
    scores : DataFrame
        Rows (id_set, set, detector, id, score), larger = more in-distribution, as pages keep them.
    sets : mapping of set name to Manifest
        The pictures of the ID set and of the OOD sets.
    id_set : str
    kinds : mapping of OOD set to kind
        The OOD sets that can be chosen, in this order.
    detectors : sequence of str
        The detectors that can be chosen, in this order. The pictures that can be seen are spread evenly over the scores
        of the first.

    Raises
    ------
    OodlibError
        If a detector lacks the score of a picture, or a picture cannot be read.
    """
    own = scores[scores["id_set"] == id_set]
    found = {key: part.set_index("id")["score"] for key, part in own.groupby(["detector", "set"], sort=False)}
    described: list[dict[str, Any]] = []
    pictures: list[Path] = []
    sent: dict[str, list[NDArray[np.float32]]] = {name: [] for name in detectors}
    for part, kind in {id_set: "ID", **kinds}.items():
        table = sets[part].table
        taken = _spread(len(table), MOST)
        for name in detectors:
            sent[name].append(_scores_of(found.get((name, part)), table["id"], name, part)[taken])
        seen = np.sort(np.argsort(sent[detectors[0]][-1], kind="stable")[_spread(len(taken), SHOWN)])
        n = f"{len(taken):,}" if len(taken) == len(table) else f"{len(taken):,} of {len(table):,}"
        names = table["label"].iloc[taken[seen]].tolist()
        described.append({"label": f"{part} ({kind}, {n} pictures)", "shown": seen.tolist(), "names": names})
        paths = sets[part].paths()
        pictures += [paths[k] for k in taken[seen]]
    columns = math.ceil(math.sqrt(len(pictures)))
    sheet = contact(pictures, columns)
    data = {
        "cell": CELL,
        "columns": columns,
        "rows": sheet.height // CELL,
        "sets": described,
        "detectors": [{"name": name, "scores": [_base64(part) for part in parts]} for name, parts in sent.items()],
    }
    told = json.dumps(data, ensure_ascii=True, separators=(",", ":")).replace("</", "<\\/")
    write_text(path, f'(window.oodlibCuts ??= {{}})["{path.stem}"] = {told};\n')
    write_atomically(path.with_suffix(".webp"), partial(sheet.save, format="WEBP", quality=70, method=4))


def show_cut(
    name: str,
    scores: pd.DataFrame,
    sets: Mapping[str, Manifest],
    id_set: str,
    kinds: Mapping[str, str],
    detectors: Sequence[str],
) -> None:
    """Put a moving cut on the page, under a figure of the same scores; a recorded run writes its files.

    Parameters
    ----------
    name : str
        Of the files, `cut/<name>.js` and `.webp`.
    scores, sets, id_set, kinds, detectors
        As in `write_cut`.
    """
    if recording():
        write_cut(product(f"cut/{name}.js", Path()), scores, sets, id_set, kinds, detectors)
    twin = "<p>A cut that can be moved stands on this page of the book; here the figure above has to do.</p>"
    display({"text/markdown": cut_block(name), "text/html": twin, "text/plain": ""}, raw=True)


def cut_block(name: str, *, still: str = "", alt: str = "") -> str:
    """The MyST directive with the moving cut of `cut/<name>.js`.

    Parameters
    ----------
    name : str
    still : str
        A figure of the book, `figures/<still>.svg`, that stands in the cut's place until the script has started.
        Without one the figure above the block has to do.
    alt : str
        What the figure shows.
    """
    picture = f'<img src="../_images/{still}.svg" alt="{html.escape(alt)}">'
    above = f'<figure class="cut-still">{picture}</figure>\n' if still else _NO_SCRIPT
    return f"```{{raw}} html\n{_BLOCK.format(name=name, still=above)}\n```"


def _spread(n: int, most: int) -> NDArray[np.int64]:
    """At most so many of n places, spread evenly, the first and the last among them."""
    return np.linspace(0, n - 1, min(n, most)).round().astype(np.int64)


def _scores_of(found: pd.Series | None, ids: pd.Series, name: str, part: str) -> NDArray[np.float32]:
    """The scores of some pictures, in their order."""
    values = np.full(len(ids), np.nan, np.float32) if found is None else found.reindex(ids).to_numpy(np.float32)
    lacking = int((~np.isfinite(values)).sum())
    if lacking:
        raise OodlibError(
            f"{name} lacks the scores of {lacking} of {len(ids)} pictures of {part}: keep those of every picture"
        )
    return values


def _base64(values: NDArray[np.float32]) -> str:
    """The bytes of the numbers, the lowest first, in letters."""
    return base64.b64encode(values.astype("<f4").tobytes()).decode("ascii")
