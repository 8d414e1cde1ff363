"""Clips in folders named by what is done in them, and the frames of a clip."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mot_reid.arrays import IntArray
from mot_reid.data.track_clips import picture
from mot_reid.data.video import VideoReader
from mot_reid.names import did_you_mean

SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".avi", ".webm")
"""File name endings, in lower case, that are taken for clips."""
_SPLITS = {"train": ("train",), "validation": ("val", "validation"), "test": ("test",)}
"""Names of the folders of each split."""


@dataclass(frozen=True, slots=True, eq=False)
class ClipTable:
    """N clips.

    Attributes:
        path: (N,) of their files.
        label: (N,) int64 places of their classes in a list.
    """

    path: NDArray[np.str_]
    label: IntArray

    def __len__(self) -> int:
        return len(self.path)


@dataclass(frozen=True, slots=True)
class ClipSplits:
    """A data set of clips.

    Attributes:
        classes: Names of the folders, sorted.
        train: To learn from.
        validation: To choose by; may be empty.
        test: To score on; may be empty.
    """

    classes: tuple[str, ...]
    train: ClipTable
    validation: ClipTable
    test: ClipTable


def read_clips(root: str | Path, *, validation: float) -> ClipSplits:
    """Returns the clips of `root/CLASS/*.mp4`, or of `root/train/CLASS/*.mp4` with `root/val` and `root/test` beside.

    Where there is no folder for it, a share of the training clips of each class is held out for validation. A hash of
    their names chooses them, so that it is the same share on every machine.

    Args:
        root: The folder.
        validation: Share held out, from 0 to below 1; not used where `root/val` is.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: It holds fewer than two classes, a class without a clip, or one that training does not have.
    """
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"data.root: got '{root}'; expected a folder with a folder of clips for each class")
    folders = {split: next((root / n for n in names if (root / n).is_dir()), None) for split, names in _SPLITS.items()}
    training = folders["train"] or root
    classes = tuple(sorted(path.name for path in training.iterdir() if path.is_dir() and path.name[0] not in "._"))
    if len(classes) < 2:
        raise ValueError(
            f"data.root: got '{training}' with {len(classes)} folders; expected two or more, each named by what is "
            "done in its clips"
        )
    train = {name: _clips(training / name) for name in classes}
    held_out: dict[str, list[Path]] = {}
    if folders["train"] is None or folders["validation"] is None:
        held_out = {name: _held_out(paths, validation) for name, paths in train.items()}
        train = {name: [path for path in paths if path not in held_out[name]] for name, paths in train.items()}
    elif folders["validation"] is not None:
        held_out = _of_folder(folders["validation"], classes)
    test = _of_folder(folders["test"], classes) if folders["train"] is not None and folders["test"] is not None else {}
    return ClipSplits(classes, _table(train, classes), _table(held_out, classes), _table(test, classes))


def read_frames(path: str | Path, *, seconds: float, frames: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Returns the frames of a clip, (S, H, W, 3) uint8 RGB, `frames` for every `seconds` of it, at least that many.

    Of a clip that is no square the middle is taken. One that is shorter than `seconds` stands still at its end.

    Args:
        path: The file.
        seconds: Length of a window.
        frames: T, frames in a window.
        size: H and W in pixels.

    Raises:
        FileNotFoundError: No such file.
        ValueError: It is no video.
    """
    with VideoReader(path) as reader:
        rate = reader.frame_rate
        half, middle = min(reader.width, reader.height) / 2, np.array([reader.width, reader.height]) / 2
        square = np.concatenate([middle - half, middle + half]).round().astype(np.int64)
        pictures = [picture(frame.image, square, size) for frame in reader]
    count = max(frames, int(len(pictures) / rate * frames / seconds + 1e-6))
    places = ((np.arange(count) + 0.5) * seconds / frames * rate).astype(np.int64)
    return np.stack(pictures)[places.clip(0, len(pictures) - 1)]


def _of_folder(folder: Path, classes: tuple[str, ...]) -> dict[str, list[Path]]:
    """Returns the clips of a split by class; refuses classes that training does not have."""
    names = sorted(path.name for path in folder.iterdir() if path.is_dir() and path.name[0] not in "._")
    foreign = next((name for name in names if name not in classes), None)
    if foreign is not None:
        hint = did_you_mean(foreign, classes)
        raise ValueError(f"data.root: got '{folder / foreign}', a class without clips to train on{hint}")
    return {name: _clips(folder / name) for name in names}


def _clips(folder: Path) -> list[Path]:
    """Returns the clips of a class; refuses a folder without one."""
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.name[0] != ".")
    if not found:
        raise ValueError(f"data.root: got '{folder}' without a clip; expected files ending in {', '.join(SUFFIXES)}")
    return found


def _held_out(paths: list[Path], share: float) -> list[Path]:
    """Returns a share of clips that a hash of their names chooses; none is left out of training where there is one."""
    count = min(round(share * len(paths)) or (share > 0), len(paths) - 1)
    by_hash = sorted(paths, key=lambda path: hashlib.sha256(f"{path.parent.name}/{path.name}".encode()).digest())
    return by_hash[:count]


def _table(clips: dict[str, list[Path]], classes: tuple[str, ...]) -> ClipTable:
    """Returns a table of clips by class."""
    rows = [(str(path), place) for place, name in enumerate(classes) for path in clips.get(name, ())]
    return ClipTable(np.array([path for path, _ in rows], dtype=str), np.array([c for _, c in rows], dtype=np.int64))
