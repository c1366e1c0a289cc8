"""Running the papers' protocols: for every encoder and every protocol that can be run, the rows of its table.

What cannot be run, because a set, the weights or a list of words is not there, has a reason instead of rows.
"""

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
from oodlib.embeddings.texts import embed_texts
from oodlib.encoders.load import Encoder, load_encoder
from oodlib.errors import OodlibError
from oodlib.evaluation.results import COLUMNS
from oodlib.evaluation.scoring import Scores, classify, score
from oodlib.evaluation.tables import tabulate
from oodlib.experiments.pictures import Shelf, distinct, limited
from oodlib.experiments.profile_parts import EncoderChoice, Protocol, Tuning
from oodlib.experiments.profiles import Profile
from oodlib.outlier_labels.envision import load_envisioned
from oodlib.outlier_labels.envision_prompts import Form
from oodlib.outlier_labels.lexicon import Lexicon
from oodlib.prompts.sets import templates
from oodlib.tuning import Shots, Tuned, get_tuner, take_shots, tune

BATCH = 64
FIRST_ONLY = "this run takes only the first of a protocol's encoders"


@dataclass(frozen=True)
class Trial:
    """One protocol under one encoder, ready to run.

    Parameters
    ----------
    run : Profile
    label : str
        The protocol's.
    protocol : Protocol
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
    protocol: Protocol
    encoder: Encoder
    named: str
    shelf: Shelf
    taken: dict[tuple[Any, ...], Shots] = field(default_factory=dict)

    def rows(self, current: str) -> pd.DataFrame:
        """The tidy rows of its table; `current` is the id of the run that makes them."""
        skip = [part for _, _, part in self.protocol.pairs if not self.shelf.has(part)]
        benchmarks = {
            name: self.shelf.benchmark(name, kinds, skip)
            for name, kinds in self.protocol.sets.items()
            if self.shelf.has(name)
        }
        benchmarks = {name: benchmark for name, benchmark in benchmarks.items() if benchmark.ood}
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
        text = embed_texts(self.encoder, benchmark.names, self._sentences(self.protocol.prompts))
        id_concepts = Concepts(names=benchmark.names, text=text, logit_scale=self.encoder.logit_scale)
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
        paths = sets[name].paths()
        for start in range(0, len(paths), BATCH):
            yield self.encoder.encode_patches([read_image(path) for path in paths[start : start + BATCH]])

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
        return lexicon.add_to(tuned.concepts)

    def _sentences(self, name: str) -> tuple[str, ...]:
        """A set of prompts, or the first of a long one."""
        return templates(name)[: self.run.amounts.protocols.sentences]

    def _detectors(self) -> dict[str, Detector]:
        made = {}
        for label, chosen in self.protocol.detectors.items():
            parameters = {key: value for key, value in chosen.items() if key != "method"}
            made[label] = get_detector(chosen.get("method", label), **parameters)
        if self.protocol.tuning and not self.run.amounts.protocols.patches:
            return {label: detector for label, detector in made.items() if "patches" not in detector.requires}
        return made

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


@dataclass
class Outcome:
    """What came of a profile's protocols.

    Attributes
    ----------
    rows : DataFrame
        Tidy rows of everything that was run.
    ran : list of (protocol, encoder)
        Those that gave rows.
    reasons : dict of (protocol, encoder) to str
        Why one was not run, or not on all of its sets.
    specs : dict of str to dict
        The specification of every encoder that was used.
    """

    rows: pd.DataFrame
    ran: list[tuple[str, str]]
    reasons: dict[tuple[str, str], str]
    specs: dict[str, dict[str, Any]]


def run_protocols(run: Profile, current: str) -> Outcome:
    """Run every protocol of a profile under every one of its encoders, as far as that can be done.

    Parameters
    ----------
    run : Profile
    current : str
        Id of the run, for the rows.
    """
    found = Outcome(pd.DataFrame(columns=list(COLUMNS)), [], {}, {})
    tables = []
    for named, choice in run.encoders.items():
        encoder, refused, taken = None, "", dict[tuple[Any, ...], Shots]()
        for label, protocol in run.protocols.items():
            if named not in protocol.encoders:
                continue
            shelf, reason = _shelf(run, protocol, named)
            if reason:
                found.reasons[label, named] = reason
            if shelf is None:
                continue
            if encoder is None and not refused:
                encoder, refused = _loaded(choice)  # once: a host that does not answer takes seconds to say so
            if encoder is None:
                found.reasons[label, named] = refused
                continue
            try:
                rows = Trial(run, label, protocol, encoder, choice.label, shelf, taken).rows(current)
            except OodlibError as error:
                found.reasons[label, named] = str(error)
                continue
            tables.append(rows)
            found.ran.append((label, named))
            found.specs[named] = encoder.spec | {"digest": encoder.digest}
    if tables:
        found.rows = pd.concat(tables, ignore_index=True)
    return found


def _shelf(run: Profile, protocol: Protocol, named: str) -> tuple[Shelf | None, str]:
    """The sets that a protocol can be run on under an encoder, None if it cannot; and why not, or not on all."""
    if protocol.not_run:
        return None, protocol.not_run
    if named not in protocol.encoders[: run.amounts.protocols.encoders]:
        return None, FIRST_ONLY
    shelf = Shelf(run.photo_root, protocol.names)
    missing = [name for name in protocol.names_of_sets if not shelf.has(name)]
    some = not all({one, other} & set(missing) for one, _, other in protocol.pairs)
    return shelf if some else None, f"not there: {', '.join(missing)}" if missing else ""


def _loaded(choice: EncoderChoice) -> tuple[Encoder | None, str]:
    """An encoder, or why it cannot be had."""
    try:
        return load_encoder(**choice.options()), ""
    except OodlibError as error:
        return None, str(error)


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
