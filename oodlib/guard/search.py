"""Find pictures by a sentence: exact retrieval over kept features."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from oodlib.errors import OodlibError
from oodlib.guard.images import look
from oodlib.guard.labels import check_labels
from oodlib.guard.reading import check_reading
from oodlib.guard.rows import Rows

if TYPE_CHECKING:
    import pandas as pd

    from oodlib.encoders.encoder import Encoder
    from oodlib.pocket.light import LightEncoder


def search(
    query: str,
    images: Any,
    encoder: Encoder | LightEncoder,
    *,
    top: int | None = 10,
    templates: Sequence[str] | None = None,
    progress: bool = False,
    home: Path | None = None,
) -> pd.DataFrame:
    """Rank images by their cosine with a sentence.

    Every image is compared: nothing is approximated. Features of files are kept, so that a second query reads them.

    Parameters
    ----------
    query : str
        Such as "a dog wearing sunglasses".
    images
        As `oodlib.guard.images.look` takes them.
    encoder : Encoder or LightEncoder
    top : int or None
        How many to return; None for all.
    templates : sequence of str, optional
        Prompts around the query, averaged; by default the query as it is.
    progress, home
        As `oodlib.guard.images.look` takes them.

    Returns
    -------
    pandas.DataFrame
        Columns ``rank`` (from 1), ``image``, ``cosine`` (larger = fits better) and ``reason``. Equal cosines keep the
        order of the images. At the end, without rank, come the images that cannot be read, with the reason.

    Raises
    ------
    OodlibError
        If the query is empty, `top` is below 1, or there are no images.
    """
    table = search_rows(query, images, encoder, top=top, templates=templates, progress=progress, home=home).table()
    attrs = table.attrs
    table = table.astype({"rank": "Int64"})
    table.attrs = attrs
    return table


def search_rows(
    query: str,
    images: Any,
    encoder: Encoder | LightEncoder,
    *,
    top: int | None = 10,
    templates: Sequence[str] | None = None,
    progress: bool = False,
    home: Path | None = None,
) -> Rows:
    """What `search` tells, as plain rows."""
    if top is not None and top < 1:
        raise OodlibError(f"top is {top}: ask for at least one picture")
    (sentence,) = check_labels([query], "query")
    partly = check_reading(encoder, {sentence: ()}, templates or ("{}",), "query")
    if partly:
        raise OodlibError(f"{partly[0]}: ask in words that it reads")
    seen = look(encoder, images, progress=progress, home=home)
    rows: list[tuple[int | None, str, float, str]] = []
    if seen.good:
        cosines = np.asarray(seen.features @ encoder.encode_texts([sentence], templates)[0])
        best = (-cosines).argsort(kind="stable")[:top].tolist()
        rows = [(rank, seen.good[k], float(cosines[k]), "") for rank, k in enumerate(best, 1)]
    rows += [(None, name, float("nan"), seen.bad[name]) for name in seen.names if name in seen.bad]
    columns = ("rank", "image", "cosine", "reason")
    about = {"query": sentence, "compared": len(seen.good), "passed_over": list(seen.passed_over)}
    return Rows([dict(zip(columns, row, strict=True)) for row in rows], about)
