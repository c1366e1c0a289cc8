"""How good an encoder is on EmojiShift: the numbers of the model card, hand by hand, from kept features.

Pictures of one concept are not independent of each other: four hands draw the same thing. The intervals therefore come
from a bootstrap over *concepts*: a drawn concept brings all its pictures, in every hand. The draws are shared by all
measures and hands. Within each Unicode group, concepts held out of pretraining and the others are drawn separately, so
that their numbers stay what they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from oodlib.concepts import Concepts, EncodesNames
from oodlib.datasets.base import Benchmark, Manifest
from oodlib.datasets.emoji_sources import BENCHMARK_HANDS
from oodlib.datasets.emojishift import ID_GROUPS, benchmarks
from oodlib.embeddings.embedding import Embeddings
from oodlib.errors import OodlibError
from oodlib.evaluation.ranking import Array, Ranking
from oodlib.evaluation.scoring import classify, score

DETECTORS = ("mcm", "msp", "max_logit", "energy")
ID_SET = "animals-food"
WITHOUT = "symbols"  # the far group that pretraining holds nothing out of
COLUMNS = ("measure", "pictures", "hand", "value", "low", "high", "n")
_BLOCK = 100  # replicates worked on at once: few enough to stay in a core's own cache

# A measure under every weighting of the pictures: first as they are, then the replicates (1 + R,); and its pictures.
Found = tuple[Array, int]


@dataclass(frozen=True)
class Vocabulary:
    """Names with their text features, encoded once and combined at will.

    Parameters
    ----------
    text : mapping of str to Tensor
        Each name's feature, (D,), L2-normalised.
    logit_scale : float
        The model's factor on the cosine.
    """

    text: Mapping[str, Tensor]
    logit_scale: float

    @classmethod
    def encode(cls, encoder: EncodesNames, names: Iterable[str], templates: Sequence[str] | None = None) -> Vocabulary:
        """Encode names, each once, with a set of templates."""
        listed = list(dict.fromkeys(names))
        features = encoder.encode_texts(listed, templates=templates)
        return cls(dict(zip(listed, features, strict=True)), float(encoder.logit_scale))

    def concepts(self, names: Iterable[str]) -> Concepts:
        """Some of the names as concepts, each once, in the order given."""
        listed = tuple(dict.fromkeys(names))
        return Concepts(listed, torch.stack([self.text[name] for name in listed]), logit_scale=self.logit_scale)


def measure(
    vocabulary: Vocabulary,
    manifest: Manifest,
    embeddings: Embeddings,
    *,
    n_boot: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Measure an encoder on the benchmark hands.

    Parameters
    ----------
    vocabulary : Vocabulary
        The names of all its concepts.
    manifest : Manifest
        Pictures of EmojiShift; those of the benchmark hands are used.
    embeddings : Embeddings
        Their features.
    n_boot, level, seed
        Replicates, coverage of the percentile intervals, and the seed of the draws.

    Returns
    -------
    DataFrame
        One row a measure, set of pictures and hand, with the columns `COLUMNS`. Hand "mean" is the plain mean of the
        hands; `n` counts the pictures that are named or to be caught. Measures are:

        ``top1``: share of pictures whose best-matching name is theirs, on ``animals-food`` (among the names of all
        animals and foods, siblings included) and ``held-out`` (among the concepts that pretraining never saw);

        the AUROC of each of `DETECTORS`, and of the ``oracle`` that knows the true OOD names, for the hand's own
        *animals-food* against each of its far sets, ``far`` (their mean) and ``far but symbols``.

    Raises
    ------
    OodlibError
        If a hand has no pictures of a kind that is needed.
    """
    table = manifest.table[manifest.table["hand"].isin(BENCHMARK_HANDS)].reset_index(drop=True)
    manifest = Manifest(manifest.name, manifest.root, table)
    weights = _Weights(table, n_boot, seed)
    asked = {ID_SET: table["group"].isin(ID_GROUPS), "held-out": table["unseen"] == "true"}
    found: dict[tuple[str, str], dict[str, Found]] = {}
    for hand in BENCHMARK_HANDS:
        here = {}
        for pictures, mask in asked.items():
            own = manifest.select(mask & (table["hand"] == hand))
            here["top1", pictures] = _top1(own, vocabulary.concepts(table["name"][mask]), embeddings, weights)
        here |= _detection(benchmarks(manifest, home_hands=(hand,))[ID_SET], vocabulary, embeddings, weights)
        for key, cell in here.items():
            found.setdefault(key, {})[hand] = cell
    tails = (1 - level) / 2, (1 + level) / 2
    rows = []
    for key, by_hand in found.items():
        for hand, (values, n) in {**by_hand, "mean": _mean(by_hand.values())}.items():
            rows.append((*key, hand, float(values[0]), *np.quantile(values[1:], tails).tolist(), n))
    return pd.DataFrame(rows, columns=list(COLUMNS))


class _Weights:
    """How often each picture counts in each weighting, whole concepts being drawn with replacement."""

    def __init__(self, table: pd.DataFrame, n_boot: int, seed: int):
        self._row = pd.Series(np.arange(len(table)), index=table["id"])
        concepts = table.drop_duplicates("concept").set_index("concept").sort_index()
        strata = concepts["group"] + concepts["unseen"]
        rng = np.random.default_rng(seed)
        drawn: Array = np.zeros((n_boot, len(concepts)))
        for stratum in sorted(strata.unique()):
            inside = np.flatnonzero(strata == stratum)
            drawn[:, inside] = rng.multinomial(len(inside), np.full(len(inside), 1 / len(inside)), size=n_boot)
        replicates = drawn[:, concepts.index.get_indexer(pd.Index(table["concept"]))]
        self._all = np.concatenate([np.ones((1, len(table))), replicates])

    def of(self, *parts: Manifest) -> Iterator[tuple[Array, ...]]:
        """Weights of the pictures of each part, (R, n) each, a block of weightings at a time."""
        rows = [self._row[part.table["id"]].to_numpy() for part in parts]
        for start in range(0, len(self._all), _BLOCK):
            yield tuple(self._all[start : start + _BLOCK, some] for some in rows)


def _top1(own: Manifest, concepts: Concepts, embeddings: Embeddings, weights: _Weights) -> Found:
    """Share of pictures whose best-matching name is theirs."""
    if not len(own):
        raise OodlibError("a benchmark hand has no pictures to name: pass the pictures of all four hands")
    best = np.array(concepts.names)[classify(concepts, embeddings.of(own)).numpy()]
    right = (best == own.table["name"].to_numpy()).astype(float)
    return np.concatenate([w @ right / w.sum(1) for (w,) in weights.of(own)]), len(own)


def _detection(
    benchmark: Benchmark, vocabulary: Vocabulary, embeddings: Embeddings, weights: _Weights
) -> dict[tuple[str, str], Found]:
    """AUROC of every detector, and of the oracle, on every far set and on their means."""
    far = {name: part for name, part in benchmark.ood.items() if benchmark.kinds[name] == "far"}
    sets = {ID_SET: benchmark.id, **far}
    empty = [name for name, part in sets.items() if not len(part)]
    if empty:
        raise OodlibError(f"a benchmark hand has no {empty[0]} pictures: pass the pictures of all four hands")
    features = {name: embeddings.of(part) for name, part in sets.items()}
    concepts = vocabulary.concepts(benchmark.names)
    others = vocabulary.concepts(name for part in far.values() for name in part.table["name"]).text
    scores = score(concepts, DETECTORS, features)
    scores["oracle"] = {name: oracle(matrix, concepts, others).numpy() for name, matrix in features.items()}
    found: dict[tuple[str, str], Found] = {}
    for what, by_set in scores.items():
        single: dict[str, Found] = {}
        for name, part in far.items():
            ranking = Ranking.of(by_set[ID_SET], by_set[name])
            blocks = [ranking.auroc(*both) for both in weights.of(benchmark.id, part)]
            single[name] = np.concatenate(blocks), len(part)
        fewer = {name: cell for name, cell in single.items() if name != WITHOUT}
        means = {"far": _mean(single.values()), f"far but {WITHOUT}": _mean(fewer.values())}
        found |= {(what, name): cell for name, cell in {**single, **means}.items()}
    return found


def _mean(some: Iterable[Found]) -> Found:
    """The mean of a measure over hands or sets, weighting by weighting, and the sum of their pictures."""
    values, sizes = zip(*some, strict=True)
    return np.mean(values, axis=0), sum(sizes)


def oracle(features: Tensor, concepts: Concepts, others: Tensor) -> Tensor:
    """Share of the softmax that falls on ID names when the true OOD names are added to them.

    No detector knows the OOD names; this says what better outlier words could gain at most with such a score.

    Parameters
    ----------
    features : Tensor
        (N, D), L2-normalised.
    concepts : Concepts
        The ID names.
    others : Tensor
        Text features of the OOD names, (K, D).

    Returns
    -------
    Tensor
        (N,), larger = more ID.
    """
    logits = concepts.logit_scale * features @ torch.cat([concepts.text, others]).T
    # The log of the odds ranks like the share, but does not round to 1 where the model is sure.
    inside, outside = logits.tensor_split([len(concepts.text)], dim=1)
    return inside.logsumexp(1) - outside.logsumexp(1)
