"""Which crops are in which batch, epoch by epoch and process by process."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mot_reid.data.identities import IdentitySplits, IdentityTable
from mot_reid.reid.preprocess import Preprocess
from mot_reid.training.datamodule import ReIDDataModule, telling_of_dead_workers
from mot_reid.training.dataset import CropDataset, GatheringLoader


def table(folder: Path, persons: range, *, cameras: bool = True) -> IdentityTable:
    """Two crops by each of two cameras of every person, each of one grey level of its own."""
    paths, person, camera = [], [], []
    for number in persons:
        for seen in (1, 2):
            for index in range(2):
                paths.append(str(folder / f"{number}_{seen}_{index}.png"))
                person.append(number)
                camera.append(seen)
                Image.fromarray(np.full((8, 4, 3), 4 * number + 2 * seen + index, dtype=np.uint8)).save(paths[-1])
    return IdentityTable(np.array(paths), np.array(person), np.array(camera) if cameras else None)


def splits(folder: Path, *, cameras: bool = True) -> IdentitySplits:
    test = table(folder, range(11, 14), cameras=cameras)
    asking = np.arange(len(test)) % 4 == 0
    return IdentitySplits(table(folder, range(1, 11), cameras=cameras), test[asking], test[~asking])


def module(data: IdentitySplits, **settings: Any) -> ReIDDataModule:
    named: dict[str, Any] = {"identities": 4, "images": 2, "eval_batch_size": 5, "workers": 0, **settings}
    return ReIDDataModule(data, preprocess=Preprocess(height=8, width=4), **named)


def run(data: ReIDDataModule, *, rank: int = 0, world_size: int = 1, epoch: int = 0, done: int = 0) -> ReIDDataModule:
    """Gives the module what it asks a Trainer for."""
    progress = SimpleNamespace(current=SimpleNamespace(completed=done))
    data.trainer = SimpleNamespace(  # type: ignore[assignment]
        global_rank=rank,
        world_size=world_size,
        current_epoch=epoch,
        overfit_batches=0,
        fit_loop=SimpleNamespace(epoch_loop=SimpleNamespace(batch_progress=progress)),
        strategy=SimpleNamespace(root_device=SimpleNamespace(type="cpu")),
    )
    return data


def rows(loader: Any) -> list[list[int]]:
    return [batch.row.tolist() for batch in loader]


def test_batch_shows_the_crops_it_names_with_the_labels_of_sorted_identities(tmp_path: Path) -> None:
    data = module(splits(tmp_path))
    people = np.unique(data.train.person_id).tolist()
    for batch in data.train_dataloader():
        assert batch.image.shape == (8, 3, 8, 4)
        for image, label, row in zip(batch.image, batch.label.tolist(), batch.row.tolist()):
            person, camera = int(data.train.person_id[row]), int(data.train.camera_id[row])
            assert people[label] == person
            assert image.unique().tolist() == [4 * person + 2 * camera + row % 2]


def test_epochs_differ_and_repeat(tmp_path: Path) -> None:
    data = run(module(splits(tmp_path)))
    loader = data.train_dataloader()
    epochs = []
    for epoch in (0, 1, 0):
        data.start_epoch(epoch)
        epochs.append(rows(loader))
    assert epochs[0] != epochs[1]
    assert epochs[0] == epochs[2]
    assert len(epochs[0]) == len(loader) == data.batches_per_epoch == 5


def test_overfitting_keeps_the_batches_of_the_first_epoch(tmp_path: Path) -> None:
    data = run(module(splits(tmp_path)))
    data.trainer.overfit_batches = 2  # type: ignore[union-attr]
    loader = data.train_dataloader()
    first = rows(loader)
    data.start_epoch(1)
    assert rows(loader) == first


def test_interrupted_epoch_gives_what_is_left_of_it_at_its_whole_length(tmp_path: Path) -> None:
    whole = rows(run(module(splits(tmp_path)), epoch=3).train_dataloader())
    loader = run(module(splits(tmp_path)), epoch=3, done=2).train_dataloader()
    assert rows(loader) == whole[2:]
    assert len(loader) == 5  # Lightning counts on from the batches done


def test_finished_epoch_is_followed_by_a_whole_one(tmp_path: Path) -> None:
    """After the last batch of an epoch Lightning still counts all of them as done."""
    whole = rows(run(module(splits(tmp_path)), epoch=4).train_dataloader())
    assert rows(run(module(splits(tmp_path)), epoch=4, done=5).train_dataloader()) == whole


@pytest.mark.parametrize("world_size", [2, 4])
def test_batches_of_all_processes_together_are_those_of_one(world_size: int, tmp_path: Path) -> None:
    data = splits(tmp_path)
    whole = rows(run(module(data), epoch=2).train_dataloader())
    parts = [
        rows(run(module(data), rank=rank, world_size=world_size, epoch=2).train_dataloader())
        for rank in range(world_size)
    ]
    assert [[row for part in parts for row in part[i]] for i in range(len(whole))] == whole


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_every_test_crop_is_seen_once_by_one_process(world_size: int, tmp_path: Path) -> None:
    data = splits(tmp_path)
    seen: list[int] = []
    for rank in range(world_size):
        for batch in run(module(data), rank=rank, world_size=world_size).test_dataloader():
            assert len(batch.row) <= 5
            seen += batch.row.tolist()
    assert sorted(seen) == list(range(12))


def test_query_comes_before_gallery(tmp_path: Path) -> None:
    data = module(splits(tmp_path))
    assert data.test is not None
    paths = [*data.test[0].path, *data.test[1].path]
    for batch in data.test_dataloader():
        for image, row in zip(batch.image, batch.row.tolist()):
            assert int(image.max()) == int(np.array(Image.open(paths[row])).max())


def test_validation_persons_are_whole_and_not_trained_on(tmp_path: Path) -> None:
    data = module(splits(tmp_path), validation=0.3)
    assert data.validation is not None
    held_out = set(data.validation[0].person_id) | set(data.validation[1].person_id)
    trained = set(data.train.person_id)
    assert (len(held_out), len(trained), held_out & trained) == (3, 7, set())
    assert len(data.validation[0]) + len(data.validation[1]) == 12
    assert data.classes == 7


def test_validation_persons_do_not_depend_on_the_seed_of_the_run(tmp_path: Path) -> None:
    one, other = (module(splits(tmp_path), validation=0.3, seed=seed) for seed in (0, 1))
    assert one.validation is not None and other.validation is not None
    assert one.validation[0].path.tolist() == other.validation[0].path.tolist()
    assert rows(one.train_dataloader()) != rows(other.train_dataloader())


def test_nobody_held_out_means_nothing_to_validate(tmp_path: Path) -> None:
    data = module(splits(tmp_path))
    assert data.validation is None and data.val_dataloader() == []


def test_data_set_of_one_list_has_no_test(tmp_path: Path) -> None:
    train = table(tmp_path, range(1, 11), cameras=False)
    data = module(IdentitySplits(train, train[:0], train[:0]), validation=0.3)
    assert data.test is None and data.test_dataloader() == []
    assert len(rows(data.val_dataloader())) == 3


def test_cameras_on_one_side_only_are_refused(tmp_path: Path) -> None:
    data = splits(tmp_path)
    without = IdentityTable(data.gallery.path, data.gallery.person_id)
    with pytest.raises(ValueError, match="data: got cameras for only one of query and gallery"):
        module(data._replace(gallery=without)).test_dataloader()


def test_no_training_images_are_refused(tmp_path: Path) -> None:
    data = splits(tmp_path)
    with pytest.raises(ValueError, match="data: got no training images"):
        module(data._replace(train=data.train[:0]))


def test_more_persons_in_a_batch_than_there_are_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="identities: got 11; expected at most 10"):
        module(splits(tmp_path), identities=11)


def test_images_are_read_when_they_are_asked_for(tmp_path: Path) -> None:
    data = splits(tmp_path)
    for path in tmp_path.glob("11_*"):  # of the test
        path.unlink()
    assert len(rows(module(data).train_dataloader())) == 5
    with pytest.raises(FileNotFoundError):
        module(data).test_dataloader()


def test_crops_that_are_not_cached_come_from_workers(tmp_path: Path) -> None:
    data = run(module(splits(tmp_path), cache="none", workers=1))
    loader: Any = data.train_dataloader()
    assert loader.num_workers == 1
    first = rows(loader)
    data.start_epoch(1)
    second = rows(loader)
    cached = run(module(splits(tmp_path), cache="memory", workers=1))
    loader = cached.train_dataloader()
    assert isinstance(loader, GatheringLoader)
    assert rows(loader) == first
    cached.start_epoch(1)
    assert rows(loader) == second


def test_persons_with_one_image_each_are_refused_unless_one_is_asked_for(tmp_path: Path) -> None:
    data = splits(tmp_path)
    single = data._replace(train=data.train[::4])
    with pytest.raises(ValueError, match="data: got 10 training persons with one image each"):
        module(single)
    assert module(single, images=1).classes == 10


@pytest.mark.parametrize(
    "message",
    [
        "DataLoader worker (pid 123) is killed by signal: Killed. ",
        "DataLoader worker (pid(s) 123, 124) exited unexpectedly",
    ],
)
def test_dead_worker_is_a_sentence_with_the_remedy(message: str) -> None:
    """Torch's two messages, of the signal handler and of the queue."""
    expected = r"data.workers: a process .* has died .*lower data.workers"
    with pytest.raises(RuntimeError, match=expected) as caught, telling_of_dead_workers():
        raise RuntimeError(message)
    assert caught.value.__suppress_context__


def test_other_runtime_errors_are_left_alone() -> None:
    with pytest.raises(RuntimeError, match=r"^CUDA out of memory$"), telling_of_dead_workers():
        raise RuntimeError("CUDA out of memory")


@pytest.mark.slow
def test_worker_that_is_killed_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real one, killed as the system does it when memory runs out."""
    data = module(splits(tmp_path), cache="none", workers=1)
    monkeypatch.setattr(CropDataset, "_fetch", lambda self, indices: os.kill(os.getpid(), signal.SIGKILL))
    with (
        pytest.raises(RuntimeError, match=r"^data.workers: a process that decodes images has died \(DataLoader worker"),
        telling_of_dead_workers(),
    ):
        rows(run(data).train_dataloader())


def two_sets(folder: Path, *, cameras: bool = True) -> list[IdentitySplits]:
    """Two data sets with persons of the same numbers."""
    for name in ("a", "b"):
        (folder / name).mkdir()
    return [splits(folder / "a"), splits(folder / "b", cameras=cameras)]


def test_batches_of_two_data_sets_hold_as_many_persons_of_each(tmp_path: Path) -> None:
    data = module(two_sets(tmp_path))  # type: ignore[arg-type]
    assert data.classes == 20 and data.batches_per_epoch == 80 // 8
    of_the_first = np.array(["/a/" in path for path in data.train.path])
    for batch in rows(run(data).train_dataloader()):
        assert of_the_first[batch].sum() == 4


def test_validation_persons_of_two_data_sets_are_those_of_each_alone(tmp_path: Path) -> None:
    sets = two_sets(tmp_path)
    joined = module(sets, validation=0.2)  # type: ignore[arg-type]
    alone = [module(one, validation=0.2).validation for one in sets]
    assert joined.validation is not None and joined.validation_source is not None
    for part in (0, 1):
        expected = np.concatenate([tables[part].path for tables in alone if tables is not None])
        assert joined.validation[part].path.tolist() == expected.tolist()
    assert len(joined.validation_source) == len(joined.validation[0]) + len(joined.validation[1])
    assert joined.test is None


def test_data_set_without_cameras_joins_one_with_cameras(tmp_path: Path) -> None:
    data = module(two_sets(tmp_path, cameras=False), validation=0.2)  # type: ignore[arg-type]
    assert data.validation is not None
    assert sum("/b/" in path for path in data.validation[0].path) == 2  # two persons, one question each


def test_shares_are_as_many_as_data_sets(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"data.share: got 3 number\(s\) for 2 data set\(s\); expected one for each"):
        module(two_sets(tmp_path), share=[1, 2, 3])  # type: ignore[arg-type]


def test_cameras_left_out_of_training_ask_in_validation(tmp_path: Path) -> None:
    """Ten persons by two cameras: five are trained on, with their two crops by camera 1."""
    data = module(splits(tmp_path), validation=0.5, validation_cameras=[2])
    assert data.train.camera_id is not None and data.train.camera_id.tolist() == [1] * 10
    assert data.validation is not None
    query, gallery = data.validation
    assert query.camera_id is not None and query.camera_id.tolist() == [2] * 5
    held_out = set(range(1, 11)) - set(data.train.person_id.tolist())
    assert set(query.person_id.tolist()) == set(gallery.person_id.tolist()) == held_out
    assert gallery.camera_id is not None and set(gallery.camera_id.tolist()) == {1, 2}


def test_cameras_left_out_with_nobody_held_out_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"data\.validation_cameras: got \[2\] with data\.validation=0"):
        module(splits(tmp_path), validation_cameras=[2])
