import pytest
import torch

from oodlib.checkpoint import load_checkpoint
from oodlib.errors import OodlibError
from oodlib.tuning import Shots, _loop, tune
from oodlib.tuning.base import Session


@pytest.mark.parametrize(
    ("name", "parameters"), [("clip_adapter", {"batch_size": 8}), ("tip_adapter_f", {"batch_size": 8})]
)
@pytest.mark.parametrize("stop", [5, 20])
def test_an_interrupted_run_ends_as_an_uninterrupted_one(
    name, parameters, stop, interrupt, tmp_path, no_encoder, concepts, shots
):
    setting = {"epochs": 12, **parameters}
    whole = tune(name, no_encoder, concepts, shots, seed=1, **setting)
    path = tmp_path / "state.safetensors"
    interrupt(stop, 5, lambda: tune(name, no_encoder, concepts, shots, seed=1, checkpoint=path, **setting))
    assert path.exists()
    resumed = tune(name, no_encoder, concepts, shots, seed=1, checkpoint=path, **setting)
    assert all(torch.equal(whole.state[key], resumed.state[key]) for key in whole.state)
    assert resumed.losses == whole.losses
    assert not path.exists()  # a run that is complete leaves nothing behind


def test_a_checkpoint_of_another_recipe_is_refused(interrupt, tmp_path, no_encoder, concepts, shots):
    path = tmp_path / "state.safetensors"
    setting = {"checkpoint": path, "epochs": 12}
    interrupt(5, 5, lambda: tune("clip_adapter", no_encoder, concepts, shots, seed=1, **setting))
    with pytest.raises(OodlibError, match="checkpoint of another recipe"):
        tune("clip_adapter", no_encoder, concepts, shots, seed=2, **setting)


def test_a_checkpoint_of_other_shots_is_refused(interrupt, tmp_path, no_encoder, concepts, shots):
    path = tmp_path / "state.safetensors"
    setting = {"checkpoint": path, "epochs": 12}
    interrupt(5, 5, lambda: tune("clip_adapter", no_encoder, concepts, shots, **setting))
    with pytest.raises(OodlibError, match="checkpoint of another recipe"):
        tune("clip_adapter", no_encoder, concepts, Shots(shots.features.flip(1), shots.labels), **setting)


def test_the_callers_random_numbers_stay_the_same(no_encoder, concepts, shots):
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    tune("clip_adapter", no_encoder, concepts, shots, epochs=1)
    assert torch.equal(torch.rand(2), expected)


def test_a_damaged_checkpoint_is_named(tmp_path):
    path = tmp_path / "state.safetensors"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(OodlibError, match=r"state.safetensors is damaged .* delete it"):
        load_checkpoint(path, torch.optim.SGD([torch.zeros(1)], 0.1), "any")


def test_a_loss_that_is_not_finite_ends_the_run(no_encoder, concepts, shots):
    with pytest.raises(OodlibError, match=r"the loss is not finite at step [0-9]+: lower the learning rate"):
        tune("clip_adapter", no_encoder, concepts, shots, lr=1e30)


def test_every_pass_visits_every_picture_once():
    rows = _loop.epochs(7, 3, 4, seed=0)
    assert len(rows) == 4 * 3
    for start in range(0, 12, 3):
        assert sorted(torch.cat(rows[start : start + 3]).tolist()) == list(range(7))


def test_the_rate_falls_from_its_peak_to_nothing():
    rates = [_loop.cosine(step, 10) for step in range(11)]
    assert rates[0] == 1
    assert rates[10] == pytest.approx(0)
    assert rates == sorted(rates, reverse=True)


def test_the_rates_of_the_optimizer_are_given_back(concepts):
    weight = torch.zeros(2, requires_grad=True)
    optimizer = torch.optim.SGD([weight], 0.5)
    losses = _loop.train(
        {"weight": weight},
        optimizer,
        [torch.tensor([0])] * 3,
        lambda *_: (weight - 1).square().sum(),
        Session(seed=0),
    )
    assert optimizer.param_groups[0]["lr"] == 0.5
    assert losses[-1] < losses[0]
