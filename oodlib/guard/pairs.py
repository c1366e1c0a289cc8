"""Is a picture what its text says, and is the pair one of mine? A guard for the picture, and the text held against it.

The guard judges each picture as it always does. Whether the text matches is asked apart (`oodlib.guard.texts`), because
neither can answer for the other: a picture of something else may have the right text, and one of a class a wrong one.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from oodlib.arrays import as_numpy
from oodlib.datasets.folder import from_files
from oodlib.datasets.listing import legible
from oodlib.datasets.pair_table import PairLine, read_pairs
from oodlib.datasets.picture_table import locate
from oodlib.embeddings.texts import embed_texts
from oodlib.guard.decisions import IN, OUT, UNREADABLE
from oodlib.guard.images import Seen, look_at
from oodlib.guard.rows import Rows
from oodlib.guard.texts import NEEDED, clean, fits, problems, read_in_part

if TYPE_CHECKING:
    import pandas as pd

    from oodlib.guard.guard import Guard

SHOWN = 80  # letters of a text that a row shows; its line number names the rest
MATCHES, OTHER = "yes", "no"


def detect_pairs(guard: Guard, table: Path | str, *, progress: bool = False) -> pd.DataFrame:
    """Judge the pairs of a CSV with the columns path and text; `pair_rows` tells the columns."""
    path = Path(table)
    return pair_rows(guard, read_pairs(path), path.parent, progress=progress).table()


def pair_rows(guard: Guard, lines: Sequence[PairLine], folder: Path, *, progress: bool = False) -> Rows:
    """Judge pairs: one row a line, in their order. No line changes the answer of another.

    Parameters
    ----------
    guard : Guard
    lines : sequence of PairLine
        As `oodlib.datasets.pair_table.read_pairs` gives them, at least one.
    folder : Path
        Where paths start: the table's folder.
    progress : bool
        Show a progress bar on standard error.

    Returns
    -------
    Rows
        ``line``: its number in the file. ``image``: the path as written. ``text``: its first letters. ``decision``:
        "in" where the picture is and the text matches, "unreadable" where either cannot be judged, else "out".
        ``picture``: the guard's own decision. ``match``: "yes" or "no". ``score`` and ``threshold``: the guard's.
        ``fit``: the share of nouns that fit the picture less well than its text does; ``needed``: from which fit on it
        matches. ``best_label``: the class nearest to the picture; ``said_label``: the one nearest to the text.
        ``reason``. The facts are the guard's, with how many rows repeat an earlier one.
    """
    files = {line: locate(folder, line.path) for line in lines if line.path and not line.problem}
    seen = look_at(guard.encoder, from_files(files.values()), progress=progress)
    judged = guard.judge(seen)
    by_name = {row["image"]: row for row in judged.rows}
    texts = [clean(line.text) for line in lines]
    spoilt = problems(guard.encoder, texts)
    matched = _matched(
        guard,
        seen,
        {
            place: (_key(files[line]), text)
            for place, (line, text, problem) in enumerate(zip(lines, texts, spoilt, strict=True))
            if line in files and not problem
        },
    )
    rows = []
    for place, (line, text, problem) in enumerate(zip(lines, texts, spoilt, strict=True)):
        picture = by_name[_key(files[line])] if line in files else None
        rows.append(_row(guard, line, text, picture, matched.get(place), line.problem or problem))
    repeated = len(lines) - len({(line.path, text) for line, text in zip(lines, texts, strict=True)})
    return Rows(rows, judged.about | {"needed": NEEDED, "repeated": repeated})


def _key(file: Path) -> str:
    """What `from_files` calls a file."""
    return legible(os.path.abspath(file))  # noqa: PTH100 (links stay what they are)


def _matched(guard: Guard, seen: Seen, asked: dict[int, tuple[str, str]]) -> dict[int, dict[str, Any]]:
    """What is known of the pairs whose two sides can be read, by their place."""
    row_of = {name: row for row, name in enumerate(seen.good)}
    good = {place: (row_of[name], text) for place, (name, text) in asked.items() if name in row_of}
    if not good:
        return {}
    texts = [text for _, text in good.values()]
    shown = as_numpy(seen.features)[[row for row, _ in good.values()]]
    fit, cosines, rivals = fits(guard.encoder, shown, texts, guard.templates)
    distinct = list(dict.fromkeys(texts))
    near = (as_numpy(embed_texts(guard.encoder, distinct, guard.templates)) @ as_numpy(guard.concepts.text).T).argmax(1)
    said = {text: guard.concepts.names[k] for text, k in zip(distinct, near.tolist(), strict=True)}
    parts = dict(zip(distinct, read_in_part(guard.encoder, distinct), strict=True))
    return {
        place: {"fit": float(one), "cosine": float(cosine), "rival": rival, "said": said[text], "part": parts[text]}
        for place, text, one, cosine, rival in zip(good, texts, fit, cosines, rivals, strict=True)
    }


def _row(
    guard: Guard,
    line: PairLine,
    text: str,
    picture: dict[str, Any] | None,
    match: dict[str, Any] | None,
    problem: str,
) -> dict[str, Any]:
    decided = UNREADABLE if picture is None else picture["decision"]
    matches = None if match is None else match["fit"] >= NEEDED
    judged = matches is not None and decided != UNREADABLE
    decision = (IN if decided == IN and matches else OUT) if judged else UNREADABLE
    reasons = [problem] if problem else []
    if picture is not None and picture["decision"] == UNREADABLE:
        reasons.append(picture["reason"])
    if match is not None:
        share = f"{np.floor(1000 * match['fit']) / 10:g} % of other words fit the picture less well than its text"
        best = "" if matches else f", {match['rival']!r} best"
        reasons += [f"{share}, cosine {match['cosine']:.2f}{best}", *([match["part"]] if match["part"] else [])]
    if picture is not None and match is not None:
        reasons.insert(0, f"picture {picture['reason']}")
    return {
        "line": line.number,
        "image": line.path,
        "text": text if len(text) <= SHOWN else f"{text[: SHOWN - 4]} ...",
        "decision": decision,
        "picture": decided,
        "match": None if matches is None else MATCHES if matches else OTHER,
        "score": float("nan") if picture is None else picture["score"],
        "threshold": guard.threshold.value,
        "fit": float("nan") if match is None else match["fit"],
        "needed": NEEDED,
        "best_label": None if picture is None else picture["best_label"],
        "said_label": None if match is None else match["said"],
        "reason": "; ".join(reasons),
    }
