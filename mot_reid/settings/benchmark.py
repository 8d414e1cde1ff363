"""The keys of `mot-reid benchmark`: types, rules and meanings; the values are in `configs/benchmark.yaml`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from mot_reid.settings.schema import Between, Count, OneOf
from mot_reid.settings.tracker_parameters import NEED_EMBEDDINGS, PRESET_NAMES

_PRESETS = OneOf(tuple(name for name in PRESET_NAMES if name not in NEED_EMBEDDINGS))


@dataclass(frozen=True, kw_only=True)
class BenchmarkSettings:
    """What is measured, and on what."""

    what: Annotated[str, OneOf(("train", "embed", "retrieval", "track", "video", "all")), "the part that is measured"]
    json: Annotated[str | None, "file for the figures, the machine and the versions"]
    compare: Annotated[str | None, "such a file of an earlier run, to compare each figure with"]
    experiment: Annotated[str, "train: experiment that gives network, loss, precision and batch"]
    height: Annotated[int | None, Between(1), "train: height of the network's input in pixels; null: the experiment's"]
    width: Annotated[int | None, Between(1), "train: width of the network's input in pixels; null: the experiment's"]
    steps: Annotated[int, Between(20), "train: steps that are timed, and as many again on one fixed batch"]
    device: Annotated[str, OneOf(("auto", "cpu", "cuda")), "train, embed: device to measure on"]
    reid: Annotated[str, "embed, video: a Re-ID model, file or name"]
    preset: Annotated[str, _PRESETS, "track: the tracker"]
    source: Annotated[str | None, "video: a video file; null: a synthetic clip"]
    weights: Annotated[
        str | None, "video: a YOLO model; null: synthetic boxes, so that decoding and detection are not measured"
    ]
    frames: Annotated[int, Count, "video: frames that are tracked"]
