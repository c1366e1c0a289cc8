"""Profiles: what a run uses (model, pictures, sizes, seeds), read from `profiles/<name>.yaml` and checked."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from oodlib.errors import OodlibError

if TYPE_CHECKING:
    from oodlib.datasets.base import Manifest


class _Strict(BaseModel):
    """A part of a profile: a key that is not known is an error, and nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class EncoderChoice(_Strict):
    """Which model, by its explicit names, and how it runs.

    Attributes
    ----------
    name : str
        As `oodlib.encoders.load_encoder` takes it: "pocket", "ViT-B-16", "local-dir:...", "hf-hub:...".
    pretrained : str or None
        open_clip's tag of the weights, where the name alone does not say it.
    device : str
        Where it runs: "cpu", "cuda", "mps".
    precision : str
        "fp32" or "bf16".
    """

    name: str
    pretrained: str | None = None
    device: str = "cpu"
    precision: str = "fp32"


class Vocabulary(_Strict):
    """Which words of WordNet serve as outlier words.

    Attributes
    ----------
    nouns : list of str
        Lexicographer files, such as "noun.artifact".
    adjectives : bool
        Whether adjectives are among them.
    single : bool
        Whether to keep single words only.
    words : int or None
        At most so many of each kind, spread evenly over the alphabet; None keeps all.
    """

    nouns: list[str] = Field(min_length=1)
    adjectives: bool = True
    single: bool = True
    words: int | None = Field(default=None, ge=10)


class FewShot(_Strict):
    """The few-shot study of EmojiShift: whose drawings teach, whose are the test, and what is tried.

    Attributes
    ----------
    shots : list of list of str
        Hands whose drawings are the shots: the first list for the fewest.
    test : list of str
        Hands whose drawings are the test; none of them draws a shot.
    classes : int or None
        So many classes of the ID set; None keeps all.
    words : int
        Outlier nouns to compare with, spread evenly.
    views : int
        Random views of every shot.
    seeds : int
        How often a method is tuned.
    methods : dict of str to dict
        Label to parameters; `method` among them names the method where the label does not.
    once : list of str
        Labels of methods that are tuned with the first seed only, because they take long.
    ten : dict of str to dict
        Method to parameters, of methods that are tried on the ten classes of *hard-10* alone.
    """

    shots: list[list[str]] = Field(min_length=1)
    test: list[str] = Field(min_length=1)
    classes: int | None = Field(default=None, ge=2)
    words: int = Field(ge=10)
    views: int = Field(ge=1)
    seeds: int = Field(ge=1)
    methods: dict[str, dict[str, Any]] = Field(min_length=1)
    once: list[str] = []
    ten: dict[str, dict[str, Any]] = {}

    @model_validator(mode="after")
    def _no_hand_on_both_sides(self) -> FewShot:
        both = sorted({hand for hands in self.shots for hand in hands} & set(self.test))
        if both:
            raise ValueError(f"{', '.join(both)} draws shots and test pictures: a hand belongs on one side")
        return self


class Profile(_Strict):
    """What a run uses.

    Attributes
    ----------
    name, title : str
        The file's name without suffix, and one line for a reader.
    encoder : EncoderChoice
        The vision-language model.
    dataset : str
        The data set's module in `oodlib.datasets`.
    templates : str
        Name of the prompt templates in `oodlib.prompts`.
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
    is_small : bool
        True when the `small` block has been applied.
    """

    name: str
    title: str
    encoder: EncoderChoice
    dataset: str
    templates: str
    vocabulary: Vocabulary | None = None
    few_shot: FewShot | None = None
    detectors: dict[str, dict[str, Any]] = Field(min_length=1)
    id_sets: list[str] = Field(min_length=1)
    n_boot: int = Field(ge=10)
    seed: int = 0
    pictures: int | None = Field(default=None, ge=10)
    is_small: bool = False

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
        # Not at the top: it takes pandas along, and a second `make reproduce` must start without it.
        from oodlib.vocabularies import select, wordnet

        chosen = self.vocabulary
        if chosen is None:
            raise OodlibError(f"the profile {self.name} names no outlier words: add a `vocabulary` to its file")
        found = {"noun": select(wordnet("noun"), chosen.nouns, single=chosen.single)}
        if chosen.adjectives:
            found["adjective"] = select(wordnet("adj"), single=chosen.single, exclude=found["noun"])
        limit = chosen.words
        if limit is None:
            return found
        return {kind: words[:: -(-len(words) // limit)] for kind, words in found.items()}

    @property
    def folder(self) -> Path:
        """The folder of what runs under this profile make: `_build/<name>`, or `_build/<name>-small` if small."""
        return build_root() / (f"{self.name}-small" if self.is_small else self.name)


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
        If there is no such profile, it is not YAML, a key is unknown or missing, or a value does not fit.
    """
    path = profile_path(name)
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        problem = str(error).replace("\n", " ")
        raise OodlibError(f"profiles/{path.name} is not YAML, mend it: {problem}") from error
    if not isinstance(values, dict) or not isinstance(values.get("small", {}), dict):
        raise OodlibError(f"profiles/{path.name} must hold keys and values, and so must its `small` block")
    override = values.pop("small", {})
    try:
        profile = Profile(**{"name": name, **values})
        if small:  # checked as a whole again: a small block may be wrong where the full profile is right
            profile = Profile(**{"name": name, **values, **override, "is_small": True})
    except (ValidationError, TypeError) as error:
        raise OodlibError(f"profiles/{path.name} does not fit: {_first_problem(error)}") from error
    return profile


def _first_problem(error: Exception) -> str:
    """The first complaint of a validation error, as `key: complaint`, with the known keys where the key is unknown."""
    if not isinstance(error, ValidationError):
        return str(error)
    # A mistyped key makes two complaints, one unknown and one missing: the unknown one is the one to mend.
    first = min(error.errors(), key=lambda complaint: complaint["type"] != "extra_forbidden")
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        model = EncoderChoice if where.startswith("encoder.") else Profile
        return f"{where!r} is not a key, the keys are {', '.join(model.model_fields)}"
    return f"{where!r}: {first['msg'][0].lower()}{first['msg'][1:]}"
