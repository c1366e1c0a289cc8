import json
from pathlib import Path

import open_clip
import pytest
import torch
from PIL import Image, ImageDraw
from torch.testing import assert_close

from oodlib.encoders.load import load_encoder
from oodlib.errors import OodlibError
from oodlib.pocket.assemble import assemble
from oodlib.prompts.sets import templates


@pytest.fixture(scope="module")
def encoder(pocket):
    return pocket


@pytest.fixture(scope="module")
def pictures():
    drawn = []
    for colour, size in (("red", (128, 128)), ("green", (300, 200)), ("blue", (90, 160))):
        picture = Image.new("RGB", size, "white")
        ImageDraw.Draw(picture).ellipse((10, 10, 80, 70), fill=colour)
        drawn.append(picture)
    return drawn


def test_features_are_those_of_plain_open_clip(encoder, pictures):
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{assemble()}")
    tokenizer = open_clip.get_tokenizer(f"local-dir:{assemble()}")
    model.eval()
    texts = ["a photo of a cat", "a very much longer sentence about an animal that is not a cat at all"]
    with torch.inference_mode():
        images = model.encode_image(torch.stack([preprocess(p) for p in pictures]), normalize=True)
        words = model.encode_text(tokenizer(texts), normalize=True)
    assert_close(encoder.encode_images(pictures), images, atol=1e-5, rtol=1e-5)
    assert_close(encoder.encode_texts(texts), words, atol=1e-5, rtol=1e-5)
    assert encoder.logit_scale == pytest.approx(float(model.logit_scale.detach().exp()))


def test_features_are_unit_float32_and_do_not_depend_on_the_batch(encoder, pictures):
    together, single = encoder.encode_images(pictures), encoder.encode_images(pictures, batch_size=1)
    assert together.shape == (3, 256)
    assert together.dtype == torch.float32
    assert_close(together.norm(dim=-1), torch.ones(3))
    assert_close(together, single, atol=1e-5, rtol=1e-4)
    assert_close(together, encoder.encode_images(encoder.prepare(pictures)))


def test_half_precision_is_near(encoder, pictures):
    rough = load_encoder("pocket", precision="bf16")
    cosine = (rough.encode_images(pictures) * encoder.encode_images(pictures)).sum(-1)
    assert (cosine > 0.9).all()
    assert rough.digest != encoder.digest


def test_transparent_and_grey_pictures_are_accepted(encoder):
    features = encoder.encode_images(
        [Image.new("RGBA", (50, 50)), Image.new("L", (50, 50), 255), Image.new("RGB", (50, 50), "white")]
    )
    assert_close(features[0], features[2])
    assert_close(features[1], features[2])


def test_ensemble_is_the_normalised_mean_of_normalised_prompts(encoder):
    single = torch.stack([encoder.encode_texts(["dog"], [t])[0] for t in templates("five")])
    expected = torch.nn.functional.normalize(single.mean(0), dim=0)
    assert_close(encoder.encode_texts(["dog"], templates("five"))[0], expected, atol=1e-5, rtol=1e-5)


def test_spec_says_everything_and_its_digest_is_stable(encoder):
    assert json.loads(json.dumps(encoder.spec)) == encoder.spec
    assert {"model", "pretrained", "weights_sha256", "quick_gelu", "preprocess", "precision", "device"} <= set(
        encoder.spec
    )
    assert encoder.digest == load_encoder("pocket").digest
    assert str(assemble()) not in json.dumps(encoder.spec)


def test_any_architecture_loads_from_a_weight_file_and_states_its_activation(tmp_path, monkeypatch):
    """A ResNet as CLIP's RN50, but with fewer and narrower layers: building that one three times takes seconds."""
    vision = {"image_size": 224, "layers": [1, 1, 1, 1], "width": 16, "patch_size": None}
    text = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 2}
    config = {"embed_dim": 64, "vision_cfg": vision, "text_cfg": text}
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "RN-small", config)
    torch.manual_seed(0)
    path = tmp_path / "small.pt"
    torch.save(open_clip.create_model("RN-small").state_dict(), path)
    with pytest.raises(OodlibError, match="does not say its activation: pass quick_gelu=True"):
        load_encoder("RN-small", str(path))
    plain, quick = (load_encoder("RN-small", str(path), quick_gelu=flag) for flag in (False, True))
    assert (plain.spec["quick_gelu"], quick.spec["quick_gelu"]) == (False, True)
    assert plain.spec["pretrained"] == "small.pt"
    assert not torch.allclose(plain.encode_texts(["cat"]), quick.encode_texts(["cat"]), atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "ViT-Q-99"}, "there is no encoder 'ViT-Q-99'"),
        ({"name": "ViT-B-32"}, "pass a tag of open_clip or a weight file .*--pretrained"),
        ({"name": "ViT-B-32", "pretrained": "laion9b"}, "has no weights 'laion9b'.* the tags are .*openai"),
        ({"name": "local-dir:/nowhere"}, "cannot be loaded"),
        (
            {"name": "pocket", "pretrained": "openai"},
            r"'pocket' brings its own weights: leave pretrained='openai' \(--pretrained\) out",
        ),
        ({"name": "local-dir:/nowhere", "pretrained": "/gone.pt"}, "brings its own weights: leave pretrained="),
        ({"name": "hf-hub:a/b", "pretrained": "openai"}, "brings its own weights: leave pretrained="),
        (
            {"name": "pocket", "quick_gelu": False},
            r"'pocket' brings its own weights: leave quick_gelu=False \(--no-quick-gelu\) out",
        ),
        ({"name": "pocket", "device": "tpu"}, "there is no device 'tpu'"),
        ({"name": "pocket", "precision": "int4"}, "there is no precision 'int4'"),
    ],
)
def test_wrong_names_are_one_sentence_with_a_remedy(arguments, message):
    with pytest.raises(OodlibError, match=message) as caught:
        load_encoder(**arguments)
    assert "\n" not in str(caught.value)


def test_bad_texts_are_refused(encoder):
    for wrong in ([], [""], ["cat", "  "], [None]):
        with pytest.raises(OodlibError, match="every text must be"):
            encoder.encode_texts(wrong)
    with pytest.raises(OodlibError, match="not one string"):
        encoder.encode_texts("cat")
    with pytest.raises(OodlibError, match="no pictures"):
        encoder.encode_images([])


def test_missing_weights_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr("oodlib.pocket.assemble.WEIGHTS", Path("none.safetensors"))
    with pytest.raises(OodlibError, match=r"weights .*none.safetensors are missing"):
        assemble(tmp_path)


def test_truncated_weights_are_named_and_leave_nothing(tmp_path, monkeypatch):
    whole = Path(__file__).parents[2] / "oodlib" / "pocket" / "weights.safetensors"
    half = tmp_path / "half.safetensors"
    half.write_bytes(whole.read_bytes()[:1_000_000])
    monkeypatch.setattr("oodlib.pocket.assemble.WEIGHTS", half)
    with pytest.raises(OodlibError, match=r"half.safetensors are damaged .*check the file out again"):
        assemble(tmp_path / "home")
    assert [p.suffix for p in (tmp_path / "home" / "models").iterdir()] in ([], [".lock"])


def test_no_template_at_all_is_refused(pocket):
    with pytest.raises(OodlibError, match="there is no template: pass at least one"):
        pocket.encode_texts(["cat"], templates=())
