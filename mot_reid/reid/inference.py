"""How torch runs a finished network: folded and typed for speed."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mot_reid.reid.network import ReIDNetwork
from mot_reid.reid.osnet_inference import for_inference


class InferenceNetwork(nn.Module):
    """A copy of a network that only embeds: OSNet's layers merged, channels last, the backbone in the type given.

    Args:
        network: Left as it is.
        dtype: Of the backbone. Batch normalisations and all that follows the backbone stay float32.
    """

    def __init__(self, network: ReIDNetwork, *, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        folded = for_inference(network).to(memory_format=torch.channels_last).requires_grad_(False)
        folded.get_submodule("backbone").apply(lambda module: _cast(module, dtype))
        self.network = folded
        self.dtype = dtype

    def forward(self, images: Tensor) -> Tensor:
        """Maps (B, 3, H, W) normalised float32 images to (B, D) float32 unit-length embeddings."""
        return self.network(images.to(self.dtype)).float()


def _cast(module: nn.Module, dtype: torch.dtype) -> None:
    """Gives a module's own floating-point tensors the type, in place, unless they are statistics of a batch."""
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        return
    for parameter in module.parameters(recurse=False):
        parameter.data = parameter.data.to(dtype)
    for name, buffer in module.named_buffers(recurse=False):
        if buffer.is_floating_point():
            setattr(module, name, buffer.to(dtype))
