"""What trackers are compared on: sequences with their truth, boxes of several detectors, and embeddings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mot_reid.arrays import Float32Array, Image
from mot_reid.data.motchallenge import Sequence as Folder
from mot_reid.data.motchallenge import by_frame, read_detections, read_ground_truth, read_sequences
from mot_reid.data.synthetic_clip import walkers
from mot_reid.data.video import VideoReader
from mot_reid.files import given_by, whole
from mot_reid.structures import Detections, TrackTable

if TYPE_CHECKING:  # only those who compare embedders need torch
    from mot_reid.reid.embedder import Embedder

SYNTHETIC = "synthetic"
_TOGETHER = 8  # frames that are embedded at once


@dataclass(frozen=True, slots=True, eq=False)
class Video:
    """One sequence.

    Attributes:
        name: of the sequence.
        truth: its ground truth.
        length: number of frames.
        frame_rate: frames per second.
        boxes: detections of each frame, by detector.
        images: opens the frames: yields the images, and the width that the boxes have for one of theirs.
    """

    name: str
    truth: TrackTable
    length: int
    frame_rate: float
    boxes: dict[str, list[Detections]]
    images: Callable[[], Iterator[tuple[Image, float]]]


def synthetic_video() -> Video:
    """Returns the synthetic clip, with its own boxes."""
    clip = walkers()
    return Video(
        SYNTHETIC, clip.truth, len(clip.images), clip.frame_rate, {SYNTHETIC: clip.detections},
        lambda: ((image, 1.0) for image in clip.images),
    )  # fmt: skip


def read_videos(
    root: str | Path,
    names: Sequence[str] | None,
    *,
    detectors: Sequence[str],
    frames: str | None,
    length: int | None = None,
) -> list[Video]:
    """Returns the sequences of a folder, with the boxes of each detector.

    Args:
        root: a folder of sequences, or of a single one.
        names: of those to take; None for all.
        detectors: files of boxes, inside the folder of each sequence or with {sequence} in the path.
        frames: the video of each, with {sequence} in the path; None: the frames in its folder.
        length: the first frames of each to take; None for all.

    Raises:
        FileNotFoundError: something is missing.
        ValueError: a file is malformed, or two detectors have the same name.
    """
    called = [detector_name(path) for path in detectors]
    if len(set(called)) != len(called):
        raise ValueError(
            f"detectors: got {', '.join(called)}; expected names that differ; name the files or folders differently"
        )
    videos = []
    for name, folder in read_sequences(root, names).items():
        boxes = {}
        for detector, path in zip(called, detectors):
            file = Path(path.replace("{sequence}", name)) if "{sequence}" in path else folder.folder / path
            boxes[detector] = by_frame(read_detections(file), folder.length)
        truth = read_ground_truth(folder.ground_truth_path)
        video = Video(name, truth, folder.length, folder.frame_rate, boxes, _opener(folder, frames))
        videos.append(video if length is None else _first(video, length))
    return videos


def _first(video: Video, length: int) -> Video:
    """Returns the first frames of a video."""
    return replace(
        video,
        truth=video.truth[video.truth.frame <= length],
        length=min(length, video.length),
        boxes={detector: frames[:length] for detector, frames in video.boxes.items()},
    )


def detector_name(path: str) -> str:
    """Returns what boxes are called: by their folder where each sequence has its own file there, else by their file."""
    return Path(path).parent.name if "{sequence}" in Path(path).name else Path(path).stem


def open_embedder(name: str, device: str, runtime: str) -> tuple[Embedder, bytes]:
    """Returns an embedder by its name or path, and what identifies its embeddings: the weights, and what runs them."""
    from mot_reid.reid.checkpoint import identify
    from mot_reid.reid.embedder import Embedder

    with given_by("embedders"):
        embedder = Embedder(name, device=device, runtime=runtime)
    run_by = "" if embedder.runtime == "torch" else embedder.runtime
    return embedder, f"{identify(name)['sha256']}{run_by}".encode()


def embedded(
    video: Video, detector: str, embedder: Embedder, *, above: float, folder: Path, model: bytes
) -> list[Detections]:
    """Returns the detections of each frame with embeddings, which are kept in a folder.

    Args:
        video: the sequence.
        detector: whose boxes.
        embedder: computes what is not there.
        above: the score above which a box is embedded.
        folder: where they are kept.
        model: what identifies the embedder.
    """
    frames = video.boxes[detector]
    key = digest(model, repr(above).encode(), *(part.xyxy.tobytes() + part.score.tobytes() for part in frames))
    file = folder / f"{key}.npy"
    if not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with whole(file) as partial, Path(partial).open("wb") as stream:
            np.save(stream, _embed(video, frames, embedder, above=above))
    parts = np.split(np.load(file), np.cumsum([len(found) for found in frames])[:-1])
    return [found.replace(embedding=part) for found, part in zip(frames, parts)]


def digest(*parts: bytes) -> str:
    """Returns a short name for what was given."""
    found = sha256()
    for part in parts:
        found.update(len(part).to_bytes(8, "little") + part)
    return found.hexdigest()[:24]


def _embed(video: Video, frames: list[Detections], embedder: Embedder, *, above: float) -> Float32Array:
    """Returns the embeddings of all boxes; several frames go through the network together, which is quicker."""
    from tqdm import tqdm

    rows = [np.full((len(found), embedder.embedding_dim), np.nan, np.float32) for found in frames]
    images, count = video.images(), 0
    with tqdm(total=len(frames), desc=f"embedding {video.name}", unit="frame", disable=None) as bar:
        while count < len(frames) and (some := list(islice(images, min(_TOGETHER, len(frames) - count)))):
            wanted = [found.score > above for found in frames[count : count + len(some)]]
            boxes = [found.xyxy[part] / scale for found, part, (_, scale) in zip(frames[count:], wanted, some)]
            for row, part, embedding in zip(rows[count:], wanted, embedder.many([image for image, _ in some], boxes)):
                row[part] = embedding
            count += len(some)
            bar.update(len(some))
    if count != len(frames):
        raise ValueError(f"{video.name}: got {count} frames; expected {len(frames)}, as in its seqinfo.ini")
    return np.concatenate(rows)


def _opener(folder: Folder, frames: str | None) -> Callable[[], Iterator[tuple[Image, float]]]:
    source = folder.folder / folder.images if frames is None else Path(frames.replace("{sequence}", folder.name))
    if not source.exists() and source.parent.is_dir():  # names of videos are often in small letters
        source = next((p for p in source.parent.iterdir() if p.stem.lower() == source.stem.lower()), source)

    def images() -> Iterator[tuple[Image, float]]:
        with VideoReader(source) as reader:
            for frame in reader:
                yield frame.image, folder.width / frame.image.shape[1]

    return images
