"""The data of the coursework: kept features of the benchmark in one small file, so that a laptop needs no model.

A picture is a row of `features` with its label, hand and set; a label is a place in `names`. Class names, the names of
all other things, outlier words and the words that a person would try first come with text features. Everything
is in half precision: below 8 MB together, and scores that differ from the book's only in late digits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from PIL import Image
from torch import Tensor

from oodlib.cache import write_atomically, write_text
from oodlib.datasets import emojishift
from oodlib.datasets.base import Manifest
from oodlib.datasets.emoji_sources import BENCHMARK_HANDS, credits
from oodlib.embeddings.embedding import embed
from oodlib.embeddings.texts import embed_texts
from oodlib.encoders.named import named_encoder
from oodlib.experiments.profiles import Profile
from oodlib.outlier_labels.envision import load_envisioned
from oodlib.outlier_labels.lexicon import Lexicon
from oodlib.prompts.sets import templates

if TYPE_CHECKING:
    from oodlib.encoders.encoder import Encoder
    from oodlib.pocket.light import LightEncoder

ID_SET = "animals-food"
UNKNOWN = ("unknown", "unknown object", "something else", "none of these", "other")
TILE, ACROSS, COLOURS = 32, 48, 64  # pixels of a small picture, small pictures in a row of the sheet, colours of it

Arrays = dict[str, Any]  # NumPy arrays


def write_data(folder: Path, run: Profile) -> None:
    """Write `emojishift.npz`, `pictures.png` and `README.md` into a folder; kept features are read, not computed.

    Parameters
    ----------
    folder : Path
        Created if need be.
    run : Profile
        Where it limits `pictures`, the first concepts of every set only.

    Raises
    ------
    OodlibError
        If the folder cannot be written.
    """
    pictures = _pictures(run)
    arrays = collect(run, pictures)
    sheet = _sheet(pictures)
    readme = _readme(arrays)
    write_atomically(folder / "emojishift.npz", lambda path: np.savez_compressed(path, allow_pickle=False, **arrays))
    write_atomically(folder / "pictures.png", lambda path: sheet.save(path, optimize=True))
    write_text(folder / "README.md", readme)


def collect(run: Profile, pictures: Manifest) -> Arrays:
    """All arrays of the data file, see its README for what each is."""
    encoder = named_encoder(**run.encoder.options(), tensors=True)
    table, prompts = pictures.table, templates(run.templates)
    concepts = table.drop_duplicates("label")
    names, sets = concepts["label"].tolist(), concepts["set"].tolist()
    place = {name: k for k, name in enumerate(names)}
    own = [name for name, part in zip(names, sets, strict=True) if part == ID_SET]
    lexicon = Lexicon.encode(encoder, run.outlier_words(), {"noun": prompts, "adjective": templates("nice-adjective")})
    one_in = run.amounts.coursework.one_in
    places = {kind: [k for k, found in enumerate(lexicon.kinds) if found == kind] for kind in one_in}
    lexicon = lexicon.subset([k for kind, found in places.items() for k in found[:: one_in[kind]]])
    embedded = pictures if run.pictures is not None else _benchmark()  # the whole as the book's pages embed it
    arrays = {
        "features": _half(embed(encoder, embedded).of(pictures)),
        "label": table["label"].map(place).to_numpy(np.int16),
        "hand": _text(table["hand"]),
        "set": _text(table["set"]),
        "names": _text(names),
        "name_set": _text(sets),
        "group": _text(concepts["group"]),
        "subgroup": _text(concepts["subgroup"]),
        "code": _text(concepts["concept"]),
        "text": _half(embed_texts(encoder, names, prompts)),
        "no_text": _half(encoder.encode_no(own, prompts)),
        "words": _text(lexicon.words),
        "kinds": _text(lexicon.kinds),
        "word_text": _half(lexicon.text),
        "logit_scale": np.float32(encoder.logit_scale),
    }
    arrays |= _encoded(encoder, "unknown", UNKNOWN, prompts)
    for form in ("far", "near"):
        arrays |= _encoded(encoder, f"envisioned_{form}", load_envisioned(ID_SET, form)[: run.pictures], prompts)
    hard = {"hard_10": emojishift.HARD_10, "hard_20": emojishift.HARD_20}
    return arrays | {key: np.array([place[name] for name in listed], np.int16) for key, listed in hard.items()}


def _benchmark() -> Manifest:
    """All pictures of the benchmark hands, as every notebook of the book embeds them."""
    return emojishift.benchmark_pictures(emojishift.load())


def _pictures(run: Profile) -> Manifest:
    """The pictures of the four benchmark hands with their sets, set by set, concept by concept, hand by hand."""
    manifest = _benchmark()
    table = manifest.table
    near = table["near"] == "true"
    part = table["group"].where(~table["group"].isin(emojishift.ID_GROUPS), ID_SET).where(~near, "near")
    order = [ID_SET, "near", *emojishift.FAR_GROUPS]
    table = table.assign(set=pd.Categorical(part, order), hand=pd.Categorical(table["hand"], BENCHMARK_HANDS))
    if run.pictures is not None:  # in small: the first concepts of every set, and all of the two hard sets
        few = run.pictures // len(BENCHMARK_HANDS)
        first = table.drop_duplicates("concept").groupby("set", observed=True).head(few)["concept"]
        hard = table["label"].isin((*emojishift.HARD_10, *emojishift.HARD_20))
        table = table[table["concept"].isin(first) | hard]
    table = table.sort_values(["set", "concept", "hand"], kind="stable").reset_index(drop=True)
    return Manifest(manifest.name, manifest.root, table.astype({"set": str, "hand": str}))


def _encoded(encoder: Encoder | LightEncoder, name: str, words: Sequence[str], prompts: Sequence[str]) -> Arrays:
    """A list of words and their text features: `<name>_words` and `<name>_text`."""
    return {f"{name}_words": _text(words), f"{name}_text": _half(embed_texts(encoder, words, prompts))}


def _half(features: Tensor) -> np.ndarray:
    return features.numpy().astype(np.float16)


def _text(strings: Iterable[str]) -> np.ndarray:
    return np.array(list(strings), dtype=np.str_)


def _sheet(pictures: Manifest) -> Image.Image:
    """All pictures small on one sheet, in the order of the rows, few colours."""
    paths = pictures.paths()
    sheet = Image.new("RGB", (ACROSS * TILE, -(-len(paths) // ACROSS) * TILE), "white")
    for k, path in enumerate(paths):
        with Image.open(path) as picture:
            small = picture.convert("RGB").resize((TILE, TILE), Image.Resampling.LANCZOS)
        sheet.paste(small, (k % ACROSS * TILE, k // ACROSS * TILE))
    return sheet.quantize(COLOURS, dither=Image.Dither.NONE)


_README = """# The data of the coursework

`emojishift.npz` holds what PocketCLIP, the small model of the book *Outliers by Name*, makes of EmojiShift. Read it
with `numpy.load`; no model is needed. Features are L2-normalised and kept in half precision: turn them into float32,
and divide each row by its length again.

| array | shape | dtype | meaning |
|---|---|---|---|
{rows}

* **Sets.** *{id_set}* is in-distribution. *near* are animals and food whose names are kept out of the class names; the
  others are far. Pictures by set: {sizes}.
* **Hands.** Four sets of drawings, none of which trained the model: {hands}.
  The two *fluent* hands are one drawing, shaded and flat: never learn from one of them and test with the other. The
  book's zero-shot pages test with {home}; its few-shot pages learn from twemoji and openmoji and
  test with the fluent hands.
* **Names that are also words.** Some outlier words are class names: strike them out before use.

`pictures.png` shows every picture, {tile} pixels wide, {across} in a row, in the order of the rows of `features`:
picture n is in row n // {across}, column n % {across}.

## Who drew the pictures

| hand | author | licence | package |
|---|---|---|---|
{credits}

The outlier words are from WordNet (Princeton University), the names from Unicode's emoji list by way of emojibase.
"""

_MEANING = {
    "features": "picture features, one row a picture",
    "label": "what each picture shows, as a place in `names`",
    "hand": "who drew it",
    "set": "the set it belongs to",
    "names": "names of all things; those of the ID classes come first",
    "name_set": "the set that each name belongs to",
    "group": "Unicode's group of each name",
    "subgroup": "Unicode's subgroup of each name",
    "code": "code point of each name",
    "text": "text features of the names, the mean of several prompts",
    "no_text": 'features of "no <name>" for the ID names, of the head that answers no',
    "words": "outlier words: a part of the book's list, evenly spread",
    "kinds": "noun or adjective",
    "word_text": "text features of the outlier words",
    "logit_scale": "what the model multiplies cosines by before a softmax",
    "unknown_words": "words that a person would try first",
    "unknown_text": "their text features",
    "envisioned_far_words": "things that look like the classes and are none, envisioned from the class names alone",
    "envisioned_far_text": "their text features",
    "envisioned_near_words": "look-alikes of each class, envisioned from the class names alone",
    "envisioned_near_text": "their text features",
    "hard_10": "names of the ID set hard-10, as places in `names`",
    "hard_20": "names of its look-alikes, hard-20, as places in `names`",
}


def _readme(arrays: Arrays) -> str:
    """What lies in the folder, with shapes, and who is to be credited."""
    dtypes = {key: "text" if array.dtype.kind == "U" else array.dtype for key, array in arrays.items()}
    rows = [f"| `{key}` | {array.shape} | {dtypes[key]} | {_MEANING[key]} |" for key, array in arrays.items()]
    sources = [credits(hand) for hand in BENCHMARK_HANDS]
    drawn = [f"| {of['hand']} | {of['author']} | {of['licence']} | {of['version']} |" for of in sources]
    sizes = pd.Series(arrays["set"]).value_counts(sort=False)
    return _README.format(
        sizes=", ".join(f"{name} {count:,}" for name, count in sizes.items()),
        rows="\n".join(rows),
        id_set=ID_SET,
        far=", ".join(emojishift.FAR_GROUPS),
        hands=", ".join(BENCHMARK_HANDS),
        home=" and ".join(emojishift.HOME_HANDS),
        tile=TILE,
        across=ACROSS,
        credits="\n".join(drawn),
    )
