"""Maps of what speaks for a similarity, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from mot_reid.reid.explain import evidence_maps
from mot_reid.reid.network import ReIDNetwork


def build(backbone: str = "resnet10t", **settings) -> ReIDNetwork:
    torch.manual_seed(0)
    return ReIDNetwork(backbone, weights="none", image_size=(64, 32), **settings).eval()


def images_and_targets(network: ReIDNetwork) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(3, 3, 64, 32, generator=generator)
    return images, torch.randn(3, network.embedding_dim, generator=generator)


def scaled(added: np.ndarray) -> np.ndarray:
    positive = np.maximum(added, 0)
    return positive / positive.max(axis=(1, 2), keepdims=True)


def test_evidence_of_average_pooling_is_each_places_own_similarity() -> None:
    network = build(neck="none")
    images, towards = images_and_targets(network)
    with torch.no_grad():
        places = network.feature_map(images).numpy()
    expected = np.einsum("bchw,bc->bhw", places, towards.numpy())
    found = evidence_maps(network, images, towards).numpy()
    assert found.shape == (3, 4, 2)  # resnet10t with last stride 1
    assert_allclose(found, scaled(expected), atol=1e-5)


def test_evidence_of_gem_with_neck_is_its_derivative_times_activation() -> None:
    network = build(pooling="gem")
    neck = network.neck
    torch.nn.init.uniform_(neck.weight, 0.5, 2.0)
    torch.nn.init.uniform_(neck.running_var, 0.5, 2.0)
    images, towards = images_and_targets(network)
    with torch.no_grad():
        x = network.feature_map(images).clamp(min=1e-6).double().numpy()
    scale = (neck.weight / (neck.running_var + neck.eps).sqrt()).detach().double().numpy()
    pooled = (x**3).mean(axis=(2, 3), keepdims=True) ** (1 / 3)
    derivative = x**2 * pooled**-2
    expected = np.einsum("bchw,bchw,bc->bhw", derivative, x, scale * towards.double().numpy())
    assert_allclose(evidence_maps(network, images, towards).numpy(), scaled(expected), atol=1e-4)


def test_evidence_of_a_vit_lies_on_its_grid_of_patches() -> None:
    network = build("test_vit", neck="none")
    images, towards = images_and_targets(network)
    with torch.no_grad():
        tokens = network.feature_map(images)[:, network.prefix_tokens :].numpy()
    expected = np.einsum("bnc,bc->bn", tokens, towards.numpy()).reshape(3, 4, 2)
    assert_allclose(evidence_maps(network, images, towards).numpy(), scaled(expected), atol=1e-5)


def test_evidence_of_a_class_token_is_the_length_of_the_others() -> None:
    network = build("test_vit", pooling="token")
    images, towards = images_and_targets(network)
    with torch.no_grad():
        tokens = network.feature_map(images)[:, network.prefix_tokens :]
    lengths = np.linalg.norm(tokens.numpy(), axis=2).reshape(3, 4, 2)
    assert_allclose(evidence_maps(network, images, towards).numpy(), scaled(lengths), atol=1e-5)


@pytest.mark.parametrize("taken", ["after_neck", "before_neck"])
def test_evidence_leaves_the_network_as_it_was(taken: str) -> None:
    network = build(embedding=taken)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    found = evidence_maps(network, *images_and_targets(network))
    assert not found.requires_grad and 0 <= found.min() and found.max() == 1
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_evidence_is_zero_where_nothing_speaks_for_it() -> None:
    network = build(neck="none")
    images, _ = images_and_targets(network)
    away = -torch.ones(3, network.embedding_dim)  # of a map that is nowhere negative
    assert not evidence_maps(network, images, away).any()
