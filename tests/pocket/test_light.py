"""PocketCLIP without torch gives the features of PocketCLIP with torch."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from open_clip.tokenizer import basic_clean, whitespace_clean
from PIL import Image

from oodlib.errors import OodlibError
from oodlib.pocket.light import LightEncoder, _clean
from oodlib.pocket.no_head import HEAD
from oodlib.pocket.sessions import session
from oodlib.prompts.capabilities import Capabilities
from oodlib.prompts.sets import TEMPLATES

ODD = [(128, 128), (129, 128), (128, 131), (200, 301), (301, 200), (77, 191), (255, 127), (128, 1), (1000, 20), (5, 5)]
TEXTS = [
    "tiger",
    "an  emoji of a\tflower",
    "caf\N{LATIN SMALL LETTER E WITH ACUTE} &amp; cr\u00e8me",
    "\u732b",
    "x" * 150,
    "dog " * 150,  # more than is read
    "schÃ¶n",  # decoded wrongly, which open_clip repairs
    "A PHOTO OF THE LARGE ice-cream van.",
]


@pytest.fixture(scope="module")
def encoder() -> LightEncoder:
    return LightEncoder()


def noise(size: tuple[int, int], mode: str = "RGB") -> Image.Image:
    width, height = size
    shape = (height, width, len(mode)) if len(mode) > 1 else (height, width)
    return Image.fromarray(np.random.default_rng(width).integers(0, 256, shape, dtype=np.uint8), mode=None)


def test_pixels_are_torchvisions_at_every_odd_size(pocket, encoder):
    pictures = [noise(size) for size in ODD] + [noise((90, 61), "RGBA"), noise((61, 90), "L")]
    for picture in pictures:
        ours, theirs = encoder.pixels([picture]), pocket.pixels([picture]).numpy()
        assert ours.dtype == theirs.dtype == np.uint8
        np.testing.assert_array_equal(ours, theirs, err_msg=str(picture.size))


def test_pixels_are_torchvisions_at_all_small_sizes(pocket, encoder):
    """The rounding of the longer side and of the cut depends on both sides."""
    for width in range(1, 160, 13):
        for height in range(1, 160, 11):
            picture = noise((width, height))
            np.testing.assert_array_equal(encoder.pixels([picture]), pocket.pixels([picture]).numpy())


def test_image_features_are_those_of_torch(pocket, encoder, drawings):
    pictures = [Image.open(path) for path in drawings.values()] + [noise(size) for size in ODD]
    ours = encoder.encode_images(pictures)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, pocket.encode_images(pictures).numpy(), atol=1e-5, rtol=0)
    np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("templates", [None, TEMPLATES["drawings"]])
def test_text_features_are_those_of_torch(pocket, encoder, templates):
    ours = encoder.encode_texts(TEXTS, templates)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, pocket.encode_texts(TEXTS, templates).numpy(), atol=1e-5, rtol=0)


def test_text_features_do_not_depend_on_company(encoder):
    alone = np.concatenate([encoder.encode_texts([text]) for text in TEXTS])
    np.testing.assert_allclose(encoder.encode_texts(TEXTS), alone, atol=1e-6, rtol=0)


def test_no_features_are_those_of_torch(pocket, encoder):
    ours = encoder.encode_no(["tiger", "sports car"], TEMPLATES["drawings"])
    theirs = pocket.encode_no(["tiger", "sports car"], TEMPLATES["drawings"])
    np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-5, rtol=0)


def test_specification_differs_by_the_runtime_alone(pocket, encoder):
    free = {"runtime", "versions"}
    assert {k: v for k, v in encoder.spec.items() if k not in free} == {
        k: v for k, v in pocket.spec.items() if k not in free
    }
    assert encoder.digest != pocket.digest
    assert encoder.logit_scale == pytest.approx(pocket.logit_scale, rel=1e-6)


def test_both_declare_the_prompts_for_drawings_and_the_shipped_head(pocket, encoder):
    assert encoder.capabilities == pocket.capabilities == Capabilities("drawings", HEAD)


def test_bad_input_is_refused_as_with_torch(encoder):
    for wrong in ([], [""], ["cat", "  "], [None]):
        with pytest.raises(OodlibError, match="every text must be"):
            encoder.encode_texts(wrong)
    with pytest.raises(OodlibError, match="no pictures"):
        encoder.encode_images([])


def test_a_graph_without_its_weights_is_named(tmp_path):
    with pytest.raises(OodlibError, match=r"image.onnx cannot be loaded .*delete that folder"):
        session("image.onnx", tmp_path)


@given(st.one_of(st.text(), st.text(st.characters(max_codepoint=127)), st.text("ab &;<>ltgamp#39\n\t\x1b[m")))
def test_a_text_is_cleaned_as_open_clip_cleans_it(text):
    """Plain letters take a short way there."""
    assert _clean(text) == whitespace_clean(basic_clean(text))


def test_the_runtime_tells_nobody_what_it_runs(tmp_path):
    """By default it gives the machine a number, collects what was run, and sends it to its makers."""
    program = "from oodlib.pocket.light import LightEncoder; LightEncoder().encode_texts(['cat'])"
    own = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])}
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"} | own
    environment.pop("XDG_CACHE_HOME", None)
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
    assert list(tmp_path.rglob("*")) == []
