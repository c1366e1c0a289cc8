"""The text tower's output before its projection, in each way that open_clip builds towers."""

import open_clip
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from oodlib.encoders.projection import without_projection

VISION = {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16}
TEXT = {"context_length": 77, "vocab_size": 49408, "width": 24, "heads": 1, "layers": 1}


def projected(tower, before):
    projection = tower.proj if hasattr(tower, "proj") else tower.text_projection
    return projection(before) if isinstance(projection, nn.Module) else before @ projection


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("kind", [open_clip.model.CLIP, open_clip.model.CustomTextCLIP])
def test_the_projection_of_what_comes_is_the_feature_and_the_model_is_as_it_was(kind, bias):
    torch.manual_seed(0)
    model = kind(embed_dim=16, vision_cfg=VISION, text_cfg=TEXT | {"proj_bias": bias}).eval()
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    tokens = open_clip.get_tokenizer("ViT-B-16")(["a cat", "a dog on a rug"])
    with torch.inference_mode():
        with without_projection(model):
            before = model.encode_text(tokens)
        after = model.encode_text(tokens)
        assert before.shape == (2, 24)
        assert_close(projected(getattr(model, "text", model), before), after)
    assert list(model.state_dict()) == list(state)
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


def test_a_tower_of_hugging_face(pocket):
    before = pocket.pooled(["cat", "dog"])
    assert before.shape == (2, 384)
    with torch.inference_mode():
        features = nn.functional.normalize(projected(pocket.model.text, before), dim=-1)
    assert_close(features, pocket.encode_texts(["cat", "dog"]), atol=1e-6, rtol=1e-5)


def test_an_error_inside_leaves_the_model_as_it_was(pocket):
    kept = pocket.model.text.proj
    with pytest.raises(ZeroDivisionError), without_projection(pocket.model):
        raise ZeroDivisionError
    assert pocket.model.text.proj is kept
