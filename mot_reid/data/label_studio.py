"""Tracks of people in Label Studio's JSON for videos: rectangles in percent, at key frames, with lines between them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mot_reid.boxes import xyxy_to_tlwh
from mot_reid.data.annotations import Row, choose_label, read_json, table_of
from mot_reid.files import write_text
from mot_reid.structures import TrackTable

_SIDES = ("x", "y", "width", "height")


def read_label_studio(path: str | Path, *, size: tuple[int, int], label: str | None = None) -> TrackTable:
    """Returns the people of one video in an export of Label Studio, one row a frame.

    Between two key frames the box moves in a straight line. After a key frame that is not `enabled` the person is not
    seen until the next one; a last key frame that is enabled holds until the video ends. Identities are numbered from 1
    in the order of the file. Where a task was annotated, that is read, and else its predictions.

    Args:
        path: of the JSON file.
        size: width and height of the video in pixels.
        label: of people, see `choose_label`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no such file, holds several videos, or a rectangle is rotated.
    """
    tasks = read_json(path)
    if not isinstance(tasks, list) or len(tasks) != 1:
        count = f"{len(tasks)} tasks" if isinstance(tasks, list) else type(tasks).__name__
        raise ValueError(
            f"'{path}': got {count}; expected the export of one video as a list of one task; export it alone"
        )
    try:
        regions = [one for one in _results(tasks[0]) if one.get("type") == "videorectangle"]
        chosen = choose_label([name for one in regions for name in one["value"]["labels"]], label, path)
        people = [one["value"] for one in regions if chosen in one["value"]["labels"]]
        rows = [
            Row(frame, number, (box[0], box[1], box[2], box[3]))
            for number, value in enumerate(people, 1)
            for frame, box in _frames(value, size, path)
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"'{path}': got no sense of {error}; expected Label Studio's JSON of a video") from None
    return table_of(rows, path)


def _results(task: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the regions of the newest annotation that was not cancelled, or else of the newest prediction."""
    annotated = [one for one in task.get("annotations") or [] if not one.get("was_cancelled")]
    chosen = annotated or task.get("predictions") or []
    result: list[dict[str, Any]] = chosen[-1]["result"] if chosen else []
    return result


def _frames(value: dict[str, Any], size: tuple[int, int], path: str | Path) -> Iterator[tuple[int, list[float]]]:
    """Yields the frame numbers of a person with left, top, width and height in pixels."""
    keys = sorted(value["sequence"], key=lambda one: int(one["frame"]))
    if any(one.get("rotation") for one in keys):
        raise ValueError(f"'{path}': got a rotated rectangle; expected upright ones; turn it back in Label Studio")
    scale = np.array([size[0], size[1], size[0], size[1]]) / 100
    boxes = [np.array([float(one[side]) for side in _SIDES]) * scale for one in keys]
    last = int(value.get("framesCount") or keys[-1]["frame"])
    for place, (one, box) in enumerate(zip(keys, boxes)):
        frame = int(one["frame"])
        yield frame, box.tolist()
        if not one.get("enabled", True):
            continue
        final = place + 1 == len(keys)
        until, goal = (last + 1, box) if final else (int(keys[place + 1]["frame"]), boxes[place + 1])
        for between in range(frame + 1, until):
            share = (between - frame) / (until - frame)
            yield between, (box + share * (goal - box)).tolist()


def write_label_studio(
    path: str | Path,
    table: TrackTable,
    *,
    video: str,
    size: tuple[int, int],
    frame_rate: float,
    length: int,
    label: str = "person",
) -> Path:
    """Writes tracks as predictions of one task, which Label Studio shows for correction; returns the path.

    The labelling interface needs `<VideoRectangle name="box" toName="video"/>`, `<Video name="video" value="$video"/>`
    and `<Labels name="videoLabels" toName="video">` with the label.

    Args:
        path: of the JSON file, for the import of tasks.
        table: the tracks.
        video: the address under which Label Studio finds the video.
        size: width and height of the video in pixels.
        frame_rate: frames per second.
        length: number of frames.
        label: of people.

    Raises:
        OSError: the file cannot be written.
    """
    regions = []
    for track_id in np.unique(table.track_id):
        track = table[table.track_id == track_id]
        order = np.argsort(track.frame, kind="stable")
        frames = track.frame[order].tolist()
        shares = xyxy_to_tlwh(track.xyxy[order]) * 100 / np.array([size[0], size[1], size[0], size[1]])
        sequence = [
            {
                "frame": frame,
                "enabled": following == frame + 1,
                "rotation": 0,
                **dict(zip(_SIDES, map(float, box))),
                "time": (frame - 1) / frame_rate,
            }
            for frame, following, box in zip(frames, [*frames[1:], None], shares)
        ]
        value = {"framesCount": length, "duration": length / frame_rate, "sequence": sequence, "labels": [label]}
        regions.append(
            {
                "id": f"track{track_id}",
                "from_name": "box",
                "to_name": "video",
                "type": "videorectangle",
                "score": float(np.clip(track.score.mean(), 0, 1)),
                "value": value,
            }
        )
    task = {"data": {"video": video}, "predictions": [{"model_version": "mot_reid", "result": regions}]}
    return write_text(path, json.dumps([task]))
