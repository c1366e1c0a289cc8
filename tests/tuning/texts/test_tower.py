import numpy as np
import pytest
import torch
from torch.nn import functional as F
from transformers import AutoModel, AutoTokenizer

from oodlib.encoders import TextEncoder
from oodlib.errors import OodlibError
from oodlib.evaluation.angles import compactness, dispersion
from oodlib.feature_detectors.class_mahalanobis import ClassMahalanobis
from oodlib.tuning.texts import TowerClassifier, released_contrast

BIRDS, FOODS = ("robin", "eagle", "owl", "crow", "swan", "hawk"), ("bread", "soup", "cheese", "rice", "cake", "pie")
TEXTS = [f"{how} {word}" for how in ("a", "some", "the old") for word in (*BIRDS, *FOODS)]
LABELS = ["bird" if text.split()[-1] in BIRDS else "food" for text in TEXTS]
MEASURES = {"dispersion": dispersion, "compactness": compactness}


@pytest.fixture(scope="module")
def classifier(tiny_bert):
    def make(loss="ce_supcon", **changes):
        return TowerClassifier(tiny_bert, loss, **{"length": 16, "epochs": 6, "lr": 3e-3, "batch_size": 12} | changes)

    return make


def weights(fitted):
    return {**fitted.encoder_._tower.model.state_dict(), "head": torch.from_numpy(fitted.weight_)}


def same(first, second):
    return all(torch.equal(value, weights(second)[name]) for name, value in weights(first).items())


@pytest.mark.parametrize("pooling", ["masked", "padded"])
@pytest.mark.parametrize("loss", ["ce", "ce_supcon", "margin"])
def test_it_learns_two_classes_and_their_features_part(classifier, tiny_bert, loss, pooling):
    fitted = classifier(loss, pooling=pooling, epochs=10, lr=1e-2).fit(TEXTS, LABELS, measures=MEASURES)
    assert len(fitted.losses_) == 10 * 3
    assert np.mean(fitted.losses_[-3:]) < 0.85 * np.mean(fitted.losses_[:3])
    assert (fitted.classes_[fitted.logits(TEXTS).argmax(1)] == LABELS).mean() > 0.95
    before = TextEncoder(tiny_bert, pooling=pooling, length=16).encode_texts(TEXTS)
    after = fitted.transform(TEXTS)
    for name, of in MEASURES.items():
        assert len(fitted.course_[name]) == 10 + 1
        assert fitted.course_[name][0] == pytest.approx(of(before, LABELS), rel=1e-6)
        assert fitted.course_[name][-1] == pytest.approx(of(after, LABELS), rel=1e-6)
    first, last = (dispersion(rows, LABELS) / compactness(rows, LABELS) for rows in (before, after))
    assert last > 2 * first


def test_every_weight_moves_from_the_embedding_to_the_head(classifier, tiny_bert):
    before, after = AutoModel.from_pretrained(tiny_bert), classifier(epochs=1).fit(TEXTS, LABELS).encoder_._tower.model
    moved = {name: not torch.equal(old, after.state_dict()[name]) for name, old in before.state_dict().items()}
    assert {name for name, by in moved.items() if not by} <= {"pooler.dense.bias", "pooler.dense.weight"}
    rows = AutoTokenizer.from_pretrained(tiny_bert)(TEXTS[0])["input_ids"]
    change = (after.embeddings.word_embeddings.weight - before.embeddings.word_embeddings.weight).abs().sum(1)
    assert (change[rows] > 0).all()


def test_a_step_is_that_of_transformers_and_torch(classifier, tiny_bert):
    """One batch of all texts, without dropout, by hand."""
    calm = AutoModel.from_pretrained(tiny_bert, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    place = tiny_bert.parent / "calm"
    calm.save_pretrained(place)
    tokenizer = AutoTokenizer.from_pretrained(tiny_bert)
    tokenizer.save_pretrained(place)
    fitted = classifier(epochs=1, batch_size=len(TEXTS), lr=1e-3).set_params(name=place).fit(TEXTS, LABELS, seed=3)
    head = (0.02 * torch.randn(2, 24, generator=torch.Generator().manual_seed(3))).requires_grad_()
    bias = torch.zeros(2, requires_grad=True)
    named = [*calm.named_parameters(), ("head.weight", head), ("head.bias", bias)]
    bare = [one for name, one in named if name.endswith("bias") or "LayerNorm" in name]
    rest = [one for name, one in named if not (name.endswith("bias") or "LayerNorm" in name)]
    optimizer = torch.optim.AdamW([{"params": rest}, {"params": bare, "weight_decay": 0.0}], lr=1e-3, weight_decay=0.01)
    given = tokenizer(TEXTS, padding=True, return_tensors="pt")
    mask = given["attention_mask"][:, :, None]
    features = (calm.train()(**given).last_hidden_state * mask).sum(1) / mask.sum(1)
    labels = torch.tensor([int(label == "food") for label in LABELS])
    loss = F.cross_entropy(F.linear(features, head, bias), labels) + 2 * released_contrast(features, labels)
    assert fitted.losses_[0] == pytest.approx(loss.item(), rel=1e-5)
    loss.backward()
    optimizer.step()
    np.testing.assert_allclose(fitted.weight_, head.detach().numpy(), atol=1e-5)
    words, ours = (one.embeddings.word_embeddings.weight for one in (calm, fitted.encoder_._tower.model))
    assert (
        (words - ours).abs() < 1e-5
    ).float().mean() > 0.999  # Adam's first step is a sign, even of a gradient near 0


@pytest.mark.parametrize("stop", [3, 9])
def test_a_run_that_was_stopped_ends_as_one_that_was_not(classifier, interrupt, tmp_path, stop):
    path, measured = tmp_path / "state.safetensors", []

    def spread(features, labels):
        measured.append(features)
        return dispersion(features, labels)

    def fit(**how):
        measured.clear()
        return classifier(epochs=4).fit(TEXTS, LABELS, seed=1, measures={"spread": spread}, **how)

    whole = fit()
    interrupt(stop, 25, lambda: fit(checkpoint=path))
    assert path.exists()
    resumed = fit(checkpoint=path)
    assert len(measured) == 4 + 1 - stop // 3  # what was done is not done again
    assert same(whole, resumed)
    assert (resumed.losses_, resumed.course_) == (whole.losses_, whole.course_)
    assert not path.exists()


def test_a_checkpoint_of_other_texts_is_refused(classifier, interrupt, tmp_path):
    path = tmp_path / "state.safetensors"
    interrupt(3, 25, lambda: classifier(epochs=2).fit(TEXTS, LABELS, checkpoint=path))
    with pytest.raises(OodlibError, match="another recipe"):
        classifier(epochs=2).fit(["a wren", *TEXTS[1:]], LABELS, checkpoint=path)


def test_a_seed_is_a_training_whatever_was_drawn_before(classifier):
    fits = []
    for drawn, seed in ((1, 0), (2, 0), (2, 1)):
        torch.manual_seed(drawn)
        fits.append(classifier(epochs=1).fit(TEXTS, LABELS, seed=seed))
        after = torch.random.get_rng_state()
        torch.manual_seed(drawn)
        assert torch.equal(after, torch.random.get_rng_state())
    first, again, other = fits
    assert first.losses_ == again.losses_
    assert same(first, again)
    assert first.losses_ != other.losses_


def test_measures_change_nothing_of_the_training(classifier):
    assert same(classifier(epochs=2).fit(TEXTS, LABELS), classifier(epochs=2).fit(TEXTS, LABELS, measures=MEASURES))


def test_the_encoder_is_named_by_its_weights_and_read_by_detectors(classifier, tiny_bert):
    fitted = classifier().fit(TEXTS, LABELS)
    plain = TextEncoder(tiny_bert, length=16)
    assert fitted.encoder_.digest not in (plain.digest, classifier().fit(TEXTS, LABELS, seed=1).encoder_.digest)
    assert fitted.encoder_.spec["model"] == plain.spec["model"]
    detector = ClassMahalanobis().fit(fitted.transform(TEXTS), LABELS)
    far = detector.score_samples(fitted.transform(["control the number of mathematics", "quickly walking away"]))
    assert far.max() < np.median(detector.score_samples(fitted.transform(TEXTS)))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"loss": "hinge"}, "choose one of ce"),
        ({"pooling": "cls"}, "masked or padded"),
        ({"length": 65}, "3 to 64"),
        ({"labels": ["bird"] * len(TEXTS)}, "one class only"),
        ({"labels": [0, 1]}, "36 rows and 2 labels"),
        ({"labels": [*range(len(TEXTS) - 1), -1]}, "row 35 is no class"),
        ({"texts": [*TEXTS[:-1], " "]}, "text 35 of 36"),
        ({"lr": 1e30}, "loss is not finite.*lower the learning rate"),
        ({"lr": 1e37, "epochs": 1, "batch_size": 36}, "logits are not finite.*lower the learning rate"),
        ({"device": "tpu"}, "choose cpu"),
    ],
)
def test_what_cannot_be_trained(classifier, change, sentence):
    texts, labels = change.pop("texts", TEXTS), change.pop("labels", LABELS)
    with pytest.raises(OodlibError, match=sentence):
        classifier(**change).fit(texts, labels)
