"""Is this picture one of my classes? A detector with its words, its threshold and the encoder they belong to.

from oodlib import detect
detect("photos/", ["cat", "dog", "car"])
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oodlib.arrays import join
from oodlib.concepts import Concepts
from oodlib.detectors import Detector, get_detector, name_of
from oodlib.embeddings.texts import text_tower
from oodlib.encoders.named import named_encoder
from oodlib.errors import OodlibError
from oodlib.evaluation.thresholds import Threshold, check_rule, choose
from oodlib.guard.decisions import decide
from oodlib.guard.doubtful import name_notes
from oodlib.guard.file import load_guard, save_guard
from oodlib.guard.fit import check_outliers, check_that_it_tells, fit_names, with_outliers
from oodlib.guard.images import Seen, look
from oodlib.guard.labels import Labels, check_labels, encode_labels
from oodlib.guard.reading import check_reading
from oodlib.guard.rows import Rows
from oodlib.outlier_labels.lexicon import Lexicon
from oodlib.prompts.sets import templates as named_templates

if TYPE_CHECKING:
    import pandas as pd

    from oodlib.encoders.encoder import Encoder
    from oodlib.pocket.light import LightEncoder


@dataclass(frozen=True, eq=False)
class Guard:
    """A fitted detector that tells pictures of some classes from all others. Make one with `Guard.make`.

    Parameters
    ----------
    encoder : Encoder or LightEncoder
    detector : Detector
        Fitted to `concepts`, its `threshold_` set.
    concepts : Concepts
        The classes and, where the method uses them, outlier words.
    descriptions : mapping of str to tuple of str
        The classes' descriptions, where there are any.
    templates : tuple of str
        Prompts around names and outlier words.
    threshold : Threshold
        The cut on the paper's scale (`Detector.to_paper`), as `detect` shows scores, and how it was chosen.
    calibration : Tensor, array or None
        Features of the calibration pictures, (n, D): the cut is chosen anew when classes change.
    notes : tuple of str
        What a person should know about these labels and pictures, a sentence each.
    """

    encoder: Encoder | LightEncoder
    detector: Detector
    concepts: Concepts
    descriptions: Mapping[str, tuple[str, ...]]
    templates: tuple[str, ...]
    threshold: Threshold
    calibration: Any = None
    notes: tuple[str, ...] = ()

    @classmethod
    def make(
        cls,
        labels: Labels,
        encoder: str | Encoder | LightEncoder = "pocket",
        method: str | Detector = "ole",
        *,
        threshold: str | float = "auto",
        calibrate: Any = None,
        outliers: Sequence[str] | None = None,
        templates: str | Sequence[str] | None = None,
        pretrained: str | None = None,
        progress: bool = False,
        **parameters: Any,
    ) -> Guard:
        """Make a guard from words; the parameters are those of `detect`."""
        if isinstance(method, Detector) and parameters:
            raise OodlibError(f"{method!r} is built already: set {', '.join(parameters)} when you build it")
        detector = _unfitted(method) if isinstance(method, Detector) else get_detector(method, **parameters)
        described = check_labels(labels)
        outliers = check_outliers(detector, outliers)  # what cannot be meant is refused before the model is loaded
        check_rule(threshold, method=name_of(detector), even_odds=detector.even_odds, calibrated=calibrate is not None)
        if isinstance(encoder, str):
            encoder = named_encoder(encoder, pretrained)
        elif pretrained is not None:  # it would change nothing
            raise OodlibError(f"{encoder!r} is loaded already: leave pretrained={pretrained!r} out")
        prompts = prompts_for(templates, encoder)
        notes = [*name_notes(list(described)), *check_reading(encoder, described, prompts)]
        notes += check_reading(encoder, dict.fromkeys(outliers or (), ()), prompts, "outlier word")
        id_concepts = Concepts(
            names=tuple(described),
            text=encode_labels(encoder, described, prompts),
            logit_scale=encoder.logit_scale,
            encode=text_tower(encoder, prompts),
        )
        if encoder.capabilities.no_head is not None:
            id_concepts = replace(id_concepts, no_text=encoder.encode_no(id_concepts.names, prompts))
        fitted, concepts = fit_names(detector, id_concepts, encoder, prompts, outliers)
        if outliers is not None and (dropped := set(outliers) - set(concepts.outlier_names)):
            notes.append(f"outlier words that mean one of the labels are left out: {', '.join(sorted(dropped))}")
        features = None
        if calibrate is not None:
            features, more = _calibration(encoder, calibrate, progress)
            notes += more
        guard = cls(encoder, fitted, concepts, described, prompts, Threshold(0, "number"), features, tuple(notes))
        return guard._cut(threshold)

    def _cut(self, rule: str | float) -> Guard:
        """The same guard with a threshold chosen by a rule."""
        name, scores = name_of(self.detector), None
        if self.calibration is not None:
            if self.detector.transductive:
                raise OodlibError(
                    f"{name} scores a picture by those around it, so that calibration scores do not carry over: "
                    "choose another method, or give a number as the threshold"
                )
            scores = self.detector.score_samples(self.calibration)
        chosen = choose(rule, method=name, even_odds=self.detector.even_odds, id_scores=scores)
        if scores is None:  # said on the paper's scale
            self.detector.threshold_ = self.detector.from_paper(chosen.value)
        else:
            self.detector.threshold_ = chosen.value
            chosen = replace(chosen, value=float(self.detector.to_paper(chosen.value)))
        return replace(self, threshold=chosen)

    def with_labels(self, labels: Labels) -> Guard:
        """Add classes. Only they are encoded; outlier words that mean one of them are dropped.

        A cut that was chosen from calibration pictures is chosen again from the same ones.

        Raises
        ------
        OodlibError
            If a label is bad, or a class of that name is there already.
        """
        added = check_labels(labels)
        # with a space before, a name that is there already stays a second entry, which is refused
        described = check_labels({**self.descriptions, **{f" {name}": lines for name, lines in added.items()}})
        notes = [*name_notes(list(described)), *check_reading(self.encoder, described, self.templates)]
        known = self.concepts
        no_text = known.no_text
        if no_text is not None:
            no_text = join([no_text, self.encoder.encode_no(list(added), self.templates)])
        text = join([known.text, encode_labels(self.encoder, added, self.templates)])
        lexicon = None
        if known.outlier_text is not None:
            lexicon = Lexicon(known.outlier_names, known.outlier_kinds, known.outlier_text)
        fresh = {"names": tuple(described), "text": text, "no_text": no_text}
        bare = replace(known, **fresh, outlier_names=(), outlier_text=None, outlier_kinds=())
        concepts = bare if lexicon is None else with_outliers(bare, lexicon)
        detector = _unfitted(self.detector).fit(concepts)
        check_that_it_tells(detector, concepts)
        grown = replace(self, detector=detector, concepts=concepts, descriptions=described, notes=tuple(notes))
        rule = self.threshold.rule
        return grown._cut(self.threshold.value if rule == "number" else "auto" if rule == "even odds" else rule)

    def with_threshold(self, threshold: str | float, calibrate: Any = None, *, progress: bool = False) -> Guard:
        """Choose the cut anew, from other calibration pictures if any are passed."""
        features, notes = self.calibration, list(self.notes)
        if calibrate is not None:
            check_rule(threshold, calibrated=True)
            features, more = _calibration(self.encoder, calibrate, progress)
            notes += more
        elif not isinstance(threshold, str) or threshold not in ("auto", "id95", "conformal"):
            features = None  # a number needs no pictures
        moved = replace(
            self, detector=_unfitted(self.detector).fit(self.concepts), calibration=features, notes=tuple(notes)
        )
        return moved._cut(threshold)

    def detect(self, images: Any, *, progress: bool = False) -> pd.DataFrame:
        """Decide on images: one row an image, in their order; `oodlib.guard.decisions.decide` tells the columns."""
        return self.decisions(images, progress=progress).table()

    def decisions(self, images: Any, *, progress: bool = False) -> Rows:
        """What `detect` tells, as plain rows."""
        return self.judge(look(self.encoder, images, progress=progress))

    def judge(self, seen: Seen) -> Rows:
        """What `detect` tells of images that were looked at, as plain rows."""
        return decide(self.detector, self.concepts, self.threshold, seen, self.encoder.spec, self.calibration)

    def save(self, path: str | Path) -> None:
        """Keep the guard in one safetensors file (`oodlib.guard.file`)."""
        save_guard(Path(path), **{part.name: getattr(self, part.name) for part in fields(self)})

    @classmethod
    def load(
        cls, path: str | Path, encoder: str | Encoder | LightEncoder | None = None, pretrained: str | None = None
    ) -> Guard:
        """Read a guard that was saved; refused under another encoder than its own."""
        return cls(**load_guard(Path(path), encoder, pretrained))


def detect(
    images: Any,
    labels: Labels,
    encoder: str | Encoder | LightEncoder = "pocket",
    method: str | Detector = "ole",
    threshold: str | float = "auto",
    *,
    calibrate: Any = None,
    outliers: Sequence[str] | None = None,
    templates: str | Sequence[str] | None = None,
    pretrained: str | None = None,
    progress: bool = False,
    **parameters: Any,
) -> pd.DataFrame:
    """Say of each image whether it shows one of your classes ("in") or not ("out"), and why.

    Parameters
    ----------
    images : path, str, PIL image, array, or a list of them
        A string or path names a file, a folder or a glob; `oodlib.guard.images.look` tells more. Features of files are
        kept.
    labels : sequence of str, or mapping of str to sequence of str
        Class names in any language that the text tower knows, or names with a list of descriptions each.
    encoder : str, Encoder or LightEncoder
        A name as `oodlib.encoders.load_encoder` takes it; "pocket" comes without torch (`LightEncoder`).
    method : str or Detector
        A name that `oodlib.detectors.list_detectors` knows.
    threshold : float, "auto", "id95" or "conformal"
        As `oodlib.evaluation.thresholds.choose` explains; a number is on the paper's scale, such as a probability of
        0.9. "auto" takes "id95" where there are calibration pictures, else the score at which the classes and
        everything else are equally likely; methods without such a score ask for pictures.
    calibrate : as `images`, optional
        Pictures of your classes that the threshold is chosen from.
    outliers : sequence of str, optional
        Words for what is not one of your classes; by default, for methods that use such words, 2,000 of WordNet's names
        of things, without your labels and their synonyms.
    templates : str or sequence of str, optional
        Prompts, or the name of a set in `oodlib.prompts.sets`; several are averaged. By default what the
        encoder's folder declares (`oodlib.prompts.capabilities`): "drawings" for "pocket"; else "photo".
    pretrained : str, optional
        Weights of an architecture given by name.
    progress : bool
        Show a progress bar on standard error.
    **parameters
        Of the method.

    Returns
    -------
    pandas.DataFrame
        Columns ``image``, ``decision`` ("in", "out" or "unreadable"), ``score``, ``threshold``, ``best_label``,
        ``nearest_outlier``, ``margin``, ``reason``.

    Raises
    ------
    OodlibError
        If there are no images, a label or a parameter is bad, or the threshold cannot be chosen.
    """
    guard = Guard.make(
        labels,
        encoder,
        method,
        threshold=threshold,
        calibrate=calibrate,
        outliers=outliers,
        templates=templates,
        pretrained=pretrained,
        progress=progress,
        **parameters,
    )
    for note in guard.notes:
        warnings.warn(note, stacklevel=2)
    return guard.detect(images, progress=progress)


def _unfitted(detector: Detector) -> Detector:
    """Another of the same parameters."""
    return type(detector)(**detector.get_params())


def prompts_for(chosen: str | Sequence[str] | None, encoder: Encoder | LightEncoder) -> tuple[str, ...]:
    """Templates as chosen, by name or written out, or those that fit the encoder."""
    if chosen is None:
        chosen = encoder.capabilities.templates
    return named_templates(chosen) if isinstance(chosen, str) else tuple(chosen)


def _calibration(encoder: Encoder | LightEncoder, calibrate: Any, progress: bool) -> tuple[Any, list[str]]:
    seen = look(encoder, calibrate, progress=progress)
    if not seen.good:
        name, reason = next(iter(seen.bad.items()))
        raise OodlibError(f"no calibration picture can be read (the first: {name}, {reason})")
    if not seen.bad:
        return seen.features, []
    return seen.features, [f"{len(seen.bad)} calibration picture(s) left out: {', '.join(list(seen.bad)[:3])}"]
