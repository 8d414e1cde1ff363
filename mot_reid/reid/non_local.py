"""Non-local blocks for a ResNet: every place of a feature map looks at all others.

Reference: Wang, Girshick, Gupta, He, "Non-local Neural Networks", CVPR 2018, equations 4 and 6 with the dot product of
section 3.2, written from the paper. As in AGW (Ye et al., arXiv 2001.04193, section 4) the sum goes through batch
normalisation whose scale starts at 0, so that a pretrained backbone starts as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

STAGES = ("layer1", "layer2", "layer3", "layer4")
"""The stages of a timm ResNet."""
KEY = ".non_local."
"""Part of the name of every tensor of a block, and of no other."""


class NonLocal(nn.Module):
    """Adds to each place the mean of all places, each weighed by its likeness to this one.

    Args:
        channels: Of the feature map; inside, half of them.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(1, channels // 2)
        self.query = nn.Conv2d(channels, inner, 1)
        self.key = nn.Conv2d(channels, inner, 1)
        self.value = nn.Conv2d(channels, inner, 1)
        self.expand = nn.Conv2d(inner, channels, 1)
        self.norm = nn.BatchNorm2d(channels)
        nn.init.zeros_(self.norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, h, w) to (B, C, h, w); the identity at the start."""
        height, width = x.shape[2:]
        query, key, value = (layer(x).flatten(2) for layer in (self.query, self.key, self.value))
        # divided first, which keeps sums of half precision small
        likeness = (query / (height * width)).transpose(1, 2) @ key
        mean = (value @ likeness.transpose(1, 2)).unflatten(2, (height, width))
        return x + self.norm(self.expand(mean))


class NonLocalStage(nn.Module):
    """A ResNet's stage with non-local blocks after its last residual blocks, which keep their names.

    Args:
        blocks: The stage as it was.
        channels: Of its output.
        count: Non-local blocks, one after each of the last `count` residual blocks.
    """

    def __init__(self, blocks: nn.Sequential, *, channels: int, count: int) -> None:
        super().__init__()
        self.depth = len(blocks)
        for name, block in blocks.named_children():
            self.add_module(name, block)
        self.non_local = nn.ModuleDict({str(place): NonLocal(channels) for place in range(len(blocks))[-count:]})

    def forward(self, x: Tensor) -> Tensor:
        """Maps the stage's input to its output."""
        for place in map(str, range(self.depth)):
            x = self.get_submodule(place)(x)
            if place in self.non_local:
                x = self.non_local[place](x)
        return x


def add_non_local(backbone: nn.Module, counts: Sequence[int], *, name: str) -> None:
    """Puts non-local blocks into a ResNet.

    Args:
        backbone: Changed in place.
        counts: Blocks of each of the four stages; AGW and SBS have (0, 2, 3, 0). Empty or all zero: none.
        name: The backbone's name, for the message.

    Raises:
        ValueError: The backbone is no ResNet, or a stage has fewer residual blocks than it is to get.
    """
    from timm.models.resnet import ResNet

    if not any(counts):
        return
    if not isinstance(backbone, ResNet):
        raise ValueError(f"model.non_local: got {list(counts)} for '{name}'; expected [], since it is no ResNet")
    depths = [len(backbone.get_submodule(stage)) for stage in STAGES]  # type: ignore[arg-type]
    if len(counts) != len(STAGES) or any(not 0 <= count <= depth for count, depth in zip(counts, depths)):
        raise ValueError(
            f"model.non_local: got {list(counts)} for '{name}'; expected four numbers, from 0 to {depths}, one a stage"
        )
    channels: dict[Any, Any] = {info["module"]: info["num_chs"] for info in backbone.feature_info}
    for stage, count in zip(STAGES, counts):
        if count:
            blocks: nn.Sequential = backbone.get_submodule(stage)  # type: ignore[assignment]
            setattr(backbone, stage, NonLocalStage(blocks, channels=channels[stage], count=count))
