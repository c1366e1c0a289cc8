"""All detectors on a person's own pictures: a folder of what is in-distribution (ID), a folder of what is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from oodlib.concepts import Concepts
from oodlib.datasets.base import Manifest
from oodlib.datasets.folder import Pictures, from_csv, from_folder
from oodlib.datasets.listing import legible
from oodlib.detectors import Detector, get_detector, list_detectors
from oodlib.embeddings.embedding import embed
from oodlib.encoders.load import load_encoder
from oodlib.errors import OodlibError
from oodlib.evaluation.scoring import Scores, score
from oodlib.evaluation.tables import tabulate
from oodlib.feature_detectors import get_feature_detector, list_feature_detectors, on_concepts
from oodlib.guard.doubtful import check_parts, means_none
from oodlib.guard.guard import Guard
from oodlib.guard.labels import check_labels

ID, OOD = "inside", "outside"


@dataclass(frozen=True, eq=False)
class Comparison:
    """What came out.

    Parameters
    ----------
    results : DataFrame
        Tidy rows, as `oodlib.evaluation.tabulate` gives them.
    pictures : DataFrame
        One row a picture that could be read: ``image``, ``set`` ("inside" or "outside"), ``label``, and ``part``:
        "fitted" where feature detectors learned from it, else "test".
    features : Tensor
        Of these pictures, (N, D).
    notes : tuple of str
        What a person should know, a sentence each: files and detectors that were left out, and why.
    """

    results: pd.DataFrame
    pictures: pd.DataFrame
    features: Tensor
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Scored:
    """Two folders as all detectors see them.

    Parameters
    ----------
    detectors : dict of str to Detector
    scores : dict of str to dict of str to array
        Of the tested pictures of each set, as `oodlib.evaluation.score` gives them.
    pictures, features
        As in `Comparison`.
    notes : list of str
    encoder : str
        The model's name.
    """

    detectors: dict[str, Detector]
    scores: Scores
    pictures: pd.DataFrame
    features: Tensor
    notes: list[str]
    encoder: str


def compare(
    inside: Path | str,
    outside: Path | str,
    encoder: str = "pocket",
    *,
    labels: Sequence[str] | None = None,
    outliers: Sequence[str] | None = None,
    templates: str | None = None,
    n_boot: int = 1000,
    seed: int = 0,
    progress: bool = False,
    **weights: Any,
) -> Comparison:
    """Score two folders with every detector that words allow and, where ID pictures have labels, those on features.

    Labelled ID pictures are halved, class by class and by hash: feature detectors learn from one half, and *all*
    detectors are tested on the other. Without labels, all ID pictures are the test.

    Parameters
    ----------
    inside : path
        A folder with a folder for each class, or a CSV with the columns path and label.
    outside : path
        A folder, or such a CSV, of other pictures.
    encoder, outliers, templates
        As in `oodlib.detect`.
    labels : sequence of str, optional
        Class names. By default those of the folders; pass them where the pictures lie in one folder.
    n_boot, seed
        Bootstrap resamples behind every interval, and the seed of all draws.
    progress : bool
        Show a progress bar on standard error.
    **weights
        `pretrained`, `quick_gelu` and `like` of `oodlib.encoders.load_encoder`.

    Raises
    ------
    OodlibError
        If there are no pictures, no labels or one class only, or a label is bad.
    """
    found = score_folders(
        inside,
        outside,
        encoder,
        labels=labels,
        outliers=outliers,
        templates=templates,
        seed=seed,
        progress=progress,
        **weights,
    )
    results = tabulate(
        *(found.scores, found.detectors), id_set=ID, kinds={OOD: "far"}, n_boot=n_boot, seed=seed, encoder=found.encoder
    )
    return Comparison(results, found.pictures, found.features, tuple(found.notes))


def score_folders(
    inside: Path | str,
    outside: Path | str,
    encoder: str,
    *,
    labels: Sequence[str] | None,
    outliers: Sequence[str] | None,
    templates: str | None,
    seed: int,
    progress: bool,
    **weights: Any,
) -> Scored:
    """What `compare` and `oodlib.guard.unlabelled.rank` start from; they tell the parameters."""
    found = {ID: _pictures(inside), OOD: _pictures(outside)}
    given = found[ID].manifest.table["label"]
    folders = [label for label in given.unique() if label]
    names, notes = _names(inside, labels, folders, given)
    model = load_encoder(encoder, **weights)  # with torch, as every detector is asked
    guard = Guard.make(names, model, outliers=outliers, templates=templates)
    notes += guard.notes
    seen = {name: _seen(guard, some, name, notes, progress) for name, some in found.items()}
    shown = set(seen[ID][0]["label"])
    if labels is None and (bare := [name for name in names if name not in shown]):
        notes.append(f"no picture of {', '.join(map(repr, bare))} can be read: the name alone stands for the class")
    pictures = pd.concat([table for table, _ in seen.values()], ignore_index=True)
    features = torch.cat([rows for _, rows in seen.values()])
    learn = torch.zeros(len(pictures), dtype=torch.bool)
    if set(folders) <= set(guard.concepts.names) and folders:
        learn = torch.tensor(_learning_half(pictures).to_numpy())
    pictures["part"] = ["fitted" if fitted else "test" for fitted in learn.tolist()]
    within = torch.tensor((pictures["set"] == ID).to_numpy())
    concepts = guard.concepts
    if not learn.any():
        notes.append("detectors on features are left out: they need a folder for each label, with two pictures or more")
    else:
        place = {name: k for k, name in enumerate(concepts.names)}
        places = pictures["label"][learn.numpy()].map(place).to_numpy()
        concepts = replace(concepts, shots=features[learn], shot_labels=torch.tensor(places))
    sets = {ID: features[within & ~learn], OOD: features[~within]}
    detectors = _detectors(labelled=bool(learn.any()))
    used, scores = _scores(detectors, guard, concepts, sets, seed, notes, own_words=outliers is None)
    both = len(set(found[ID].manifest.table["sha256"]) & set(found[OOD].manifest.table["sha256"]))
    if both:
        notes.append(f"{both} picture(s) lie in both folders, which spoils every number: keep each in one")
    return Scored(used, scores, pictures.drop(columns="sha256"), features, notes, guard.encoder.spec["model"])


def _names(
    inside: Path | str, labels: Sequence[str] | None, folders: list[str], given: pd.Series
) -> tuple[list[str], list[str]]:
    """The class names, of the folders or as passed, and notes about them."""
    notes = [] if labels is not None else _check_classes(inside, sorted(folders), given)
    names = list(check_labels(labels)) if labels is not None else sorted(folders)
    if not names:
        raise OodlibError(f"{inside} has no folder for a class: sort the pictures into one for each, or pass labels")
    if len(names) == 1:
        raise OodlibError(f"{inside} has one class only ({names[0]}): most scores compare names, so add a second")
    if labels is None and (loose := int((given == "").sum())):
        raise OodlibError(f"{loose} pictures in {inside} lie in no folder of a class: move them into one, or elsewhere")
    return names, notes


def _check_classes(place: Path | str, names: list[str], given: pd.Series) -> list[str]:
    """Refuse labels of pictures that name no class; notes about those that may name none, and about empty folders."""
    if none := [name for name in names if means_none(name, names)]:
        count = int(given.isin(none).sum())
        raise OodlibError(
            f"{count} picture(s) in {place} have the label {none[0]!r}, which names no class: leave them out, or write "
            "what they show"
        )
    if Path(place).is_file():
        return []
    notes = check_parts(names, place)
    empty = [entry.name for entry in sorted(Path(place).iterdir()) if entry.is_dir() and entry.name[0] not in ".@#$_"]
    if empty := [name for name in empty if legible(name) not in names]:
        notes.append(f"no class, because there is no picture in it: {', '.join(map(legible, empty))}")
    return notes


def _pictures(place: Path | str) -> Pictures:
    return from_csv(place) if Path(place).suffix.lower() in (".csv", ".tsv") else from_folder(place)


def _seen(guard: Guard, found: Pictures, name: str, notes: list[str], progress: bool) -> tuple[pd.DataFrame, Tensor]:
    """The pictures of a set that can be read, with their features; a note about the others."""
    manifest: Manifest = found.manifest
    bad, good, features = dict(found.bad), [], torch.empty(0)
    if len(manifest):
        kept = embed(guard.encoder, manifest, progress=progress, tolerate=True)
        bad, good, features = {**bad, **kept.bad}, list(kept.ids), kept.features
    if bad:
        first, reason = next(iter(bad.items()))
        notes.append(f"left out {len(bad)} file(s) that cannot be read (the first: {first}, {reason})")
    if len(good) < 2:
        raise OodlibError(f"{len(good)} picture(s) {name} can be read: pass two at least, or mend the files")
    table = manifest.table.set_index("id").loc[good]
    columns = {"image": table["shown"], "set": name, "label": table["label"], "sha256": table["sha256"]}
    return pd.DataFrame(columns).reset_index(drop=True), features


def _learning_half(pictures: pd.DataFrame) -> pd.Series:
    """Half of the labelled ID pictures, class by class; the order is that of the hashes, the same on any machine."""
    labelled = (pictures["set"] == ID) & (pictures["label"] != "")
    rank = pictures.sort_values("sha256", kind="stable").groupby(["set", "label"]).cumcount()
    return labelled & (rank.reindex(pictures.index) % 2 == 1)


def _detectors(*, labelled: bool) -> dict[str, Detector]:
    """Every detector with its defaults; those on features only where there are pictures to learn from."""
    detectors = {name: get_detector(name) for name in list_detectors()}
    detectors = {name: detector for name, detector in detectors.items() if "patches" not in detector.requires}
    for name in list_feature_detectors() if labelled else ():
        # meant for activations behind a ReLU: the negative entries of these features count as 0
        clipped = {"negative": "clip"} if "negative" in get_feature_detector(name).get_params() else {}
        detectors[name] = on_concepts(name, **clipped)
    return detectors


def _scores(
    detectors: dict[str, Detector],
    guard: Guard,
    concepts: Concepts,
    sets: dict[str, Tensor],
    seed: int,
    notes: list[str],
    *,
    own_words: bool,
) -> tuple[dict[str, Detector], Scores]:
    """Scores of those detectors that these pictures and this model allow; a note about each of the others.

    With `own_words`, a method that brings outlier words has those.
    """
    scores: Scores = {}
    for name, detector in detectors.items():
        of_method = concepts
        if own_words and (words := detector.default_words):
            text = guard.encoder.encode_texts(list(words), guard.templates)
            of_method = replace(concepts, outlier_names=tuple(words), outlier_text=text, outlier_kinds=())
        try:
            scores |= score(of_method, {name: detector}, sets, id_set=ID, seed=seed)
        except OodlibError as error:
            notes.append(f"{name} is left out: {error}")
    return {name: detectors[name] for name in scores}, scores
