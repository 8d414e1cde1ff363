"""MOT ground truth and frames to a Re-ID data set in the Market-1501 layout.

What may not leak, and how it is kept from leaking:

- *Persons.* Time is cut at `train_share` of each sequence. Training takes crops from before the cut; testing takes
  persons first seen after the cut and a gap. Somebody seen on both sides is trained on (from before) and never tested.
- *Neighbouring frames.* Two crops of one person a tenth of a second apart are one picture, and a query answered by its
  neighbour says nothing. So each person's time is cut once more, with the same gap, and the part before and after are
  called two cameras: by the Market-1501 rules a query is answered only from the other part.

Persons of different sequences are different persons, and one identity of a ground truth is one person. Where a ground
truth gives a returning person a new identity, as some do, no split can know it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Sequence as Sequences
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mot_reid import boxes
from mot_reid.arrays import BoolArray, FloatArray, IntArray
from mot_reid.data import market1501
from mot_reid.data.identities import IdentityTable, query_gallery
from mot_reid.data.images import decode
from mot_reid.data.motchallenge import PEDESTRIAN, Sequence, read_ground_truth, read_visibility
from mot_reid.data.prepared import new_folder, write_metadata
from mot_reid.structures import TrackTable

FORMAT = "mot_reid.crops"
_PARTS = 2  # of a person's time, each a camera


@dataclass(frozen=True, slots=True)
class CropRules:
    """Which boxes become crops.

    Attributes:
        visibility: Least share of a person that is seen, where the ground truth says so.
        height: Least height of the box in pixels of the ground truth.
        inside: Least share of the box that lies in the picture.
        per_second: Crops of a person per second at most.
        train_share: Share of each sequence, from its start, that training takes; 0: everybody is tested, and nobody
            trained on.
        gap_seconds: Between training and testing, and between the two parts of a person's time.
    """

    visibility: float = 0.4
    height: float = 40.0
    inside: float = 0.75
    per_second: float = 2.0
    train_share: float = 0.5
    gap_seconds: float = 1.0

    def __post_init__(self) -> None:
        for name, low, high in (
            ("visibility", 0, 1),
            ("height", 1, float("inf")),
            ("inside", 0, 1),
            ("per_second", 1e-3, float("inf")),
            ("train_share", 0, 0.99),
            ("gap_seconds", 0, float("inf")),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"crops: {name}: got {value}; expected a number from {low:g} to {high:g}")


@dataclass(frozen=True, slots=True, eq=False)
class CropPlan:
    """The crops of one sequence.

    Attributes:
        row: (M,) rows of the ground truth.
        train: (M,) True for training, False for testing.
        part: (M,) 0 before and 1 after the cut in the person's time.
    """

    row: IntArray
    train: BoolArray
    part: IntArray


def plan_crops(
    truth: TrackTable, visibility: NDArray[np.float64], sequence: Sequence, *, rules: CropRules | None = None
) -> CropPlan:
    """Which rows of a ground truth become crops, and for what.

    Args:
        truth: M rows.
        visibility: (M,) share that is seen of each.
        sequence: Its length, frame rate and frame size.
        rules: The choice.
    """
    rules = rules or CropRules()
    person = (truth.class_id == PEDESTRIAN) & ~truth.ignore
    gap = int(np.ceil(rules.gap_seconds * sequence.frame_rate))
    cut = int(rules.train_share * sequence.length)
    inside = _inside(truth.xyxy, sequence)
    step = max(1, round(sequence.frame_rate / rules.per_second))
    good = (
        person
        & (visibility >= rules.visibility)
        & (boxes.xyxy_to_tlwh(truth.xyxy)[:, 3] >= rules.height)
        & (inside >= rules.inside)
        & ((truth.frame - 1) % step == 0)
    )
    chosen: list[tuple[int, bool, int]] = []
    for identity in np.unique(truth.track_id[person]):
        rows = np.flatnonzero(person & (truth.track_id == identity))
        first_seen = truth.frame[rows].min()
        rows = rows[good[rows]]
        for_training = bool(rules.train_share and first_seen <= cut + gap)
        if for_training:
            rows = rows[truth.frame[rows] <= cut]
        chosen += [(int(row), for_training, part) for row, part in _parts(rows, truth.frame[rows], gap)]
    row, train, part = np.array(sorted(chosen), dtype=np.int64).reshape(-1, 3).T
    return CropPlan(row, train.astype(bool), part)


def write_crops(
    output: str | Path,
    sequences: Sequences[Sequence],
    *,
    videos: Mapping[str, str | Path] | None = None,
    rules: CropRules | None = None,
    seed: int = 0,
    progress: bool = True,
) -> dict[str, Any]:
    """Cut the persons of MOT sequences out of their frames into a data set in the Market-1501 layout.

    The folder appears whole or not at all; read it with `market1501.read(output, official_counts=False)`.

    Args:
        output: The folder to make.
        sequences: With ground truth, and frames as images.
        videos: Video files, by the name of the sequence, for those without images. Frame n of the video is frame n of
            the ground truth; boxes are scaled when the video's size differs from the sequence's.
        rules: Which boxes become crops.
        seed: Chooses the queries.
        progress: Show a progress bar.

    Returns:
        What metadata.json says: counts, rules, and the cut of each sequence.

    Raises:
        FileNotFoundError: Frames are missing; all of them are counted and the first is named.
        ValueError: The output exists, a frame does not open, or the rules leave nothing to train on or to ask.
    """
    output, rules = Path(output), rules or CropRules()
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise ValueError(f"output: got '{output}', which exists; expected a new folder; remove it or choose another")
    names = [sequence.name for sequence in sequences]
    if len(set(names)) != len(names) or not names:
        raise ValueError(f"sequences: got {names or 'none'}; expected one or more, each only once")
    videos = videos or {}
    jobs = [
        _Job(sequence, *_planned(sequence, rules), camera=_PARTS * i, video=videos.get(sequence.name))
        for i, sequence in enumerate(sequences)
    ]
    tables = _tables(jobs, seed, output, trains=rules.train_share > 0)
    with new_folder(output) as part:
        for folder in market1501.FOLDERS.values():
            (part / folder).mkdir()
        _cut_out(jobs, tables, part, progress)
        metadata = {
            "format": FORMAT,
            "format_version": 1,
            "rules": asdict(rules),
            "seed": seed,
            "sequences": {
                job.sequence.name: {
                    "frames": job.sequence.length,
                    "last_training_frame": int(rules.train_share * job.sequence.length),
                    "first_testing_frame": int(rules.train_share * job.sequence.length)
                    + int(np.ceil(rules.gap_seconds * job.sequence.frame_rate))
                    + 1,
                }
                for job in jobs
            },
            "counts": {
                name: {"images": len(table), "identities": len(np.unique(table.person_id))}
                for name, table in tables.items()
            },
        }
        write_metadata(part, metadata)
    return metadata


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    sequence: Sequence
    truth: TrackTable
    plan: CropPlan
    camera: int
    video: str | Path | None


def _planned(sequence: Sequence, rules: CropRules) -> tuple[TrackTable, CropPlan]:
    truth = read_ground_truth(sequence.ground_truth_path)
    if truth.frame.max() > sequence.length:
        raise ValueError(
            f"'{sequence.ground_truth_path}': got frame {truth.frame.max()}; expected at most {sequence.length}, "
            "as seqinfo.ini says"
        )
    return truth, plan_crops(truth, read_visibility(sequence.ground_truth_path), sequence, rules=rules)


def _parts(rows: IntArray, frames: IntArray, gap: int) -> Iterator[tuple[np.int64, int]]:
    """Each row with 0 or 1 for before or after the middle of the person's time; rows inside the gap are left out."""
    if not len(rows):
        return
    middle = (frames.min() + frames.max()) / 2
    for row, frame in zip(rows, frames):
        if frame <= middle - gap / 2:
            yield row, 0
        elif frame > middle + gap / 2:
            yield row, 1


def _inside(xyxy: FloatArray, sequence: Sequence) -> NDArray[np.float64]:
    """(M,) share of each box that lies in the picture."""
    seen = boxes.area(boxes.clip(xyxy, sequence.width, sequence.height))
    return np.asarray(seen / np.maximum(boxes.area(xyxy), 1e-9))


def _tables(jobs: list[_Job], seed: int, output: Path, *, trains: bool) -> dict[str, IdentityTable]:
    """Train, query and gallery; paths are file names, which carry frame and row."""
    names: list[str] = []
    persons: list[int] = []
    cameras: list[int] = []
    train: list[bool] = []
    numbers: dict[tuple[str, int], int] = {}
    for job in jobs:
        truth = job.truth[job.plan.row]
        for row, frame, identity, part, is_train in zip(
            job.plan.row, truth.frame, truth.track_id, job.plan.part, job.plan.train
        ):
            person = numbers.setdefault((job.sequence.name, int(identity)), len(numbers) + 1)
            camera = job.camera + int(part) + 1
            names.append(f"{person:04d}_c{camera}s1_{frame:06d}_{row:06d}.jpg")
            persons.append(person)
            cameras.append(camera)
            train.append(bool(is_train))
    table = IdentityTable(np.array(names, dtype=np.str_), np.array(persons), np.array(cameras))
    used = np.array(train, dtype=bool)
    if trains and not used.any():
        raise ValueError(
            f"crops for '{output}': got no person to train on; expected one or more; lower height, inside or visibility"
        )
    try:
        query, gallery = query_gallery(table[~used], seed)
    except ValueError:
        raise ValueError(
            f"crops for '{output}': got no query: no person is first seen after the training part and stays "
            "long enough for two crops in one half of the time and one in the other; lower train_share, gap_seconds "
            "or visibility, raise per_second, or add sequences"
        ) from None
    return {"train": table[used], "query": query, "gallery": gallery}


def _cut_out(jobs: list[_Job], tables: dict[str, IdentityTable], folder: Path, progress: bool) -> None:
    from tqdm import tqdm

    place = {str(name): market1501.FOLDERS[split] for split, table in tables.items() for name in table.path}
    wanted: dict[tuple[int, int], list[tuple[str, int]]] = {}
    for name in place:
        camera = market1501.parse_name(name)[1]
        frame, row = (int(word) for word in name.removesuffix(".jpg").split("_")[2:])
        wanted.setdefault(((camera - 1) // _PARTS, frame), []).append((name, row))
    with tqdm(total=len(place), desc="cutting", unit="crop", disable=None if progress else True, leave=False) as bar:
        for number, job in enumerate(jobs):
            frames = sorted(frame for index, frame in wanted if index == number)
            for frame, image in _frames(job, frames):
                scale = np.array([image.shape[1] / job.sequence.width, image.shape[0] / job.sequence.height] * 2)
                for name, row in wanted[number, frame]:
                    xyxy = boxes.clip(job.truth.xyxy[row] * scale, image.shape[1], image.shape[0])
                    x1, y1, x2, y2 = np.round(xyxy).astype(int)
                    Image.fromarray(image[y1:y2, x1:x2]).save(folder / place[name] / name, quality=95)
                    bar.update()


def _frames(job: _Job, numbers: list[int]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """The frames of these numbers as RGB."""
    if job.video is not None:
        yield from _video_frames(job, numbers)
        return
    missing = [number for number in numbers if not job.sequence.frame_path(number).is_file()]
    if missing:
        raise FileNotFoundError(
            f"{job.sequence.name}: got no image for {len(missing)} of {len(numbers)} frames; expected "
            f"'{job.sequence.frame_path(missing[0])}' and so on; unpack the frames or name a video"
        )
    for number in numbers:
        yield number, decode(job.sequence.frame_path(number))


def _video_frames(job: _Job, numbers: list[int]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    from mot_reid.data.video import frames

    assert job.video is not None
    wanted = set(numbers)
    for frame in frames(job.video):
        if frame.number in wanted:
            wanted.remove(frame.number)
            yield frame.number, np.ascontiguousarray(frame.image[..., ::-1])
        if not wanted:
            return
    raise ValueError(f"{job.sequence.name}: '{job.video}' is missing {len(wanted)} frames, the first is {min(wanted)}")
