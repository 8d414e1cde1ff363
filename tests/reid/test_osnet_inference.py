"""The merged network against the network it came from."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mot_reid.reid.osnet import AggregationGate, ConvBlock, LightConv, OmniScaleBlock, OSNet, create
from mot_reid.reid.osnet_inference import for_inference


@pytest.fixture
def trunk(request: pytest.FixtureRequest) -> OSNet:
    """A network whose statistics and gates are not those it begins with."""
    torch.manual_seed(0)
    trunk = create(getattr(request, "param", "osnet_x0_25")).eval()
    for module in trunk.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.normal_(module.bias)
        if isinstance(module, nn.InstanceNorm2d):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
        if isinstance(module, AggregationGate):
            nn.init.normal_(module.squeeze.weight)
            nn.init.normal_(module.expand.weight)
    return trunk


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("trunk", ["osnet_x0_25", "osnet_ain_x0_25"], indirect=True)
def test_merged_network_gives_the_same_map(trunk: OSNet, batch: int) -> None:
    """Fails when: streams, their gates or their channels are exchanged, or a normalisation is left out."""
    images = torch.randn(batch, 3, 64, 32)
    with torch.inference_mode():
        torch.testing.assert_close(for_inference(trunk)(images), trunk(images), rtol=1e-4, atol=1e-4)


def test_merged_network_has_neither_normalisations_nor_single_streams(trunk: OSNet) -> None:
    kinds = {type(module) for module in for_inference(trunk).modules()}
    assert not kinds & {nn.BatchNorm2d, LightConv, OmniScaleBlock}


def test_network_given_stays_as_it_was(trunk: OSNet) -> None:
    before = {name: tensor.clone() for name, tensor in trunk.state_dict().items()}
    for_inference(trunk)
    assert all(isinstance(m.norm, nn.BatchNorm2d) for m in trunk.modules() if isinstance(m, (ConvBlock, LightConv)))
    assert all(torch.equal(before[name], tensor) for name, tensor in trunk.state_dict().items())


def test_other_networks_are_copied_as_they_are() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval()
    copied = for_inference(network)
    images = torch.randn(2, 3, 8, 8)
    assert copied is not network and torch.equal(copied(images), network(images))
