"""How the papers' tables were made, as data: on names, or on features that pictures taught."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from oodlib.experiments.profile_parts import Names, Sets, Strict


class Tuning(Strict):
    """A fine-tuning method in a protocol.

    Attributes
    ----------
    method : str
        Its name in `oodlib.tuning`.
    shots : list of int
        Pictures of each class; it is tuned to each number of them.
    views, seeds : int
        Random views of each picture, and how often it is tuned.
    parameters : dict
        Its parameters.
    """

    method: str
    shots: list[int] = Field(min_length=1)
    views: int = Field(default=4, ge=1)
    seeds: int = Field(default=1, ge=1)
    parameters: dict[str, Any] = Field(default_factory=dict)


class Protocol(Strict):
    """How a table of a paper was made: every combination of what it names is a cell. What all kinds of tables share.

    Attributes
    ----------
    title : str
        What it is, for a reader.
    papers : list of str
        Whose numbers it makes, by their entries in `references.bib`.
    encoders : list of str
        Labels of the profile's `encoders`.
    names : "clean" or "openai"
        How ImageNet's classes are called.
    sets : dict
        ID sets, each with its OOD sets by kind.
    means : dict of str to list of str
        Means over OOD sets that the papers print, by the name that they have there.
    not_run : str or None
        Why this library cannot run it, if so.
    """

    title: str
    papers: list[str] = Field(min_length=1)
    encoders: list[str] = Field(min_length=1)
    names: Names
    sets: Sets = Field(min_length=1)
    means: dict[str, list[str]] = Field(default_factory=dict)
    not_run: str | None = None

    @model_validator(mode="after")
    def _means_are_of_its_sets(self) -> Protocol:
        together = [{part for sets in kinds.values() for part in sets} for kinds in self.sets.values()]
        for mean, parts in self.means.items():
            if not parts or not any(set(parts) <= found for found in together):
                raise ValueError(f"the mean {mean!r} is of {', '.join(parts) or 'no set'}: name OOD sets of one ID set")
        return self

    @property
    def pairs(self) -> list[tuple[str, str, str]]:
        """Every ID set, kind and OOD set."""
        return [
            (one, kind, other) for one, kinds in self.sets.items() for kind, sets in kinds.items() for other in sets
        ]

    @property
    def names_of_sets(self) -> list[str]:
        """Every ID and OOD set, each once."""
        return list(dict.fromkeys(name for one, _, other in self.pairs for name in (one, other)))


class NameProtocol(Protocol):
    """A table of detectors that read class names.

    Attributes
    ----------
    prompts : str
        Template set of the class names.
    detectors : dict of str to dict
        Label to parameters; `method` among them names the detector where the label does not.
    words : str or None
        Outlier words: a label of the profile's `lexicons`, or a form of `oodlib envision` ("far", "near", ...).
    tuning : Tuning or None
        What is done to the model before.
    """

    prompts: str
    detectors: dict[str, dict[str, Any]] = Field(min_length=1)
    words: str | None = None
    tuning: Tuning | None = None


class Reading(Strict):
    """A feature detector and what it reads.

    Attributes
    ----------
    method : str
        Its name in `oodlib.feature_detectors`.
    parameters : dict
        Its parameters.
    classes : bool
        Whether it is told the classes of the pictures that teach it.
    directions : bool
        Whether features are scaled to length one before.
    """

    method: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    classes: bool = True
    directions: bool = False


class FeatureProtocol(Protocol):
    """A table of detectors that pictures of the ID classes teach; its models need no names.

    Attributes
    ----------
    taught : str
        The set whose pictures teach.
    per_class : int
        How many of each class, the first by picture hash.
    detectors : dict of str to Reading
    """

    taught: str
    per_class: int = Field(ge=2)
    detectors: dict[str, Reading] = Field(min_length=1)
