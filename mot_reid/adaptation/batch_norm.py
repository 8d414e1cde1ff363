"""Batch normalisation by the statistics of other images than those of training."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from mot_reid.reid.network import ReIDNetwork


def reestimated(network: ReIDNetwork, batches: Iterable[Tensor], *, share: float = 1.0) -> ReIDNetwork:
    """Returns a copy of a network whose batch norms are moved to the means and variances of other images.

    Each batch is normalised by itself on its way through the network, as in training, and the statistics are the means
    over the batches. Everything else is as it was.

    Args:
        network: left as it is.
        batches: (B, 3, H, W) network input, one batch or more, of 2 images or more.
        share: How far they are moved: 0 not at all, 1 all the way.

    Reference:
        Li et al., Revisiting batch normalization for practical domain adaptation, 2016 (AdaBN).
    """
    new = deepcopy(network).eval()
    layers = {name: module for name, module in new.named_modules() if isinstance(module, _BatchNorm)}
    for layer in layers.values():
        layer.reset_running_stats()
        layer.momentum = None  # the mean over all batches
        layer.train()
    with torch.no_grad():
        for batch in batches:
            new(batch)
    for name, layer in layers.items():
        old = network.get_submodule(name)
        assert isinstance(old, _BatchNorm)
        layer.momentum = old.momentum
        if not int(layer.num_batches_tracked or 0):  # a neck that the embedding is taken before
            layer.load_state_dict(old.state_dict())
            continue
        if old.num_batches_tracked is not None and layer.num_batches_tracked is not None:
            layer.num_batches_tracked.copy_(old.num_batches_tracked)
        for new_values, old_values in ((layer.running_mean, old.running_mean), (layer.running_var, old.running_var)):
            assert new_values is not None and old_values is not None
            new_values.lerp_(old_values, 1 - share)
    return new.eval()
