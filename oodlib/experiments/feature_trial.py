"""One of the papers' protocols on features under one encoder: what pictures of the ID classes teach, without a name."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pandas as pd

from oodlib.arrays import as_numpy, normalize
from oodlib.datasets.base import Benchmark, Manifest
from oodlib.embeddings.embedding import Embeddings, embed
from oodlib.encoders.encoder import Encoder
from oodlib.evaluation.results import COLUMNS
from oodlib.evaluation.tables import tabulate
from oodlib.experiments.pictures import Shelf, distinct, limited
from oodlib.experiments.profiles import Profile
from oodlib.experiments.protocol_parts import FeatureProtocol, Reading
from oodlib.experiments.trial import few_of_each
from oodlib.feature_detectors import get_feature_detector, on_concepts


@dataclass(frozen=True)
class FeatureTrial:
    """One protocol on features under one encoder, ready to run.

    Parameters
    ----------
    run : Profile
    label : str
        The protocol's.
    protocol : FeatureProtocol
    encoder : Encoder
        With or without texts.
    named : str
        What the results call the encoder.
    shelf : Shelf
        The photographs.
    """

    run: Profile
    label: str
    protocol: FeatureProtocol
    encoder: Encoder
    named: str
    shelf: Shelf

    def rows(self, current: str) -> pd.DataFrame:
        """The tidy rows of its table; `current` is the id of the run that makes them."""
        benchmarks = self.shelf.benchmarks(self.protocol.sets)
        if not benchmarks:
            return pd.DataFrame(columns=list(COLUMNS))
        sets = limited(self.run, benchmarks)
        taught = {name: self._taught(benchmark) for name, benchmark in benchmarks.items()}
        needed = distinct([*taught.values(), *(part for found in sets.values() for part in found.values())])
        kept = Embeddings.join([embed(self.encoder, part) for part in needed])
        found = [self._table(benchmarks[name], sets[name], taught[name], kept, current) for name in benchmarks]
        return pd.concat(found, ignore_index=True)

    @property
    def _per_class(self) -> int:
        return min(self.protocol.per_class, self.run.amounts.protocols.taught or self.protocol.per_class)

    def _taught(self, benchmark: Benchmark) -> Manifest:
        return few_of_each(self.shelf.manifest(self.protocol.taught), benchmark.names, self._per_class)

    def _table(
        self, benchmark: Benchmark, sets: dict[str, Manifest], taught: Manifest, kept: Embeddings, run: str
    ) -> pd.DataFrame:
        features = {part: as_numpy(kept.of(pictures)) for part, pictures in sets.items()}
        rows, labels = as_numpy(kept.of(taught)), taught.table["label"].to_numpy(dtype=str)
        scores: dict[str, dict[str, Any]] = {}
        for name, one in self.protocol.detectors.items():
            detector = get_feature_detector(one.method, **one.parameters)
            detector.fit(_read(one, rows), labels if one.classes else None)
            scores[name] = {part: detector.score_samples(_read(one, found)) for part, found in features.items()}
        table = tabulate(
            scores,
            {name: on_concepts(one.method, **one.parameters) for name, one in self.protocol.detectors.items()},
            id_set=benchmark.name,
            kinds=benchmark.kinds,
            means={name: parts for name, parts in self.protocol.means.items() if set(parts) <= set(benchmark.kinds)},
            n_boot=self.run.n_boot,
            seed=self.run.seed,
            profile=self.run.name,
            encoder=self.named,
            run=run,
        )
        about = {"protocol": self.label, "taught": f"{self.protocol.taught}, {self._per_class} of each class"}
        read = {
            name: json.dumps(one.model_dump() | about, sort_keys=True) for name, one in self.protocol.detectors.items()
        }
        return table.assign(parameters=table["detector"].map(read))


def _read(one: Reading, features: Any) -> Any:
    return normalize(features) if one.directions else features
