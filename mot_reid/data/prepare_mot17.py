"""MOT17, MOT20, DanceTrack or SportsMOT, as published, to a checked folder for detection and tracking.

MOT17 ships every sequence three times, once for each public detector; the frames and the ground truth are the same, so
only the FRCNN copies are taken. The result, here of MOT17:

    images/train/MOT17-02-FRCNN/000001.jpg   frames, numbered from 1 in each split
    labels/train/MOT17-02-FRCNN/000001.txt   Ultralytics labels: class, centre, size, in parts of the picture
    sequences/train/MOT17-02-FRCNN/          seqinfo.ini, gt/gt.txt with all rows, as the rules need, and det/det.txt
                                             where public detections are published
    train.json, val.json                     COCO; mot17.yaml: the same for Ultralytics; metadata.json
"""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Callable
from collections.abc import Sequence as Sequences
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mot_reid import boxes
from mot_reid.arrays import FloatArray
from mot_reid.data.images import decode, in_threads
from mot_reid.data.mot_layouts import LAYOUTS, Layout, Prepared
from mot_reid.data.motchallenge import (
    PEDESTRIAN,
    Sequence,
    read_detections,
    read_ground_truth,
    read_visibility,
    write_detections,
    write_ground_truth,
    write_sequence,
)
from mot_reid.data.prepared import (
    METADATA,
    checksum,
    find_prepared,
    new_folder,
    refuse_bad_files,
    refuse_changes,
    relative,
    unpack,
    write_metadata,
)
from mot_reid.structures import TrackTable

Split = Literal["sequences", "half"]
SPLITS: tuple[Split, ...] = get_args(Split)

FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class _Piece:
    """Frames first .. last of a sequence, for one split."""

    sequence: Sequence
    split: str
    first: int
    last: int

    @property
    def length(self) -> int:
        return self.last - self.first + 1


def prepare(
    source: str | Path,
    output: str | Path,
    *,
    benchmark: Prepared = "MOT17",
    split: Split = "sequences",
    visibility: float = 0.0,
    classes: Sequences[int] = (PEDESTRIAN,),
    official_counts: bool = True,
    workers: int | None = None,
    progress: bool = True,
) -> tuple[dict[str, Any], bool]:
    """Check a data set and lay it out in `output` for training a detector and for scoring a tracker.

    The output appears whole or not at all; a second run checks that it is as it was written.

    Args:
        source: The official ZIP archive or folder.
        output: The folder to make.
        benchmark: Which data set it is.
        split: "sequences": 11 and 13 of MOT17 validate, the validation sequences of DanceTrack and SportsMOT, and of
            other data the last one; "half": the first half of every training sequence trains, the second validates, as
            in the literature on MOT17 and MOT20.
        visibility: Least share of a person that is seen, for COCO and Ultralytics labels.
        classes: Classes of the ground truth that are labelled, all as "person".
        official_counts: Require the published sequences, or their number, and their numbers of frames.
        workers: Threads; one for each processor when None.
        progress: Show progress bars.

    Returns:
        (metadata, new): what metadata.json says, and whether it was written now rather than found and verified.

    Raises:
        FileNotFoundError: No such source, or no sequence in it.
        ValueError: Bad files (every one is named), missing sequences, or an output that is something else.

    Reference:
        Milan et al., MOT16: A Benchmark for Multi-Object Tracking, 2016. The half split is that of CenterTrack and
        ByteTrack: the first n // 2 + 1 frames train.
    """
    source, output, layout = Path(source), Path(output), LAYOUTS[benchmark]
    if split not in SPLITS:
        raise ValueError(f"split: got '{split}'; expected one of {', '.join(SPLITS)}")
    settings = {"split": split, "visibility": visibility, "classes": list(classes), "official_counts": official_counts}
    kind = f"mot_reid.{benchmark.lower()}"
    found = find_prepared(output, kind=kind, version=FORMAT_VERSION, settings=settings)
    if found is not None:
        refuse_changes(output, found, _checksum(output, workers, progress))
        return found, False
    if not source.exists():
        raise FileNotFoundError(
            f"source: got '{source}'; expected the archive or folder of {benchmark}; check the path"
        )
    with new_folder(output) as part:
        root, damaged = source, []
        if source.is_file():
            root = part / "unpacked"
            damaged = unpack(source, root, place=layout.place, progress=progress)
        pieces = _pieces(_find(layout, root), layout, split, official_counts, source)
        bad = damaged + _bad_frames(pieces, root, workers, progress) + _bad_texts(pieces, root, layout)
        refuse_bad_files(bad, f"{benchmark} in '{source}'", rule="every frame and text to be whole")
        coco: dict[str, dict[str, list[dict[str, Any]]]] = {name: _empty_coco() for name in ("train", "val")}
        counts = [_lay_out(piece, part, coco[piece.split], visibility, classes) for piece in pieces]
        shutil.rmtree(part / "unpacked", ignore_errors=True)
        for name, content in coco.items():
            (part / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
        (part / f"{benchmark.lower()}.yaml").write_text(
            "# paths are relative to this file\ntrain: images/train\nval: images/val\nnames:\n  0: person\n", "utf-8"
        )
        metadata = {
            "format": kind,
            "format_version": FORMAT_VERSION,
            "source": source.name,
            "settings": settings,
            "sequences": counts,
            "counts": {
                name: {key: sum(one[key] for one in counts if one["split"] == name) for key in ("frames", "boxes")}
                for name in ("train", "val")
            },
        }
        metadata["checksum"] = _checksum(part, workers, progress)
        write_metadata(part, metadata)
    return metadata, True


def _find(layout: Layout, root: Path) -> dict[str, list[Sequence]]:
    """The sequences of each part; `val` is missing where training sequences validate."""
    if layout.val is None or (root / "seqinfo.ini").is_file():
        return {"train": layout.find(root)}
    return {"train": layout.find(root, layout.train), "val": layout.find(root, (layout.val,))}


def _pieces(
    found: dict[str, list[Sequence]], layout: Layout, split: Split, official_counts: bool, source: Path
) -> list[_Piece]:
    where = f"{layout.name} in '{source}'"
    if official_counts:
        found = _official(found, layout, where)
    names = [sequence.name for part in found.values() for sequence in part]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"{where}: got {twice} in two folders; expected each sequence in one; remove one")
    if split == "half":
        return _halves(found, layout)
    if "val" not in found:
        found = _validating(found["train"], layout, where)
    pieces = [_Piece(sequence, name, 1, sequence.length) for name, part in found.items() for sequence in part]
    frames = {name: sum(piece.length for piece in pieces if piece.split == name) for name in ("train", "val")}
    if official_counts and layout.frames and frames != layout.frames:
        raise ValueError(
            f"{where}: got {frames['train']:,} frames to train and {frames['val']:,} to validate on; "
            f"expected {layout.frames['train']:,} and {layout.frames['val']:,}; unpack the archive again, "
            "or turn official_counts off"
        )
    return pieces


def _official(found: dict[str, list[Sequence]], layout: Layout, where: str) -> dict[str, list[Sequence]]:
    """The published sequences among those found; raises ValueError if some are missing."""
    names = {sequence.name for part in found.values() for sequence in part}
    missing = [name for name in layout.names if name not in names]
    if missing:
        raise ValueError(
            f"{where}: got no {', '.join(missing)}; expected the {len(layout.names)} training sequences; "
            "unpack the archive again, or turn official_counts off"
        )
    for name, count in layout.counts.items():
        if len(found.get(name, ())) != count:
            raise ValueError(
                f"{where}: got {len(found.get(name, ()))} sequences in {name}; expected {count}; unpack every archive "
                "of the data set, or turn official_counts off"
            )
    if not layout.names:
        return found
    return {name: [sequence for sequence in part if sequence.name in layout.names] for name, part in found.items()}


def _halves(found: dict[str, list[Sequence]], layout: Layout) -> list[_Piece]:
    if "val" in found:
        raise ValueError(f"split: got half; expected sequences, since {layout.name} has sequences to validate on")
    halves = [(sequence, sequence.length // 2 + 1) for sequence in found["train"]]
    pieces = [_Piece(sequence, "train", 1, cut) for sequence, cut in halves]
    return pieces + [
        _Piece(sequence, "val", cut + 1, sequence.length) for sequence, cut in halves if cut < sequence.length
    ]


def _validating(found: list[Sequence], layout: Layout, where: str) -> dict[str, list[Sequence]]:
    """Training sequences, parted into those that train and those that validate."""
    names = {sequence.name for sequence in found}
    validate = names & set(layout.validates) or {found[-1].name}
    if len(found) < 2 or validate == names:
        raise ValueError(
            f"{where}: got {', '.join(sorted(names))}; expected sequences to train and to validate on; "
            "add some, or use split=half"
        )
    parts: dict[str, list[Sequence]] = {"train": [], "val": []}
    for sequence in found:
        parts["val" if sequence.name in validate else "train"].append(sequence)
    return parts


def _bad_frames(pieces: list[_Piece], root: Path, workers: int | None, progress: bool) -> list[tuple[str, str]]:
    """The frames that are missing, do not open, or have another size than seqinfo.ini says."""

    def inspect(frame: tuple[Sequence, int]) -> str | None:
        sequence, number = frame
        try:
            height, width = decode(sequence.frame_path(number)).shape[:2]
        except (OSError, ValueError) as error:
            return str(error)
        if (width, height) != (sequence.width, sequence.height):
            return f"got {width}x{height}; expected {sequence.width}x{sequence.height} as in seqinfo.ini"
        return None

    frames = [(piece.sequence, number) for piece in pieces for number in range(piece.first, piece.last + 1)]
    reasons = in_threads(inspect, frames, workers, "checking" if progress else None)
    return [
        (relative(sequence.frame_path(number), root), reason)
        for (sequence, number), reason in zip(frames, reasons)
        if reason is not None
    ]


def _bad_texts(pieces: list[_Piece], root: Path, layout: Layout) -> list[tuple[str, str]]:
    bad = []
    for sequence in {piece.sequence.name: piece.sequence for piece in pieces}.values():
        texts: list[tuple[Path, Callable[[Path], Any]]] = [
            (sequence.ground_truth_path, read_ground_truth),
            (sequence.ground_truth_path, read_visibility),
        ]
        if layout.detections or sequence.detections_path.is_file():
            texts.append((sequence.detections_path, read_detections))
        for path, read in texts:
            try:
                rows = read(path)
                if isinstance(rows, TrackTable) and len(rows) and rows.frame.max() > sequence.length:
                    raise ValueError(f"got frame {rows.frame.max()}; expected at most {sequence.length}")
            except (OSError, ValueError) as error:
                bad.append((relative(path, root), str(error)))
    return bad


def _lay_out(
    piece: _Piece, part: Path, coco: dict[str, list[dict[str, Any]]], visibility: float, classes: Sequences[int]
) -> dict[str, Any]:
    """Frames, labels and texts of one piece; extends `coco`, which is the caller's own. Returns its counts."""
    sequence, name = piece.sequence, piece.sequence.name
    images, labels = part / "images" / piece.split / name, part / "labels" / piece.split / name
    images.mkdir(parents=True)
    labels.mkdir(parents=True)
    here = replace(
        sequence,
        folder=part / "sequences" / piece.split / name,
        images=f"../../../images/{piece.split}/{name}",
        length=piece.length,
    )
    here.folder.mkdir(parents=True)
    write_sequence(here)
    everything, seen = read_ground_truth(sequence.ground_truth_path), read_visibility(sequence.ground_truth_path)
    truth, seen = _cut(everything, piece), seen[(everything.frame >= piece.first) & (everything.frame <= piece.last)]
    write_ground_truth(here.ground_truth_path, truth, seen)
    if sequence.detections_path.is_file():
        write_detections(here.detections_path, _cut(read_detections(sequence.detections_path), piece))
    labelled = np.isin(truth.class_id, list(classes)) & ~truth.ignore & (seen >= visibility)
    truth, seen = truth[labelled], seen[labelled]
    video = len(coco["videos"]) + 1
    coco["videos"].append({"id": video, "file_name": name})
    for number in range(1, piece.length + 1):
        target = images / f"{number:06d}{sequence.extension}"
        _link(sequence.frame_path(piece.first + number - 1), target)
        rows = truth.frame == number
        (labels / f"{number:06d}.txt").write_text(_yolo(truth.xyxy[rows], sequence), encoding="utf-8")
        image = len(coco["images"]) + 1
        coco["images"].append(
            {
                "id": image,
                "file_name": relative(target, part / "images" / piece.split),
                "width": sequence.width,
                "height": sequence.height,
                "frame_id": number,
                "video_id": video,
            }
        )
        coco["annotations"] += _annotations(truth[rows], seen[rows], image, len(coco["annotations"]) + 1)
    return {"name": name, "split": piece.split, "frames": piece.length, "first_frame": piece.first, "boxes": len(truth)}


def _cut(table: TrackTable, piece: _Piece) -> TrackTable:
    """The rows of the piece's frames, numbered from 1."""
    rows = table[(table.frame >= piece.first) & (table.frame <= piece.last)]
    return rows.replace(frame=rows.frame - piece.first + 1)


def _empty_coco() -> dict[str, list[dict[str, Any]]]:
    return {"images": [], "annotations": [], "videos": [], "categories": [{"id": 1, "name": "person"}]}


def _annotations(truth: TrackTable, seen: NDArray[np.float64], image: int, first_id: int) -> list[dict[str, Any]]:
    """COCO annotations with boxes as published, plus track_id and visibility."""
    tlwh = boxes.xyxy_to_tlwh(truth.xyxy).round(3).tolist()
    return [
        {
            "id": number,
            "image_id": image,
            "category_id": 1,
            "bbox": box,
            "area": round(box[2] * box[3], 3),
            "iscrowd": 0,
            "track_id": int(identity),
            "visibility": round(float(share), 5),
        }
        for number, (box, identity, share) in enumerate(zip(tlwh, truth.track_id, seen), start=first_id)
    ]


def _yolo(xyxy: FloatArray, sequence: Sequence) -> str:
    """Lines of an Ultralytics label: class 0, centre and size in parts of the picture; cut at its edges."""
    clipped = boxes.clip(xyxy, sequence.width, sequence.height)
    clipped = clipped[boxes.area(clipped) > 0]
    scaled = boxes.xyxy_to_cxcywh(clipped) / [sequence.width, sequence.height, sequence.width, sequence.height]
    return "".join(f"0 {x:.6f} {y:.6f} {width:.6f} {height:.6f}\n" for x, y, width, height in scaled)


def _link(source: Path, target: Path) -> None:
    """A second name for a file where the disk allows it, a copy otherwise: the frames of MOT17 are gigabytes."""
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)


def _checksum(root: Path, workers: int | None, progress: bool) -> str:
    """Of all files but the metadata and the caches that Ultralytics leaves next to labels and images."""
    files = sorted(path for path in root.rglob("*") if path.is_file() and path.suffix not in (".cache", ".npy"))
    files = [path for path in files if path != root / METADATA]
    sums = in_threads(lambda path: zlib.crc32(path.read_bytes()), files, workers, "summing" if progress else None)
    return checksum({relative(path, root): one for path, one in zip(files, sums)})
