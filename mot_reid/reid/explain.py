"""Which places of a crop make it similar to an embedding?"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from mot_reid.reid.network import ReIDNetwork


def evidence_maps(network: ReIDNetwork, images: Tensor, towards: Tensor) -> Tensor:
    """Returns how much each place of the last feature map adds to the similarity with an embedding.

    Gradient times activation of the inner product with `towards`, places that speak against it set to 0. With average
    pooling the embedding is linear in the places, and this is its exact decomposition.

    Args:
        network: In evaluation mode; its weights stay as they are.
        images: (B, 3, H, W) preprocessed.
        towards: (B, D) embeddings, such as those of the images themselves or of the crops they were found by.

    Returns:
        (B, h, w) float32 in [0, 1], the strongest place of each crop 1; all 0 where no place speaks for it. For a ViT
        read by its class token, whose last layer has no gradient to the other tokens, their lengths instead.

    Reference:
        Selvaraju et al., Grad-CAM, ICCV 2017 (the gradients here are not averaged over places).
    """
    with torch.no_grad():
        places = network.feature_map(images)
    with torch.enable_grad():
        places.requires_grad_()
        feature = network.projection(network.pooled(places)).float()
        embedding = feature if network.taken == "before_neck" else network.neck(feature).float()
        (gradient,) = torch.autograd.grad((embedding * towards).sum(), places)
    if places.ndim == 4:
        return _scaled((gradient * places.detach()).sum(dim=1).float())
    tokens = places.detach()[:, network.prefix_tokens :].float()
    added = tokens.norm(dim=2) if network.pooling == "token" else None
    if added is None:
        added = (gradient[:, network.prefix_tokens :] * tokens).sum(dim=2)
    height = round((added.shape[1] * images.shape[-2] / images.shape[-1]) ** 0.5)
    return _scaled(added.unflatten(1, (height, -1)))


def _scaled(added: Tensor) -> Tensor:
    """Returns (B, h, w) maps without negative places, each divided by its maximum."""
    positive = F.relu(added)
    return positive / positive.amax(dim=(1, 2), keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)
