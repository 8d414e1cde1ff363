"""Mixed styles against loops from the definition, and where they are mixed."""

from __future__ import annotations

import pytest
import timm
import torch

from mot_reid.reid.network import first_stages
from mot_reid.reid.osnet import create
from mot_reid.training.mixstyle import MixStyle, mix_styles


def test_mixed_maps_are_those_of_the_definition() -> None:
    """Image by image and channel by channel, with Python floats. Caught: the two shares swapped."""
    torch.manual_seed(0)
    x, order, weight = torch.randn(3, 2, 4, 2), torch.tensor([1, 2, 0]), torch.tensor([0.9, 0.3, 1.0])
    found = mix_styles(x, order, weight)
    for image in range(3):
        for channel in range(2):
            own, other = x[image, channel].flatten().tolist(), x[int(order[image]), channel].flatten().tolist()
            (mean, spread), (mean2, spread2) = _style(own), _style(other)
            share = float(weight[image])
            new = [
                (value - mean) / spread * (share * spread + (1 - share) * spread2) + share * mean + (1 - share) * mean2
                for value in own
            ]
            assert found[image, channel].flatten().tolist() == pytest.approx(new, abs=1e-5)


def _style(values: list[float]) -> tuple[float, float]:
    mean = sum(values) / len(values)
    return mean, (sum((value - mean) ** 2 for value in values) / (len(values) - 1) + 1e-6) ** 0.5


def test_gradients_pass_by_the_styles() -> None:
    """The authors detach them, so that the gradient of the sum is the factor of each image and channel alone."""
    torch.manual_seed(0)
    x, order = torch.randn(2, 3, 4, 4, requires_grad=True), torch.tensor([1, 0])
    mix_styles(x, order, torch.zeros(2)).sum().backward()
    spread = x.detach().var(dim=(2, 3), keepdim=True).add(1e-6).sqrt()
    torch.testing.assert_close(x.grad, (spread[order] / spread).expand_as(x))


def test_type_of_half_precision_is_kept() -> None:
    x = torch.randn(2, 3, 4, 4, dtype=torch.bfloat16)
    assert mix_styles(x, torch.tensor([1, 0]), torch.ones(2)).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("probability", "active", "training", "mixed"),
    [(1.0, True, True, True), (0.0, True, True, False), (1.0, False, True, False), (1.0, True, False, False)],
)
def test_styles_are_mixed_in_training_only_and_where_they_are_on(
    probability: float, active: bool, training: bool, mixed: bool
) -> None:
    torch.manual_seed(0)
    plain, trunk, images = create("osnet_x0_25"), create("osnet_x0_25"), torch.randn(4, 3, 32, 32)
    trunk.load_state_dict(plain.state_dict())
    style = MixStyle(probability)
    style.attach(trunk, name="osnet_x0_25")
    style.active = active
    assert list(trunk.state_dict()) == list(plain.state_dict())
    assert torch.equal(trunk.train(training)(images), plain.train(training)(images)) != mixed


def test_share_of_the_batches_is_mixed() -> None:
    """400 draws at 0.25: 100, give or take 26 (three standard deviations)."""
    torch.manual_seed(0)
    style, stage, x = MixStyle(0.25), torch.nn.Identity().train(), torch.randn(2, 3, 4, 4)
    mixed = sum(style._mixed(stage, (), x) is not x for _ in range(400))
    assert 74 <= mixed <= 126


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv2_100"])
def test_first_stages_are_four_and_eight_times_smaller(name: str) -> None:
    backbone, seen = timm.create_model(name, pretrained=False, num_classes=0, global_pool="").eval(), []
    for stage in first_stages(backbone, name=name):
        stage.register_forward_hook(lambda module, arguments, x: seen.append(tuple(x.shape[2:])))
    backbone(torch.zeros(1, 3, 64, 32))
    assert seen == [(16, 8), (8, 4)]


def test_network_without_such_stages_is_refused() -> None:
    vit = timm.create_model("vit_tiny_patch16_224", pretrained=False)
    with pytest.raises(ValueError, match=r"augment\.mixstyle: got it for 'vit'; expected an OSNet, .*mixstyle=0"):
        MixStyle(0.5).attach(vit, name="vit")
