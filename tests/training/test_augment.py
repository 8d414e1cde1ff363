"""Batch augmentation against torchvision applied image by image, and its draws against their distributions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as reference

from mot_reid.reid.preprocess import Preprocess
from mot_reid.training import augment
from mot_reid.training.augment import BatchAugment

CPU = torch.device("cpu")
OFF = {"flip": 0.0, "pad": 0, "erase": 0.0}
ALL_ON = {
    "zoom": 0.5,
    "brightness": 0.3,
    "contrast": 0.3,
    "saturation": 0.3,
    "grayscale": 0.3,
    "erase": 0.7,
    "erase_fill": "random",
}


def distort(steps: BatchAugment, images: Tensor, generator: torch.Generator) -> Tensor:
    """Returns images (B, 3, H, W) in [0, 1] after all steps in front of the normalisation, without a resize."""
    return steps.recolour(steps.move(steps.mirror(images, generator), generator), generator)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(count: int = 6, height: int = 24, width: int = 12, *, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.rand(count, 3, height, width, generator=seeded(9)).to(dtype)


def test_flip_where_mirrors_the_chosen_images() -> None:
    images, flipped = pictures(), torch.tensor([True, False, True, True, False, False])
    expected = [reference.hflip(image) if chosen else image for image, chosen in zip(images, flipped)]
    torch.testing.assert_close(augment.flip_where(images, flipped), torch.stack(expected), rtol=0, atol=0)


def test_shift_crop_equals_pad_and_crop_image_by_image() -> None:
    """Fails for top and left exchanged, a wrong pad, a pad that is not black."""
    images = pictures()
    top, left = torch.tensor([0, 6, 3, 1, 2, 5]), torch.tensor([6, 0, 3, 4, 2, 1])
    expected = [
        reference.crop(reference.pad(image, [3]), int(y), int(x), 24, 12) for image, y, x in zip(images, top, left)
    ]
    torch.testing.assert_close(augment.shift_crop(images, top, left, pad=3), torch.stack(expected), rtol=0, atol=0)


def test_zoom_crop_equals_resize_and_crop_image_by_image() -> None:
    """24 x 12 enlarges to 27 x 14 (13.5 rounds to even), torchreid's numbers."""
    images = pictures()
    top, left = torch.tensor([0, 3, 1, 2, 0, 3]), torch.tensor([2, 0, 1, 1, 0, 2])
    expected = []
    for image, y, x in zip(images, top, left):
        larger = reference.resize(image, [27, 14], InterpolationMode.BILINEAR, antialias=True)
        expected.append(reference.crop(larger, int(y), int(x), 24, 12))
    torch.testing.assert_close(augment.zoom_crop(images, top, left), torch.stack(expected))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (augment.change_brightness, reference.adjust_brightness),
        (augment.change_contrast, reference.adjust_contrast),
        (augment.change_saturation, reference.adjust_saturation),
    ],
    ids=["brightness", "contrast", "saturation"],
)
def test_colour_change_equals_torchvision_image_by_image(ours, theirs) -> None:  # type: ignore[no-untyped-def]
    images, factor = pictures(), torch.tensor([0.0, 0.4, 1.0, 1.3, 2.5, 0.9])
    expected = torch.stack([theirs(image, float(f)) for image, f in zip(images, factor)])
    torch.testing.assert_close(ours(images, factor), expected)


def test_grayscale_equals_torchvision() -> None:
    actual = distort(BatchAugment(**OFF, grayscale=1.0), pictures(), seeded())
    torch.testing.assert_close(actual, reference.rgb_to_grayscale(pictures(), num_output_channels=3))


@pytest.mark.parametrize("fill", [torch.full((3, 1, 1), 2.5), torch.rand(6, 3, 24, 12)], ids=["constant", "noise"])
def test_erase_boxes_equals_torchvision_image_by_image(fill: Tensor) -> None:
    """A box of zeros erases nothing; one may touch the edges."""
    images = pictures()
    boxes = torch.tensor([[0, 0, 0, 0], [0, 0, 4, 3], [20, 9, 4, 3], [5, 2, 11, 7], [1, 1, 1, 1], [0, 0, 0, 0]])
    expected = []
    for image, (i, j, h, w), value in zip(images, boxes.tolist(), fill.expand_as(images)):
        expected.append(reference.erase(image, i, j, h, w, value[:, i : i + h, j : j + w]) if h else image)
    torch.testing.assert_close(augment.erase_boxes(images, boxes, fill=fill), torch.stack(expected), rtol=0, atol=0)


def drawn_boxes(count: int = 20000, height: int = 256, width: int = 128, **changes: object) -> np.ndarray:
    arguments: dict = {"probability": 1.0, "area": (0.02, 0.4), "aspect": (0.3, 1 / 0.3), "attempts": 100} | changes
    return augment.draw_erasures(count, height, width, **arguments, generator=seeded(), device=CPU).numpy()


def boxes_by_loops(count: int, height: int, width: int) -> np.ndarray:
    """BoT's RandomErasing, image by image, attempt by attempt."""
    generator = np.random.default_rng(0)
    boxes = []
    for _ in range(count):
        for _ in range(100):
            area = generator.uniform(0.02, 0.4) * height * width
            aspect = generator.uniform(0.3, 1 / 0.3)
            h, w = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if h < height and w < width:
                boxes.append((generator.integers(0, height - h + 1), generator.integers(0, width - w + 1), h, w))
                break
    return np.array(boxes)


@pytest.mark.parametrize("column", range(4), ids=["top", "left", "height", "width"])
def test_erasure_has_the_distribution_of_the_loop(column: int) -> None:
    """Two-sample Kolmogorov-Smirnov; fails for another area, aspect, fit rule or placement."""
    from scipy.stats import ks_2samp

    ours, theirs = drawn_boxes(8000)[:, column], boxes_by_loops(8000, 256, 128)[:, column]
    assert ks_2samp(ours, theirs).pvalue > 0.01


def test_erasure_lies_inside_the_image_and_reaches_its_edges() -> None:
    top, left, height, width = drawn_boxes().T
    assert (top >= 0).all() and (left >= 0).all() and (height < 256).all() and (width < 128).all()
    assert (top + height).max() == 256 and (left + width).max() == 128


def test_erasure_keeps_the_area_and_aspect_asked_for() -> None:
    _, _, height, width = drawn_boxes(area=(0.1, 0.2), aspect=(0.5, 2.0)).T
    area, aspect = height * width / (256 * 128), height / width
    assert 0.098 < area.min() < 0.102 and 0.198 < area.max() < 0.204
    assert 0.49 < aspect.min() < 0.52 and 1.95 < aspect.max() < 2.05


def test_erasure_happens_with_its_probability() -> None:
    erased = (drawn_boxes(probability=0.3)[:, 2] > 0).mean()
    assert erased == pytest.approx(0.3, abs=0.015)


def test_erasure_gives_up_after_its_attempts() -> None:
    """Area .9 with aspect 1 never fits 256 x 128; with aspect 1 to 3 it fits sometimes, and 100 attempts find it."""
    assert not drawn_boxes(area=(0.9, 0.9), aspect=(1.0, 1.0)).any()
    once = (drawn_boxes(area=(0.9, 0.9), aspect=(1.0, 3.0), attempts=1)[:, 2] > 0).mean()
    often = (drawn_boxes(area=(0.9, 0.9), aspect=(1.0, 3.0), attempts=100)[:, 2] > 0).mean()
    # 0.9 * 2 = 1.8 <= aspect < 2 / 0.9 = 2.22
    assert once == pytest.approx((2 / 0.9 - 1.8) / 2, abs=0.015) and often == 1


@pytest.mark.parametrize(
    ("fill", "expected"), [("bot", (0.485, 0.456, 0.406)), ("mean", (0.0, 0.0, 0.0))], ids=["bot", "mean"]
)
def test_erase_writes_its_fill_and_nothing_else(fill: str, expected: tuple[float, ...]) -> None:
    images = pictures() + 10
    actual = BatchAugment(erase=1.0, erase_fill=fill).erase(images, seeded())  # type: ignore[arg-type]
    changed = (actual != images).any(1)
    assert changed.flatten(1).any(1).all()
    values = actual.movedim(1, -1)[changed]
    torch.testing.assert_close(values, torch.tensor(expected).expand_as(values), rtol=0, atol=0)


def test_erase_with_random_fill_writes_standard_normal_noise() -> None:
    images = torch.full((64, 3, 64, 32), 50.0)
    values = BatchAugment(erase=1.0, erase_fill="random").erase(images, seeded())
    values = values[values != 50]
    assert values.mean().item() == pytest.approx(0, abs=0.02) and values.std().item() == pytest.approx(1, abs=0.02)
    assert len(values.unique()) > 0.9 * len(values)


def ramp(count: int, height: int = 8, width: int = 4) -> Tensor:
    """Pixels that say where they come from: channel 0 the row, 1 the column, 2 one."""
    rows = torch.arange(height).float()[:, None].expand(height, width)
    columns = torch.arange(width).float().expand(height, width)
    return torch.stack([rows, columns, torch.ones(height, width)]).expand(count, -1, -1, -1)


def test_flip_happens_with_its_probability_for_each_image() -> None:
    out = distort(BatchAugment(**OFF | {"flip": 0.3}), ramp(20000), seeded())
    assert (out[:, 1, 0, 0] == 3).float().mean().item() == pytest.approx(0.3, abs=0.015)


def test_padded_crop_draws_all_shifts_evenly_for_each_image() -> None:
    """25 shifts of pad 2, vertical and horizontal independent."""
    out = distort(BatchAugment(**OFF | {"pad": 2}), ramp(25000), seeded())
    row, column = out[:, 0, 4, 2] - 4, out[:, 1, 4, 2] - 2
    # a pixel from the padding cannot say where it comes from
    inside = out[:, 2, 4, 2] == 1
    assert inside.float().mean().item() == pytest.approx(20 / 25, abs=0.015)
    shifts, counts = np.unique(np.stack([row[inside], column[inside]], 1), axis=0, return_counts=True)
    assert len(shifts) == 20 and counts.min() > 850 and counts.max() < 1150


def test_zoom_happens_with_its_probability_for_each_image() -> None:
    out = distort(BatchAugment(**OFF, zoom=0.4), ramp(20000), seeded())
    assert (out[:, 0, 4, 2] != 4).float().mean().item() == pytest.approx(0.4, abs=0.015)


@pytest.mark.parametrize("strength", [0.3, 1.5])
def test_brightness_factor_is_uniform_and_not_negative(strength: float) -> None:
    """1.5 draws from U(0, 2.5), as torchvision's ColorJitter does."""
    images = torch.full((20000, 3, 1, 1), 0.25)
    factors = distort(BatchAugment(**OFF, brightness=strength), images, seeded())[:, 0, 0, 0] / 0.25
    low, high = max(0, 1 - strength), 1 + strength
    assert factors.min().item() == pytest.approx(low, abs=0.01) and factors.max().item() == pytest.approx(
        high, abs=0.01
    )
    assert factors.mean().item() == pytest.approx((low + high) / 2, abs=0.02)


def test_everything_off_is_the_identity() -> None:
    images, generator = pictures(), seeded()
    before = generator.get_state()
    off = BatchAugment(**OFF)
    assert torch.equal(off.erase(distort(off, images, generator), generator), images)
    assert torch.equal(generator.get_state(), before)


@pytest.mark.parametrize("changes", [{}, ALL_ON], ids=["defaults", "all on"])
def test_result_depends_on_the_generator_alone(changes: dict) -> None:
    """Not on torch's global state."""
    both = []
    for global_seed in (1, 2):
        torch.manual_seed(global_seed)
        transform, generator = BatchAugment(**changes), seeded(3)
        both.append(transform.erase(distort(transform, pictures(), generator), generator))
    assert torch.equal(*both)
    assert not torch.equal(both[0], transform.erase(distort(transform, pictures(), generator), generator))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_input_is_unchanged_and_shape_and_dtype_are_kept(dtype: torch.dtype) -> None:
    images = pictures(dtype=dtype)
    before, transform = images.clone(), BatchAugment(**ALL_ON)  # type: ignore[arg-type]
    distorted = distort(transform, images, seeded())
    kept = distorted.clone()
    erased = transform.erase(distorted, seeded())
    assert torch.equal(images, before) and torch.equal(distorted, kept)
    assert distorted.shape == erased.shape == images.shape and distorted.dtype == erased.dtype == dtype


def test_flip_before_resizing_is_the_flip_of_the_resized() -> None:
    images = torch.randint(0, 256, (8, 3, 16, 8), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    for size in ((32, 16), (24, 20), (8, 5)):
        preprocess, steps = Preprocess(*size), BatchAugment(**OFF | {"flip": 0.5})
        early = preprocess.resize(steps.mirror(images, seeded()))
        late = steps.mirror(preprocess.resize(images), seeded())
        torch.testing.assert_close(early, late, atol=1e-3, rtol=0)
        assert not torch.equal(late, preprocess.resize(images))


def test_move_of_whole_numbers_is_that_of_the_same_numbers_as_floats() -> None:
    """Without a zoom nothing is computed, so the bytes can stay bytes."""
    images = torch.randint(0, 256, (6, 3, 24, 12), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    steps = BatchAugment(**OFF | {"pad": 3})
    moved = steps.move(images, seeded())
    assert moved.dtype == torch.uint8
    assert torch.equal(moved.float(), steps.move(images.float(), seeded()))
    zoomed = BatchAugment(**OFF | {"zoom": 1.0})
    torch.testing.assert_close(zoomed.move(images, seeded()), zoomed.move(images.float(), seeded()))


def test_distorted_images_stay_between_0_and_1() -> None:
    out = distort(BatchAugment(**ALL_ON, pad=3), pictures(64), seeded())  # type: ignore[arg-type]
    assert out.min() >= 0 and out.max() <= 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"flip": 1.2}, "augment.flip: got 1.2; expected a probability from 0 to 1"),
        ({"erase": -0.1}, "augment.erase: got -0.1; expected a probability"),
        ({"pad": -1}, "augment.pad: got -1; expected 0 .none. or more"),
        ({"erase_area": (0.4, 0.02)}, r"augment.erase_area: got \(0.4, 0.02\); expected 0 < low <= high <= 1.0"),
        ({"erase_fill": "black"}, "augment.erase_fill: got 'black'; expected 'bot', 'mean' or 'random'"),
        ({"erase_attempts": 0}, "augment.erase_attempts: got 0"),
    ],
)
def test_settings_out_of_range_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BatchAugment(**changes)


@pytest.mark.parametrize("changes", [{}, {"erase_fill": "mean"}, ALL_ON], ids=["bot", "mean", "all on"])
def test_augmentation_asks_for_no_value(changes: dict) -> None:
    """Fake tensors have no values, so anything that made an accelerator wait for the host would raise."""
    transform = BatchAugment(**changes)
    with FakeTensorMode():
        images = torch.empty(6, 3, 24, 12)
        out = transform.erase(distort(transform, images, seeded()), seeded())
    assert out.shape == images.shape


@pytest.mark.gpu
def test_augmentation_on_a_gpu_does_not_wait_for_the_host() -> None:
    images, generator = pictures().cuda(), torch.Generator("cuda").manual_seed(0)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for changes in ({}, {"erase_fill": "mean"}, ALL_ON):
            transform = BatchAugment(**changes)
            out = transform.erase(distort(transform, images, generator), generator)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert out.isfinite().all()


def test_calmed_augmentation_keeps_flips_and_shifts_and_nothing_else() -> None:
    strong = BatchAugment(
        flip=0.3, pad=4, zoom=0.5, brightness=0.2, contrast=0.2, saturation=0.2, grayscale=0.1, erase=0.5
    )
    calm = strong.calmed()
    assert (calm.flip, calm.pad) == (0.3, 4)
    assert (calm.zoom, calm.recolours, calm.erase_probability) == (0.0, False, 0.0)
    images = torch.rand(4, 3, 16, 8)
    assert torch.equal(calm.erase(images, torch.Generator().manual_seed(0)), images)
