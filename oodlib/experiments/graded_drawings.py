"""EmojiShift with its shifts in grades: how far a picture is from the ID names, and from the hand that drew them.

Photographs have to be sorted into grades by a model. Here both are known: Unicode files every thing under a subgroup
and a group, and every picture comes from a hand, or is that hand's picture after a distortion.

The order of levels is exact where one contains the other (subgroup, group, everything) and our own choice among what no
tree orders: places, made things and signs, and the columns from *grey* on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from PIL import Image, ImageFilter, ImageOps

from oodlib.cache import home_folder
from oodlib.datasets import emojishift
from oodlib.datasets.base import Manifest
from oodlib.datasets.drawn import to_draw, whole
from oodlib.errors import OodlibError

TABLES = ("manifest.csv",)
RULES = 1  # raise when a rule below changes: it is part of the folder's name
PER_CELL = 60

# The classes: some of the names in these subgroups of Unicode's animals and foods.
ID_SUBGROUPS = ("animal-mammal", "animal-bird", "animal-marine", "food-fruit", "food-prepared", "food-vegetable")
SEMANTIC = ("ID names", "same subgroup", "same group", "places", "made things", "signs", "icons")
COVARIATE = ("same hand", "flat twin", "another hand", "grey", "blurred", "few pixels", "line drawing")
HANDS = {"fluent-emoji": 0, "fluent-emoji-flat": 1, "twemoji": 2, "openmoji": 6}
DISTORTIONS = {3: "grey", 4: "blurred", 5: "few pixels"}
# Coloured icons are drawn by one more hand, line icons are line drawings; the icons follow no emoji hand.
ICONS = {2: ("streamline-plump-color", "streamline-flex-color"), 6: ("ph", "icon-park")}
_OTHER = {"travel-places": 3, "activities": 4, "objects": 4, "symbols": 5}


@dataclass(frozen=True, eq=False)
class GradedDrawings:
    """The classes, ID pictures to hold against, and graded pictures.

    Parameters
    ----------
    names : tuple of str
        The ID names: three quarters of `ID_SUBGROUPS`. Two of these draw `reference`, one the first row of the grid.
    reference : Manifest
        ID pictures by the first hand, of names that are in no cell.
    parts : tuple of Manifest
        The graded pictures: those of the benchmark, and those that were drawn for the grid.
    table : pandas.DataFrame
        One row a graded picture, in the order of `parts`: id, concept, semantic, covariate (levels from 0).
    """

    names: tuple[str, ...]
    reference: Manifest
    parts: tuple[Manifest, Manifest]
    table: pd.DataFrame


def load(per_cell: int = PER_CELL, home: Path | None = None) -> GradedDrawings:
    """Sort the benchmark's pictures into the grid, and draw what is missing: distorted pictures and icons.

    Parameters
    ----------
    per_cell : int
        Concepts in each row, at most. All columns of a row show the same concepts; icons have other ones in the last
        column, and none in the first two.
    home : Path, optional
        Cache folder; by default `OODLIB_HOME` or the platform's user cache folder.

    Raises
    ------
    OodlibError
        If `per_cell` is below 1, or as `emojishift.load`.
    """
    if per_cell < 1:
        raise OodlibError(f"per_cell is {per_cell}: give at least one concept for each row")
    manifest = emojishift.load(home)
    table = manifest.table[manifest.table["hand"].isin(HANDS)]
    everywhere = table.groupby("concept")["hand"].transform("nunique") == len(HANDS)
    table = table[everywhere]
    concepts = table.drop_duplicates("concept")
    rows = _rows(concepts)
    inside = rows == -1
    chosen = {
        concept: row
        for row in range(len(SEMANTIC) - 1)
        for concept in _ranked(concepts.loc[rows == row, "concept"])[:per_cell]
    }
    names = tuple(concepts.loc[inside | (rows == 0), "name"])
    reference = manifest.select(
        (manifest.table["hand"] == "fluent-emoji") & manifest.table["concept"].isin(concepts.loc[inside, "concept"])
    )
    plain = manifest.select(manifest.table["concept"].isin(chosen) & manifest.table["hand"].isin(HANDS))
    drawn = _drawn(plain, chosen, per_cell, home)
    graded = pd.concat(
        [
            pd.DataFrame(
                {
                    "id": plain.table["id"],
                    "concept": plain.table["concept"],
                    "semantic": plain.table["concept"].map(chosen),
                    "covariate": plain.table["hand"].map(HANDS),
                }
            ),
            drawn.table[["id", "concept", "semantic", "covariate"]],
        ],
        ignore_index=True,
    )
    graded[["semantic", "covariate"]] = graded[["semantic", "covariate"]].astype(int)
    return GradedDrawings(names, reference, (plain, drawn), graded)


def _rows(concepts: pd.DataFrame) -> pd.Series:
    """The row of each concept; -1 for the names whose pictures are the reference."""
    rows = concepts["group"].map(_OTHER).fillna(2).astype(int)
    for _, codes in concepts[concepts["subgroup"].isin(ID_SUBGROUPS)].groupby("subgroup")["concept"]:
        ranked = _ranked(codes)
        # A quarter of a subgroup are siblings without a name, a quarter ID names that are graded.
        quarter = round(len(ranked) / 4)
        place = dict.fromkeys(ranked[:quarter], 1) | dict.fromkeys(ranked[quarter : 2 * quarter], 0)
        rows[codes.index] = codes.map(lambda code, place=place: place.get(code, -1))
    return rows


def _ranked(codes: Iterable[str]) -> list[str]:
    """A fixed shuffle that is the same on every machine."""
    return sorted(codes, key=lambda code: hashlib.sha256(f"graded:{code}".encode()).hexdigest())


def distort(picture: Image.Image, how: str) -> Image.Image:
    """A picture without its colours, without its edges, or of so few pixels that they show."""
    if how == "grey":
        return ImageOps.grayscale(picture).convert("RGB")
    if how == "blurred":
        return picture.filter(ImageFilter.GaussianBlur(picture.width / 40))
    return picture.resize((20, 20), Image.Resampling.BOX).resize(picture.size, Image.Resampling.NEAREST)


def _drawn(plain: Manifest, chosen: dict[str, int], per_cell: int, home: Path | None) -> Manifest:
    """What the grid needs beside the benchmark, drawn once and kept."""
    key = hashlib.sha256(f"{RULES}:{emojishift.folder(home).name}:{per_cell}".encode()).hexdigest()[:12]
    target = home_folder(home) / "datasets" / f"graded-drawings-{key}"
    if not whole(target, TABLES):
        with to_draw(target, TABLES, "the graded pictures") as place:
            if place is not None:
                _draw_all(place, plain, chosen, per_cell)
    return Manifest("graded-drawings", target, pd.read_csv(target / TABLES[0], keep_default_na=False))


def _draw_all(place: Path, plain: Manifest, chosen: dict[str, int], per_cell: int) -> None:
    rows: list[dict[str, object]] = []

    def keep(picture: Image.Image, concept: str, row: int, column: int) -> None:
        file = f"{column}/{row}-{hashlib.sha256(concept.encode()).hexdigest()[:16]}.png"
        picture.save(place / file, compress_level=1)
        pixels = hashlib.sha256(picture.tobytes()).hexdigest()
        rows.append({"id": file, "uri": file, "label": concept, "split": "graded", "sha256": pixels, "pixels": pixels})
        rows[-1] |= {"concept": concept, "semantic": row, "covariate": column}

    for column in range(len(COVARIATE)):
        (place / str(column)).mkdir()
    home_hand = plain.select(plain.table["hand"] == "fluent-emoji")
    for path, concept in zip(home_hand.paths(), home_hand.table["concept"], strict=True):
        with Image.open(path) as opened:
            original = opened.convert("RGB")
        for column, how in DISTORTIONS.items():
            keep(distort(original, how), concept, chosen[concept], column)
    for name, svg, column in _icons(plain, per_cell):
        picture = emojishift.draw(svg)
        keep(picture, name, len(SEMANTIC) - 1, column)
        if column == min(ICONS):
            for other, how in DISTORTIONS.items():
                keep(distort(picture, how), name, len(SEMANTIC) - 1, other)
    pd.DataFrame(rows).to_csv(place / TABLES[0], index=False)


def _icons(plain: Manifest, per_cell: int) -> list[tuple[str, str, int]]:
    """(name, SVG, column) of icons of things that are called as no emoji is: of each name the first."""
    from oodlib.pocket.icons import icons

    taken = {name.lower() for name in plain.table["name"]}
    found: dict[int, dict[str, str]] = {column: {} for column in ICONS}
    for package, name, svg in icons([]):
        for column, packages in ICONS.items():
            if package in packages and name not in taken:
                found[column].setdefault(name, svg)
    return [(name, svgs[name], column) for column, svgs in found.items() for name in _ranked(svgs)[:per_cell]]
