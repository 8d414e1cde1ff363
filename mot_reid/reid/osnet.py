"""OSNet, the one backbone timm lacks: omni-scale feature learning in 2.2 million parameters.

Reference: Zhou, Yang, Cavallaro, Xiang, "Omni-Scale Feature Learning for Person Re-Identification", ICCV 2019
(arXiv 1905.00953), figures 3 to 5 and table 1; written from the paper. We differ in one place: the trunk ends with the
last 1x1 convolution, and the paper's FC-512 + BN + ReLU head is left to the neck and projection of `ReIDNetwork`.

OSNet-AIN normalises each image by itself in the places that a search found, so that a camera's colours and contrast
matter less: Zhou et al., "Learning Generalisable Omni-Scale Representations for Person Re-Identification", TPAMI 2021
(arXiv 1910.06827).
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

Places = tuple[tuple[bool, bool], ...]
STREAMS = 4
SIZES = {"x1_0": 1.0, "x0_75": 0.75, "x0_5": 0.5, "x0_25": 0.25}
"""The width multiplier of each published size."""
PLAIN: Places = ((False, False), (False, False), (False, False))
AIN: Places = ((True, True), (False, True), (True, False))
"""Which blocks of each stage normalise instances; the stem of OSNet-AIN does too."""
NAMES = {f"osnet_{size}": (size, PLAIN) for size in SIZES} | {f"osnet_ain_{size}": (size, AIN) for size in SIZES}
"""Every backbone of this module by its name: its size, and where it normalises instances."""
LEAST_SIDE_AIN = 32
"""Pixels that OSNet-AIN needs each way: an image reduced to one pixel cannot be normalised by itself."""


class ConvBlock(nn.Sequential):
    """A convolution without bias, normalisation over the batch or each image and, unless linear, ReLU."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        kernel: int = 1,
        stride: int = 1,
        linear: bool = False,
        instance: bool = False,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)
        self.norm: nn.Module = nn.InstanceNorm2d(outputs, affine=True) if instance else nn.BatchNorm2d(outputs)
        if not linear:
            self.relu = nn.ReLU(inplace=True)


class LightConv(nn.Sequential):
    """A 3x3 convolution factorised into a pointwise and a depthwise one (section 3.1 of the paper)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pointwise = nn.Conv2d(channels, channels, 1, bias=False)
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.norm: nn.BatchNorm2d | nn.Identity = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)


class AggregationGate(nn.Module):
    """Weighs the channels of one stream by a small network that all streams of a block share (equation 3)."""

    def __init__(self, channels: int, *, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        self.squeeze = nn.Linear(channels, hidden)
        self.expand = nn.Linear(hidden, channels)

    def forward(self, stream: Tensor) -> Tensor:
        """Maps a (B, C, h, w) stream to the (B, C, 1, 1) gates of its channels, in (0, 1)."""
        return self.weigh(stream.mean(dim=(2, 3)))[:, :, None, None]

    def weigh(self, means: Tensor) -> Tensor:
        """Maps the (..., C) means of the channels to their (..., C) gates."""
        return self.expand(F.relu(self.squeeze(means))).sigmoid()


class OmniScaleBlock(nn.Module):
    """A residual bottleneck with four streams whose receptive fields are 3, 5, 7 and 9 pixels (figure 4).

    Args:
        inputs: Channels that come in.
        outputs: Channels that go out.
        instance: Normalise each image by itself at the end of the residual, before the sum.
    """

    def __init__(self, inputs: int, outputs: int, *, instance: bool = False) -> None:
        super().__init__()
        middle = outputs // 4
        self.reduce = ConvBlock(inputs, middle)
        self.streams = nn.ModuleList(
            nn.Sequential(*(LightConv(middle) for _ in range(depth))) for depth in range(1, STREAMS + 1)
        )
        self.gate = AggregationGate(middle)
        self.expand = ConvBlock(middle, outputs, linear=True, instance=instance)
        self.shortcut = nn.Identity() if inputs == outputs else ConvBlock(inputs, outputs, linear=True)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, inputs, h, w) to (B, outputs, h, w)."""
        reduced = self.reduce(x)
        first = self.streams[0](reduced)
        mixed = first * self.gate(first)
        for layers in self.streams[1:]:
            stream = layers(reduced)
            mixed.addcmul_(stream, self.gate(stream))
        return F.relu_(self.expand(mixed).add_(self.shortcut(x)))


class OSNet(nn.Module):
    """The OSNet trunk: images to a feature map 16 times smaller.

    Args:
        width: Multiplies every channel count; the paper publishes 1, 0.75, 0.5 and 0.25.
        instance: Which of the two blocks of each stage normalise instances; with any, the stem does too.

    Attributes:
        num_features: Channels of the feature map, 512 times `width`.
    """

    def __init__(self, *, width: float = 1.0, instance: Places = PLAIN) -> None:
        super().__init__()
        stem, *stages = (int(channels * width) for channels in (64, 256, 384, 512))
        self.num_features = stages[-1]
        first = ConvBlock(3, stem, kernel=7, stride=2, instance=any(map(any, instance)))
        self.stem = nn.Sequential(first, nn.MaxPool2d(3, stride=2, padding=1))
        self.stages = nn.Sequential()
        inputs = stem
        for number, (outputs, places) in enumerate(zip(stages, instance), start=1):
            stage = nn.Sequential(
                OmniScaleBlock(inputs, outputs, instance=places[0]),
                OmniScaleBlock(outputs, outputs, instance=places[1]),
                ConvBlock(outputs, outputs),
            )
            if number < len(stages):
                stage.append(nn.AvgPool2d(2))
            self.stages.append(stage)
            inputs = outputs
        self.apply(_initialise)

    def forward_features(self, images: Tensor) -> Tensor:
        """Maps (B, 3, H, W) images to a (B, num_features, H / 16, W / 16) feature map."""
        return self.stages(self.stem(images))

    def forward(self, images: Tensor) -> Tensor:
        """As `forward_features`."""
        return self.forward_features(images)


def _initialise(module: nn.Module) -> None:
    """Kaiming normal (fan out) for convolutions and gates, whose layers are 1x1 convolutions in the authors' code."""
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def create(name: str) -> OSNet:
    """Returns the OSNet of a name in `NAMES`, with fresh weights."""
    size, instance = NAMES[name]
    return OSNet(width=SIZES[size], instance=instance)


def check_size(name: str, image_size: tuple[int, int]) -> None:
    """Refuses images that OSNet-AIN would reduce to a single pixel.

    Raises:
        ValueError: They are so small.
    """
    if any(map(any, NAMES[name][1])) and min(image_size) < LEAST_SIDE_AIN:
        raise ValueError(
            f"model.height, model.width: got {image_size[0]}x{image_size[1]} for '{name}'; expected {LEAST_SIDE_AIN} "
            "pixels or more each way, since it normalises every image by itself; raise them"
        )
