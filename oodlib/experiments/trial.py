"""One of the papers' protocols under one encoder: from its pictures and words to the rows of its table."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
import pandas as pd
from torch import Tensor

from oodlib.concepts import Concepts
from oodlib.datasets.base import Benchmark, Manifest
from oodlib.datasets.images import read_image
from oodlib.detectors import Detector, get_detector
from oodlib.embeddings.embedding import Embeddings, embed
from oodlib.embeddings.texts import embed_texts, text_tower
from oodlib.encoders.encoder import Encoder
from oodlib.errors import OodlibError
from oodlib.evaluation.results import COLUMNS
from oodlib.evaluation.scoring import Scores, classify, score
from oodlib.evaluation.tables import tabulate
from oodlib.experiments.pictures import Shelf, distinct, limited
from oodlib.experiments.profiles import Profile
from oodlib.experiments.protocol_parts import NameProtocol, Tuning
from oodlib.outlier_labels.envision import load_envisioned
from oodlib.outlier_labels.envision_prompts import Form
from oodlib.outlier_labels.lexicon import Lexicon
from oodlib.prompts.sets import templates
from oodlib.tuning import Shots, Tuned, get_tuner, take_shots, tune

BATCH = 64


@dataclass(frozen=True)
class Trial:
    """One protocol under one encoder, ready to run.

    Parameters
    ----------
    run : Profile
    label : str
        The protocol's.
    protocol : NameProtocol
    encoder : Encoder
    named : str
        What the results call the encoder.
    shelf : Shelf
        The photographs, with the protocol's way of naming classes.
    taken : dict, optional
        Shots by what they are of, filled as they are drawn: pass the same one to all trials under one encoder. Local
        features and views are too large to be kept here.
    """

    run: Profile
    label: str
    protocol: NameProtocol
    encoder: Encoder
    named: str
    shelf: Shelf
    taken: dict[tuple[Any, ...], Shots] = field(default_factory=dict)

    def rows(self, current: str) -> pd.DataFrame:
        """The tidy rows of its table; `current` is the id of the run that makes them."""
        benchmarks = self.shelf.benchmarks(self.protocol.sets)
        if not benchmarks:
            return pd.DataFrame(columns=list(COLUMNS))
        sets = limited(self.run, benchmarks)
        kept = self._embed(self.encoder, sets)
        found = [self._table(benchmarks[name], sets[name], kept, current) for name in benchmarks]
        return pd.concat(found, ignore_index=True)

    def _embed(self, encoder: Encoder, sets: Mapping[str, Mapping[str, Manifest]]) -> Embeddings:
        parts = distinct(part for found in sets.values() for part in found.values())
        return Embeddings.join([embed(encoder, part) for part in parts])

    def _table(self, benchmark: Benchmark, sets: Mapping[str, Manifest], kept: Embeddings, run: str) -> pd.DataFrame:
        sentences = self._sentences(self.protocol.prompts)
        id_concepts = Concepts(
            names=benchmark.names,
            text=embed_texts(self.encoder, benchmark.names, sentences),
            logit_scale=self.encoder.logit_scale,
            encode=text_tower(self.encoder, sentences),
        )
        tables = []
        for shots, seed, tuned in self._tuned(id_concepts):
            source = kept if tuned.encoder is None else self._embed(tuned.encoder, {benchmark.name: sets})
            features = {part: tuned.transform(source.of(some)) for part, some in sets.items()}
            concepts = self._with_outliers(tuned, benchmark.name)
            detectors = self._detectors()
            patches = functools.partial(self._patches, sets)
            scores = score(concepts, detectors, features, id_set=benchmark.name, seed=self.run.seed, patches=patches)
            tables.append(self._tabulate(benchmark, sets, tuned, features, scores, detectors, (shots, seed), run))
        return pd.concat(tables, ignore_index=True)

    def _patches(self, sets: Mapping[str, Manifest], name: str) -> Iterator[Tensor]:
        """Local features of a set, a batch at a time: they are not kept, 100,000 numbers a picture."""
        files = sets[name].files()
        for start in range(0, len(files), BATCH):
            yield self.encoder.encode_patches([read_image(file) for file in files[start : start + BATCH]])

    def _tuned(self, concepts: Concepts) -> Iterator[tuple[int, int, Tuned]]:
        """The model as it is, or tuned to each number of shots with each seed."""
        chosen = self.protocol.tuning
        if chosen is None:
            yield 0, self.run.seed, Tuned(concepts, {})
            return
        teachers = self.shelf.manifest("imagenet-1k-train")
        amounts, parameters = self.run.amounts.protocols, self._parameters(chosen)
        needs = get_tuner(chosen.method).needs
        views = min(amounts.views or chosen.views, chosen.views)
        for count in chosen.shots[: amounts.shots]:
            few = few_of_each(teachers, concepts.names, count)
            for seed in range(chosen.seeds):
                shots = self._shots(few, concepts.names, views=views, seed=seed, **({needs: True} if needs else {}))
                yield count, seed, tune(chosen.method, self.encoder, concepts, shots, seed=seed, **parameters)

    def _shots(self, few: Manifest, names: tuple[str, ...], **wanted: Any) -> Shots:
        """Shots with what is wanted of them, those of an earlier trial where they are the same and kept."""
        key = (few.digest, names, *sorted(wanted.items()))
        found = self.taken.get(key) or take_shots(self.encoder, few, names, **wanted)
        if wanted.keys() <= {"views", "seed"}:
            self.taken[key] = found
        return found

    def _parameters(self, chosen: Tuning) -> dict[str, Any]:
        """A tuning method's parameters, with no more epochs than the run takes."""
        limit, known = self.run.amounts.protocols.epochs, get_tuner(chosen.method, **chosen.parameters).get_params()
        if limit is None or "epochs" not in known:
            return chosen.parameters
        return chosen.parameters | {"epochs": min(limit, known["epochs"])}

    def _with_outliers(self, tuned: Tuned, id_set: str) -> Concepts:
        """The classes with the protocol's outlier words, in the prompts that were learned if any were."""
        words = self.protocol.words
        if words is None:
            return tuned.concepts
        if words not in self.run.lexicons:
            listed = {"noun": load_envisioned(id_set, cast(Form, words), self.shelf.root / "envisioned")}
            prompts = {"noun": self._sentences(self.protocol.prompts)}
        else:
            chosen = self.run.lexicons[words]
            if limit := self.run.amounts.protocols.words:
                chosen = chosen.model_copy(update={"words": min(limit, chosen.words or limit)})
            listed = chosen.listed(self.run.seed)
            prompts = {
                "noun": self._sentences(chosen.prompts or self.protocol.prompts),
                "adjective": self._sentences(chosen.adjective_prompts),
            }
        lexicon = Lexicon.encode(self.encoder, listed, prompts)
        if tuned.encode is not None:
            lexicon = replace(lexicon, text=tuned.encode(lexicon.words))
        return lexicon.add_to(replace(tuned.concepts, encode=tuned.encode or tuned.concepts.encode))

    def _sentences(self, name: str) -> tuple[str, ...]:
        """A set of prompts, or the first of a long one."""
        return templates(name)[: self.run.amounts.protocols.sentences]

    def _detectors(self) -> dict[str, Detector]:
        detectors = {}
        for label, chosen in self.protocol.detectors.items():
            parameters = {key: value for key, value in chosen.items() if key != "method"}
            detectors[label] = get_detector(chosen.get("method", label), **parameters)
        if self.protocol.tuning and not self.run.amounts.protocols.patches:
            return {label: detector for label, detector in detectors.items() if "patches" not in detector.requires}
        return detectors

    def _tabulate(
        self,
        benchmark: Benchmark,
        sets: Mapping[str, Manifest],
        tuned: Tuned,
        features: Mapping[str, Tensor],
        scores: Scores,
        detectors: Mapping[str, Detector],
        trial: tuple[int, int],
        run: str,
    ) -> pd.DataFrame:
        inside = sets[benchmark.name].table["label"].to_numpy(dtype=str)
        guessed = np.array(tuned.concepts.names)[classify(tuned.concepts, features[benchmark.name]).numpy()]
        chosen = self.protocol.tuning
        table = tabulate(
            scores,
            detectors,
            id_set=benchmark.name,
            kinds=benchmark.kinds,
            correct=guessed == inside if inside.any() else None,
            means={name: parts for name, parts in self.protocol.means.items() if set(parts) <= set(benchmark.kinds)},
            n_boot=self.run.n_boot,
            seed=self.run.seed,
            profile=self.run.name,
            encoder=self.named,
            tuning=chosen.method if chosen else "none",
            shots=trial[0],
            run=run,
        )
        about = {"prompts": self.protocol.prompts, "names": self.protocol.names, "words": self.protocol.words}
        about |= {"preprocess": self.encoder.spec["preprocess"].get("variant"), "protocol": self.label}
        parameters = [json.dumps(json.loads(text) | about, sort_keys=True) for text in table["parameters"]]
        return table.assign(parameters=parameters, seed=trial[1])


def few_of_each(manifest: Manifest, names: tuple[str, ...], count: int) -> Manifest:
    """The first pictures of each class, by picture hash: the same ones on every machine.

    Raises
    ------
    OodlibError
        If a class has fewer.
    """
    table = manifest.table[manifest.table["label"].isin(names)]
    few = table.sort_values("sha256", kind="stable").groupby("class_id", sort=True).head(count).sort_values("id")
    sizes = few.groupby("label")["id"].size()
    short = [name for name in names if sizes.get(name, 0) < count]
    if short:
        raise OodlibError(f"{manifest.name} has fewer than {count} pictures of {short[0]!r}: choose fewer shots")
    return Manifest(manifest.name, manifest.root, few.reset_index(drop=True))
