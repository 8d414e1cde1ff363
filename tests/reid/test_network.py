"""Pooling, neck and heads of the network against closed forms, and every message of a wrong choice."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mot_reid.reid.network import BNNeck, GeM, InputNorm, NetworkOutput, ReIDNetwork, from_config


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.randn(4, 3, 64, 32, generator=torch.Generator().manual_seed(0))


def _osnet(**choices: object) -> ReIDNetwork:
    torch.manual_seed(0)
    return ReIDNetwork("osnet_x0_25", weights="none", image_size=(64, 32), **choices)  # type: ignore[arg-type]


def test_gem_is_the_average_at_exponent_one() -> None:
    x = torch.rand(2, 5, 4, 3) + 0.1
    torch.testing.assert_close(GeM(p=1.0)(x), x.mean(dim=(2, 3)))


def test_gem_tends_to_the_maximum_as_the_exponent_grows() -> None:
    x = torch.rand(2, 5, 4, 3) * 0.2 + 0.9
    torch.testing.assert_close(GeM(p=200.0)(x), x.amax(dim=(2, 3)), rtol=0.02, atol=0)


def test_gem_at_three_is_the_cube_root_of_the_mean_cube() -> None:
    x = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    assert GeM()(x).item() == pytest.approx(((1 + 8 + 27 + 64) / 4) ** (1 / 3))


def test_gem_counts_negative_activations_as_eps() -> None:
    x = torch.tensor([[[[-5.0, 2.0]]]])
    assert GeM(p=1.0, eps=0.5)(x).item() == pytest.approx(1.25)


def test_gem_computes_in_float32_on_activations_of_half_precision() -> None:
    x = torch.rand(1, 4, 16, 8).bfloat16()
    exact = x.double().pow(3).mean(dim=(2, 3)).pow(1 / 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = GeM()(x)
    torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=0)
    assert found.dtype == torch.float32


def test_gem_exponent_is_learned() -> None:
    gem = GeM()
    gem(torch.rand(2, 3, 4, 4)).sum().backward()
    assert gem.p.grad is not None
    assert gem.p.grad.abs().item() > 0


def test_bnneck_starts_as_identity_scale_with_a_frozen_zero_shift() -> None:
    neck = BNNeck(5)
    assert torch.equal(neck.weight, torch.ones(5))
    assert neck.weight.requires_grad
    assert torch.equal(neck.bias, torch.zeros(5))
    assert not neck.bias.requires_grad


def test_training_gives_feature_embedding_and_logits(images: torch.Tensor) -> None:
    output = _osnet(num_classes=7)(images)
    assert isinstance(output, NetworkOutput)
    assert [tuple(part.shape) for part in output] == [(4, 128), (4, 128), (4, 7)]


def test_embedding_is_the_batch_normalised_feature(images: torch.Tensor) -> None:
    output = _osnet()(images)
    expected = (output.feature - output.feature.mean(0)) / (output.feature.var(0, unbiased=False) + 1e-5).sqrt()
    torch.testing.assert_close(output.embedding, expected, rtol=1e-4, atol=1e-5)


def test_embedding_is_the_feature_without_a_neck(images: torch.Tensor) -> None:
    output = _osnet(neck="none")(images)
    assert torch.equal(output.feature, output.embedding)


def test_logits_are_the_classifier_on_the_embedding(images: torch.Tensor) -> None:
    network = _osnet(num_classes=7)
    output = network(images)
    torch.testing.assert_close(output.logits, output.embedding @ network.classifier.weight.T)


def test_classifier_has_no_bias_and_starts_small() -> None:
    classifier = _osnet(num_classes=751).classifier
    assert classifier is not None
    assert classifier.bias is None
    assert classifier.weight.std().item() == pytest.approx(0.001, rel=0.02)


def test_logits_are_absent_without_classes(images: torch.Tensor) -> None:
    assert _osnet()(images).logits is None


@pytest.mark.parametrize("taken", ["after_neck", "before_neck"])
def test_evaluation_gives_unit_rows_of_what_is_taken(images: torch.Tensor, taken: str) -> None:
    network = _osnet(embedding=taken)
    with torch.no_grad():
        network(images)  # moves the running statistics, so that before and after differ in direction
        network.eval()
        feature = network.pooled(network.feature_map(images))
        chosen = network.neck(feature) if taken == "after_neck" else feature
        torch.testing.assert_close(network(images), chosen / chosen.norm(dim=1, keepdim=True))


def test_evaluation_of_one_is_that_of_many(images: torch.Tensor) -> None:
    network = _osnet().eval()
    with torch.inference_mode():
        one_by_one = torch.cat([network(image[None]) for image in images])
        torch.testing.assert_close(network(images), one_by_one, rtol=1e-4, atol=1e-5)


def test_evaluation_is_float32_under_autocast(images: torch.Tensor) -> None:
    network = _osnet(embedding_dim=16).eval()
    with torch.inference_mode():
        exact = network(images)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = network(images)
    assert found.dtype == torch.float32
    assert (found * exact).sum(1).min() > 0.99


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float64])
def test_network_of_another_type_takes_images_of_that_type(images: torch.Tensor, kind: torch.dtype) -> None:
    """A Trainer's "true" precision changes the weights; pooling and what comes out stay float32."""
    network = _osnet(num_classes=3, embedding_dim=16).to(kind)
    output = network(images.to(kind))
    assert {part.dtype for part in output} == {torch.float32}
    assert network.eval()(images.to(kind)).dtype == torch.float32


def test_projection_is_normalisation_and_a_linear_layer(images: torch.Tensor) -> None:
    network = _osnet(embedding_dim=16)
    assert [type(module) for module in network.projection] == [nn.BatchNorm1d, nn.Linear]  # type: ignore[arg-type]
    assert network(images).feature.shape == (4, 16)
    assert network.embedding_dim == 16


def test_channels_last_changes_nothing(images: torch.Tensor) -> None:
    network = _osnet().eval()
    with torch.inference_mode():
        expected = network(images)
        found = network.to(memory_format=torch.channels_last)(images.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "backbone", ["resnet18", "resnet50d", "resnetblur50", "resnetaa50", "resnest14d", "skresnet18", "res2net50_14w_8s"]
)
def test_last_stride_doubles_a_resnets_map_and_keeps_its_weights(backbone: str) -> None:
    one, two = (
        ReIDNetwork(backbone, weights="none", image_size=(64, 32), last_stride=stride).eval() for stride in (1, 2)
    )
    one.load_state_dict(two.state_dict())
    x = torch.zeros(1, 3, 64, 32)
    with torch.inference_mode():
        assert one.feature_map(x).shape[2:] == (4, 2)
        assert two.feature_map(x).shape[2:] == (2, 1)


def test_last_stride_does_not_dilate() -> None:
    network = ReIDNetwork("resnet18", weights="none", last_stride=1)
    assert all(module.dilation == (1, 1) for module in network.modules() if isinstance(module, nn.Conv2d))


def test_vit_takes_its_class_token_or_the_mean_of_its_patches(images: torch.Tensor) -> None:
    network = ReIDNetwork("vit_tiny_patch16_224", weights="none", image_size=(64, 32), pooling="token").eval()
    with torch.inference_mode():
        tokens = network.feature_map(images)
        assert tokens.shape == (4, 1 + 4 * 2, 192)
        assert torch.equal(network.pooled(tokens), tokens[:, 0])
        network.pooling = "avg"
        torch.testing.assert_close(network.pooled(tokens), tokens[:, 1:].mean(dim=1))


def test_map_with_channels_last_is_turned(images: torch.Tensor) -> None:
    network = ReIDNetwork("swin_tiny_patch4_window7_224", weights="none", image_size=(64, 32)).eval()
    with torch.inference_mode():
        assert network.feature_map(images).shape == (4, 768, 2, 1)


@pytest.mark.parametrize("backbone", ["osnet_x0_25", "resnet18", "vit_tiny_patch16_224", "convnext_atto"])
def test_every_trained_parameter_gets_a_gradient(images: torch.Tensor, backbone: str) -> None:
    """Parameters without a gradient stop distributed training."""
    non_local = (0, 1, 2, 0) if backbone == "resnet18" else ()
    network = ReIDNetwork(
        backbone, weights="none", image_size=(64, 32), num_classes=3, pooling="gem", non_local=non_local
    )
    output = network(images)
    (output.feature.square().sum() + output.logits.square().sum()).backward()
    idle = [
        name for name, parameter in network.named_parameters() if parameter.requires_grad and parameter.grad is None
    ]
    assert idle == []


def test_config_builds_the_same_network_again(images: torch.Tensor) -> None:
    network = _osnet(pooling="gem", embedding_dim=16, neck="none", embedding="before_neck").eval()
    again = from_config(network.config, image_size=(64, 32), embedding="before_neck").eval()
    again.load_state_dict(network.state_dict())
    with torch.inference_mode():
        assert torch.equal(again(images), network(images))


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"pooling": "max"}, "pooling: got 'max'; expected one of 'avg', 'gem', 'token'"),
        ({"neck": "bn"}, "neck: got 'bn'; expected one of 'bnneck', 'none'"),
        ({"last_stride": 3}, "last_stride: got 3; expected one of 1, 2"),
        ({"embedding": "raw"}, "embedding: got 'raw'"),
        ({"pooling": "token"}, "'osnet_x0_25' has no class token"),
    ],
)
def test_network_refuses_unknown_choices(choices: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _osnet(**choices)


def test_input_norm_gives_every_colour_of_every_image_the_learned_mean_and_deviation(images: torch.Tensor) -> None:
    norm = InputNorm(eps=0.0)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.0, 2.0, 3.0]))
        norm.bias.copy_(torch.tensor([0.1, 0.2, 0.3]))
    found = norm(images * 7 - 3)
    torch.testing.assert_close(found.mean((2, 3)), torch.tensor([[0.1, 0.2, 0.3]]).expand(4, 3), rtol=0, atol=1e-5)
    torch.testing.assert_close(
        found.std((2, 3), correction=0), torch.tensor([[1.0, 2.0, 3.0]]).expand(4, 3), rtol=1e-5, atol=0
    )
    expected = nn.functional.instance_norm(images, weight=norm.weight, bias=norm.bias, eps=1e-3)
    norm.eps = 1e-3
    torch.testing.assert_close(norm(images), expected)


def test_input_norm_leaves_an_image_of_one_colour_at_the_shift_and_keeps_the_type() -> None:
    found = InputNorm()(torch.full((1, 3, 8, 4), 0.4, dtype=torch.float16))
    assert found.dtype == torch.float16
    assert torch.equal(found, torch.zeros_like(found))


def test_network_with_input_norm_does_not_see_the_white_balance(images: torch.Tensor) -> None:
    tint = torch.tensor([1.3, 1.0, 0.7])[:, None, None]
    shift = torch.tensor([0.2, 0.0, -0.1])[:, None, None]
    with_norm, without = _osnet(input_norm=True).eval(), _osnet().eval()
    torch.testing.assert_close(with_norm(images * tint + shift), with_norm(images), rtol=0, atol=1e-3)
    assert (without(images * tint + shift) - without(images)).abs().max() > 0.02
    again = from_config(with_norm.config, image_size=(64, 32))
    again.load_state_dict(with_norm.state_dict())
    assert torch.equal(again.eval()(images), with_norm(images))
