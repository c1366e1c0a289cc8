"""From a profile to its pictures: the sets to tell apart, and the lists of what has to be embedded for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oodlib.datasets import photos
from oodlib.datasets.base import Benchmark, Manifest, union
from oodlib.datasets.examination import survey
from oodlib.experiments.profile_parts import Kind, Names, Sets
from oodlib.experiments.profiles import Profile


@dataclass(frozen=True)
class Pictures:
    """What a profile shows to a model.

    Parameters
    ----------
    benchmarks : dict of str to Benchmark
        The profile's ID sets with their OOD sets, the main one first.
    sets : dict of str to dict of str to Manifest
        For each ID set its own pictures, under its own name, and those of its OOD sets: as many as the profile takes.
    to_embed : tuple of Manifest
        What has to be embedded so that every picture of `sets` has a feature: one store each.
    digests : dict of str to str
        SHA-256 of the picture lists, for the run record.
    """

    benchmarks: dict[str, Benchmark]
    sets: dict[str, dict[str, Manifest]]
    to_embed: tuple[Manifest, ...]
    digests: dict[str, str]


def pictures_of(run: Profile) -> Pictures:
    """The pictures of a profile.

    Raises
    ------
    OodlibError
        If a set that the profile needs is not there, or is not what it should be.
    """
    if run.dataset == "emojishift":
        return _drawings(run)
    chosen = run.photos
    assert chosen is not None  # a profile is checked when it is read
    shelf = Shelf(run.photo_root, chosen.names)
    benchmarks = {
        name: shelf.benchmark(name, kinds, skip=[part for part in chosen.optional if not shelf.has(part)])
        for name, kinds in chosen.sets.items()
    }
    sets = limited(run, benchmarks)
    to_embed = distinct(part for parts in sets.values() for part in parts.values())
    return Pictures(benchmarks, sets, to_embed, {manifest.name: manifest.digest for manifest in to_embed})


def state_of(run: Profile) -> dict[str, list[Any]]:
    """What is there of every set that a profile of photographs names: a word, and how many pictures.

    Pages are made again when it changes. The pictures themselves are not read: their hashes are in the run record.
    """
    names = {name for one in run.tables.values() for name in one.names_of_sets} | set(run.teachers)
    for one, kinds in (run.photos.sets if run.photos else {}).items():
        names |= {one, *(part for parts in kinds.values() for part in parts)}
    states = {name: survey(name, run.photo_root)[0] for name in sorted(names)}
    return {name: [state.word, state.found] for name, state in states.items()}


def _drawings(run: Profile) -> Pictures:
    from oodlib.datasets import emojishift

    manifest = emojishift.load()
    benchmarks = emojishift.benchmarks(manifest)
    benchmarks = {name: benchmarks[name] for name in run.id_sets}
    sets = limited(run, benchmarks)
    used = emojishift.benchmark_pictures(manifest)
    if run.pictures is not None:  # the others would be embedded for nothing
        used = union(part for parts in sets.values() for part in parts.values())
    digests = {run.dataset: manifest.digest, f"{run.dataset}, pictures used": used.digest}
    return Pictures(benchmarks, sets, (used,), digests)


def limited(run: Profile, benchmarks: Mapping[str, Benchmark]) -> dict[str, dict[str, Manifest]]:
    """The pictures of every set, at most as many as the profile takes."""
    return {
        name: {part: run.limit(pictures) for part, pictures in {name: benchmark.id, **benchmark.ood}.items()}
        for name, benchmark in benchmarks.items()
    }


def distinct(parts: Iterable[Manifest]) -> tuple[Manifest, ...]:
    """Some of the lists, largest first, that hold every picture of all of them: subsets need no store of their own."""
    chosen: list[Manifest] = []
    seen: set[str] = set()
    for part in sorted(parts, key=len, reverse=True):
        ids = set(part.table["id"])
        if not ids <= seen:
            chosen.append(part)
            seen |= ids
    return tuple(chosen)


class Shelf:
    """The sets of photographs in one folder, each read once.

    Parameters
    ----------
    root : Path
        The folder of all sets.
    naming : "clean" or "openai"
        How ImageNet's classes are called.
    """

    def __init__(self, root: Path, naming: Names):
        self.root, self.naming = root, naming
        self._read: dict[str, Manifest] = {}

    def has(self, name: str) -> bool:
        """Whether a set is there, whole or not; of a sample, only whether there is anything."""
        return photos.examine(name, self.root).found > 0

    def manifest(self, name: str) -> Manifest:
        """The pictures of a set; each label is the class's name in this tradition."""
        if name not in self._read:
            found = photos.load(name, self.root)
            called = self._called(name)
            known = zip(found.table["class_id"].astype(str), found.table["label"].astype(str), strict=True)
            labels = [called.get(identity, label) for identity, label in known]
            self._read[name] = Manifest(found.name, found.root, found.table.assign(label=labels))
        return self._read[name]

    def _called(self, name: str) -> dict[str, str]:
        """Class names by id; empty for a set without a list of classes."""
        ids = photos.class_ids(name)
        return dict(zip(ids, photos.class_names(name, self.naming), strict=True)) if ids else {}

    def benchmark(self, name: str, kinds: Mapping[Kind, list[str]], skip: Iterable[str] = ()) -> Benchmark:
        """An ID set with its OOD sets, without those to skip."""
        called = self._called(name)
        names = tuple(called[identity] for identity in photos.class_ids(name, self.root))
        outside: dict[str, str] = {part: kind for kind, sets in kinds.items() for part in sets if part not in set(skip)}
        return Benchmark(name, names, self.manifest(name), {part: self.manifest(part) for part in outside}, outside)

    def benchmarks(self, sets: Sets) -> dict[str, Benchmark]:
        """Those of the ID sets that are there, with those of their OOD sets that are; none without any."""
        outside = {part for kinds in sets.values() for parts in kinds.values() for part in parts}
        skip = [part for part in outside if not self.has(part)]
        found = {name: self.benchmark(name, kinds, skip) for name, kinds in sets.items() if self.has(name)}
        return {name: benchmark for name, benchmark in found.items() if benchmark.ood}
