"""The "no" head: its loss, what it learns, what it says."""

import hashlib
import json
from dataclasses import asdict

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch.nn import functional as F
from torch.testing import assert_close

from oodlib.pocket import assemble, data, no_head
from oodlib.pocket.no_head import NoRecipe, clipn_loss


@pytest.fixture(scope="module")
def encoder(pocket):
    return pocket


@pytest.fixture(scope="module")
def corpus():
    return data.corpus(1, limit=20, n_validation=5)


def unit(n, seed):
    return F.normalize(torch.randn(n, 8, generator=torch.Generator().manual_seed(seed)), dim=-1)


def test_loss_is_the_one_of_the_paper():
    images, yes, no, concept, scale = unit(5, 0), unit(4, 1), unit(4, 2), torch.tensor([0, 1, 2, 3, 0]), 7.0
    both = torch.stack([scale * images @ yes.T, scale * images @ no.T]).softmax(0)
    own = [both[0, i, c].log() for i, c in enumerate(concept.tolist())]
    other = [both[1, i, j].log() for i in range(5) for j in range(4) if j != concept[i]]
    apart = (2 - (2 - 2 * (yes * no).sum(1) + 1e-4).sqrt()).mean()
    expected = (-torch.stack(own).mean() - torch.stack(other).mean() + apart) / 2
    assert_close(clipn_loss(images, yes, no, concept, scale), expected)


def test_a_miniature_learns(encoder, corpus):
    tensors, losses = no_head.train(encoder, corpus, NoRecipe(steps=60, batch=64))
    assert losses[-1] < 0.8 * losses[0]
    assert tensors["weight"].shape == (256, 384)
    assert tensors["bias"].dtype == torch.float16


def test_the_shipped_head_says_no_to_other_things(encoder, corpus):
    rows = corpus.training(icon=False)
    images = encoder.encode_images(corpus.pictures[rows, 0].float() / 127.5 - 1)
    prompts = [group[0] for group in corpus.captions[:20]]
    yes, no = encoder.encode_texts(prompts), encoder.encode_no(prompts)
    assert no.shape == (20, 256)
    assert_close(no.norm(dim=1), torch.ones(20), atol=1e-5, rtol=0)
    agrees = torch.sigmoid(encoder.logit_scale * images @ (yes - no).T)
    own = agrees[torch.arange(len(rows)), corpus.concept[rows]]
    assert own.mean() > 0.6
    assert own.mean() > agrees.mean() + 0.4


def test_the_shipped_head_belongs_to_the_shipped_weights():
    with safe_open(no_head.HEAD, "pt") as file:
        about = file.metadata()
    assert json.loads(about["recipe"]) == asdict(NoRecipe())
    assert about["weights_sha256"] == hashlib.sha256(assemble.WEIGHTS.read_bytes()).hexdigest()


def test_templates_are_an_ensemble_and_the_order_of_names_does_not_matter(encoder):
    both = encoder.encode_no(["cat", "bus"], ["{}", "a drawing of a {}"])
    parts = [encoder.encode_no([f"{start}{name}" for name in ("cat", "bus")]) for start in ("", "a drawing of a ")]
    assert_close(both, F.normalize(sum(parts), dim=-1), atol=1e-5, rtol=1e-4)
    assert_close(encoder.encode_no(["bus", "cat"]), parts[0].flip(0), atol=1e-5, rtol=1e-4)


def test_the_script_writes_a_head(tmp_path, monkeypatch):
    from tools import no_head as script

    monkeypatch.setattr(script, "corpus", lambda: data.corpus(0, limit=12, n_validation=2))
    monkeypatch.setattr(script, "NoRecipe", lambda: NoRecipe(steps=3, batch=8))
    script.main(["--out", str(tmp_path / "head.safetensors")])
    assert set(load_file(tmp_path / "head.safetensors")) == {"weight", "bias"}
