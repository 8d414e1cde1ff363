"""Lays out MOT17 and its kind, or cuts Re-ID crops: `mot-reid prepare-mot17 source=PATH output=FOLDER`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mot_reid.cli.command import Command, Given, bad_data, check_source
from mot_reid.settings.load import ConfigError
from mot_reid.settings.preparation import PrepareMotSettings

COMMAND = Command(
    "prepare-mot17",
    PrepareMotSettings,
    usage="source=PATH output=FOLDER [benchmark=NAME] [crops=true] [key=value ...]",
    about="""
Checks that every frame and text of MOT17 is whole (FRCNN copies only) and lays it out in a folder, whole or not at all:
frames, Ultralytics labels, COCO train.json and val.json, sequences with ground truth, and metadata.json. A second run
verifies the folder. The same for MOT20, DanceTrack and SportsMOT with benchmark=. With crops=true the folder becomes a
Re-ID data set in the layout of Market-1501 instead; persons and times of training and testing are disjoint.""",
    examples=(
        "source=MOT17.zip output=data/mot17",
        "source=dancetrack output=data/dancetrack benchmark=DanceTrack",
        "source=data/mot17/train output=data/mot17_crops crops=true height=60",
        "source=my/sequence output=my/people crops=true video=my/video.mp4",
    ),
    exits="0 done or verified, 1 bad data, 2 wrong arguments",
)
RULES = ("height", "inside", "per_second", "train_share", "gap_seconds")
LAYOUT_KEYS = ("split", "classes", "official_counts", "workers")
CROP_KEYS = ("video", "seed", *RULES)


def main(argv: Sequence[str]) -> int:
    """Prepares MOT17 or crops of it; returns the exit code."""
    return COMMAND.run(_prepare, argv, judge=bad_data, interrupted="interrupted: nothing was written")


def _prepare(settings: PrepareMotSettings, given: Given) -> None:
    for key in LAYOUT_KEYS if settings.crops else CROP_KEYS:
        if key in given:
            crops = str(settings.crops).lower()
            raise ConfigError(f"command line: {key}: cannot be used with crops={crops}; leave it out, or see --help")
    from mot_reid.data.prepared import METADATA

    source, output = check_source(settings.source, settings.output, made=METADATA)
    if settings.crops:
        _make_crops(settings, source, output)
    else:
        _make_layout(settings, source, output)


def _make_layout(settings: PrepareMotSettings, source: Path, output: Path) -> None:
    from mot_reid.data.prepare_mot17 import prepare

    metadata, new = prepare(
        source,
        output,
        benchmark=settings.benchmark,  # type: ignore[arg-type]
        split=settings.split,  # type: ignore[arg-type]
        visibility=settings.least_visibility,
        classes=settings.classes,
        official_counts=settings.official_counts,
        workers=settings.workers,
    )
    for one in metadata["sequences"]:
        print(f"{one['split']:6} {one['name']:16} {one['frames']:6,} frames {one['boxes']:8,} boxes")
    for name, counts in metadata["counts"].items():
        print(f"{name:6} {'together':16} {counts['frames']:6,} frames {counts['boxes']:8,} boxes")
    print(f"{'written to' if new else 'verified, nothing to do:'} {output}")


def _make_crops(settings: PrepareMotSettings, source: Path, output: Path) -> None:
    from mot_reid.data.mot_crops import CropRules, write_crops
    from mot_reid.data.mot_layouts import LAYOUTS

    rules = CropRules(visibility=settings.least_visibility, **{name: getattr(settings, name) for name in RULES})
    sequences = LAYOUTS[settings.benchmark].find(source)  # type: ignore[index]
    if settings.video is not None and len(sequences) != 1:
        raise ValueError(f"video: got {len(sequences)} sequences; expected source to be the one sequence of the video")
    videos = {} if settings.video is None else {sequences[0].name: settings.video}
    metadata = write_crops(output, sequences, videos=videos, rules=rules, seed=settings.seed)
    for name, counts in metadata["counts"].items():
        print(f"{name:8} {counts['images']:7,} images {counts['identities']:5,} identities")
    print(f"written to {output}")
