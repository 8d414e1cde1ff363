"""Batch norm over all processes, also where timm has put the activation into it."""

from __future__ import annotations

from lightning.pytorch.plugins import TorchSyncBatchNorm
from torch import nn

from mot_reid.reid.network import synchronised


class SyncBatchNorm(TorchSyncBatchNorm):
    """Lightning's plugin with a conversion that keeps the activation of timm's `BatchNormAct2d`."""

    def apply(self, model: nn.Module) -> nn.Module:
        """Returns the model with every batch norm synchronised."""
        return synchronised(model)

    def revert(self, model: nn.Module) -> nn.Module:
        """Returns the model as it is: evaluation needs no other process, and the way back would lose activations."""
        return model
