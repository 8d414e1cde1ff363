"""MixStyle: features whose mean and spread are mixed between images, as if other cameras had taken them.

Reference: Zhou, Yang, Qiao, Xiang, "Domain Generalization with MixStyle", ICLR 2021 (arXiv 2104.02008), mixing among
the whole batch, after the first two stages.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mot_reid.reid.network import first_stages

CONCENTRATION = 0.1
"""Of the Beta distribution of the weights, which are mostly near 0 or near 1."""
EPS = 1e-6


class MixStyle:
    """Mixes the style of the feature maps of a backbone's first two stages while it is trained.

    Random numbers come from torch's own generator, which the training seeds for every batch.

    Attributes:
        probability: Share of the batches, for each stage by itself, that are mixed.
        active: Whether any are; a calm end of a training turns it off.
    """

    def __init__(self, probability: float) -> None:
        """Keeps the setting.

        Args:
            probability: 0 to 1.
        """
        self.probability, self.active = probability, True

    def attach(self, backbone: nn.Module, *, name: str) -> None:
        """Lets it work on a backbone from now on; weights and evaluation stay as they are.

        Args:
            backbone: An OSNet, a ResNet of timm or one of its MobileNets and EfficientNets.
            name: Of the backbone, for the message.

        Raises:
            ValueError: Nobody has said which are its first stages.
        """
        for stage in first_stages(backbone, name=name):
            stage.register_forward_hook(self._mixed)

    def _mixed(self, stage: nn.Module, arguments: Any, x: Tensor) -> Tensor:
        if not (stage.training and self.active) or float(torch.rand(())) >= self.probability:
            return x
        order = torch.randperm(len(x), device=x.device)
        concentration = torch.full((len(x),), CONCENTRATION, device=x.device)
        return mix_styles(x, order, torch.distributions.Beta(concentration, concentration).sample())


def mix_styles(x: Tensor, order: Tensor, weight: Tensor) -> Tensor:
    """Returns feature maps whose mean and standard deviation are mixed with those of others; gradients leave them out.

    Args:
        x: (B, C, h, w), two positions or more.
        order: (B,) whose style each is mixed with.
        weight: (B,) in [0, 1], the share of its own style that each keeps.
    """
    wide = x.float()
    variance, mean = torch.var_mean(wide.detach(), dim=(2, 3), keepdim=True)
    spread = (variance + EPS).sqrt()
    kept = weight[:, None, None, None]
    scale = torch.lerp(spread[order], spread, kept) / spread
    return ((wide - mean) * scale + torch.lerp(mean[order], mean, kept)).to(x.dtype)
