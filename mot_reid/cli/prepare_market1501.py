"""Checks and lays out Market-1501: `mot-reid prepare-market1501 source=PATH output=FOLDER`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mot_reid.cli.command import Command, Given, bad_data, check_source
from mot_reid.settings.preparation import PrepareMarketSettings

COMMAND = Command(
    "prepare-market1501",
    PrepareMarketSettings,
    usage="source=PATH output=FOLDER [key=value ...]",
    about="""
Checks that every image of Market-1501 opens and lays the data set out in a folder, whole or not at all, with train.csv,
query.csv, gallery.csv (path, person_id, camera_id, label) and metadata.json. A second run verifies the folder.""",
    examples=(
        "source=Market-1501-v15.09.15.zip output=data/market1501",
        "source=Market-1501-v15.09.15.zip output=data/market1501 data.validation=0.2",
    ),
    exits="0 done or verified, 1 bad data, 2 wrong arguments",
)


def main(argv: Sequence[str]) -> int:
    """Prepares Market-1501; returns the exit code."""
    return COMMAND.run(_prepare, argv, judge=bad_data, interrupted="interrupted: nothing was written")


def _prepare(settings: PrepareMarketSettings, given: Given) -> None:
    from mot_reid.data.prepared import METADATA

    source, output = check_source(settings.source, settings.output, made=METADATA)
    from mot_reid.data.prepare_market1501 import prepare

    metadata, new = prepare(
        source,
        output,
        validation=settings.data.validation,
        seed=settings.data.seed,
        official_counts=settings.data.official_counts,
        workers=settings.workers,
    )
    _report(metadata, output, new=new)


def _report(metadata: dict[str, Any], output: Path, *, new: bool) -> None:
    for name, one in metadata["lists"].items():
        cameras = len(one["images_per_camera"])
        print(f"{name:8} {one['images']:7,} images {one['identities']:5,} identities {cameras:3} cameras")
    print(f"mean {metadata['channel_mean']}, standard deviation {metadata['channel_std']} (train, RGB)")
    print(f"{'written to' if new else 'verified, nothing to do:'} {output}")
