"""OSNet as it only embeds: the same numbers from fewer and larger operations."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mot_reid.reid.osnet import STREAMS, ConvBlock, LightConv, OmniScaleBlock


def for_inference(network: nn.Module) -> nn.Module:
    """Returns a copy for inference, whose embeddings agree to float32 rounding; what is no OSNet is only copied.

    Batch normalisations become part of the convolutions before them, and the streams of a block go through each of
    their layers together. On a CPU, a few crops take half of the time.
    """
    network = copy.deepcopy(network).eval()
    for module in list(network.modules()):
        if isinstance(module, (ConvBlock, LightConv)) and isinstance(module.norm, nn.BatchNorm2d):
            before = "conv" if isinstance(module, ConvBlock) else "depthwise"
            setattr(module, before, fuse_conv_bn_eval(getattr(module, before), module.norm))
            module.norm = nn.Identity()
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, OmniScaleBlock):
                setattr(module, name, _MergedBlock(child))
    return network


class _MergedBlock(nn.Module):
    """An `OmniScaleBlock` with folded normalisations: at each depth one layer for all streams that are as deep."""

    def __init__(self, block: OmniScaleBlock) -> None:
        super().__init__()
        self.reduce, self.gate, self.expand, self.shortcut = block.reduce, block.gate, block.expand, block.shortcut
        self.layers = nn.Sequential(*(_side_by_side(block, depth) for depth in range(STREAMS)))
        self.channels = block.gate.expand.out_features

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, inputs, h, w) to (B, outputs, h, w)."""
        deeper, streams = self.reduce(x), []
        for layer in self.layers:
            reached = layer(deeper)
            streams.append(reached[:, : self.channels])  # the first of those that are left ends here
            deeper = reached[:, self.channels :]
        means = torch.stack([stream.mean(dim=(2, 3)) for stream in streams])
        gates = self.gate.weigh(means)[..., None, None]
        mixed = streams[0] * gates[0]
        for stream, gate in zip(streams[1:], gates[1:]):
            mixed.addcmul_(stream, gate)
        return F.relu_(self.expand(mixed).add_(self.shortcut(x)))


def _side_by_side(block: OmniScaleBlock, depth: int) -> nn.Sequential:
    """Returns the layer at a depth of all streams that are as deep, the shallowest first; at 0 all have one input."""
    layers: list[LightConv] = [stream[depth] for stream in block.streams[depth:]]  # type: ignore[index, union-attr]
    weight = torch.cat([layer.pointwise.weight for layer in layers])
    groups = 1 if depth == 0 else len(layers)
    pointwise = nn.Conv2d(weight.shape[1] * groups, len(weight), 1, groups=groups, bias=False)
    depthwise = nn.Conv2d(len(weight), len(weight), 3, padding=1, groups=len(weight))
    with torch.no_grad():
        pointwise.weight.copy_(weight)
        depthwise.weight.copy_(torch.cat([layer.depthwise.weight for layer in layers]))
        depthwise.bias.copy_(torch.cat([layer.depthwise.bias for layer in layers]))  # type: ignore[misc, union-attr]
    return nn.Sequential(pointwise, depthwise, nn.ReLU(inplace=True))
