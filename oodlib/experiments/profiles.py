"""Profiles: what a run uses (model, pictures, sizes, seeds), read from `profiles/<name>.yaml` and checked."""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import yaml
from pydantic import Field, ValidationError, model_validator

from oodlib.cache import check_source
from oodlib.errors import OodlibError
from oodlib.experiments.amounts import Amounts
from oodlib.experiments.profile_parts import EncoderChoice, FewShot, Photographs, Strict, Vocabulary
from oodlib.experiments.protocol_parts import FeatureProtocol, NameProtocol, Protocol

if TYPE_CHECKING:
    from oodlib.datasets.base import Manifest


class _Yaml(yaml.SafeLoader):
    """YAML in which 1e-2 is a number, as in Python and in YAML 1.2; PyYAML takes it for text without a point."""


_Yaml.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?([0-9]+\.?|[0-9]*\.[0-9]+)[eE][-+]?[0-9]+$"), list("-+.0123456789")
)


class Profile(Strict):
    """What a run uses.

    Attributes
    ----------
    name, title : str
        The file's name without suffix, and one line for a reader.
    encoder : EncoderChoice
        The vision-language model.
    dataset : str
        "emojishift", or "photos".
    photos : Photographs or None
        Which photographs, for the data set "photos".
    templates : str
        Name of the prompt templates in `oodlib.prompts.sets`.
    vocabulary : Vocabulary or None
        Its outlier words, for the pages that use some.
    few_shot : FewShot or None
        Its few-shot study, for the pages on fine-tuning.
    detectors : dict of str to dict
        Detector name to its parameters; an empty dictionary keeps the defaults.
    id_sets : list of str
        Names of the benchmarks (`Benchmark.name`), the first being the one that pages speak about.
    n_boot : int
        Bootstrap resamples behind every interval.
    seed : int
        Of the bootstrap, and of whatever else draws at random.
    pictures : int or None
        At most this many pictures of every set (the first by picture hash); None keeps all.
    encoders : dict of str to EncoderChoice
        The models of `protocols`, by a label.
    lexicons : dict of str to Vocabulary
        Their outlier words, by a label.
    protocols, feature_protocols : dict of str to NameProtocol, and to FeatureProtocol
        How the papers' tables are made, by a label.
    amounts : Amounts
        How much of everything else: rounds, draws, points of a curve.
    is_small : bool
        True when the `small` block has been applied: names the folder, and chooses the block of other profiles that the
        same book needs. What a small run takes less of stands in that block.
    is_sample : bool
        True when the photographs are a made-up sample: then the small block has been applied, and all weights are
        random.
    """

    name: str
    title: str
    encoder: EncoderChoice
    dataset: Literal["emojishift", "photos"]
    photos: Photographs | None = None
    templates: str
    vocabulary: Vocabulary | None = None
    few_shot: FewShot | None = None
    detectors: dict[str, dict[str, Any]] = Field(min_length=1)
    id_sets: list[str] = Field(min_length=1)
    n_boot: int = Field(ge=10)
    seed: int = 0
    pictures: int | None = Field(default=None, ge=4)
    encoders: dict[str, EncoderChoice] = Field(default_factory=dict)
    lexicons: dict[str, Vocabulary] = Field(default_factory=dict)
    protocols: dict[str, NameProtocol] = Field(default_factory=dict)
    feature_protocols: dict[str, FeatureProtocol] = Field(default_factory=dict)
    amounts: Amounts = Amounts()
    is_small: bool = False
    is_sample: bool = False

    @model_validator(mode="after")
    def _fits_together(self) -> Profile:
        if (self.dataset == "photos") != (self.photos is not None):
            raise ValueError("`photos` belongs to the data set photos, and to no other")
        if self.photos and list(self.photos.sets) != self.id_sets:
            raise ValueError("`id_sets` and `photos.sets` must name the same ID sets in the same order")
        for label in self.protocols.keys() & self.feature_protocols.keys():
            raise ValueError(f"{label} names a protocol and a feature protocol: give one of them another label")
        for label, table in self.tables.items():
            for missing in (named for named in table.encoders if named not in self.encoders):
                raise ValueError(f"the protocol {label} names the encoder {missing}, which `encoders` lacks")
        for label, protocol in self.protocols.items():
            if protocol.words not in (None, "far", "near", "fine-grained", *self.lexicons):
                raise ValueError(f"the protocol {label} names the words {protocol.words}, which `lexicons` lacks")
        return self

    @property
    def tables(self) -> dict[str, Protocol]:
        """All protocols, by label."""
        return {**self.protocols, **self.feature_protocols}

    @property
    def teachers(self) -> list[str]:
        """The sets that the protocols learn from."""
        shots = ["imagenet-1k-train"] if any(one.tuning for one in self.protocols.values()) else []
        return [*shots, *(one.taught for one in self.feature_protocols.values())]

    def limit(self, manifest: Manifest) -> Manifest:
        """At most `pictures` of a set, the ones whose hashes come first; the whole set where `pictures` is None.

        Hashes shuffle the pictures the same way on any machine, and a picture that is chosen from a set is also chosen
        from any part of that set.
        """
        if self.pictures is None or len(manifest) <= self.pictures:
            return manifest
        chosen = manifest.table["sha256"].sort_values(kind="stable").index[: self.pictures]
        return manifest.select(manifest.table.index.isin(chosen))

    def outlier_words(self) -> dict[str, list[str]]:
        """Nouns and, where it has them, adjectives of its vocabulary, by kind.

        Raises
        ------
        OodlibError
            If the profile has no vocabulary.
        """
        if self.vocabulary is None:
            raise OodlibError(f"the profile {self.name} names no outlier words: add a `vocabulary` to its file")
        return self.vocabulary.listed(self.seed)

    @property
    def photo_root(self) -> Path:
        """The folder of all sets of photographs.

        Raises
        ------
        OodlibError
            If the profile is about other pictures.
        """
        from oodlib.datasets.photos import data_root

        if self.photos is None:
            raise OodlibError(f"the profile {self.name} has no photographs: choose one that has `photos`")
        return data_root(self.photos.root)

    @property
    def folder(self) -> Path:
        """The folder of what runs make: `_build/<name>`, or `<name>-small` or `<name>-sample` beside it."""
        suffix = "-sample" if self.is_sample else "-small" if self.is_small else ""
        return build_root() / f"{self.name}{suffix}"


def project_root() -> Path:
    """The checkout's folder: `OODLIB_PROJECT`, or the nearest one at or above the current folder that has a `_toc.yml`.

    Raises
    ------
    OodlibError
        If there is none: pages and profiles are sources of the project, not files of the installed library.
    """
    given = os.environ.get("OODLIB_PROJECT")
    places = [Path(given)] if given else [Path.cwd(), *Path.cwd().parents]
    for place in places:
        if (place / "_toc.yml").is_file():
            return place.resolve()
    if given:
        raise OodlibError(f"OODLIB_PROJECT is {given}, which has no _toc.yml: set it to a checkout of the book")
    raise OodlibError(
        "no checkout of the book is at or above the current folder: go to one, or set OODLIB_PROJECT to it"
    )


def build_root() -> Path:
    """The folder of everything made: `OODLIB_BUILD`, or `_build` in the checkout."""
    given = os.environ.get("OODLIB_BUILD")
    return Path(given).resolve() if given else project_root() / "_build"


def cannot_write(folder: Path, error: OSError) -> OodlibError:
    """The error to raise where a profile's folder cannot be written."""
    return OodlibError(
        f"cannot write in {folder} ({error.strerror or error}): free some space, or set OODLIB_BUILD to another folder"
    )


def list_profiles() -> list[str]:
    """Names of the profiles that exist."""
    return sorted(path.stem for path in (project_root() / "profiles").glob("*.yaml"))


def profile_path(name: str) -> Path:
    """The file of a profile.

    Raises
    ------
    OodlibError
        If there is no such profile; the message names those that exist.
    """
    known = list_profiles()
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}? There are: " if close else "choose one of: "
        raise OodlibError(f"there is no profile {name!r}: {hint}{', '.join(known)}")
    return project_root() / "profiles" / f"{name}.yaml"


def load_profile(name: str, *, small: bool = False) -> Profile:
    """Read and check a profile.

    Parameters
    ----------
    name : str
        The file's name without suffix.
    small : bool
        Whether to apply the profile's `small` block: the same work on few pictures, for tests and first steps.

    Raises
    ------
    OodlibError
        If there is no such profile, it is not YAML, a key is unknown or missing, a value does not fit, or it has no
        `small` block to apply.
    """
    path = profile_path(name)
    check_source(path)
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), _Yaml) or {}
    except yaml.YAMLError as error:
        problem = str(error).replace("\n", " ")
        raise OodlibError(f"profiles/{path.name} is not YAML, mend it: {problem}") from error
    except (OSError, UnicodeDecodeError, RecursionError) as error:
        said = getattr(error, "strerror", None) or error
        raise OodlibError(f"profiles/{path.name} cannot be read ({said}): mend it") from error
    if not isinstance(values, dict) or not isinstance(values.get("small", {}), dict):
        raise OodlibError(f"profiles/{path.name} must hold keys and values, and so must its `small` block")
    override = values.pop("small", {})
    try:
        profile = Profile(**{"name": name, **values})
        sample = profile.photos is not None and _is_sample(profile.photo_root)
        if small and not override and not sample:
            raise OodlibError(f"profiles/{path.name} has no `small` block: add one, or leave --small out")
        if small or sample:  # checked as a whole again: a small block may be wrong where the full profile is right
            profile = Profile(**{"name": name, **values, **override, "is_small": True, "is_sample": sample})
        if sample:
            drawn = {label: choice.drawn() for label, choice in profile.encoders.items()}
            profile = profile.model_copy(update={"encoder": profile.encoder.drawn(), "encoders": drawn})
    except (ValidationError, TypeError) as error:
        raise OodlibError(f"profiles/{path.name} does not fit: {_first_problem(error)}") from error
    return profile


def _is_sample(root: Path) -> bool:
    from oodlib.datasets.photos import is_sample

    return is_sample(root)


def _first_problem(error: Exception) -> str:
    """The first complaint of a validation error, as `key: complaint`, with the known keys where the key is unknown."""
    if not isinstance(error, ValidationError):
        return str(error)
    # A mistyped key makes two complaints, one unknown and one missing: the unknown one is the one to mend.
    first = min(error.errors(), key=lambda complaint: complaint["type"] != "extra_forbidden")
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"{where!r} is not a key, the keys are {', '.join(_part_at(first['loc'][:-1]).model_fields)}"
    said = first["msg"].removeprefix("Value error, ")
    return f"{where!r}: {said[0].lower()}{said[1:]}" if where else said


def _part_at(path: tuple[int | str, ...]) -> type[Strict]:
    """The part of a profile that lies at a path of keys and labels."""
    part, places = Profile, iter(path)
    for key in places:
        annotation = part.model_fields[str(key)].annotation
        if get_origin(annotation) is dict:
            next(places)  # a label, which a person chose
        part = next(one for one in (annotation, *get_args(annotation)) if _is_part(one))
    return part


def _is_part(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Strict)
