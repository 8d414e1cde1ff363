"""Checks and lays out MOT17, or cuts Re-ID crops out of it: `prepare_mot17.py source=PATH output=FOLDER`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from mot_reid.cli.command import Arguments, bad_data, run
from mot_reid.data.mot_crops import CropRules, write_crops
from mot_reid.data.prepare_mot17 import SPLITS, find_sequences, prepare
from mot_reid.data.prepared import METADATA
from mot_reid.settings.load import ConfigError

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
    return run(_prepare, argv, usage=lambda: USAGE, judge=bad_data, interrupted="interrupted: nothing was written")


def _prepare(argv: Sequence[str]) -> None:
    asked = Arguments(argv, ("help", "source", "output", "crops", *LAYOUT_KEYS, *CROP_KEYS))
    crops = asked.switch("crops", False)
    other = set(asked.given) - {"source", "output", "crops", *(CROP_KEYS if crops else LAYOUT_KEYS)}
    if other:
        raise ConfigError(f"command line: {min(other)}: does not go with crops={str(crops).lower()}; see --help")
    source, output = asked.source_and_output(made=METADATA)
    if crops:
        _make_crops(asked, source, output)
    else:
        _make_layout(asked, source, output)


def _make_layout(asked: Arguments, source: Path, output: Path) -> None:
    metadata, new = prepare(
        source,
        output,
        split=asked.choice("split", SPLITS, "sequences"),
        visibility=asked.number("visibility", 0.0),
        classes=asked.wholes("classes", 1),
        official_counts=asked.switch("official_counts", True),
        workers=asked.whole("workers", 1, low=1) if "workers" in asked else None,
    )
    for one in metadata["sequences"]:
        print(f"{one['split']:6} {one['name']:16} {one['frames']:6,} frames {one['boxes']:8,} boxes")
    for name, counts in metadata["counts"].items():
        print(f"{name:6} {'together':16} {counts['frames']:6,} frames {counts['boxes']:8,} boxes")
    print(f"{'written to' if new else 'verified, nothing to do:'} {output}")


def _make_crops(asked: Arguments, source: Path, output: Path) -> None:
    rules, seed, video = _rules(asked), asked.whole("seed", 0), asked.text("video")
    sequences = find_sequences(source)
    if video is not None and len(sequences) != 1:
        raise ValueError(f"video: got {len(sequences)} sequences; expected source to be the one sequence of the video")
    videos = {} if video is None else {sequences[0].name: video}
    metadata = write_crops(output, sequences, videos=videos, rules=rules, seed=seed)
    for name, counts in metadata["counts"].items():
        print(f"{name:8} {counts['images']:7,} images {counts['identities']:5,} identities")
    print(f"written to {output}")


def _rules(asked: Arguments) -> CropRules:
    """Returns which boxes become crops; a mistake in them is one in the arguments."""
    try:
        return CropRules(**{name: asked.number(name, 0.0) for name in RULES if name in asked})
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(str(error)) from None
