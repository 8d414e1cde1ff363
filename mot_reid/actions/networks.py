"""Networks that say what is done in a clip: torchvision's, and a small one for CPUs."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torchvision.models import get_model, get_model_weights
from torchvision.models.video.resnet import BasicBlock, Conv3DSimple

from mot_reid.names import did_you_mean


class Kind(NamedTuple):
    """A network by name.

    Attributes:
        frames: Frames that its published weights were trained with.
        side: Height and width in pixels of those.
        head: How the names of the tensors of its classifier begin.
        fixed: Whether it takes that size alone.
    """

    frames: int
    side: int
    head: str
    fixed: bool = False


SMALL = "r3d_small"
"""Ours: torchvision's blocks, a quarter of the channels of r3d_18 and half of its depth; no weights are published."""
NETWORKS = {
    SMALL: Kind(8, 64, "fc."),
    "r3d_18": Kind(16, 112, "fc."),
    "mc3_18": Kind(16, 112, "fc."),
    "r2plus1d_18": Kind(16, 112, "fc."),
    "s3d": Kind(16, 224, "classifier."),
    "mvit_v1_b": Kind(16, 224, "head.", fixed=True),
    "mvit_v2_s": Kind(16, 224, "head.", fixed=True),
    "swin3d_t": Kind(32, 224, "head."),
    "swin3d_s": Kind(32, 224, "head."),
    "swin3d_b": Kind(32, 224, "head."),
}
MEAN, STD = (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)
"""Of Kinetics, in RGB order, for values from 0 to 1."""


class SmallResNet(nn.Module):
    """A 3-D ResNet of four stages with one block each, of what moves: each frame less the mean of its clip.

    So it cannot learn looks and places by heart, of which few clips have as many as they have motions.

    Args:
        num_classes: Actions.
        width: Channels of the first stage; the others double it.
    """

    def __init__(self, num_classes: int, *, width: int = 16) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv3d(3, width, (3, 7, 7), stride=(1, 4, 4), padding=(1, 3, 3), bias=False),
            nn.BatchNorm3d(width),
            nn.ReLU(inplace=True),
        )
        widths = [width, width, 2 * width, 4 * width, 8 * width]
        self.stages = nn.Sequential(*[_block(a, b, 1 if a == b else 2) for a, b in pairwise(widths)])
        self.fc = nn.Linear(widths[-1], num_classes)

    def forward(self, clip: Tensor) -> Tensor:
        """Returns (B, C) logits of (B, 3, T, H, W) clips."""
        moving = clip - clip.mean(dim=2, keepdim=True)
        out: Tensor = self.fc(self.stages(self.stem(moving)).mean(dim=(2, 3, 4)))
        return out


def create(name: str, *, classes: int, frames: int, size: tuple[int, int], weights: str = "none") -> nn.Module:
    """Returns a network that takes (B, 3, T, H, W) clips and gives (B, C) logits.

    Args:
        name: One of `NETWORKS`.
        classes: C, actions.
        frames: T.
        size: H and W in pixels.
        weights: "none", or "pretrained": torchvision's, trained on Kinetics-400, with a new classifier.

    Raises:
        ValueError: The name is unknown, or the network takes clips of another size.
        RuntimeError: The weights cannot be had, for instance without a network connection.
    """
    if name not in NETWORKS:
        known = ", ".join(NETWORKS)
        raise ValueError(f"model.network: got '{name}'; expected one of {known}{did_you_mean(name, NETWORKS)}")
    kind = NETWORKS[name]
    if kind.fixed and (frames, *size) != (kind.frames, kind.side, kind.side):
        raise ValueError(
            f"model.network: got '{name}' for {frames} frames of {size[0]}x{size[1]}; it takes {kind.frames} frames of "
            f"{kind.side}x{kind.side} only; set model.frames, model.height and model.width so, or take another network"
        )
    if name == SMALL:
        if weights == "pretrained":
            raise RuntimeError(_none(name, "nobody has published any"))
        return SmallResNet(classes)
    network: nn.Module = get_model(name, weights=None, num_classes=classes)
    _check_size(network, name, frames, size)
    if weights == "pretrained":
        fill(network, _published(name), head=kind.head)
    return network


def fill(network: nn.Module, state: dict[str, Tensor], *, head: str) -> None:
    """Gives a network weights, except those of its classifier, in place.

    Args:
        network: Filled.
        state: Tensors by name.
        head: How the names of the classifier's tensors begin.

    Raises:
        ValueError: They are of another network.
    """
    wanted = network.state_dict()
    given = {name: value for name, value in state.items() if not name.startswith(head)}
    needed = {name: value for name, value in wanted.items() if not name.startswith(head)}
    wrong = sorted(given.keys() ^ needed.keys()) or [n for n in needed if given[n].shape != needed[n].shape]
    if wrong:
        raise ValueError(f"model.weights: got those of another network ('{wrong[0]}'); expected those of model.network")
    network.load_state_dict({**wanted, **given})


def pretrained_licence(name: str) -> str:
    """Returns the terms of torchvision's weights of a network."""
    return f"those of torchvision's {name} weights, trained on Kinetics-400 (videos of their uploaders)"


def _block(inside: int, outside: int, stride: int) -> nn.Module:
    """Returns a residual block, with a shortcut that fits where it changes the size."""
    shortcut = None
    if stride != 1 or inside != outside:
        steps = Conv3DSimple.get_downsample_stride(stride)
        shortcut = nn.Sequential(nn.Conv3d(inside, outside, 1, stride=steps, bias=False), nn.BatchNorm3d(outside))
    builder: Callable[..., nn.Module] = Conv3DSimple
    return BasicBlock(inside, outside, builder, stride, shortcut)


def _check_size(network: nn.Module, name: str, frames: int, size: tuple[int, int]) -> None:
    """Refuses clips that are too small for a network, which its layers would say in the middle of a run."""
    try:
        with torch.inference_mode():
            network.eval()(torch.zeros(1, 3, frames, *size))
    except RuntimeError:
        kind = NETWORKS[name]
        raise ValueError(
            f"model.network: got '{name}' for {frames} frames of {size[0]}x{size[1]}, of which nothing is left after "
            f"its layers; it was made for {kind.frames} frames of {kind.side}x{kind.side}; raise model.frames, "
            "model.height and model.width, or take another network"
        ) from None
    network.train()


def _published(name: str) -> dict[str, Tensor]:
    """Returns torchvision's weights of a network, downloaded once."""
    published: Any = get_model_weights(name).DEFAULT  # type: ignore[attr-defined]
    try:
        state: dict[str, Tensor] = published.get_state_dict(progress=False, check_hash=True)
    except Exception as error:  # of many kinds: no network, no space, a damaged download
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(". ")
        raise RuntimeError(_none(name, reason)) from error
    return state


def _none(name: str, reason: str) -> str:
    return (
        f"model.network '{name}': its pretrained weights could not be loaded ({reason}); give a model of ours with "
        "model.weights=<file>, or train from scratch with model.weights=none"
    )
