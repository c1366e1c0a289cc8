import open_clip
import pytest
import torch

from oodlib.encoders.papers import ENCODERS, paper_encoder


@pytest.fixture(scope="module")
def numbers():
    """How many numbers the weights of each architecture have, counted on a model without memory."""
    found = {}
    for name in {row.name for row in ENCODERS}:
        parts = dict(open_clip.get_model_config(name))
        kind = open_clip.model.CustomTextCLIP if parts.pop("custom_text", False) else open_clip.model.CLIP
        with torch.device("meta"):
            state = kind(**parts).state_dict()
        found[name] = sum(value.numel() for value in state.values() if value.is_floating_point())
    return found


@pytest.mark.parametrize("row", ENCODERS, ids=lambda row: f"{row.name}-{row.pretrained}")
def test_the_facts_are_those_of_open_clip(row, numbers):
    tag = open_clip.get_pretrained_cfg(row.name, row.pretrained)
    built = open_clip.get_model_config(row.name)
    assert tag, "open_clip has no such tag"
    assert row.quick_gelu == tag.get("quick_gelu", False)
    assert row.width == built["embed_dim"]
    assert row.side == built["vision_cfg"]["image_size"]
    assert row.numbers == numbers[row.name]


def test_what_sets_siglip_apart():
    config = open_clip.get_model_config("ViT-B-16-SigLIP")
    assert config["init_logit_bias"] == -10
    assert config["text_cfg"]["hf_tokenizer_name"] == "timm/ViT-B-16-SigLIP"
    assert open_clip.get_pretrained_cfg("ViT-B-16-SigLIP", "webli")["resize_mode"] == "squash"


def test_a_pair_has_one_row():
    assert len({(row.name, row.pretrained) for row in ENCODERS}) == len(ENCODERS)
    assert paper_encoder("ViT-B-16", "openai") is ENCODERS[0]
    assert paper_encoder("ViT-B-16", None) is None
