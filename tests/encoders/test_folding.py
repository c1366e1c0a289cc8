import pytest
import timm
import torch

from oodlib.encoders.folding import fold_batch_norm


def network(name):
    """A network with batch norms that are not the identity, as after training."""
    torch.manual_seed(0)
    model = timm.create_model(name, pretrained=False, num_classes=5)
    model.train()
    with torch.no_grad():
        for _ in range(2):
            model(torch.randn(4, 3, 64, 64))
    return model.eval()


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "efficientnet_lite0", "tf_mobilenetv3_small_minimal_100"])
@pytest.mark.parametrize("side", [64, 96])
def test_folding_changes_nothing_but_rounding(name, side):
    model, pictures = network(name), torch.randn(3, 3, side, side, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        before = model(pictures)
        assert fold_batch_norm(model, side) > 10
        after = model(pictures)
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-5)
    assert not any("BatchNorm" in type(module).__name__ for module in model.modules())


def test_an_odd_map_is_left_alone():
    model = network("tf_efficientnet_lite0")
    assert fold_batch_norm(model, 100) == 0
    assert any("BatchNorm" in type(module).__name__ for module in model.modules())


def test_folding_twice_is_folding_once():
    model = network("tf_efficientnet_lite0")
    assert fold_batch_norm(model, 64) > 0
    assert fold_batch_norm(model, 64) == 0
