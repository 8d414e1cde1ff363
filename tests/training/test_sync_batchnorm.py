"""Synchronised batch norm against the network it is made from."""

from __future__ import annotations

import torch
from torch import nn

from mot_reid.reid.network import ReIDNetwork
from mot_reid.training.sync_batchnorm import SyncBatchNorm


def test_every_norm_is_synchronised_and_keeps_its_activation() -> None:
    """EfficientNet has its activations inside the norms: torch's own conversion gives another network."""
    torch.manual_seed(0)
    network = ReIDNetwork("test_efficientnet", weights="none", image_size=(32, 16)).eval()
    images = torch.randn(2, 3, 32, 16)
    with torch.inference_mode():
        expected = network(images)
        torchs = nn.SyncBatchNorm.convert_sync_batchnorm(
            ReIDNetwork("test_efficientnet", weights="none", image_size=(32, 16)).eval()
        )
        torchs.load_state_dict(network.state_dict())
        assert not torch.allclose(torchs(images), expected)
        plugin = SyncBatchNorm()
        converted = plugin.apply(network)
        torch.testing.assert_close(converted(images), expected)
        torch.testing.assert_close(plugin.revert(converted)(images), expected)
    norms = [module for module in converted.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    assert norms
    assert all(isinstance(module, nn.SyncBatchNorm) for module in norms)


def test_shift_of_the_neck_stays_frozen() -> None:
    network = SyncBatchNorm().apply(ReIDNetwork("test_efficientnet", weights="none", image_size=(32, 16)))
    assert not network.neck.bias.requires_grad  # type: ignore[union-attr]
