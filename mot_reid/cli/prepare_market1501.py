"""Checks and lays out Market-1501: `python tools/prepare_market1501.py source=PATH output=FOLDER`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mot_reid.cli.command import Arguments, bad_data, run
from mot_reid.data.prepare_market1501 import prepare
from mot_reid.data.prepared import METADATA

USAGE = """usage: python tools/prepare_market1501.py source=PATH output=FOLDER [key=value ...]

Checks that every image of Market-1501 opens and lays the data set out in FOLDER, whole or not at all, with train.csv,
query.csv, gallery.csv (path, person_id, camera_id, label) and metadata.json. A second run verifies the folder.

  source=PATH              Market-1501-v15.09.15.zip, the folder Market-1501-v15.09.15, or its parent
  output=FOLDER            the folder to make, such as data/market1501
  data.validation=0        share of the training persons to list in val.csv instead of train.csv, such as 0.2
  data.seed=0              chooses those persons
  data.official_counts=true  require the published numbers of images and identities
  workers=N                threads; default: one for each processor

Exit code: 0 done or verified, 1 bad data, 2 wrong arguments.
"""
KEYS = ("help", "source", "output", "data.validation", "data.seed", "data.official_counts", "workers")


def main(argv: Sequence[str]) -> int:
    """Prepares Market-1501; returns the exit code."""
    return run(_prepare, argv, usage=lambda: USAGE, judge=bad_data, interrupted="interrupted: nothing was written")


def _prepare(argv: Sequence[str]) -> None:
    asked = Arguments(argv, KEYS)
    source, output = asked.source_and_output(made=METADATA)
    metadata, new = prepare(
        source,
        output,
        validation=asked.number("data.validation", 0.0, below=1.0),
        seed=asked.whole("data.seed", 0),
        official_counts=asked.switch("data.official_counts", True),
        workers=asked.whole("workers", 1, low=1) if "workers" in asked else None,
    )
    _report(metadata, output, new=new)


def _report(metadata: dict[str, Any], output: Path, *, new: bool) -> None:
    for name, one in metadata["lists"].items():
        cameras = len(one["images_per_camera"])
        print(f"{name:8} {one['images']:7,} images {one['identities']:5,} identities {cameras:3} cameras")
    print(f"mean {metadata['channel_mean']}, standard deviation {metadata['channel_std']} (train, RGB)")
    print(f"{'written to' if new else 'verified, nothing to do:'} {output}")
