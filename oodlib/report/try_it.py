"""What the page *Try it* reads: names, words and pictures as features in eight bits, and the detectors they serve.

The page computes what the library computes with the detectors of `page_detectors`. Two things travel as data, because
a page cannot make them: the prototypes of OLE, clustered once for the book's names, and the numbers that its generator
draws. All rows are L2-normalised features (`unpack`).
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodlib.arrays import as_numpy
from oodlib.concepts import Concepts
from oodlib.datasets.synonyms import synonyms
from oodlib.datasets.wordnet import default_words, normal
from oodlib.detectors import Detector, get_detector
from oodlib.detectors._prototypes import boundary_embeddings, learn_prototypes
from oodlib.embeddings.texts import embed_texts
from oodlib.encoders.no_texts import NoTexts
from oodlib.experiments.experiment import Experiment
from oodlib.guard.fit import SAME
from oodlib.prompts.sets import templates

LABELS = {"msp": "MSP", "mcm": "MCM", "energy": "Energy", "neg_label": "NegLabel", "ole": "OLE"}
KINDS = ("in", "near", "far")
Rows = NDArray[np.float32]


def page_detectors(names: Sequence[str], start: Sequence[str]) -> dict[str, Detector]:
    """The detectors of the page, unfitted, with the parameters that they have there for a list of names.

    They are those of `oodlib.detect`, but for OLE: its outlier labels are the prototypes that travel, each one its own
    prototype. Classes are clustered in Python alone, for the names that the page starts with; all others are one
    cluster, which is what the library makes of fewer than 60.
    """
    own: dict[str, Any] = {"n_prototypes": None} | ({} if list(names) == list(start) else {"n_clusters": 1})
    return {name: get_detector(name, **(own if name == "ole" else {})) for name in LABELS}


@dataclass(frozen=True, eq=False)
class Contents:
    """Everything that the page knows.

    Parameters
    ----------
    names : tuple of str
        The class names that the page starts with.
    words : tuple of str, length W
        The vocabulary, whose features need no text tower: first the outlier words, then the names of the drawings.
    outliers : int
        How many of them are outlier words.
    text, no, prototypes, pictures : array
        L2-normalised features: (W, D), the same names' "no" features (W, D), OLE's prototypes (P, D), and (N, D).
    labels : sequence of int, length N
        Which of the words names each picture.
    kinds : sequence of str, length N
        What each picture is to the starting names, one of `KINDS`.
    logit_scale : float
    """

    names: tuple[str, ...]
    words: tuple[str, ...]
    outliers: int
    text: Rows
    no: Rows
    prototypes: Rows
    pictures: Rows
    labels: Sequence[int]
    kinds: Sequence[str]
    logit_scale: float

    def blocks(self) -> dict[str, Rows]:
        """The features by name."""
        return {"text": self.text, "no": self.no, "prototypes": self.prototypes, "pictures": self.pictures}


def contents(lab: Experiment) -> Contents:
    """Gather them from an experiment on drawings, whose features are kept."""
    prompts, names = templates(lab.encoder.capabilities.templates), lab.benchmarks[lab.main].names
    sets = {lab.main: "in"} | {k: v for k, v in lab.benchmarks[lab.main].kinds.items() if v in KINDS}
    labels = [label for part in sets for label in lab.sets[lab.main][part].table["label"]]
    outliers = default_words()
    words = tuple(dict.fromkeys([*outliers, *names, *labels]))
    place = {word: k for k, word in enumerate(words)}
    text = np.concatenate(
        [as_numpy(embed_texts(lab.encoder, some, prompts)) for some in (outliers, words[len(outliers) :])]
    )
    no = as_numpy(embed_texts(NoTexts(lab.encoder), words, prompts))
    kept = untaken(names, outliers, text[[place[name] for name in names]], text[: len(outliers)])
    return Contents(
        names,
        words,
        len(outliers),
        text,
        no,
        as_numpy(learn_prototypes(text[kept], get_detector("ole").get_params()["n_prototypes"])),
        np.concatenate([as_numpy(lab.embeddings.of(lab.sets[lab.main][part])) for part in sets]),
        [place[label] for label in labels],
        [kind for part, kind in sets.items() for _ in range(len(lab.sets[lab.main][part]))],
        lab.encoder.logit_scale,
    )


def untaken(names: Sequence[str], outliers: Sequence[str], text: Rows, outlier_text: Rows) -> NDArray[np.int64]:
    """The places of the outlier words that name none of the classes: `oodlib.guard.fit.with_outliers` leaves these."""
    taken = frozenset[str]().union(*map(synonyms, names))
    nearest = (outlier_text @ text.T).max(1)
    return np.flatnonzero([normal(w) not in taken and near < SAME for w, near in zip(outliers, nearest, strict=True)])


def page_concepts(known: Contents, names: Sequence[str]) -> dict[str, Concepts]:
    """What each detector of the page is fitted to for names of the vocabulary, by detector."""
    rows = [known.words.index(name) for name in names]
    words, text = known.words[: known.outliers], known.text[: known.outliers]
    kept = untaken(names, words, known.text[rows], text)
    bare: dict[str, Any] = {
        "names": tuple(names),
        "text": known.text[rows],
        "no_text": known.no[rows],
        "logit_scale": known.logit_scale,
    }
    mined = Concepts(**bare, outlier_names=tuple(words[k] for k in kept), outlier_text=text[kept])
    centres = tuple(f"prototype {k}" for k in range(len(known.prototypes)))
    learned = Concepts(**bare, outlier_names=centres, outlier_text=known.prototypes)
    return dict.fromkeys(LABELS, mined) | {"ole": learned}


def border(known: Contents) -> dict[str, Any]:
    """Of OLE's hard prototypes what the library clusters and draws at random.

    Returns
    -------
    dict
        ``edge``: which of the starting names lie at the border, in the library's order. ``mixes``: the share of the
        class in each mixture, in that order. ``each``: how many of them a single cluster has.
    """
    chosen = get_detector("ole").get_params()
    rows = known.text[[known.words.index(name) for name in known.names]]
    found = boundary_embeddings(rows, chosen["n_clusters"], chosen["each"], chosen["cluster"], chosen["random_state"])
    draw = random.Random(chosen["random_state"])
    mixes = [draw.uniform(*chosen["mix"]) for _ in range(max(len(found), chosen["each"]))]
    return {"edge": (found @ rows.T).argmax(1).tolist(), "mixes": mixes, "each": chosen["each"]}


def same_as(outliers: Sequence[str]) -> list[str]:
    """Of each outlier word the nouns of WordNet that share a meaning with it, with semicolons between."""
    return [";".join(sorted(synonyms(word) - {normal(word)})) for word in outliers]


def pack(blocks: Mapping[str, Rows]) -> tuple[bytes, list[dict[str, Any]]]:
    """Rows in eight bits, block after block: a float32 scale for each row, then the rows; and where each block lies.

    A scale makes its row's whole numbers a vector of length one.
    """
    parts, places, offset = [], [], 0
    for name, rows in blocks.items():
        small = np.round(rows * (127 / np.abs(rows).max(1, keepdims=True))).astype(np.int8)
        scale = 1 / np.linalg.norm(small.astype(np.float64), axis=1)
        part = scale.astype("<f4").tobytes() + small.tobytes()
        places.append({"name": name, "rows": len(rows), "columns": rows.shape[1], "offset": offset})
        parts.append(part)
        offset += len(part)
    return b"".join(parts), places


def unpack(content: bytes, places: Sequence[Mapping[str, Any]]) -> dict[str, Rows]:
    """What the page makes of `pack`'s bytes: L2-normalised float32 rows by name."""
    blocks = {}
    for place in places:
        n, width, start = place["rows"], place["columns"], place["offset"]
        scale = np.frombuffer(content, "<f4", n, start)
        rows = np.frombuffer(content, np.int8, n * width, start + 4 * n).reshape(n, width)
        blocks[place["name"]] = rows.astype(np.float32) * scale[:, None]
    return blocks
