import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import (
    AutoModel,
    AutoTokenizer,
    BertModel,
    GPT2Config,
    GPT2Model,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaModel,
    T5Config,
    T5Model,
)

from oodlib.embeddings.texts import embed_texts
from oodlib.encoders import TextEncoder
from oodlib.errors import OodlibError
from oodlib.pocket.assemble import text_tower_folder

TEXTS = [
    "any of numerous small birds that eat seeds",
    "a thing",
    "\u732b\u306f\u30de\u30c3\u30c8\u306e\u4e0a",
    "control \x00\x01\x1b characters",
    "\x00",
    "half of a pair \ud83d alone",
    "bird " * 10_000,
    "the word [PAD] spelled out",
    "a thing",
]
words = st.lists(st.text(max_size=40).filter(str.strip), min_size=1, max_size=8)


@pytest.fixture(scope="module")
def masked() -> TextEncoder:
    return TextEncoder(length=32)


@pytest.fixture(scope="module")
def padded() -> TextEncoder:
    return TextEncoder(pooling="padded", length=32)


@pytest.fixture(scope="module")
def by_hand():
    """Hidden states by transformers, of all texts padded to one length, and the mask."""
    tokenizer, model = (kind.from_pretrained(text_tower_folder()) for kind in (AutoTokenizer, AutoModel))

    def states(texts):
        readable = [text.encode("utf-8", "replace").decode() for text in texts]
        given = tokenizer(readable, padding="max_length", max_length=32, truncation=True, return_tensors="pt")
        with torch.no_grad():
            return model.eval()(**given).last_hidden_state, given["attention_mask"][:, :, None]

    return states


def test_masked_is_the_mean_over_a_texts_own_tokens(masked, by_hand):
    states, mask = by_hand(TEXTS)
    expected = (states * mask).sum(1) / mask.sum(1)
    found = masked.encode_texts(TEXTS)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected.numpy(), atol=2e-5)


def test_padded_is_the_mean_over_all_places(padded, by_hand):
    np.testing.assert_allclose(padded.encode_texts(TEXTS), by_hand(TEXTS)[0].mean(1).numpy(), atol=2e-5)


def test_only_the_padded_reading_hangs_on_how_far_texts_are_padded(masked, padded):
    texts = TEXTS[:3]
    for encoder, same in ((masked, True), (padded, False)):
        farther = TextEncoder(pooling=encoder.pooling, length=48).encode_texts(texts)
        assert np.allclose(farther, encoder.encode_texts(texts), atol=2e-5) == same


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=words, data=st.data())
def test_order_and_repeats_change_nothing(masked, texts, data):
    order = data.draw(st.permutations(range(len(texts))))
    features = masked.encode_texts(texts)
    np.testing.assert_array_equal(masked.encode_texts([texts[place] for place in order]), features[list(order)])
    np.testing.assert_array_equal(masked.encode_texts([*texts, *texts]), np.concatenate([features, features]))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=words, other=st.text(min_size=60, max_size=90).filter(str.strip))
def test_a_longer_neighbour_changes_no_feature(masked, texts, other):
    """In the masked reading padding is no part of a text."""
    found = masked.encode_texts([*texts, other])[: len(texts)]
    np.testing.assert_allclose(found, masked.encode_texts(texts), atol=2e-5)


def test_lengths_are_those_that_are_read(masked, by_hand):
    np.testing.assert_array_equal(masked.lengths(TEXTS), by_hand(TEXTS)[1].sum((1, 2)).numpy())
    assert masked.lengths(TEXTS).max() == masked.length


def test_templates_are_averaged(masked):
    both = masked.encode_texts(["a bird", "one bird"])
    np.testing.assert_allclose(masked.encode_texts(["bird"], ["a {}", "one {}"])[0], both.mean(0), atol=1e-6)


def test_any_model_in_a_folder(tiny_bert):
    encoder = TextEncoder(tiny_bert, length=16)
    features = encoder.encode_texts(TEXTS)
    assert features.shape == (len(TEXTS), 24)
    assert np.isfinite(features).all()
    assert encoder.spec["model"] == "text:tiny"
    assert str(tiny_bert) not in str(encoder.spec)
    np.testing.assert_array_equal(features, TextEncoder(tiny_bert, length=16).encode_texts(TEXTS))


def test_the_digest_knows_the_weights_the_pooling_and_the_length(tiny_bert, tmp_path):
    other = BertModel.from_pretrained(tiny_bert)
    with torch.no_grad():
        other.encoder.layer[0].output.dense.bias[0] += 1
    other.save_pretrained(tmp_path / "tiny")
    AutoTokenizer.from_pretrained(tiny_bert).save_pretrained(tmp_path / "tiny")
    made = [
        TextEncoder(tiny_bert, length=n, pooling=how) for n, how in ((32, "masked"), (16, "masked"), (32, "padded"))
    ]
    digests = [TextEncoder(tmp_path / "tiny", length=16).digest, *(encoder.digest for encoder in made)]
    assert len(set(digests)) == 4
    assert TextEncoder(tiny_bert, length=16).digest == digests[2]


def test_kept_features_are_those_of_the_encoder(masked, tmp_path, monkeypatch):
    kept = embed_texts(masked, TEXTS, home=tmp_path)
    monkeypatch.setattr(TextEncoder, "encode_texts", None)
    np.testing.assert_array_equal(embed_texts(masked, TEXTS[::-1], home=tmp_path), kept[::-1])


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [([], "letter"), (["a", " \n"], "text 1 of 2"), (["a", None], "text 1 of 2"), ("a bird", "list of strings")],
)
def test_texts_that_are_none(masked, texts, sentence):
    with pytest.raises(OodlibError, match=sentence):
        masked.encode_texts(texts)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"pooling": "cls"}, "masked or padded"),
        ({"length": 513}, "3 to 512"),
        ({"length": 2}, "3 to 512"),
        ({"device": "tpu"}, "choose cpu"),
        ({"name": "no/such/folder"}, "cannot be loaded"),
    ],
)
def test_what_cannot_be_loaded(given, sentence, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(OodlibError, match=sentence):
        TextEncoder(**given)


@pytest.mark.parametrize("kind", ["roberta", "gpt2"])
def test_models_of_other_kinds_read_as_many_tokens_as_they_say(kind, tmp_path):
    """RoBERTa's table of places is longer than its texts, and GPT-2 has no token that pads."""
    pieces = Tokenizer(models.BPE(unk_token=None))
    pieces.pre_tokenizer = pre_tokenizers.ByteLevel()
    pieces.train_from_iterator(TEXTS[:2], trainers.BpeTrainer(initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    marks = {"pad_token": "<pad>"} if kind == "roberta" else {"eos_token": "<end>"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=pieces, **marks)
    tokenizer.save_pretrained(tmp_path)
    torch.manual_seed(0)
    if kind == "roberta":
        sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
        places = {"pad_token_id": 1, "max_position_embeddings": 34}
        RobertaModel(RobertaConfig(vocab_size=len(tokenizer), **sizes, **places)).save_pretrained(tmp_path)
    else:
        GPT2Model(
            GPT2Config(vocab_size=len(tokenizer), n_positions=32, n_embd=16, n_layer=1, n_head=2)
        ).save_pretrained(tmp_path)
    for pooling in ("masked", "padded"):
        features = TextEncoder(tmp_path, pooling=pooling, length=32).encode_texts(TEXTS)
        assert features.shape == (len(TEXTS), 16)
        assert np.isfinite(features).all()
    with pytest.raises(OodlibError, match="from 3 to 32"):
        TextEncoder(tmp_path, length=33)


def test_an_encoder_with_a_decoder_is_refused(tiny_bert, tmp_path):
    place = tmp_path / "both"
    T5Model(T5Config(d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2, vocab_size=99)).save_pretrained(place)
    AutoTokenizer.from_pretrained(tiny_bert).save_pretrained(place)
    with pytest.raises(OodlibError, match="one of them"):
        TextEncoder(place)
