"""The keys of `tools/benchmark.py`: their types, what their values must satisfy, and what they mean.

Types only: every value is in `configs/benchmark.yaml`. The meaning of a key stands beside its type.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from mot_reid.settings.schema import Between, Count, OneOf
from mot_reid.settings.tracker_parameters import NEED_EMBEDDINGS, PRESET_NAMES


@dataclass(frozen=True, kw_only=True)
class BenchmarkSettings:
    """What is measured, and on what."""

    what: Annotated[str, OneOf(("train", "embed", "retrieval", "track", "video", "all")), "what is measured"]
    json: Annotated[str | None, "file for the figures, the machine and the versions"]
    compare: Annotated[str | None, "an earlier such file; how many times better each figure is than there"]
    experiment: Annotated[str, "train: whose network, loss, precision and batch are used"]
    height: Annotated[int | None, Between(1), "train: of the network's input; null: the experiment's"]
    width: Annotated[int | None, Between(1), "train: likewise"]
    steps: Annotated[int, Between(20), "train: how many are timed, and as many again on one fixed batch"]
    device: Annotated[str, OneOf(("auto", "cpu", "cuda")), "train, embed: where"]
    reid: Annotated[str, "embed, video: a Re-ID model, file or name"]
    preset: Annotated[
        str, OneOf(tuple(name for name in PRESET_NAMES if name not in NEED_EMBEDDINGS)), "track: which tracker"
    ]
    source: Annotated[str | None, "video: the video, with weights; null draws one"]
    weights: Annotated[
        str | None, "video: a YOLO model; null takes drawn boxes, and measures all but decoding and detection"
    ]
    frames: Annotated[int, Count, "video: how many are tracked"]
