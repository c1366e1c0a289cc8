"""The parts of a profile: which model, which words, which pictures."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Names = Literal["clean", "openai"]  # the two traditions of naming ImageNet's classes
Kind = Literal["far", "near", "hard", "covariate"]
Sets = dict[str, dict[Kind, list[str]]]  # ID set -> kind -> OOD sets
Count = Annotated[int, Field(ge=1)]
TIMM = "timm:"
# What made-up pictures are shown to: open_clip's smallest with patches, and a tower for timm's own tests.
SMALL_MODEL, SMALL_TOWER = "ViT-S-32-alt", f"{TIMM}test_vit"


class Strict(BaseModel):
    """A part of a profile: a key that is not known is an error, and nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class EncoderChoice(Strict):
    """Which model, by its explicit names, and how it runs.

    Attributes
    ----------
    name : str
        As `oodlib.encoders.load_encoder` takes it: "pocket", "ViT-B-16", "local-dir:...", "hf-hub:..."; or, for
        detectors on features, "timm:" and the name of a tower of timm's.
    pretrained : str or None
        open_clip's tag of the weights, or their file, where the name alone does not say it; "random" for made-up ones.
    quick_gelu : bool or None
        The activation, where the tag does not say it.
    like : str or None
        Of weights in a file, the tag that they were trained like.
    preprocess : str or None
        A named way to make pictures ready; None is the one that the weights come with.
    device : str
        Where it runs: "cpu", "cuda", "mps", or "auto": an accelerator of NVIDIA's where there is one, else the CPU.
    precision : str
        "fp32", "bf16" or "fp16".
    """

    name: str
    pretrained: str | None = None
    quick_gelu: bool | None = None
    like: str | None = None
    preprocess: str | None = None
    device: str = "cpu"
    precision: str = "fp32"

    @model_validator(mode="after")
    def _a_tower_is_as_timm_has_it(self) -> EncoderChoice:
        told = (self.quick_gelu, self.like, self.preprocess)
        if self.name.startswith(TIMM) and (any(one is not None for one in told) or self.precision != "fp32"):
            raise ValueError(f"{self.name} is as timm has it, in fp32: say its name, weights and device alone")
        return self

    def options(self) -> dict[str, Any]:
        """What `load_encoder` is called with, on this machine."""
        chosen = self.model_dump(exclude_none=True)
        if self.device == "auto":
            import torch  # not at the top: a second `make reproduce` must start without it

            chosen["device"] = "cuda" if torch.cuda.is_available() else "cpu"
        return chosen

    def drawn(self) -> EncoderChoice:
        """Random weights of a small architecture instead: made-up pictures deserve no download, no patience.

        A picture takes a fourteenth of what it takes in ViT-B-16.
        """
        name = SMALL_TOWER if self.name.startswith(TIMM) else SMALL_MODEL
        return self.model_copy(update={"name": name, "pretrained": "random", "quick_gelu": None, "like": None})

    @property
    def label(self) -> str:
        """Architecture and weights, as the results' column `encoder` has them."""
        return f"{self.name} {self.pretrained}" if self.pretrained else self.name


class Vocabulary(Strict):
    """Which words of WordNet serve as outlier words.

    Attributes
    ----------
    nouns : list of str
        Lexicographer files, such as "noun.artifact".
    adjectives : bool or list of str
        Whether adjectives are among them, or of which files.
    single : bool
        Whether to keep single words only.
    words : int or None
        At most so many of each kind, spread evenly over the alphabet; None keeps all.
    phrases : bool
        Whether each adjective becomes a phrase such as "blue thing", as CSP has it.
    prompts, adjective_prompts : str or None
        Template sets for nouns and for adjectives; None takes those of the classes, and NegLabel's for adjectives.
    """

    nouns: list[str] = Field(min_length=1)
    adjectives: bool | list[str] = True
    single: bool = True
    words: int | None = Field(default=None, ge=10)
    phrases: bool = False
    prompts: str | None = None
    adjective_prompts: str = "nice-adjective"

    def listed(self, seed: int = 0) -> dict[str, list[str]]:
        """The words by kind: nouns and, where it has them, adjectives or phrases."""
        # Not at the top: a second `make reproduce` must start without pandas.
        from oodlib.datasets.wordnet import select, wordnet
        from oodlib.outlier_labels.phrases import superclass_phrases

        found = {"noun": select(wordnet("noun"), self.nouns, single=self.single)}
        if self.adjectives:
            files = None if self.adjectives is True else self.adjectives
            found["adjective"] = select(wordnet("adj"), files, single=self.single, exclude=found["noun"])
        if self.words is not None:
            found = {kind: words[:: -(-len(words) // self.words)] for kind, words in found.items()}
        if self.phrases and "adjective" in found:
            found["adjective"] = superclass_phrases(found["adjective"], seed=seed)
        return found


class FewShot(Strict):
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


class Photographs(Strict):
    """Which sets of photographs the pages are about, and where they lie.

    Attributes
    ----------
    root : str
        The environment variable that names the folder of all sets; without it, `OODLIB_DATA`, then the cache.
    names : "clean" or "openai"
        How ImageNet's classes are called.
    sets : dict
        The ID sets in the order of the profile's `id_sets`, each with its OOD sets by kind.
    optional : list of str
        OOD sets that a run can do without.
    """

    root: str
    names: Names = "clean"
    sets: Sets = Field(min_length=1)
    optional: list[str] = []

    @model_validator(mode="after")
    def _optional_sets_are_there(self) -> Photographs:
        outside = {name for kinds in self.sets.values() for sets in kinds.values() for name in sets}
        for name in self.optional:
            if name not in outside:
                raise ValueError(f"`optional` names {name}, which is among no OOD sets")
        return self
