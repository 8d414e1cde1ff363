"""One tracker on one video: tracked, scored and kept; finished cells are not done again."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from mot_reid.evaluation.comparison_data import Video, digest
from mot_reid.files import whole
from mot_reid.metrics.block_bootstrap import Resampled, resample
from mot_reid.metrics.mot import score_clear
from mot_reid.metrics.mot_rules import Benchmark, apply_rules
from mot_reid.refinement.refine import refine
from mot_reid.structures import Detections, TrackTable
from mot_reid.tracking.parameters import find_preset
from mot_reid.tracking.tracker import Tracker

_FORMAT = "2"  # of a cell; raise it where scores change


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """A row on one video.

    Attributes:
        plain: sums of the scores, (1,) draws.
        drawn: sums for each draw of blocks.
        switches: identity switches.
        milliseconds: of processor time for association, a frame; NaN where it was not measured.
    """

    plain: Resampled
    drawn: Resampled
    switches: int
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Scoring:
    """How cells are scored and where they are kept.

    Attributes:
        benchmark: whose rules.
        samples: draws of blocks.
        block_frames: frames of a block.
        folder: of finished cells.
    """

    benchmark: Benchmark
    samples: int
    block_frames: int
    folder: Path


def tracked_cells(
    video: Video,
    frames: Sequence[Detections],
    preset: str,
    *,
    gate: float | None,
    parts: Sequence[str],
    scoring: Scoring,
) -> list[Cell]:
    """Returns the cell of a tracker on a video and, with parts to refine, the one of the refined tracks.

    Camera motion is not estimated: the boxes are all that the trackers see, with their embeddings.

    Args:
        video: the sequence.
        frames: its detections, with embeddings where the preset uses them.
        preset: the tracker.
        gate: the embedder's threshold; None for the preset's.
        parts: of refinement; none for the tracks as they are only.
        scoring: how, and where they are kept.
    """
    inputs = [found.xyxy.tobytes() + found.score.tobytes() + _bytes(found.embedding) for found in frames]
    settings = repr((find_preset(preset), gate, video.frame_rate)).encode()
    keys = [_key(video, scoring, settings, repr(tuple(p)).encode(), *inputs) for p in ([], parts)[: 1 + bool(parts)]]
    known = [_load(scoring.folder / f"{key}.npz") for key in keys]
    if all(known):
        return [cell for cell in known if cell is not None]
    table, embedding, milliseconds = _track(video, frames, preset, gate)
    cells = [_score(video, table, scoring, milliseconds)]
    if parts:
        threshold = 0.5 if gate is None else gate
        refined = refine(table, parts, embedding=embedding, threshold=threshold, frame_rate=video.frame_rate)
        cells.append(_score(video, refined, scoring, milliseconds))
    for key, cell in zip(keys, cells):
        _save(scoring.folder / f"{key}.npz", cell)
    return cells


def result_cell(video: Video, table: TrackTable, scoring: Scoring, *, milliseconds: float = float("nan")) -> Cell:
    """Returns the cell of tracks that another program made, in so many milliseconds a frame."""
    key = _key(video, scoring, table.frame.tobytes(), table.track_id.tobytes(), table.xyxy.tobytes())
    cell = _load(scoring.folder / f"{key}.npz") or _score(video, table, scoring, float("nan"))
    _save(scoring.folder / f"{key}.npz", cell)
    return replace(cell, milliseconds=milliseconds)


def _track(
    video: Video, frames: Sequence[Detections], preset: str, gate: float | None
) -> tuple[TrackTable, Any, float]:
    """Returns the tracks, the embedding of each row or None, and milliseconds of processor time a frame."""
    given: dict[str, Any] = {} if gate is None else {"gate": gate}
    tracker = Tracker(preset, frame_rate=video.frame_rate, camera="none", **given)
    tracks, rows, spent = [], [], 0.0
    for found in frames:
        start = time.process_time()
        answer = tracker.update(found)
        spent += time.process_time() - start
        tracks.append(answer)
        if found.embedding is not None and answer.detection is not None:
            rows.append(found.embedding[answer.detection])
    table = TrackTable.from_frames(tracks)
    embedding = np.concatenate(rows) if rows and sum(map(len, rows)) == len(table) else None
    return table, embedding, 1000 * spent / max(len(frames), 1)


def _score(video: Video, table: TrackTable, scoring: Scoring, milliseconds: float) -> Cell:
    counted = apply_rules(video.truth, table, benchmark=scoring.benchmark, length=video.length)
    drawn = resample(counted, block_frames=scoring.block_frames, samples=scoring.samples)
    plain = resample(counted, block_frames=scoring.block_frames, whole=True)
    return Cell(plain, drawn, score_clear(counted)[0].idsw, milliseconds)


def _key(video: Video, scoring: Scoring, *parts: bytes) -> str:
    how = repr((_FORMAT, scoring.benchmark, scoring.samples, scoring.block_frames, video.length)).encode()
    truth = (getattr(video.truth, name).tobytes() for name in ("frame", "track_id", "xyxy", "class_id", "ignore"))
    return digest(how, *truth, *parts)


def _bytes(embedding: Any) -> bytes:
    return b"" if embedding is None else embedding.tobytes()


def _save(path: Path, cell: Cell) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {f"{part}_{f.name}": getattr(getattr(cell, part), f.name) for part in _PARTS for f in fields(Resampled)}
    with whole(path) as partial, Path(partial).open("wb") as stream:
        np.savez_compressed(stream, other=np.array([cell.switches, cell.milliseconds]), **arrays)


def _load(path: Path) -> Cell | None:
    if not path.is_file():
        return None
    with np.load(path) as stored:
        plain, drawn = (Resampled(*(stored[f"{part}_{f.name}"] for f in fields(Resampled))) for part in _PARTS)
        return Cell(plain, drawn, int(stored["other"][0]), float(stored["other"][1]))


_PARTS = ("plain", "drawn")
