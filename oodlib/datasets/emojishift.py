"""EmojiShift: one concept, nine hands; a benchmark whose semantic and covariate shifts are both known exactly.

The open emoji sets draw the same named things in different styles. Unicode's groups and subgroups say which concepts
are far apart and which are siblings, and the hand says how a concept is drawn. Everything comes with npm packages.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pandas as pd
from PIL import Image

from oodlib.cache import home_folder
from oodlib.datasets.base import Benchmark, Manifest
from oodlib.datasets.drawn import to_draw, whole
from oodlib.datasets.emoji_sources import (
    BENCHMARK_HANDS,
    HANDS,
    PRETRAINING_HANDS,
    Emoji,
    all_slugs,
    emoji,
    hands,
    version,
)
from oodlib.errors import naming_extras

NAME = "emojishift"
SIDE = 128  # pixels; PocketCLIP's input, so that reading a picture needs no resizing
RULES = 2  # raise when the rules below or the kept files change: it is part of the folder's name
TABLES = ("manifest.csv", "dropped.csv")

ID_GROUPS = ("animals-nature", "food-drink")
FAR_GROUPS = ("travel-places", "objects", "activities", "symbols")
GROUPS = ID_GROUPS + FAR_GROUPS
HELD_OUT_GROUPS = GROUPS[:-1]
N_HELD_OUT = 100
NEAR_SHARE = 0.2

# The hand of the ID pictures, and the two shifts of hand: the same drawings without shading, and line art.
HOME_HANDS = ("twemoji", "fluent-emoji")
COVARIATE_HANDS = {"flat-hand": "fluent-emoji-flat", "line-hand": "openmoji"}

# In the manner of ImageNet-10 and ImageNet-20: every concept of the first has look-alikes in the second.
HARD_10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "delivery truck", "horse", "ship")
HARD_20 = (
    *("helicopter", "rocket", "bus", "taxi", "tractor", "duck", "dove", "tiger", "leopard", "zebra"),
    *("donkey", "wolf", "fox", "lizard", "crocodile", "fire engine", "ambulance", "unicorn", "sailboat", "canoe"),
)


def _rank(salt: str, code: str) -> str:
    """A fixed, machine-independent shuffle: sorting by it draws concepts at random once and for all."""
    return hashlib.sha256(f"{salt}:{code}".encode()).hexdigest()


def held_out(concepts: list[Emoji]) -> set[str]:
    """Codes of the concepts that pretraining never sees: the same share of every group but symbols, 100 in all."""
    by_group: dict[str, list[str]] = defaultdict(list)
    for concept in concepts:
        if concept.group in HELD_OUT_GROUPS:
            by_group[concept.group].append(concept.code)
    total = sum(map(len, by_group.values()))
    # Cumulative rounding makes the group counts add up to N_HELD_OUT exactly.
    chosen: set[str] = set()
    seen = 0
    for group in HELD_OUT_GROUPS:
        codes = sorted(by_group[group], key=lambda code: _rank("held-out", code))
        quota = round(N_HELD_OUT * (seen + len(codes)) / total) - round(N_HELD_OUT * seen / total)
        seen += len(codes)
        chosen.update(codes[:quota])
    return chosen


def near(concepts: list[Emoji]) -> set[str]:
    """Codes of the sibling concepts kept out of the ID names: a fifth of every animal and food subgroup."""
    by_subgroup: dict[str, list[str]] = defaultdict(list)
    for concept in concepts:
        if concept.group in ID_GROUPS:
            by_subgroup[concept.subgroup].append(concept.code)
    chosen: set[str] = set()
    for codes in by_subgroup.values():
        codes.sort(key=lambda code: _rank("near", code))
        chosen.update(codes[: round(NEAR_SHARE * len(codes))])
    return chosen


def draw(svg: str, side: int = SIDE) -> Image.Image:
    """Draw an SVG document on white, `side` pixels square."""
    with naming_extras():
        import resvg_py

    png = resvg_py.svg_to_bytes(svg_string=svg, width=side, height=side, background="#ffffff", skip_system_fonts=True)
    picture = Image.open(io.BytesIO(bytes(png))).convert("RGB")
    if picture.size != (side, side):  # a drawing that is not square keeps its shape
        square = Image.new("RGB", (side, side), "white")
        square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
        return square
    return picture


def _draw_to(job: tuple[str, str]) -> str:
    """Draw one SVG to a PNG file and return the hash of its pixels."""
    svg, path = job
    picture = draw(svg)
    picture.save(path, compress_level=1)  # a tenth larger, in half the time; nothing hashes the file
    return hashlib.sha256(picture.tobytes()).hexdigest()


def _rows(concepts: list[Emoji]) -> list[dict[str, str]]:
    """Every drawing that the nine hands have of the concepts, pretraining hands first."""
    unseen, siblings = held_out(concepts), near(concepts)
    slugs = {concept.code: all_slugs(concept) for concept in concepts}
    rows = []
    for hand in hands():
        for concept in concepts:
            key = hand.key(concept, slugs[concept.code])
            svg = hand.svg(key) if key else None
            if svg is None:
                continue
            split = "benchmark"
            if hand.name in PRETRAINING_HANDS:
                split = "held-out" if concept.code in unseen else "pretraining"
            rows.append(
                {
                    "id": f"{hand.name}/{concept.code}",
                    "uri": f"{hand.name}/{concept.code}.png",
                    "label": concept.name,
                    "split": split,
                    "sha256": hashlib.sha256(svg.encode()).hexdigest(),
                    "hand": hand.name,
                    "concept": concept.code,
                    "name": concept.name,
                    "keywords": "; ".join(concept.keywords),
                    "group": concept.group,
                    "subgroup": concept.subgroup,
                    "unseen": str(concept.code in unseen).lower(),
                    "near": str(concept.code in siblings).lower(),
                    "svg": svg,
                }
            )
    return rows


def deduplicate(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Drop exact copies, by the hash of the drawn pixels; returns the kept rows and the dropped ones.

    Two rules, in this order. A drawing that one hand uses for several concepts has no single name: all of its rows go.
    A drawing that an earlier hand already has (hands are ordered, pretraining first) goes: so no benchmark picture
    repeats a pretraining picture.
    """
    ambiguous = rows.groupby(["hand", "pixels"])["concept"].transform("nunique") > 1
    single = rows[~ambiguous]
    repeated = single.duplicated("pixels", keep="first")
    dropped = pd.concat([rows[ambiguous].assign(why="ambiguous"), single[repeated].assign(why="repeated")])
    return single[~repeated].reset_index(drop=True), dropped.reset_index(drop=True)


def folder(home: Path | None = None) -> Path:
    """Where the pictures are kept; the name holds the versions of all packages and the rules."""
    versions = {name: version(name) for name in (*(f"@iconify-json/{hand}" for hand in HANDS), "emojibase-data")}
    key = hashlib.sha256(json.dumps([versions, RULES, SIDE], sort_keys=True).encode()).hexdigest()[:12]
    return home_folder(home) / "datasets" / f"{NAME}-{key}"


def load(home: Path | None = None) -> Manifest:
    """The manifest of EmojiShift; draws all pictures the first time, in about a minute and a half on two cores.

    Parameters
    ----------
    home : Path, optional
        Cache folder; by default `OODLIB_HOME` or the platform's user cache folder.

    Returns
    -------
    Manifest
        Extra columns: hand, concept (code point), name, keywords, group, subgroup, unseen (held out of pretraining),
        near (kept out of the ID names), pixels (hash of the drawn pixels; renderers may round differently on other
        processors, so it is not part of the digest).

    Raises
    ------
    OodlibError
        If an npm package is missing or damaged, or the cache folder cannot be written.
    """
    target = folder(home)
    if not whole(target, TABLES):
        with to_draw(target, TABLES, "EmojiShift") as place:
            if place is not None:
                _draw_all(place)
    return Manifest(NAME, target, pd.read_csv(target / TABLES[0], dtype=str, keep_default_na=False))


def dropped(home: Path | None = None) -> pd.DataFrame:
    """The exact copies that were left out, with the rule (`why`) that dropped each."""
    return pd.read_csv(load(home).root / TABLES[1], dtype=str, keep_default_na=False)


def _draw_all(place: Path) -> None:
    rows = pd.DataFrame(_rows(emoji(GROUPS)))
    for hand in HANDS:
        (place / hand).mkdir()
    jobs = [(svg, str(place / uri)) for svg, uri in zip(rows["svg"], rows["uri"], strict=True)]
    with ProcessPoolExecutor(min(os.cpu_count() or 1, 8)) as pool:
        rows["pixels"] = list(pool.map(_draw_to, jobs, chunksize=32))
    kept, gone = deduplicate(rows.drop(columns="svg"))
    for uri in gone["uri"]:
        (place / uri).unlink()
    for name, table in zip(TABLES, (kept, gone), strict=True):
        table.to_csv(place / name, index=False)


def benchmark_pictures(manifest: Manifest) -> Manifest:
    """The pictures that any named set can hold: those of the benchmark hands. This is what gets embedded."""
    return manifest.select(manifest.table["split"] == "benchmark")


def benchmarks(manifest: Manifest, home_hands: tuple[str, ...] = HOME_HANDS) -> dict[str, Benchmark]:
    """The named sets, each a function of the manifest alone.

    Parameters
    ----------
    manifest : Manifest
        As `load` gives it.
    home_hands : tuple of str
        Hands that draw the ID, near and far sets; the covariate sets show the ID concepts in the other two. The hard
        sets are so small that all four hands draw them, whatever is said here.

    Returns
    -------
    dict of str to Benchmark
        `animals-food` (far: the other groups; near: sibling concepts; covariate: other hands), `hard-10` and `hard-20`.
    """
    table = manifest.table
    home = table["hand"].isin(home_hands)
    is_id = table["group"].isin(ID_GROUPS) & (table["near"] == "false")
    ood = {group: manifest.select(home & (table["group"] == group)) for group in FAR_GROUPS}
    kinds = dict.fromkeys(FAR_GROUPS, "far")
    ood["near"], kinds["near"] = manifest.select(home & (table["near"] == "true")), "near"
    for name, hand in COVARIATE_HANDS.items():
        if hand not in home_hands:
            ood[name], kinds[name] = manifest.select(is_id & (table["hand"] == hand)), "covariate"
    id_set = manifest.select(home & is_id)
    found = {"animals-food": Benchmark("animals-food", tuple(id_set.table["label"].unique()), id_set, ood, kinds)}
    ten, twenty = (
        manifest.select(table["hand"].isin(BENCHMARK_HANDS) & table["name"].isin(names)) for names in (HARD_10, HARD_20)
    )
    found["hard-10"] = Benchmark("hard-10", HARD_10, ten, {"hard-20": twenty}, {"hard-20": "hard"})
    found["hard-20"] = Benchmark("hard-20", HARD_20, twenty, {"hard-10": ten}, {"hard-10": "hard"})
    return found
