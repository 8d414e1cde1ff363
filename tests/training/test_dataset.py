"""Batches of crops against the files they come from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from mot_reid.data.identities import IdentityTable
from mot_reid.reid.preprocess import Preprocess
from mot_reid.training import dataset as dataset_module
from mot_reid.training.dataset import CropDataset, GatheringLoader, fits_in_memory, whole_batch

PREPROCESS = Preprocess(height=32, width=16)


def write(folder: Path, sizes: list[tuple[int, int]]) -> IdentityTable:
    """One PNG of noise for each (height, width), of person 1, 2, 3, .."""
    rng = np.random.default_rng(0)
    paths = []
    for row, (height, width) in enumerate(sizes):
        paths.append(str(folder / f"{row}.png"))
        Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(paths[-1])
    return IdentityTable(np.array(paths), np.arange(1, len(sizes) + 1))


def pixels(table: IdentityTable, row: int) -> torch.Tensor:
    return torch.from_numpy(np.array(Image.open(table.path[row]))).permute(2, 0, 1)


@pytest.mark.parametrize("cache", ["memory", "none"])
def test_batch_holds_the_pixels_of_the_files_asked_for(cache: str, tmp_path: Path) -> None:
    table = write(tmp_path, [(8, 4)] * 5)
    dataset = CropDataset(table, preprocess=PREPROCESS, labels=[7, 8, 9, 10, 11], cache=cache, progress=False)
    batch = dataset.__getitems__([3, 0, 3])
    assert batch.image.dtype == torch.uint8
    assert torch.equal(batch.image, torch.stack([pixels(table, row) for row in (3, 0, 3)]))
    assert batch.label.tolist() == [10, 7, 10]
    assert batch.row.tolist() == [3, 0, 3]


@pytest.mark.parametrize("cache", ["memory", "none"])
def test_crops_of_several_sizes_are_resized_as_the_network_sees_them(cache: str, tmp_path: Path) -> None:
    table = write(tmp_path, [(8, 4), (40, 30), (32, 16)])
    dataset = CropDataset(table, preprocess=PREPROCESS, cache=cache, progress=False)
    batch = dataset.__getitems__([2, 0, 1])
    assert batch.image.shape == (3, 3, 32, 16)
    expected = torch.cat([PREPROCESS(pixels(table, row)[None]) for row in (2, 0, 1)])
    assert torch.equal(PREPROCESS(batch.image), expected)


def test_crops_of_one_size_among_others_stay_as_stored(tmp_path: Path) -> None:
    table = write(tmp_path, [(8, 4), (40, 30), (8, 4)])
    dataset = CropDataset(table, preprocess=PREPROCESS, cache="memory", progress=False)
    assert torch.equal(dataset.__getitems__([0, 2]).image, torch.stack([pixels(table, 0), pixels(table, 2)]))


def test_batches_are_copies_of_the_cache(tmp_path: Path) -> None:
    table = write(tmp_path, [(8, 4)] * 2)
    dataset = CropDataset(table, preprocess=PREPROCESS, cache="memory", progress=False)
    dataset.__getitems__([0]).image.zero_()
    assert torch.equal(dataset.__getitems__([0]).image[0], pixels(table, 0))


def test_single_item_is_a_batch_of_one(tmp_path: Path) -> None:
    table = write(tmp_path, [(8, 4)] * 2)
    batch = CropDataset(table, preprocess=PREPROCESS, cache="none")[1]
    assert batch.image.shape == (1, 3, 8, 4) and batch.row.tolist() == [1] and batch.label.tolist() == [0]


@pytest.mark.parametrize(("free", "cached"), [(2 * 5 * 96, True), (2 * 5 * 96 - 1, False)])
def test_auto_caches_what_takes_at_most_half_of_the_free_memory(
    free: int, cached: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataset_module, "_free_memory", lambda: float(free))
    table = write(tmp_path, [(8, 4)] * 5)  # 96 bytes each
    assert fits_in_memory(table) is cached
    assert CropDataset(table, preprocess=PREPROCESS, cache="auto", progress=False).cached is cached


def test_free_memory_is_what_the_system_says() -> None:
    """Between nothing and all there is, as another source tells it."""
    total = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    assert 0 < dataset_module._free_memory() <= 1024 * int(total.split()[1])


def test_no_crops_fit(tmp_path: Path) -> None:
    assert fits_in_memory(write(tmp_path, [(8, 4)])[:0])


def test_worker_processes_give_the_batches_of_none(tmp_path: Path) -> None:
    table = write(tmp_path, [(8, 4)] * 6)
    dataset = CropDataset(table, preprocess=PREPROCESS, labels=range(6), cache="none")
    rows = [[5, 1], [0, 2], [4, 3]]
    loader: DataLoader[dataset_module.Batch] = DataLoader(
        dataset, batch_sampler=rows, collate_fn=whole_batch, num_workers=2
    )
    for batch, expected in zip(loader, rows, strict=True):
        assert torch.equal(batch.image, dataset.__getitems__(expected).image)
        assert batch.label.tolist() == batch.row.tolist() == expected


def test_gathered_batches_are_those_of_the_rows_in_every_epoch(tmp_path: Path) -> None:
    """Batches of different sizes, the rows of an epoch drawn when it starts."""
    table = write(tmp_path, [(8, 4)] * 6)
    dataset = CropDataset(table, preprocess=PREPROCESS, labels=range(10, 16), cache="memory", progress=False)
    plan = [[5, 1], [0, 2], [4]]
    loader = GatheringLoader(dataset, batches=plan, length=7)
    assert len(loader) == 7
    for _ in range(2):
        for batch, expected in zip(loader, plan, strict=True):
            assert torch.equal(batch.image, torch.stack([pixels(table, row) for row in expected]))
            assert (batch.label - 10).tolist() == batch.row.tolist() == expected
        plan.reverse()


META = torch.device("meta")
"""A device without content, on which everything can be but read."""


@pytest.mark.parametrize(
    ("cache", "free", "moved"),
    [("auto", 2 * 5 * 96, True), ("auto", 2 * 5 * 96 - 1, False), ("device", 0, True), ("memory", 10**9, False)],
)
def test_images_move_to_the_device_where_they_may_and_fit_there(
    cache: str, free: int, moved: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataset_module, "_free_on", lambda device: float(free))
    dataset = CropDataset(write(tmp_path, [(8, 4)] * 5), preprocess=PREPROCESS, cache=cache, progress=False)
    dataset.to(META)
    (batch,) = GatheringLoader(dataset, batches=[[3, 0]], length=1)
    parts = (batch.image, batch.label, batch.row)
    assert [part.device.type for part in parts] == ["meta" if moved else "cpu"] * 3
    assert batch.image.shape == (2, 3, 8, 4)


def test_crops_of_several_sizes_stay_in_memory_and_refuse_the_device(tmp_path: Path) -> None:
    table = write(tmp_path, [(8, 4), (40, 30)])
    dataset = CropDataset(table, preprocess=PREPROCESS, cache="auto", progress=False)
    dataset.to(META)
    assert dataset.cached and not dataset.indexed and dataset[0].image.device.type == "cpu"
    refused = CropDataset(table, preprocess=PREPROCESS, cache="device", progress=False)
    with pytest.raises(ValueError, match=r"data.cache: got 'device' for crops of several sizes; expected one; resize"):
        refused.to(META)


@pytest.mark.parametrize("cache", ["memory", "none"])
def test_broken_image_is_named(cache: str, tmp_path: Path) -> None:
    table = write(tmp_path, [(80, 40)] * 2)
    Path(table.path[1]).write_bytes(Path(table.path[1]).read_bytes()[:500])
    with pytest.raises(ValueError, match=r"image: got '.*1\.png'"):
        CropDataset(table, preprocess=PREPROCESS, cache=cache, progress=False).__getitems__([1])


@pytest.mark.parametrize(("device", "pinned"), [("cuda", True), ("cpu", False), (None, False)])
def test_batches_from_memory_are_pinned_for_a_gpu(
    device: str | None, pinned: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is no GPU torch pins nothing, so what is asked of it is noted down."""
    asked: list[str] = []
    empty = torch.empty

    def noting_empty(*size: object, pin_memory: bool = False, **named: object) -> torch.Tensor:
        asked.extend(["image"] * pin_memory)
        return empty(*size, **named)  # type: ignore[call-overload, no-any-return]

    def noting_pin(self: torch.Tensor) -> torch.Tensor:
        asked.append("labels or rows")
        return self

    table = write(tmp_path, [(8, 4)] * 5)
    dataset = CropDataset(table, preprocess=PREPROCESS, labels=[7, 8, 9, 10, 11], cache="memory", progress=False)
    monkeypatch.setattr(torch, "empty", noting_empty)
    monkeypatch.setattr(torch.Tensor, "pin_memory", noting_pin)
    target = None if device is None else torch.device(device)
    loader = GatheringLoader(dataset, batches=[[3, 0, 3]], length=1, device=target)
    batch = next(iter(loader))
    assert asked == (["image", "labels or rows", "labels or rows"] if pinned else [])
    assert torch.equal(batch.image, torch.stack([pixels(table, row) for row in (3, 0, 3)]))
    assert (batch.label.tolist(), batch.row.tolist()) == ([10, 7, 10], [3, 0, 3])
