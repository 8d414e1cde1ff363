"""What the report on a tracker shows: the events of each sequence, and what the camera saw of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mot_reid.arrays import FloatArray
from mot_reid.data.motchallenge import Sequence, read_detections
from mot_reid.data.video import VideoReader
from mot_reid.metrics.mot import MotResult
from mot_reid.metrics.mot_events import MotEvent, find_events
from mot_reid.structures import TrackTable
from mot_reid.viewing.html.mot_report import MotReport, SequenceReport
from mot_reid.viewing.mot_pictures import Picture, Shot, looks, shots, take

if TYPE_CHECKING:  # only those who compare looks need torch
    from mot_reid.reid.embedder import Embedder


@dataclass(frozen=True, slots=True)
class Footage:
    """Where the pictures and the detections of the sequences are.

    Attributes:
        frames: Their videos or folders of frames: a path for a single sequence, or one relative to the folder of each;
            None for those that seqinfo.ini names, where they are.
        detections: What the tracker was given, named in the same way; None for the boxes it reported.
        scale: Pixels of the video for one of the ground truth.
    """

    frames: str | None = None
    detections: str | None = None
    scale: float = 1.0


def mot_report(
    scored: MotResult,
    sequences: Mapping[str, Sequence],
    *,
    truths: Mapping[str, TrackTable],
    results: Mapping[str, TrackTable],
    title: str,
    measured: str,
    footage: Footage,
    embedder: Embedder | None = None,
    threshold: float | None = None,
    gate: float = 0.1,
) -> MotReport:
    """Returns what the page shows.

    Args:
        scored: From `evaluate_mot`.
        sequences: By name.
        truths: By name of the sequence.
        results: Likewise.
        title: Of the page.
        measured: On what, and how.
        footage: Pictures and detections.
        embedder: Compares the looks before and after; None for not at all.
        threshold: Least similarity of the same looks; None for the embedder's.
        gate: Least overlap of a box with where its track was expected.

    Raises:
        FileNotFoundError: A sequence has no such footage.
        ValueError: A file is malformed.
    """
    parts = []
    for name, sequence in sequences.items():
        file = _found("detections", footage.detections, sequence, several=len(sequences) > 1)
        frames = _found("frames", footage.frames, sequence, several=len(sequences) > 1)
        if frames is None and (sequence.folder / sequence.images).is_dir():
            frames = sequence.folder / sequence.images
        detections = None if file is None else read_detections(file)
        events = find_events(truths[name], results[name], scored.pairs[name], detections=detections)
        pictures: dict[Shot, Picture] = {}
        if frames is not None and events:
            events, pictures = _look(events, truths[name], frames, embedder=embedder, scale=footage.scale)
        parts.append(
            SequenceReport(
                name,
                scored.sequences[name],
                truth=truths[name],
                result=results[name],
                pairs=scored.pairs[name],
                events=events,
                length=sequence.length,
                pictures=pictures,
            )
        )
    if threshold is None and embedder is not None:
        threshold = embedder.threshold
    return MotReport(
        title, measured, scored.combined, parts, gate=gate, threshold=0.5 if threshold is None else threshold
    )


def _look(
    events: list[MotEvent], truth: TrackTable, frames: Path, *, embedder: Embedder | None, scale: float
) -> tuple[list[MotEvent], dict[Shot, Picture]]:
    """Returns the events with the similarity of the looks, and the pictures, in one pass over the frames."""
    from tqdm import tqdm

    wanted = [shot for event in events for shot in shots(event, truth)]
    boxes: dict[int, list[tuple[int, FloatArray]]] = {}
    for place, event in enumerate(events if embedder is not None else ()):
        for frame, box in looks(event):
            boxes.setdefault(frame, []).append((place, box * scale))
    found: dict[int, list[Any]] = {}

    def pictures_of(reader: VideoReader) -> Iterator[tuple[int, Any]]:
        for frame in tqdm(reader, total=reader.length, desc="looking", unit="frame", disable=None):
            asked = boxes.get(frame.number, [])
            if asked and embedder is not None:
                for (place, _), vector in zip(asked, embedder(frame.image, np.array([box for _, box in asked]))):
                    found.setdefault(place, []).append(vector)
            yield frame.number, frame.image

    with VideoReader(frames) as reader:
        pictures = take(pictures_of(reader), wanted, scale=scale)
    cosines = {place: float(pair[0] @ pair[1]) for place, pair in found.items() if len(pair) == 2}
    return [replace(e, cosine=cosines[place]) if place in cosines else e for place, e in enumerate(events)], pictures


def _found(key: str, given: str | None, sequence: Sequence, *, several: bool) -> Path | None:
    """Returns the file that belongs to a sequence: in its folder, or where it was said to be."""
    if given is None:
        return None
    inside = sequence.folder / given
    if inside.exists():
        return inside
    if Path(given).exists() and not several:
        return Path(given)
    raise FileNotFoundError(f"{key}: got '{given}'; expected a file of {sequence.name}, or one in '{sequence.folder}'")
