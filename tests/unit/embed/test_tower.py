import pytest
import torch
from torch import nn

from clipbatch.embed.encoder import EncoderSpec, Preprocess
from clipbatch.embed.tower import Tower

pytestmark = pytest.mark.quick

CPU = torch.device("cpu")
SPEC = EncoderSpec("toy", "w", 8, unit_length=True, preprocess=Preprocess(6, 6))


def network(scale=1.0):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with torch.no_grad():
        net[0].weight.mul_(scale)
    return net


def test_half_precision_keeps_the_vectors():
    inputs = torch.randn(5, 3, 6, 6)
    full, half = Tower(network(), SPEC, CPU), Tower(network(), SPEC, CPU, half=True)
    assert (full.dtype, half.dtype) == (torch.float32, torch.float16)
    a, b = full.encode(inputs), half.encode(inputs)
    assert b.dtype == torch.float32
    torch.testing.assert_close(b.norm(dim=1), torch.ones(5))
    assert (1 - (a * b).sum(1)).max() <= 1e-4


def test_a_network_that_overflows_half_precision_stays_in_full():
    tower = Tower(network(scale=1e6), SPEC, CPU, half=True)
    assert tower.dtype == torch.float32
    assert tower.encode(torch.randn(2, 3, 6, 6)).isfinite().all()


def test_vectors_have_unit_length_only_where_promised():
    spec = EncoderSpec("toy", "w", 8, unit_length=False, preprocess=Preprocess(6, 6))
    inputs = torch.randn(5, 3, 6, 6)
    raw, unit = (
        Tower(network(), spec, CPU).encode(inputs),
        Tower(network(), SPEC, CPU).encode(inputs),
    )
    torch.testing.assert_close(raw, network()(inputs).detach())
    torch.testing.assert_close(raw / raw.norm(dim=1, keepdim=True), unit)
    assert not unit.requires_grad
