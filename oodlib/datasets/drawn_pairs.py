"""Pairs of a drawing and a text, in distribution or out of it in one of three ways that are known exactly.

An ID pair shows an animal, a plant or a food that has a name in the ID set, and its text says so. A pair is out because
its text is that of another ID thing (*misaligned*), because its picture is spoilt (*damaged*), or because it shows, and
says, something of another group (*new domain*).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from oodlib.datasets import emojishift
from oodlib.datasets.base import Manifest
from oodlib.datasets.damage import damaged
from oodlib.errors import OodlibError

SCENARIOS = ("misaligned", "damaged", "new domain")
# Harder ways that are never labelled: the text of a thing of the same subgroup; a sibling thing with its own text.
HARDER = ("sibling text", "sibling thing")
ID = "pairs"
COLUMNS = ["picture", "text", "scenario", "concept", "said", "hand", "way"]
LESSONS = 0.25  # share of the concepts whose OOD pairs may be labelled, and that no test pair shows
KEYWORDS = 2  # of a concept, behind its name


@dataclass(frozen=True, eq=False)
class DrawnPairs:
    """Pairs as tables with the columns `COLUMNS`.

    `picture` is an id, `concept` what it shows, `said` what the text is of, `way` how a damaged picture was spoilt.

    Parameters
    ----------
    known : DataFrame
        ID pairs to learn from, by the hands of training.
    lessons : DataFrame
        OOD pairs that may be labelled, by the same hands: of every scenario one for each of some concepts.
    test : DataFrame
        ID pairs (scenario `ID`) and OOD pairs by other hands, of concepts that are in no lesson.
    drawings, spoilt : Manifest
        The pictures of all of them, whole and damaged.
    """

    known: pd.DataFrame
    lessons: pd.DataFrame
    test: pd.DataFrame
    drawings: Manifest
    spoilt: Manifest

    def labelled(self, share: float, seed: int, scenarios: Sequence[str] = SCENARIOS) -> pd.DataFrame:
        """Training pairs: the known ones, of which a share gave way to labelled OOD pairs of each scenario.

        Parameters
        ----------
        share : float
            Of the known pairs, for each scenario; at least one pair.
        seed : int
            Draws both. A scenario's pairs are the same whatever other scenarios are asked for.
        scenarios : sequence of str

        Raises
        ------
        OodlibError
            If there are fewer lessons than that, or no such scenario.
        """
        count = max(1, round(share * len(self.known)))
        parts = []
        for place, scenario in enumerate(SCENARIOS):
            pool = self.lessons[self.lessons["scenario"] == scenario]
            if scenario not in scenarios:
                continue
            if count > len(pool):
                raise OodlibError(f"{count} pairs of {scenario!r} are asked for and {len(pool)} are there: take fewer")
            drawn = np.random.default_rng([seed, place]).permutation(len(pool))[:count]
            parts.append(pool.iloc[drawn])
        if len(parts) != len(set(scenarios)) or not parts:
            raise OodlibError(f"scenarios are {', '.join(SCENARIOS)}, not {', '.join(scenarios) or 'none'}")
        stay = np.random.default_rng([seed, len(SCENARIOS)]).permutation(len(self.known))[count * len(parts) :]
        return pd.concat([self.known.iloc[np.sort(stay)], *parts], ignore_index=True)


def caption(name: str, keywords: str) -> str:
    """A concept's text: its name and its first two keywords, in the form of an alt text on the web.

    >>> caption("tiger", "animal; big; cat; tiger")
    'tiger, animal, big'
    """
    others = [word for word in keywords.split("; ") if word and word.lower() != name.lower()]
    return ", ".join([name, *others[:KEYWORDS]])


def load(
    taught: Sequence[str], tested: Sequence[str], *, concepts: int | None = None, home: Path | None = None
) -> DrawnPairs:
    """Make the pairs.

    Parameters
    ----------
    taught, tested : sequence of str
        Hands that draw the pairs of training, and those of the test.
    concepts : int, optional
        At most so many ID concepts, and as many new ones.
    home : Path, optional
        Cache folder; by default `OODLIB_HOME` or the platform's user cache folder.

    Raises
    ------
    OodlibError
        If a hand is on both sides, one has drawn nothing, there are fewer than 8 concepts, or as `emojishift.load`.
    """
    if both := set(taught) & set(tested):
        raise OodlibError(f"{min(both)} draws for training and for the test: keep it on one side")
    manifest = emojishift.load(home)
    table = manifest.table
    if missing := {*taught, *tested} - set(table["hand"]):
        raise OodlibError(f"there is no hand {min(missing)!r}: choose among {', '.join(sorted(set(table['hand'])))}")
    things = table.drop_duplicates("concept").set_index("concept")
    living = things["group"].isin(emojishift.ID_GROUPS)
    near = things["near"] == "true"
    kinds = {"id": living & ~near, "new": things["group"].isin(emojishift.FAR_GROUPS), "near": living & near}
    ranked = {kind: _ranked(things.index[chosen])[:concepts] for kind, chosen in kinds.items()}
    if len(ranked["id"]) < 8:
        raise OodlibError(f"{len(ranked['id'])} concepts cannot be parted into lessons and a test: take 8 or more")
    ends = {kind: max(2, round(LESSONS * len(codes))) for kind, codes in ranked.items()}
    lesson, test = ({kind: codes[part(ends[kind])] for kind, codes in ranked.items()} for part in (_first, _rest))
    texts = {
        code: caption(name, words)
        for code, name, words in zip(things.index, things["label"], things["keywords"], strict=True)
    }
    subgroup = things["subgroup"].to_dict()

    def by(hands: Sequence[str], codes: Iterable[str]) -> pd.DataFrame:
        return table[table["hand"].isin(list(hands)) & table["concept"].isin(list(codes))]

    def pairs(drawings: pd.DataFrame, scenario: str, said: Callable[[str, str], str | None] = _itself) -> pd.DataFrame:
        rows = [
            (one.id, texts[other], scenario, one.concept, other, one.hand, getattr(one, "way", ""))
            for one in drawings.itertuples()
            if (other := said(str(one.id), str(one.concept))) is not None
        ]
        return pd.DataFrame(rows, columns=COLUMNS)

    def another(codes: Sequence[str], *, same: bool) -> Callable[[str, str], str | None]:
        """The text of another of these concepts, of the same subgroup or of a different one."""

        def said(identity: str, concept: str) -> str | None:
            fit = [code for code in codes if code != concept and (subgroup[code] == subgroup[concept]) is same]
            return fit[int(_hash(identity), 16) % len(fit)] if fit else None

        return said

    once = {kind: _one_each(by(taught, codes)) for kind, codes in lesson.items()}
    whole = by(tested, test["id"])
    spoilt = damaged(manifest.select(table["id"].isin([*once["id"]["id"], *whole["id"]])), home)
    taken = spoilt.table["of"].isin(once["id"]["id"])
    known = pairs(by(taught, ranked["id"]), ID)
    lessons = pd.concat(
        [
            pairs(once["id"], SCENARIOS[0], another(lesson["id"], same=False)),
            pairs(spoilt.table[taken], SCENARIOS[1]),
            pairs(once["new"], SCENARIOS[2]),
        ],
        ignore_index=True,
    )
    tests = pd.concat(
        [
            pairs(whole, ID),
            pairs(whole, SCENARIOS[0], another(test["id"], same=False)),
            pairs(spoilt.table[~taken], SCENARIOS[1]),
            pairs(by(tested, test["new"]), SCENARIOS[2]),
            pairs(whole, HARDER[0], another(test["id"], same=True)),
            pairs(by(tested, ranked["near"]), HARDER[1]),
        ],
        ignore_index=True,
    )
    seen = {*known["picture"], *lessons["picture"], *tests["picture"]}
    return DrawnPairs(known, lessons, tests, manifest.select(table["id"].isin(seen)), spoilt)


def _first(end: int) -> slice:
    return slice(None, end)


def _rest(end: int) -> slice:
    return slice(end, None)


def _itself(_: str, concept: str) -> str:
    return concept


def _one_each(drawings: pd.DataFrame) -> pd.DataFrame:
    """One drawing of each concept, by any of the hands."""
    order = drawings.assign(rank=drawings["id"].map(_hash)).sort_values("rank")
    return order.drop_duplicates("concept").drop(columns="rank")


def _ranked(codes: Iterable[str]) -> list[str]:
    """A fixed shuffle that is the same on every machine."""
    return sorted(codes, key=_hash)


def _hash(text: str) -> str:
    return hashlib.sha256(f"pairs:{text}".encode()).hexdigest()
