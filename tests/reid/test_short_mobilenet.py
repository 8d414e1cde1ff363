"""MobileNetV2 cut short: the same features as timm's whole network up to the cut, and weights of either fill it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import Tensor

from mot_reid.reid.network import ReIDNetwork
from mot_reid.reid.pretrained import create_backbone


@pytest.fixture(scope="module")
def whole() -> Any:
    torch.manual_seed(0)
    network = timm.create_model("mobilenetv2_100", num_classes=0)
    for module in network.modules():  # statistics that are not those of a fresh network
        if isinstance(module, torch.nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return network.eval()


@pytest.fixture(scope="module")
def weights(whole: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "weights.pt"
    torch.save(whole.state_dict(), path)
    return path


def test_it_is_the_whole_network_up_to_the_cut(whole: Any, weights: Path) -> None:
    seen: list[Tensor] = []
    short: Any = create_backbone("mobilenetv2_short", weights=str(weights)).eval()
    hook = whole.blocks[4][1].register_forward_hook(lambda module, given, output: seen.append(output))
    images = torch.rand(2, 3, 96, 48)
    with torch.no_grad():
        whole(images)
        assert torch.equal(short.blocks(short.bn1(short.conv_stem(images))), seen[0])
        found = short.forward_features(images)
    hook.remove()
    assert found.shape == (2, 256, 6, 3)
    assert 0 <= found.min() and found.max() <= 6  # ReLU6


def test_weights_are_what_table_2_of_the_paper_gives() -> None:
    """Blocks by hand: expansion t, c to d channels: c*t*c + 9*t*c + t*c*d, and two numbers of BN for each channel."""

    def block(c: int, d: int, t: int = 6) -> int:
        return (c * t * c + 2 * t * c if t > 1 else 0) + 9 * t * c + 2 * t * c + t * c * d + 2 * d

    rows = [(32, 16, 1, 1), (16, 24, 6, 2), (24, 32, 6, 3), (32, 64, 6, 4), (64, 96, 6, 2)]  # c, d, t, blocks
    stages = sum(block(c, d, t) + (count - 1) * block(d, d, t) for c, d, t, count in rows)
    expected = 3 * 32 * 9 + 2 * 32 + stages + 96 * 256 + 2 * 256
    assert sum(value.numel() for value in create_backbone("mobilenetv2_short", weights="none").parameters()) == expected


def test_its_own_weights_come_back(tmp_path: Path) -> None:
    first = ReIDNetwork("mobilenetv2_short", weights="none", input_norm=True, image_size=(96, 48))
    torch.save(first.state_dict(), tmp_path / "short.pt")
    again = create_backbone("mobilenetv2_short", weights=str(tmp_path / "short.pt"), input_norm=True).state_dict()
    assert all(torch.equal(again[key], value) for key, value in first.backbone.state_dict().items())


@pytest.mark.parametrize("name", ["osnet_x0_25", "vit_tiny_patch16_224"])
def test_weights_of_another_network_are_refused(name: str, tmp_path: Path) -> None:
    """A ViT has `blocks`, too, and those are not numbered twice."""
    torch.save(create_backbone(name, weights="none").state_dict(), tmp_path / "other.pt")
    with pytest.raises(ValueError, match=r"does not fit backbone 'mobilenetv2_short'; \d+ missing: conv_stem.weight"):
        create_backbone("mobilenetv2_short", weights=str(tmp_path / "other.pt"))


def test_the_cut_parts_of_another_network_are_no_excuse(weights: Path, tmp_path: Path) -> None:
    """A block that is kept and is not in the file is still missing."""
    state = {key: value for key, value in torch.load(weights).items() if not key.startswith("blocks.4.1.")}
    torch.save(state, tmp_path / "less.pt")
    with pytest.raises(ValueError, match=r"missing: blocks\.4\.1\.conv_pw\.weight"):
        create_backbone("mobilenetv2_short", weights=str(tmp_path / "less.pt"))
