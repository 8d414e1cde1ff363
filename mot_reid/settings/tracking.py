"""The keys of `tools/track.py`: their types, what their values must satisfy, and what they mean.

Types only: every value is in `configs/track.yaml`. The meaning of a key stands beside its type.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated, Any, get_args

from mot_reid.settings.schema import Between, Count, OneOf, Positive, Share
from mot_reid.settings.tracker_parameters import PRESET_NAMES, AppearanceMode, TrackerParameters, default_preset


@dataclass(frozen=True, kw_only=True)
class DetectorSettings:
    """What finds people."""

    weights: Annotated[
        str | None,
        "an .onnx file, or a YOLO model of any of Ultralytics' formats; null: the drawn boxes of source=synthetic, "
        "else yolov8s.pt",
    ]
    kind: Annotated[
        str | None,
        OneOf(("yolox", "yolo", "rtdetr", "rfdetr")),
        "whose network an .onnx file or OpenVINO folder is; null: told by its outputs",
    ]
    public: Annotated[str | None, "a det.txt instead of a network; {source} in it stands for the path of the source"]
    min_score: Annotated[float, Share, "least score of a box"]
    nms_iou: Annotated[float, Share, "IoU above which the worse of two boxes goes"]
    classes: Annotated[tuple[int, ...] | None, Between(0), "classes of the network that are kept; null keeps all"]
    image_size: Annotated[int | None, Count, "side of the network's input in pixels; null is what it was made for"]
    rectangular: Annotated[
        bool | None, "cut the input to the shape of the frames; null: where the network takes any, as .pt does"
    ]
    batch: Annotated[
        int, Count, "frames that go through the network together; with tracker.appearance=always their people, too"
    ]


@dataclass(frozen=True, kw_only=True)
class TrackerChoice:
    """Which tracker, for which video."""

    preset: Annotated[
        str | None,
        OneOf(PRESET_NAMES),
        f"the tracker; null: {default_preset(None)}, with reid {default_preset('')}",
    ]
    frame_rate: Annotated[float | None, Positive, "frames per second; null is what the source says"]
    appearance: Annotated[str, OneOf(get_args(AppearanceMode)), "with reid: which boxes are embedded"]


@dataclass(frozen=True, kw_only=True)
class TrackerSettings(TrackerParameters, TrackerChoice):
    """What gives identities. A parameter that is null has the value of the preset."""

    def parameters(self) -> dict[str, Any]:
        """Returns the keywords of `Tracker` except preset and frame rate."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("preset", "frame_rate")}


@dataclass(frozen=True, kw_only=True)
class DrawSettings:
    """What is drawn on the annotated video."""

    boxes: Annotated[bool, "boxes of the people"]
    ids: Annotated[bool, "their identities"]
    trails: Annotated[bool, "where they came from"]
    scores: Annotated[bool, "the detector's scores"]
    trail_seconds: Annotated[float, Positive, "how far back a trail goes"]


@dataclass(frozen=True, kw_only=True)
class TrackSettings:
    """Every setting of a tracking run."""

    source: Annotated[
        tuple[str, ...],
        "synthetic, or a video file, a folder of images, a camera's index, an RTSP or HTTP address, a pattern such as "
        "videos/*.mp4; several as [a.mp4, b.mp4]",
    ]
    output: Annotated[str | None, "annotated video: .mp4, .m4v, .mov, .mkv or .avi"]
    results: Annotated[str | None, "tracks: .txt in MOTChallenge's format, .csv or .parquet"]
    json: Annotated[str | None, "summary: frames, tracks, their lengths, speed of each stage"]
    montage: Annotated[str | None, "one video with the annotated videos of all sources and presets side by side"]
    compare: Annotated[tuple[str, ...], "further presets that each source is tracked with"]
    reid: Annotated[
        str | None,
        "a Re-ID model (file or name) for presets with appearance; null: the bundled one where a preset needs it",
    ]
    device: Annotated[str, "auto, cpu, cuda, cuda:1 or mps"]
    max_frames: Annotated[int | None, Count, "frames of each source at most"]
    min_track_length: Annotated[int, Count, "tracks seen in fewer frames are left out of results and summary"]
    min_score: Annotated[float, Share, "tracks with a lower mean score are left out of results and summary"]
    workers: Annotated[int, Count, "sources that are worked on at the same time"]
    engine: Annotated[str, OneOf(("local", "ray")), "where: processes of this machine, or a Ray cluster"]
    detector: DetectorSettings
    tracker: TrackerSettings
    draw: DrawSettings
