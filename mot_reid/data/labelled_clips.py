"""Clips to train an action classifier on, cut from a video by tracks that somebody has labelled."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mot_reid.data.frame import Frame
from mot_reid.data.track_clips import Window, cut, windows
from mot_reid.data.video_writer import VideoWriter
from mot_reid.structures import TrackTable

COLUMN = "label"
_SIDE = 128
"""Height and width of a clip in pixels."""


def read_labels(path: str | Path) -> NDArray[np.str_]:
    """Returns the label of each row of a .csv of tracks, in its order; empty where there is none.

    Args:
        path: As `write_tracks` writes it, with a column `label` added.

    Raises:
        ValueError: It is no .csv, has no such column, no label in it, or one that cannot be the name of a folder.
    """
    path = Path(path)
    if path.suffix != ".csv":
        raise ValueError(f"source: got '{path}'; expected a .csv of tracks with a column '{COLUMN}' for format=clips")
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = [row for row in csv.reader(file) if any(cell.strip() for cell in row)]
    names = [name.strip() for name in rows[0]] if rows else []
    if COLUMN not in names:
        raise ValueError(
            f"'{path}' line 1: got columns {', '.join(names)}; expected {COLUMN} as well, which says what the person "
            "of a row does, and may be empty"
        )
    place = names.index(COLUMN)
    found = np.array([row[place].strip() if place < len(row) else "" for row in rows[1:]], dtype=str)
    wrong = next((name for name in found.tolist() if name[:1] in (".", "_") or set(name) & set('/\\:*?"<>|')), None)
    if wrong is not None:
        raise ValueError(f"'{path}': {COLUMN}: got '{wrong}'; expected a word that can be the name of a folder")
    if not (found != "").any():
        raise ValueError(f"'{path}': {COLUMN}: got no label in any row; expected some; say what people do")
    return found


def labelled_windows(
    table: TrackTable, label: NDArray[np.str_], *, frame_rate: float, seconds: float
) -> list[tuple[str, Window]]:
    """Returns parts of tracks in which one thing is done, and what.

    Args:
        table: Tracks of one video.
        label: (M,) what the person of each row does; "" where that is not known.
        frame_rate: Frames per second.
        seconds: Length of a part.
    """
    found = []
    for name in sorted(set(label.tolist()) - {""}):
        other = table[(label != "") & (label != name)]
        frames = max(1, round(seconds * frame_rate))
        for window in windows(table[label == name], frame_rate=frame_rate, seconds=seconds, frames=frames):
            mixed = (other.track_id == window.track_id) & (other.frame >= window.first_frame)
            if not (mixed & (other.frame <= window.last_frame)).any():
                found.append((name, window))
    return found


def write_clips(
    folder: str | Path, frames: Iterable[Frame], chosen: list[tuple[str, Window]], *, name: str, frame_rate: float
) -> dict[str, int]:
    """Writes `folder/LABEL/NAME-TRACK-FRAME.mp4` for each part; returns the number of clips of each label.

    Args:
        folder: May hold clips of other videos.
        frames: Of the video, from its start.
        chosen: From `labelled_windows`.
        name: Of the video, for the names of its clips.
        frame_rate: Frames per second.

    Raises:
        ValueError: A clip of that name is there already, or there is nothing to write.
    """
    if not chosen:
        raise ValueError("source: got no track with one label for as long as a clip; lower seconds, or label more rows")
    paths = [Path(folder) / label / f"{name}-{one.track_id}-{one.first_frame}.mp4" for label, one in chosen]
    there = next((path for path in paths if path.exists()), None)
    if there is not None:
        raise ValueError(f"output: got '{there}', which is there already; expected a new name; choose another folder")
    written: Counter[str] = Counter()
    for place, pictures in cut(frames, [window for _, window in chosen], size=(_SIDE, _SIDE)):
        with VideoWriter(paths[place], frame_rate=frame_rate) as video:
            for picture in pictures:
                video.write(np.ascontiguousarray(picture[..., ::-1]))
        written[chosen[place][0]] += 1
    return dict(written)
