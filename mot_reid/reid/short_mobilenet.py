"""MobileNetV2 cut short: the part of timm's network that has a fifth of its weights and most of what they learned.

Reference: Sandler, Howard, Zhu, Zhmoginov, Chen, "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018,
table 2. Its last stages, of 160 and 320 channels and the 1280 after them, hold four fifths of the weights and see a map
of a few pixels of a person's crop. Here it ends after the second block of 96 channels, 16 times smaller than the image,
and a 1x1 convolution with BN and ReLU6 to 256 channels takes the place of the one to 1280.
"""

from __future__ import annotations

from torch import Tensor, nn

NAME = "mobilenetv2_short"
WHOLE = "mobilenetv2_100"
"""The network of timm that is cut."""
CHANNELS = 256
STAGES = 5
BLOCKS = 2
"""Blocks that stay of the last stage."""


def create(*, drop_path: float = 0.0) -> nn.Module:
    """Returns the short network with fresh weights; its `forward_features` gives (B, 256, H / 16, W / 16) maps.

    Args:
        drop_path: Stochastic depth rate in [0, 1).
    """
    import timm
    from timm.layers import BatchNormAct2d

    network: nn.Module = timm.create_model(WHOLE, num_classes=0, global_pool="", drop_path_rate=drop_path)
    stages = network.get_submodule("blocks")[:STAGES]  # type: ignore[index]
    stages[-1] = stages[-1][:BLOCKS]
    last = stages[-1][-1].conv_pwl.out_channels
    head = nn.Conv2d(last, CHANNELS, 1, bias=False)
    nn.init.kaiming_normal_(head.weight, mode="fan_out", nonlinearity="relu")
    network.blocks = stages
    network.conv_head = head
    network.bn2 = BatchNormAct2d(CHANNELS, act_layer=nn.ReLU6)
    network.num_features = network.head_hidden_size = CHANNELS
    return network


def cut(state: dict[str, Tensor], wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    """Returns the weights of the whole network without what the short one lacks, its own head in their place.

    Args:
        state: Of the whole network, or of a short one, which stays as it is.
        wanted: Of the short one, as it was made.
    """
    heads = ("conv_head.", "bn2.")
    if len(state.get("conv_head.weight", ())) == CHANNELS:
        return state
    kept = {key: value for key, value in state.items() if not key.startswith(heads) and not _is_cut(key)}
    return kept | {key: value for key, value in wanted.items() if key.startswith(heads)}


def _is_cut(key: str) -> bool:
    """Whether a tensor is of a block that the short network lacks."""
    words = key.split(".")
    if words[0] != "blocks":
        return False
    stage, block = int(words[1]), int(words[2])
    return stage >= STAGES or (stage == STAGES - 1 and block >= BLOCKS)
