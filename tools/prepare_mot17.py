"""Checks and lays out MOT17, or cuts Re-ID crops out of it: `prepare_mot17.py source=PATH output=FOLDER`."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mot_reid.config import ConfigError, parse_arguments
from mot_reid.data.folders import METADATA
from mot_reid.data.mot_crops import CropRules, write_crops
from mot_reid.data.prepare_mot17 import find_sequences, prepare

USAGE = """usage: python tools/prepare_mot17.py source=PATH output=FOLDER [key=value ...]

Checks that every frame and text of MOT17 is whole (FRCNN copies only) and lays it out in FOLDER, whole or not at all:
frames, Ultralytics labels, COCO train.json and val.json, sequences with ground truth, and metadata.json. A second run
verifies the folder.

  source=PATH              MOT17.zip, its folder, or any sequence with seqinfo.ini
  output=FOLDER            the folder to make, such as data/mot17
  split=sequences          11 and 13 validate (3,666 / 1,650 frames); split=half: the first half of each trains
  visibility=0             least share of a person that is seen, for the labels
  classes=1                classes of the ground truth to label as "person", such as 1,2,7
  official_counts=true     require the seven sequences and their numbers of frames
  workers=N                threads; default: one for each processor

With crops=true, FOLDER becomes a Re-ID data set in the Market-1501 layout instead. Persons and times of training and
testing are disjoint.

  crops=true
  video=PATH               the frames of source, which is then a single sequence, as a video
  visibility=0.4           least share of a person that is seen
  height=40                least height of a box in pixels
  inside=0.75              least share of a box inside the picture
  per_second=2             crops of a person per second at most
  train_share=0.5          share of each sequence, from its start, to train on
  gap_seconds=1            between training and testing, and between a query and its answers
  seed=0                   chooses the queries

Exit code: 0 done or verified, 1 bad data, 2 wrong arguments.
"""
RULES = tuple(field.name for field in fields(CropRules))
LAYOUT_KEYS = ("split", "visibility", "classes", "official_counts", "workers")
CROP_KEYS = ("video", "seed", *RULES)


def main(argv: Sequence[str]) -> int:
    """Prepares MOT17 or crops of it; returns the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        allowed = ("help", "source", "output", "crops", *LAYOUT_KEYS, *CROP_KEYS)
        arguments = parse_arguments(argv, allowed=allowed)
        if "help" in arguments:
            print(USAGE)
            return 0
        crops = _switch(arguments, "crops", default=False)
        other = set(arguments) - {"source", "output", "crops", *(CROP_KEYS if crops else LAYOUT_KEYS)}
        if other:
            raise ConfigError(f"command line: {min(other)}: does not go with crops={str(crops).lower()}; see --help")
        source, output = _paths(arguments)
        settings = _crop_settings(arguments) if crops else _layout_settings(arguments)
    except (ConfigError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    try:
        if crops:
            _make_crops(source, output, settings)
        else:
            _make_layout(source, output, settings)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted: nothing was written", file=sys.stderr)
        return 130
    return 0


def _make_layout(source: Path, output: Path, settings: dict[str, Any]) -> None:
    metadata, new = prepare(source, output, **settings)
    for one in metadata["sequences"]:
        print(f"{one['split']:6} {one['name']:16} {one['frames']:6,} frames {one['boxes']:8,} boxes")
    for name, counts in metadata["counts"].items():
        print(f"{name:6} {'together':16} {counts['frames']:6,} frames {counts['boxes']:8,} boxes")
    print(f"{'written to' if new else 'verified, nothing to do:'} {output}")


def _make_crops(source: Path, output: Path, settings: dict[str, Any]) -> None:
    sequences, video = find_sequences(source), settings.pop("video")
    if video is not None and len(sequences) != 1:
        raise ValueError(f"video: got {len(sequences)} sequences; expected source to be the one sequence of the video")
    videos = {} if video is None else {sequences[0].name: video}
    metadata = write_crops(output, sequences, videos=videos, **settings)
    for name, counts in metadata["counts"].items():
        print(f"{name:8} {counts['images']:7,} images {counts['identities']:5,} identities")
    print(f"written to {output}")


def _paths(arguments: dict[str, str]) -> tuple[Path, Path]:
    for key in ("source", "output"):
        if not arguments.get(key):
            raise ConfigError(f"command line: {key} is missing; expected {key}=PATH; see --help")
    source, output = Path(arguments["source"]), Path(arguments["output"])
    if not source.exists() and not (output / METADATA).is_file():
        raise ConfigError(
            f"command line: source: got '{source}'; expected an existing archive or folder; check the path"
        )
    return source, output


def _layout_settings(arguments: dict[str, str]) -> dict[str, Any]:
    split = arguments.get("split", "sequences")
    if split not in ("sequences", "half"):
        raise ConfigError(f"command line: split: got '{split}'; expected sequences or half")
    settings: dict[str, Any] = {
        "split": split,
        "visibility": _number(arguments, "visibility", float, 0.0),
        "classes": [_number({"classes": word}, "classes", int, 1) for word in arguments.get("classes", "1").split(",")],
        "official_counts": _switch(arguments, "official_counts", default=True),
    }
    if "workers" in arguments:
        settings["workers"] = _number(arguments, "workers", int, 1)
    return settings


def _crop_settings(arguments: dict[str, str]) -> dict[str, Any]:
    given = {name: _number(arguments, name, float, 0.0) for name in RULES if name in arguments}
    return {
        "video": arguments.get("video"),
        "seed": _number(arguments, "seed", int, 0),
        "rules": CropRules(**given),
    }


def _number(arguments: dict[str, str], key: str, kind: type[int] | type[float], default: float) -> Any:
    try:
        value = kind(arguments.get(key, default))
    except ValueError:
        value = kind(-1)
    if not 0 <= value < float("inf"):
        what = "a whole number" if kind is int else "a number"
        raise ConfigError(f"command line: {key}: got '{arguments[key]}'; expected {what} from 0")
    return value


def _switch(arguments: dict[str, str], key: str, *, default: bool) -> bool:
    text = arguments.get(key, str(default)).lower()
    if text not in ("true", "false"):
        raise ConfigError(f"command line: {key}: got '{text}'; expected true or false")
    return text == "true"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
