"""Cutting the padding of texts changes no feature, and leaves the model as it was."""

import pytest
import torch
from torch.testing import assert_close

from oodlib.encoders.load import load_encoder
from oodlib.encoders.short_texts import for_length, is_causal, text_lengths

NAMES = ["cat", "greater swiss mountain dog", "a photo of a very long name of a thing that nobody has ever seen before"]


@pytest.fixture(scope="module")
def encoder():
    return load_encoder("ViT-S-32-alt", pretrained="random", quick_gelu=True)


def test_features_are_those_of_the_padded_texts(encoder):
    padded = encoder.tokenizer(NAMES)
    assert padded.shape == (3, 77)
    with torch.inference_mode():
        whole = encoder.model.encode_text(padded)
        cut = encoder.encode_tokens(encoder.tokens(NAMES))
        alone = [encoder.encode_tokens(encoder.tokens([name]))[0] for name in NAMES]
    assert encoder.tokens(NAMES).shape[1] < 30
    assert_close(cut, whole, rtol=1e-4, atol=1e-5)
    assert_close(torch.stack(alone), whole, rtol=1e-4, atol=1e-5)
    assert encoder.tokens(NAMES[:1]).tolist() == [[49406, 2368, 49407]], "begin, cat, end"


def test_a_text_that_is_cut_at_77_tokens_stays_so(encoder):
    tokens = encoder.tokens(["word " * 200])
    assert tokens.shape == (1, 77)
    assert encoder.encode_tokens(tokens).shape == (1, 256)


def test_the_model_is_left_as_it_was_even_after_an_error(encoder):
    places = encoder.model.positional_embedding

    def break_off():
        with for_length(encoder.model, 5):
            assert len(encoder.model.positional_embedding) == 5
            raise RuntimeError("in between")

    with pytest.raises(RuntimeError, match="in between"):
        break_off()
    assert encoder.model.positional_embedding is places
    assert encoder.model.attn_mask.shape == (77, 77)


def test_other_towers_are_left_alone(pocket):
    assert not is_causal(pocket.model)
    with for_length(pocket.model, 3):
        assert pocket.encode_texts(["cat"]).shape == (1, 256)


def test_a_text_ends_with_its_end():
    tokens = torch.tensor([[8, 1, 9, 0, 0], [8, 1, 2, 9, 0]])
    assert text_lengths(tokens).tolist() == [3, 4]
