"""Non-local blocks against the equation in loops, and a ResNet that has them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from mot_reid.reid import checkpoint
from mot_reid.reid.network import ReIDNetwork, from_config
from mot_reid.reid.non_local import NonLocal
from mot_reid.reid.preprocess import Preprocess
from mot_reid.reid.pretrained import create_backbone


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.randn(2, 3, 64, 32, generator=torch.Generator().manual_seed(0))


def _resnet(*counts: int, weights: str = "none", **choices: object) -> ReIDNetwork:
    torch.manual_seed(0)
    return ReIDNetwork("resnet18", weights=weights, image_size=(64, 32), non_local=counts, **choices)  # type: ignore[arg-type]


def _switch_on(network: nn.Module) -> None:
    """Gives every block a scale, as training does."""
    for module in network.modules():
        if isinstance(module, NonLocal):
            nn.init.constant_(module.norm.weight, 0.5)


def test_block_is_the_equation_in_loops() -> None:
    """Caught: a softmax, a missing 1 / N, keys and queries exchanged, height and width exchanged, no residual."""
    torch.manual_seed(0)
    block = NonLocal(4).eval()
    nn.init.constant_(block.norm.weight, 0.7)
    x = torch.randn(1, 4, 3, 2)

    def linear(layer: nn.Conv2d, v: torch.Tensor) -> torch.Tensor:
        return layer.weight[:, :, 0, 0] @ v + layer.bias

    places = [(i, j) for i in range(3) for j in range(2)]
    expected = torch.empty_like(x)
    with torch.inference_mode():
        for i, j in places:
            mean = torch.zeros(2)
            for k, m in places:
                likeness = linear(block.query, x[0, :, i, j]) @ linear(block.key, x[0, :, k, m])
                mean += likeness * linear(block.value, x[0, :, k, m]) / 6
            expected[0, :, i, j] = x[0, :, i, j] + 0.7 * linear(block.expand, mean) / (1 + 1e-5) ** 0.5
        torch.testing.assert_close(block(x), expected)


def test_network_with_blocks_starts_as_the_one_without(images: torch.Tensor) -> None:
    plain, blocks = _resnet().eval(), _resnet(0, 1, 2, 0).eval()
    missing, unexpected = blocks.load_state_dict(plain.state_dict(), strict=False)
    assert unexpected == []
    assert all(".non_local." in name for name in missing)
    with torch.inference_mode():
        assert torch.equal(blocks(images), plain(images))
        _switch_on(blocks)
        assert not torch.allclose(blocks(images), plain(images))


def test_blocks_follow_the_last_residual_blocks_of_a_stage() -> None:
    names = {name for name, module in _resnet(0, 1, 2, 0).named_modules() if isinstance(module, NonLocal)}
    wanted = {"layer2.non_local.1", "layer3.non_local.0", "layer3.non_local.1"}  # a ResNet-18 has two in each
    assert names == {f"backbone.{name}" for name in wanted}


def test_blocks_of_resnet50_are_those_of_the_published_code() -> None:
    """AGW's ResNetNL(non_layers=[0, 2, 3, 0]): after blocks 2, 3 of four and 3, 4, 5 of six; 512 and 1,024 channels."""
    with torch.device("meta"):
        backbone = create_backbone("resnet50", weights="none", non_local=(0, 2, 3, 0))
    found = {
        name: module.norm.num_features for name, module in backbone.named_modules() if isinstance(module, NonLocal)
    }
    second, third = (
        {f"layer{k}.non_local.{i}": n for i in places} for k, places, n in ((2, (2, 3), 512), (3, (3, 4, 5), 1024))
    )
    assert found == second | third


def test_checkpoint_keeps_the_blocks(images: torch.Tensor, tmp_path: Path) -> None:
    network = _resnet(0, 1, 0, 0).eval()
    _switch_on(network)
    checkpoint.save(tmp_path / "a.safetensors", network, Preprocess(64, 32), provenance={}, licence="none")
    again = checkpoint.load(tmp_path / "a.safetensors").network
    assert again.config["non_local"] == [0, 1, 0, 0]
    with torch.inference_mode():
        assert torch.equal(again(images), network(images))


def test_config_names_the_blocks_only_where_there_are_some() -> None:
    """So that older releases read the models without."""
    assert "non_local" not in _resnet().config
    assert "non_local" not in _resnet(0, 0, 0, 0).config
    assert from_config(_resnet(0, 0, 1, 0).config).config["non_local"] == [0, 0, 1, 0]


@pytest.mark.parametrize("counts", [(), (0, 1, 0, 0)])
def test_weights_with_or_without_blocks_fill_a_network_that_has_them(counts: tuple[int, ...], tmp_path: Path) -> None:
    given = _resnet(*counts)
    _switch_on(given)
    checkpoint.save(tmp_path / "a.safetensors", given, Preprocess(64, 32), provenance={}, licence="none")
    found = _resnet(0, 1, 0, 0, weights=str(tmp_path / "a.safetensors")).backbone.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in given.backbone.state_dict().items())
    assert found["layer2.non_local.1.norm.weight"].unique().tolist() == ([0.5] if counts else [0.0])


def test_weights_with_blocks_do_not_fill_a_network_without(tmp_path: Path) -> None:
    torch.save(_resnet(0, 1, 0, 0).backbone.state_dict(), tmp_path / "a.pt")
    with pytest.raises(ValueError, match=r"does not fit backbone 'resnet18'; 13 unexpected: layer2.non_local.1.query"):
        _resnet(weights=str(tmp_path / "a.pt"))


@pytest.mark.parametrize(
    ("backbone", "counts", "message"),
    [
        ("osnet_x0_25", (0, 2, 3, 0), r"got \[0, 2, 3, 0\] for 'osnet_x0_25'; expected \[\], since it is no ResNet"),
        ("resnet18", (0, 2), r"got \[0, 2\] for 'resnet18'; expected four numbers, from 0 to \[2, 2, 2, 2\]"),
        ("resnet18", (0, 0, 3, 0), r"got \[0, 0, 3, 0\] for 'resnet18'; expected four numbers"),
    ],
)
def test_blocks_that_cannot_be_are_refused(backbone: str, counts: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=f"model.non_local: {message}"):
        ReIDNetwork(backbone, weights="none", non_local=counts)
