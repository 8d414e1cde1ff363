"""Statistics of batch norms, computed layer by layer from what goes into them."""

from __future__ import annotations

import torch

from mot_reid.adaptation.batch_norm import reestimated
from mot_reid.reid.network import ReIDNetwork


def network(**options: object) -> ReIDNetwork:
    torch.manual_seed(0)
    return ReIDNetwork("resnet10t", weights="none", image_size=(32, 16), **options).eval()  # type: ignore[arg-type]


def batches() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [3 + 2 * torch.randn(4, 3, 32, 16, generator=generator) for _ in range(3)]


def test_first_and_last_layer_have_the_means_over_the_batches() -> None:
    old = network()
    inputs: dict[str, list[torch.Tensor]] = {"backbone.bn1": [], "neck": []}
    new = reestimated(old, batches())
    watched = network().train()
    for name, found in inputs.items():
        watched.get_submodule(name).register_forward_pre_hook(lambda _, given, to=found: to.append(given[0].detach()))
    for batch in batches():
        watched(batch)
    for name, found in inputs.items():
        layer = new.get_submodule(name)
        axes = [axis for axis in range(found[0].ndim) if axis != 1]
        mean = torch.stack([one.mean(axes) for one in found]).mean(0)
        variance = torch.stack([one.var(axes, unbiased=True) for one in found]).mean(0)
        torch.testing.assert_close(layer.running_mean, mean, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(layer.running_var, variance, rtol=1e-4, atol=1e-5)


def test_share_is_how_far_they_move_and_the_network_given_is_left_alone() -> None:
    old, before = network(), {name: value.clone() for name, value in network().state_dict().items()}
    whole, part = reestimated(old, batches()).state_dict(), reestimated(old, batches(), share=0.25).state_dict()
    assert any("running" in name and not torch.equal(whole[name], before[name]) for name in before)
    for name, value in before.items():
        torch.testing.assert_close(old.state_dict()[name], value, rtol=0, atol=0)
        if "running" in name:
            torch.testing.assert_close(part[name], 0.75 * value + 0.25 * whole[name], rtol=1e-5, atol=1e-6)
        elif "num_batches" not in name:
            torch.testing.assert_close(whole[name], value, rtol=0, atol=0)


def test_neck_that_is_not_used_keeps_its_statistics() -> None:
    old = network(embedding="before_neck")
    old.get_buffer("neck.running_mean").fill_(0.3)
    new = reestimated(old, batches())
    assert not new.training
    torch.testing.assert_close(new.get_buffer("neck.running_mean"), old.get_buffer("neck.running_mean"))
