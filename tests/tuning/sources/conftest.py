import pytest
import torch

from oodlib.tuning.sources import Known


@pytest.fixture
def queues() -> Known:
    """Five classes of eight pictures in sixteen dimensions, and twenty words beside them."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(5).repeat(8)
    centres = 2 * torch.randn(5, 16, generator=generator)
    features = centres[labels] + torch.randn(40, 16, generator=generator)
    return Known(features, labels, torch.randn(20, 16, generator=generator))
