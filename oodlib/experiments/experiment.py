"""What every experiment of a profile starts from: model, pictures, kept features, and concepts with outlier words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from oodlib.concepts import Concepts
from oodlib.datasets.base import Benchmark, Manifest
from oodlib.embeddings.embedding import Embeddings, embed
from oodlib.embeddings.texts import embed_texts, text_tower
from oodlib.encoders.named import named_encoder
from oodlib.encoders.no_texts import NoTexts
from oodlib.evaluation.scoring import classify
from oodlib.experiments.pictures import pictures_of
from oodlib.experiments.profiles import Profile
from oodlib.outlier_labels.envision import SHIPPED, load_envisioned
from oodlib.outlier_labels.envision_prompts import Form
from oodlib.outlier_labels.lexicon import Lexicon
from oodlib.prompts.sets import templates
from oodlib.provenance import note

if TYPE_CHECKING:
    from oodlib.encoders.encoder import Encoder
    from oodlib.pocket.light import LightEncoder


@dataclass(frozen=True, eq=False)
class Experiment:
    """Model, pictures and features of a profile, each made once. Make one with `Experiment.of`.

    Parameters
    ----------
    run : Profile
    encoder : Encoder or LightEncoder
        Its features are tensors. PocketCLIP comes without open_clip, whose import takes as long as many a page.
    benchmarks : dict of str to Benchmark
        The profile's ID sets, the main one first.
    sets : dict of str to dict of str to Manifest
        For each ID set its own pictures, under its own name, and those of its OOD sets.
    embeddings : Embeddings
        Features of all of them.
    """

    run: Profile
    encoder: Encoder | LightEncoder
    benchmarks: dict[str, Benchmark]
    sets: dict[str, dict[str, Manifest]]
    embeddings: Embeddings

    @classmethod
    def of(cls, run: Profile) -> Experiment:
        """Load the model and the pictures of a profile, embed what is not embedded, and note it in the run record."""
        found = pictures_of(run)
        encoder = named_encoder(**run.encoder.options(), tensors=True)
        embeddings = Embeddings.join([embed(encoder, part) for part in found.to_embed])
        note(device=encoder.spec["device"], dtype=run.encoder.precision, seeds={"all": run.seed})
        note(encoder=encoder.spec | {"digest": encoder.digest}, embeddings={run.dataset: embeddings.key})
        note(manifests=found.digests)
        return cls(run, encoder, found.benchmarks, found.sets, embeddings)

    @cached_property
    def torch_encoder(self) -> Encoder:
        """The encoder with its model in torch, for what needs the model itself: patches, training, its speed."""
        from oodlib.encoders.load import load_encoder

        if self.encoder.runtime == "torch":
            return self.encoder
        encoder = load_encoder(**self.run.encoder.options())
        note(encoder={"in_torch": encoder.spec | {"digest": encoder.digest}})
        return encoder

    @property
    def main(self) -> str:
        """The ID set that pages speak about."""
        return self.run.id_sets[0]

    @property
    def templates(self) -> tuple[str, ...]:
        """The profile's prompts."""
        return templates(self.run.templates)

    @cached_property
    def lexicon(self) -> Lexicon:
        """The profile's outlier words: nouns with its own templates, adjectives with NegLabel's."""
        words = self.run.outlier_words()
        return Lexicon.encode(self.encoder, words, {"noun": self.templates, "adjective": templates("nice-adjective")})

    def envisioned(self, id_set: str, form: Form) -> Lexicon:
        """Labels envisioned for an ID set: the library's, or for photographs those in `envisioned/` beside them."""
        folder = self.run.photo_root / "envisioned" if self.run.photos else SHIPPED
        return self.words(load_envisioned(id_set, form, folder))

    def words(self, listed: Sequence[str]) -> Lexicon:
        """Other outlier words, as nouns."""
        return Lexicon.encode(self.encoder, {"noun": list(listed)}, {"noun": self.templates})

    def concepts(self, id_set: str) -> Concepts:
        """The class names of an ID set; with "no" features where the model has a head for them."""
        names = self.benchmarks[id_set].names
        concepts = Concepts(
            names=names,
            text=embed_texts(self.encoder, names, self.templates),
            logit_scale=self.encoder.logit_scale,
            encode=text_tower(self.encoder, self.templates),
        )
        if self.encoder.capabilities.no_head is None:
            return concepts
        return replace(concepts, no_text=embed_texts(NoTexts(self.encoder), names, self.templates))

    def features(self, id_set: str, kinds: Sequence[str] = ("far", "near", "hard", "covariate")) -> dict[str, Tensor]:
        """Features of an ID set and of its OOD sets of some kinds, by set name."""
        known = self.benchmarks[id_set].kinds
        return {
            part: self.embeddings.of(pictures)
            for part, pictures in self.sets[id_set].items()
            if part == id_set or known[part] in kinds
        }

    def features_of(self, pictures: Manifest) -> Tensor:
        """Features of any pictures, (n, D): those of the profile are there already, others are encoded and kept."""
        kept = self.embeddings if self._ids.issuperset(pictures.ids) else embed(self.encoder, pictures)
        features: Tensor = kept.of(pictures)
        return features

    @cached_property
    def _ids(self) -> frozenset[str]:
        return frozenset(self.embeddings.ids)

    def correct(self, id_set: str) -> np.ndarray:
        """Whether the best-matching name of each ID picture is its own, bool (n,)."""
        concepts, inside = self.concepts(id_set), self.sets[id_set][id_set]
        guessed = np.array([concepts.names[k] for k in classify(concepts, self.embeddings.of(inside)).tolist()])
        # By name, because two of ImageNet's classes share one.
        right: np.ndarray = guessed == inside.table["label"].to_numpy(dtype=str)
        return right
