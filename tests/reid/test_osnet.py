"""The OSNet trunk against the sizes its authors publish."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mot_reid.reid.osnet import NAMES, SIZES, AggregationGate, OmniScaleBlock, create
from mot_reid.reid.pretrained import create_backbone


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("name", "published"), [("osnet_x1_0", 2_193_616), ("osnet_x0_25", 203_568), ("osnet_ain_x1_0", 2_193_616)]
)
def test_parameter_count_with_the_papers_head_is_the_published_one(name: str, published: int) -> None:
    """Caught: a gate per stream, a bias or a layer too many or too few. The authors' counter visits a
    shared gate once per stream, so it counts the gates four times.
    """
    trunk = create(name)
    head = nn.Sequential(nn.Linear(trunk.num_features, 512), nn.BatchNorm1d(512))
    gates = sum(_parameters(module) for module in trunk.modules() if isinstance(module, AggregationGate))
    assert _parameters(trunk) + _parameters(head) + 3 * gates == published


@pytest.mark.parametrize("name", NAMES)
def test_feature_map_is_sixteen_times_smaller(name: str) -> None:
    trunk, channels = create(name).eval(), int(512 * SIZES[name.rpartition("osnet_")[2].removeprefix("ain_")])
    with torch.inference_mode():
        assert trunk.forward_features(torch.zeros(1, 3, 64, 32)).shape == (1, channels, 4, 2)
    assert trunk.num_features == channels


def test_streams_see_three_five_seven_and_nine_pixels() -> None:
    """A pixel moved by one place more than the receptive field's radius does not reach the centre."""
    streams = OmniScaleBlock(8, 8).eval().streams
    for module in streams.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.ones_(module.weight)
    for stream, radius in zip(streams, (1, 2, 3, 4), strict=True):
        for distance, seen in ((radius, True), (radius + 1, False)):
            image = torch.zeros(1, 2, 11, 11)
            image[:, :, 5, 5 + distance] = 1
            with torch.inference_mode():
                assert bool(stream(image)[0, 0, 5, 5] > 0) is seen


def test_gate_is_a_number_between_zero_and_one_per_image_and_channel() -> None:
    with torch.inference_mode():
        gate = AggregationGate(32)(torch.rand(2, 32, 3, 3))
    assert gate.shape == (2, 32, 1, 1)
    assert ((gate > 0) & (gate < 1)).all()


def test_block_sums_its_gated_streams_and_adds_the_shortcut() -> None:
    torch.manual_seed(0)
    block = OmniScaleBlock(16, 32).eval()
    x = torch.randn(2, 16, 5, 5)
    with torch.inference_mode():
        streams = [layers(block.reduce(x)) for layers in block.streams]
        mixed = sum(stream * block.gate(stream) for stream in streams)
        expected = (block.expand(mixed) + block.shortcut(x)).clamp(min=0)
        torch.testing.assert_close(block(x), expected)


def test_gate_is_one_module_for_all_streams() -> None:
    assert sum(isinstance(module, AggregationGate) for module in OmniScaleBlock(64, 64).modules()) == 1


def test_first_weights_have_the_deviation_of_kaiming_fan_out() -> None:
    torch.manual_seed(0)
    weight = create("osnet_x1_0").stem[0].conv.weight
    assert weight.std().item() == pytest.approx((2 / (64 * 7 * 7)) ** 0.5, rel=0.05)


@pytest.mark.parametrize(("layer", "outputs"), [("squeeze", 8), ("expand", 128)])
def test_gates_start_as_the_1x1_convolutions_of_the_authors_code(layer: str, outputs: int) -> None:
    """torchreid (08bb2cc), OSNet._init_params: Kaiming normal by the fan out, biases 0. Caught: N(0, 0.01)."""
    torch.manual_seed(0)
    gates = [module for module in create("osnet_x1_0").modules() if isinstance(module, AggregationGate)]
    linear = gates[-1].get_submodule(layer)
    assert linear.weight.std().item() == pytest.approx((2 / outputs) ** 0.5, rel=0.1)
    assert torch.equal(linear.bias, torch.zeros(outputs))


def test_ain_normalises_instances_where_the_authors_search_put_it() -> None:
    """torchreid (08bb2cc), osnet_ain_x1_0: the stem, and these blocks of the three stages."""
    trunk = create("osnet_ain_x0_25")
    found = {name for name, module in trunk.named_modules() if isinstance(module, nn.InstanceNorm2d)}
    blocks = [(0, 0), (0, 1), (1, 1), (2, 0)]
    assert found == {"stem.0.norm", *(f"stages.{stage}.{block}.expand.norm" for stage, block in blocks)}


@pytest.mark.parametrize(("name", "same"), [("osnet_ain_x0_25", True), ("osnet_x0_25", False)])
def test_stem_of_ain_does_not_see_how_strong_the_contrast_is(name: str, same: bool) -> None:
    torch.manual_seed(0)
    stem, images = create(name).eval().stem, torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        assert (
            torch.allclose(stem(images), stem(images * torch.tensor([1.0, 3.0])[:, None, None, None]), atol=1e-4)
            == same
        )


def test_instances_are_normalised_before_the_shortcut_is_added() -> None:
    torch.manual_seed(0)
    block, x = OmniScaleBlock(16, 32, instance=True).eval(), torch.randn(2, 16, 5, 5)
    with torch.inference_mode():
        mixed = sum(stream * block.gate(stream) for stream in (layers(block.reduce(x)) for layers in block.streams))
        residual = block.expand.conv(mixed)
        for image in range(2):
            for channel in range(32):
                values = residual[image, channel]
                residual[image, channel] = (values - values.mean()) / (values.var(correction=0) + 1e-5).sqrt()
        torch.testing.assert_close(block(x), (residual + block.shortcut(x)).clamp(min=0))


def test_image_that_ain_would_reduce_to_a_pixel_is_refused() -> None:
    with pytest.raises(ValueError, match=r"got 32x16 for 'osnet_ain_x0_25'; expected 32 pixels or more each way"):
        create_backbone("osnet_ain_x0_25", weights="none", image_size=(32, 16))
    create_backbone("osnet_ain_x0_25", weights="none", image_size=(32, 32))(torch.zeros(2, 3, 32, 32))
