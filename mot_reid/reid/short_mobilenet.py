"""MobileNetV2 cut short: the first fifth of the weights of timm's network, which is most of what it has learned.

Reference: Sandler, Howard, Zhu, Zhmoginov, Chen, "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018,
table 2. Its last stages, of 160 and 320 channels and the 1280 after them, hold four fifths of the weights, where a
person's crop is a map of a few pixels. Here it ends after the second block of 96 channels, 16 times smaller than the
image; a 1x1 convolution to 256 channels with BN and ReLU6 takes the place of the one to 1280.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor, nn

NAME = "mobilenetv2_short"
WHOLE = "mobilenetv2_100"
"""The network of timm that is cut."""
CHANNELS = 256
STAGES = 5
BLOCKS = 2
"""Blocks that stay of the last stage."""
_HEAD = ("conv_head.", "bn2.")


def shorten(network: nn.Module) -> nn.Module:
    """Returns timm's `WHOLE`, cut in place; `forward_features` gives (B, 256, H / 16, W / 16) maps.

    What stays keeps its weights; the new head starts fresh.
    """
    from timm.layers import BatchNormAct2d

    stages = network.get_submodule("blocks")[:STAGES]  # type: ignore[index]
    stages[-1] = stages[-1][:BLOCKS]
    head = nn.Conv2d(stages[-1][-1].conv_pwl.out_channels, CHANNELS, 1, bias=False)
    nn.init.kaiming_normal_(head.weight, mode="fan_out", nonlinearity="relu")
    network.blocks = stages
    network.conv_head = head
    network.bn2 = BatchNormAct2d(CHANNELS, act_layer=nn.ReLU6)
    network.num_features = network.head_hidden_size = CHANNELS  # type: ignore[assignment]
    return network


def cut(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the weights of the whole network without what the short one lacks, and a fresh head for its own.

    Args:
        state: Of the whole network; or of a short one, which is returned as it is.
        wanted: Of the short one, fresh.
    """
    head = state.get("conv_head.weight")
    if head is not None and head.shape == wanted["conv_head.weight"].shape:
        return dict(state)
    kept = {key: value for key, value in state.items() if not key.startswith(_HEAD) and not _is_cut(key)}
    return kept | {key: value for key, value in wanted.items() if key.startswith(_HEAD)}


def _is_cut(key: str) -> bool:
    """Whether a tensor belongs to a block that the short network lacks."""
    found = re.match(r"blocks\.(\d+)\.(\d+)\.", key)
    return found is not None and (int(found[1]), int(found[2])) >= (STAGES - 1, BLOCKS)
