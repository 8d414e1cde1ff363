"""Synthetic people who stand, walk, run, wave or jump, as short clips in folders named by what they do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from mot_reid.arrays import Image
from mot_reid.data.frame import Frame
from mot_reid.data.prepared import new_folder
from mot_reid.data.synthetic_people import Pose, View, draw_person, paste_person, random_person
from mot_reid.data.track_clips import cut, windows
from mot_reid.data.video_writer import VideoWriter
from mot_reid.structures import TrackTable

MOTIONS = ("jumping", "running", "standing", "walking", "waving")
FRAME_RATE = 12.5
SIZE = 96
"""Height and width of a clip in pixels."""
VERSION = 1
"""Part of every data set's description: raise it when the clips change, so that old ones are drawn anew."""
MARKER = "synthetic.json"
_ASPECT = 0.38
"""Width / height of a person's box."""
_SPEED = {"walking": (0.45, 1.1), "running": (1.6, 2.6)}
"""Body heights per second, from side to side."""
_TOWARDS = 0.15
"""Motion in the picture of somebody who comes towards the camera or goes away, as a share of the speed."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Somebody who does one thing.

    Attributes:
        images: One (H, W, 3) uint8 BGR picture for each frame.
        truth: Where the person is, frames from 1.
        frame_rate: Frames per second.
    """

    images: list[Image]
    truth: TrackTable
    frame_rate: float

    def frames(self) -> Iterator[Frame]:
        """Yields the pictures as a video reader does."""
        for number, image in enumerate(self.images, 1):
            yield Frame(number, (number - 1) / self.frame_rate, image)


def scene(motion: str, *, seconds: float = 1.0, seed: int | tuple[int, ...] = 0) -> Scene:
    """Returns a drawn person in motion, the same for the same arguments.

    Looks, size, side, pace, light and place come from the seed.

    Args:
        motion: One of `MOTIONS`.
        seconds: Length.
        seed: Chooses all else.

    Raises:
        ValueError: There is no such motion.
    """
    if motion not in MOTIONS:
        raise ValueError(f"motion: got '{motion}'; expected one of {', '.join(MOTIONS)}")
    rng = np.random.default_rng(seed)
    person, tall = random_person(rng), rng.uniform(44, 76)
    view: View = str(rng.choice(["left", "right", "front", "back"], p=[0.3, 0.3, 0.2, 0.2]))  # type: ignore[assignment]
    pace = rng.uniform(*_SPEED.get(motion, (0.0, 0.0)))
    beat, begin = rng.uniform(1.0, 1.7), rng.uniform(0, 1)
    times = np.arange(max(1, round(seconds * FRAME_RATE))) / FRAME_RATE
    x, y = _way(view, pace * times)
    rise = 0.16 * np.abs(np.sin(np.pi * (beat * times + begin))) if motion == "jumping" else np.zeros(len(times))
    poses = [_pose(motion, view, pace * time, beat * time + begin, begin) for time in times]
    width, height = round((np.ptp(x) + 3.0) * tall), round(2.4 * tall)
    street = _background(rng, width, height)
    middle, feet = (1.5 + x - x.min()) * tall, (1.7 + y - rise) * tall
    light = np.float32(rng.uniform(0.7, 1.1))
    noise = 4 * rng.standard_normal((height, width, 3), dtype=np.float32)
    images = []
    for pose, at, ground in zip(poses, middle, feet):
        canvas = street.copy()
        paste_person(canvas, draw_person(person, pose, 2 * round(tall)).reduce(2), at, ground)
        shifted = np.roll(noise, rng.integers(width), axis=1)  # drawing it anew for each frame takes most of the time
        images.append((np.asarray(canvas)[..., ::-1] * light + shifted).clip(0, 255).astype(np.uint8))
    half = _ASPECT * tall / 2
    xyxy = np.stack([middle - half, feet - tall, middle + half, feet], axis=1)
    xyxy = xyxy + rng.normal(0, 0.015 * tall, xyxy.shape)
    numbers = np.arange(1, len(times) + 1)
    return Scene(images, TrackTable(numbers, np.ones(len(times), np.int64), xyxy), FRAME_RATE)


def generate(
    root: str | Path, *, train: int = 80, validation: int = 20, test: int = 40, seconds: float = 1.0, seed: int = 0
) -> Path:
    """Draws `root/train`, `root/val` and `root/test` with clips of each motion, once; returns `root`.

    A second call with the same arguments finds the first one's work, and the folder appears whole or not at all.

    Args:
        root: The folder to create.
        train: Clips of each motion to learn from.
        validation: Clips of each motion to choose by.
        test: Clips of each motion to score on.
        seconds: Length of a clip.
        seed: Chooses everything; each person is drawn in each motion, and in one split only.

    Raises:
        ValueError: `root` holds something else, or other clips.
    """
    root = Path(root)
    asked = {"version": VERSION, "train": train, "validation": validation, "test": test, "seconds": seconds}
    asked["seed"] = seed
    if _is_drawn(root, asked):
        return root
    try:
        with new_folder(root) as part:
            for split, (name, count) in enumerate((("train", train), ("val", validation), ("test", test))):
                for motion in MOTIONS:
                    (part / name / motion).mkdir(parents=True)
                    for number in range(count):
                        path = part / name / motion / f"{number:04}.mp4"
                        _write(path, scene(motion, seconds=seconds, seed=(seed, split, number)))
            (part / MARKER).write_text(json.dumps(asked, indent=2) + "\n", encoding="utf-8")
    except OSError:  # another process may have been first
        if not _is_drawn(root, asked):
            raise
    return root


def _is_drawn(root: Path, asked: dict[str, float]) -> bool:
    """Whether a folder holds these clips already; refuses one that holds something else."""
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    try:
        there = json.loads((root / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise ValueError(
            f"data.root: got '{root}', which holds other files; expected a new folder for synthetic clips, or their own"
        ) from None
    if there != asked:
        raise ValueError(
            f"data.root: got '{root}', whose clips were drawn with {there}; expected {asked}; choose another folder"
        )
    return True


def _write(path: Path, drawn: Scene) -> None:
    """Writes the square around the person, all frames."""
    length = len(drawn.images)
    chosen = windows(drawn.truth, frame_rate=drawn.frame_rate, seconds=length / drawn.frame_rate, frames=length)
    ((_, clip),) = cut(drawn.frames(), chosen, size=(SIZE, SIZE))
    with VideoWriter(path, frame_rate=drawn.frame_rate) as writer:
        for image in clip:
            writer.write(np.ascontiguousarray(image[..., ::-1]))


def _way(view: View, path: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns x and y of the feet in body heights, of somebody who has covered so much of a way."""
    if view in ("left", "right"):
        return (path if view == "right" else -path), np.zeros_like(path)
    return np.zeros_like(path), (_TOWARDS if view == "front" else -_TOWARDS) * path


def _pose(motion: str, view: View, path: float, beat: float, begin: float) -> Pose:
    """Returns the body at one time.

    Args:
        motion: What somebody does.
        view: The side seen.
        path: Body heights covered so far.
        beat: Rounds of a wave or a jump so far.
        begin: From 0 to 1, where the first step begins.
    """
    if motion == "walking":
        return Pose(view, phase=9.0 * path + 6.3 * begin, stride=0.13, lift=0.0)
    if motion == "running":
        return Pose(view, phase=6.5 * path + 6.3 * begin, stride=0.21, lift=0.08)
    if motion == "waving":
        return Pose(view, phase=0.0, stride=0.02, lift=0.27 + 0.15 * float(np.sin(2 * np.pi * beat)))
    if motion == "jumping":
        return Pose(view, phase=np.pi / 2, stride=0.05, lift=0.12 * float(np.abs(np.sin(np.pi * beat))))
    return Pose(view, phase=1.5 * beat, stride=0.02, lift=0.0)


def _background(rng: np.random.Generator, width: int, height: int) -> Pillow.Image:
    """Returns a wall and a ground, uneven, so that a moving camera or person shows against it."""
    wall, ground = rng.uniform(90, 190, 3), rng.uniform(90, 170, 3)
    picture = np.empty((height, width, 3))
    horizon = int(height * rng.uniform(0.35, 0.6))
    picture[:horizon], picture[horizon:] = wall, ground
    for x in rng.integers(0, width, 5):
        picture[:horizon, x : x + int(rng.integers(4, 30))] *= rng.uniform(0.6, 1.2)
    uneven = Pillow.fromarray(rng.uniform(0.85, 1.15, (9, 16)).astype(np.float32)).resize((width, height))
    return Pillow.fromarray((picture * np.asarray(uneven)[..., None]).clip(0, 255).astype(np.uint8))
