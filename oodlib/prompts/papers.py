"""The long prompt sets of the papers, and those that CoOp wrote for single datasets. `sets` gives them names.

Templates are facts: each comment names the file they were read in.
"""

from __future__ import annotations

# OpenAI's notebook "Prompt Engineering for ImageNet", in the order of open_clip's OPENAI_IMAGENET_TEMPLATES.
OPENAI_80 = tuple(
    """\
a bad photo of a {}.
a photo of many {}.
a sculpture of a {}.
a photo of the hard to see {}.
a low resolution photo of the {}.
a rendering of a {}.
graffiti of a {}.
a bad photo of the {}.
a cropped photo of the {}.
a tattoo of a {}.
the embroidered {}.
a photo of a hard to see {}.
a bright photo of a {}.
a photo of a clean {}.
a photo of a dirty {}.
a dark photo of the {}.
a drawing of a {}.
a photo of my {}.
the plastic {}.
a photo of the cool {}.
a close-up photo of a {}.
a black and white photo of the {}.
a painting of the {}.
a painting of a {}.
a pixelated photo of the {}.
a sculpture of the {}.
a bright photo of the {}.
a cropped photo of a {}.
a plastic {}.
a photo of the dirty {}.
a jpeg corrupted photo of a {}.
a blurry photo of the {}.
a photo of the {}.
a good photo of the {}.
a rendering of the {}.
a {} in a video game.
a photo of one {}.
a doodle of a {}.
a close-up photo of the {}.
a photo of a {}.
the origami {}.
the {} in a video game.
a sketch of a {}.
a doodle of the {}.
a origami {}.
a low resolution photo of a {}.
the toy {}.
a rendition of the {}.
a photo of the clean {}.
a photo of a large {}.
a rendition of a {}.
a photo of a nice {}.
a photo of a weird {}.
a blurry photo of a {}.
a cartoon {}.
art of a {}.
a sketch of the {}.
a embroidered {}.
a pixelated photo of a {}.
itap of the {}.
a jpeg corrupted photo of the {}.
a good photo of a {}.
a plushie {}.
a photo of the nice {}.
a photo of the small {}.
a photo of the weird {}.
the cartoon {}.
art of the {}.
a drawing of the {}.
a photo of the large {}.
a black and white photo of a {}.
the plushie {}.
a dark photo of a {}.
itap of a {}.
graffiti of the {}.
a toy {}.
itap of my {}.
a photo of a cool {}.
a photo of a small {}.
a tattoo of the {}.
""".splitlines()
)

_NOT_IN_CLIPN = (
    *("hard to see", "embroidered", "plastic", "origami", "toy", "cartoon"),
    *("art of the", "plushie", "itap of my"),
)


def _clipn() -> tuple[str, ...]:
    """CLIPN's file `src/prompt/prompt.txt`, line by line, as its code and that of OLE hand the lines to the tokenizer.

    The lines were written as Python strings and are read as text, so the quotes are part of every prompt; two lines end
    with a comma as well, which is also read. The file has 128 lines, 64 of OpenAI's and the same again with "with" for
    "of". Papers and notes speak of 127: the last line has no line end.
    """
    first = [line for line in OPENAI_80 if not any(word in line for word in _NOT_IN_CLIPN)]
    second = [line.replace(" of ", " with ").replace("{} in a", "{} appearing in a") for line in first]
    comma = {"a photo of a {}.", "a photo with a {}."}
    return tuple(f"'{line}'{',' if line in comma else ''}" for line in first + second)


CLIPN = _clipn()

# CoOp, `trainers/zsclip.py`: its zero-shot baseline. "coop-photo", with a full stop, is for every dataset that has none
# of its own here: ImageNet and its variants, SUN397, Caltech101, StanfordCars.
COOP = {
    "coop-photo": "a photo of a {}.",
    "coop-pet": "a photo of a {}, a type of pet.",
    "coop-flower": "a photo of a {}, a type of flower.",
    "coop-aircraft": "a photo of a {}, a type of aircraft.",
    "coop-texture": "{} texture.",
    "coop-satellite": "a centered satellite photo of {}.",
    "coop-food": "a photo of {}, a type of food.",
    "coop-action": "a photo of a person doing {}.",
}

# ZOC, `cifar10_eval.py`: for the seen classes and for the words that its decoder proposes; no full stop.
ZOC = "This is a photo of a {}"
