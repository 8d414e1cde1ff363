"""Tracks of people in the files of annotation tools: CVAT, COCO with track ids, and Label Studio.

People are one label of a tool; its other labels are left out. What is read has `class_id` 1, as a ground truth has.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from io import TextIOWrapper
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from mot_reid.boxes import tlwh_to_xyxy, xyxy_to_tlwh
from mot_reid.data.file_names import frame_numbers
from mot_reid.data.motchallenge import PEDESTRIAN
from mot_reid.files import whole, write_text
from mot_reid.structures import TrackTable

Tool = Literal["cvat", "coco", "label_studio"]
_PEOPLE = ("person", "pedestrian", "people")


class Row(NamedTuple):
    """One box of one person: left, top, width and height in pixels."""

    frame: int
    track_id: int
    tlwh: tuple[float, float, float, float]
    ignore: bool = False


def table_of(rows: Sequence[Row], path: str | Path) -> TrackTable:
    """Returns rows as a table, by frame and identity.

    Args:
        rows: of one file.
        path: of the file, for messages.

    Raises:
        ValueError: there is no row, a person is twice in one frame, or a number makes no sense.
    """
    if not rows:
        raise ValueError(f"'{path}': got no boxes of people with identities; expected tracks; check the label")
    ordered = sorted(rows, key=lambda row: (row.frame, row.track_id))
    for before, row in pairwise(ordered):
        if before[:2] == row[:2]:
            raise ValueError(
                f"'{path}': got person {row.track_id} twice in frame {row.frame}; expected once; correct the annotation"
            )
    try:
        return TrackTable(
            np.array([row.frame for row in ordered], dtype=np.int64),
            np.array([row.track_id for row in ordered], dtype=np.int64),
            tlwh_to_xyxy(np.array([row.tlwh for row in ordered], dtype=np.float64)),
            class_id=np.full(len(ordered), PEDESTRIAN),
            ignore=np.array([row.ignore for row in ordered], dtype=np.bool_),
        )
    except ValueError as error:
        raise ValueError(f"'{path}': {error}") from None


def choose_label(names: Sequence[str], wanted: str | None, path: str | Path) -> str:
    """Returns the label of people.

    Args:
        names: the labels of a file.
        wanted: the one that was asked for; None for the only one, or one named person, pedestrian or people.
        path: of the file, for the message.

    Raises:
        ValueError: there is no such label, or nobody can tell which one is people.
    """
    known = list(dict.fromkeys(names))
    likely = known if len(known) == 1 else [name for name in known if name.lower() in _PEOPLE]
    chosen = wanted if wanted is not None else (likely[0] if len(likely) == 1 else None)
    if chosen not in known:
        given = "no label" if wanted is None else f"'{wanted}'"
        raise ValueError(
            f"label: got {given} for '{path}'; expected one of {', '.join(known) or 'its labels: it has none'}"
        )
    return chosen


def read_cvat(path: str | Path, *, label: str | None = None) -> TrackTable:
    """Returns the people in a zip of CVAT's format "MOT 1.1": gt/gt.txt and gt/labels.txt, with images or without.

    Args:
        path: of the zip.
        label: of people, see `choose_label`; without labels.txt, class 1 is people.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no such zip, or a line makes no sense.
    """
    names, lines = _read_zip(Path(path))
    wanted = PEDESTRIAN
    if names:
        wanted = 1 + names.index(choose_label(names, label, path))
    rows = []
    for number, line in enumerate(lines, 1):
        cells = line.split(",")
        try:
            values = [float(cell) for cell in cells[:8]]
            if len(values) < 8 or not all(value.is_integer() for value in (values[0], values[1], values[7])):
                raise ValueError
        except ValueError:
            raise ValueError(
                f"'{path}' gt.txt line {number}: got '{line[:60]}'; expected frame, identity, left, top, width, "
                "height, 0 or 1, class"
            ) from None
        if int(values[7]) == wanted and values[1] > 0:  # boxes without a track have -1
            left, top, width, height = values[2:6]
            rows.append(Row(int(values[0]), int(values[1]), (left, top, width, height), values[6] == 0))
    return table_of(rows, path)


def _read_zip(path: Path) -> tuple[list[str], list[str]]:
    """Returns labels and the lines of gt.txt in a zip."""
    try:
        with zipfile.ZipFile(path) as archive:
            places = {Path(name).name: name for name in archive.namelist() if not name.endswith("/")}
            if "gt.txt" not in places:
                raise ValueError(
                    f"'{path}': got no gt.txt in it; expected gt/gt.txt and gt/labels.txt; export as 'MOT 1.1'"
                )
            found = []
            for name in ("labels.txt", "gt.txt"):
                text = ""
                if name in places:
                    with TextIOWrapper(archive.open(places[name]), encoding="utf-8") as file:
                        text = file.read()
                found.append([line.strip() for line in text.splitlines() if line.strip()])
            return found[0], found[1]
    except FileNotFoundError:
        raise FileNotFoundError(f"annotations: got '{path}'; expected an existing file; check the path") from None
    except (zipfile.BadZipFile, UnicodeDecodeError) as error:
        raise ValueError(f"'{path}': got {error}; expected a zip of CVAT's format 'MOT 1.1'; export it again") from None


def write_cvat(path: str | Path, table: TrackTable, *, label: str = "person") -> Path:
    """Writes tracks as CVAT's "MOT 1.1" takes them for upload, whole or not at all; returns the path.

    Args:
        path: of the zip.
        table: the tracks; identities are 1 or more, since CVAT drops 0.
        label: of people in the task.

    Raises:
        ValueError: an identity is 0.
        OSError: the file cannot be written.
    """
    if (table.track_id < 1).any():
        raise ValueError("track_id: got 0; expected 1 or more, since CVAT drops the track 0; number the tracks from 1")
    order = np.lexsort((table.track_id, table.frame))
    lines = [
        f"{frame},{track_id},{','.join(f'{value:.10g}' for value in box)},{int(not ignore)},1,1\n"
        for frame, track_id, box, ignore in zip(
            table.frame[order], table.track_id[order], xyxy_to_tlwh(table.xyxy[order]).tolist(), table.ignore[order]
        )
    ]
    with whole(path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("gt/gt.txt", "".join(lines))
        archive.writestr("gt/labels.txt", label)
    return Path(path)


def read_coco(path: str | Path, *, label: str | None = None) -> TrackTable:
    """Returns the people in a COCO file whose annotations have `track_id`, of their own or among their attributes.

    A frame's number is the image's `frame_id`, from 1 where they begin with 0; without any, it is that in the file
    names. A crowd (`iscrowd`) is to be ignored. Boxes without a track are left out.

    Args:
        path: of the JSON file.
        label: of people, see `choose_label`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no such file, or holds several videos.
    """
    content = read_json(path)
    try:
        if len({image.get("video_id") for image in content["images"]}) > 1:
            raise ValueError(f"'{path}': got several videos; expected one; split the file by video_id")
        categories = {one["id"]: one["name"] for one in content["categories"]}
        chosen = choose_label(list(categories.values()), label, path)
        frames = _coco_frames(content["images"], path)
        rows = []
        for one in content["annotations"]:
            track_id = one.get("track_id", (one.get("attributes") or {}).get("track_id"))
            if categories[one["category_id"]] == chosen and track_id is not None:
                left, top, width, height = map(float, one["bbox"])
                crowd = bool(one.get("iscrowd"))
                rows.append(Row(frames[one["image_id"]], int(track_id), (left, top, width, height), crowd))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"'{path}': got no sense of {error}; expected COCO's images, annotations and categories"
        ) from None
    return table_of(rows, path)


def _coco_frames(images: Sequence[dict[str, Any]], path: str | Path) -> dict[Any, int]:
    """Returns the frame number of each image by its id."""
    if all("frame_id" in image for image in images):
        shift = 1 if min((int(image["frame_id"]) for image in images), default=1) == 0 else 0
        return {image["id"]: int(image["frame_id"]) + shift for image in images}
    ordered = sorted(images, key=lambda image: image["file_name"])
    try:
        numbers, doubt = frame_numbers([Path(image["file_name"]).name for image in ordered])
    except ValueError as error:
        raise ValueError(f"'{path}': {error}; expected a frame_id for each image") from None
    if doubt:
        raise ValueError(f"'{path}': {doubt}; expected a frame_id for each image")
    return {image["id"]: number for image, number in zip(ordered, numbers)}


def write_coco(path: str | Path, table: TrackTable, *, label: str = "person") -> Path:
    """Writes tracks as COCO with `track_id`, see `TrackTable.to_coco`; returns the path.

    Args:
        path: of the JSON file.
        table: the tracks, all of them people.
        label: of people.

    Raises:
        OSError: the file cannot be written.
    """
    people = table.replace(class_id=np.full(len(table), PEDESTRIAN))
    return write_text(path, json.dumps(people.to_coco(class_names={PEDESTRIAN: label})))


def read_json(path: str | Path) -> Any:
    """Returns the content of a JSON file.

    Args:
        path: of the file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"annotations: got '{path}'; expected an existing file; check the path") from None
    except ValueError as error:
        raise ValueError(f"'{path}': not valid JSON ({error}); export it again") from None
