"""The keys of `mot-reid track`: types, rules and meanings; the values are in `configs/track.yaml`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated, Any, get_args

from mot_reid.settings.linking import MAX_FALSE_LINKS
from mot_reid.settings.refinement import PARTS
from mot_reid.settings.runtimes import Runtime
from mot_reid.settings.schema import COMMAS, SHORT, Between, Count, OneOf, Positive, Share
from mot_reid.settings.tracker_parameters import (
    PRESET_NAMES,
    AppearanceMode,
    BandsMode,
    TrackerParameters,
    default_preset,
)


@dataclass(frozen=True, kw_only=True)
class DetectorSettings:
    """What finds people."""

    weights: Annotated[
        str | None,
        "an .onnx file, or a YOLO model in any format of Ultralytics; null: the known boxes of source=synthetic, "
        "else yolov8s.pt",
    ]
    kind: Annotated[
        str | None,
        OneOf(("yolox", "yolo", "rtdetr", "rfdetr")),
        "kind of network in an .onnx file or OpenVINO folder; null: recognised by its outputs",
    ]
    public: Annotated[
        str | None, "det.txt with detections to use instead of a network; {source} stands for the path of the source"
    ]
    min_score: Annotated[float, Share, "lowest score of a box that is kept"]
    nms_iou: Annotated[float, Share, "IoU above which the lower-scored of two boxes is dropped"]
    classes: Annotated[tuple[int, ...] | None, Between(0), "classes that are kept, such as [0]; null: all"]
    image_size: Annotated[
        int | None, Count, "side of the network's input in pixels; null: the size that it was made for"
    ]
    rectangular: Annotated[
        bool | None,
        "cut the network's input to the shape of the frames, which is faster; null: where the network allows it",
    ]
    batch: Annotated[
        int,
        Count,
        "frames that go through the network together; with tracker.appearance=always also the people in them",
    ]


@dataclass(frozen=True, kw_only=True)
class TrackerChoice:
    """Which tracker, for which video."""

    preset: Annotated[
        str | None,
        OneOf(PRESET_NAMES),
        f"the tracker; null: {default_preset(None)}, with reid {default_preset('')}",
    ]
    frame_rate: Annotated[float | None, Positive, "frames per second; null: those of the source"]
    appearance: Annotated[str, OneOf(get_args(AppearanceMode)), "with reid: which boxes are embedded"]
    bands: Annotated[
        str | None,
        OneOf(get_args(BandsMode)),
        "whether high and birth adapt to the detector's scores; null: they do, unless you set one of them",
    ]


@dataclass(frozen=True, kw_only=True)
class TrackerSettings(TrackerParameters, TrackerChoice):
    """What gives identities. A parameter that is null has the value of the preset."""

    def parameters(self, *, reid: bool) -> dict[str, Any]:
        """Returns the keywords of `Tracker` except preset and frame rate; `appearance` with a Re-ID model only."""
        elsewhere = ("preset", "frame_rate") if reid else ("preset", "frame_rate", "appearance")
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in elsewhere}


@dataclass(frozen=True, kw_only=True)
class DrawSettings:
    """What is drawn on the annotated video."""

    boxes: Annotated[bool, "draw the boxes of the people"]
    ids: Annotated[bool, "draw their identities"]
    trails: Annotated[bool, "draw the path that each one took"]
    scores: Annotated[bool, "draw the detector's scores"]
    trail_seconds: Annotated[float, Positive, "length of that path in seconds"]


@dataclass(frozen=True, kw_only=True)
class ActionSettings:
    """What is said of what people do; `actions=true` is short for `actions.describe=true`."""

    describe: Annotated[
        bool,
        SHORT,
        "say what everybody is doing (standing, walking, running, loitering) in the summary, and in .csv and .parquet "
        "results",
    ]
    classifier: Annotated[
        str | None,
        "a model.safetensors that mot-reid fit trained on clips of actions: what it says of each part of each track, "
        "and how sure it is; null: none",
    ]


@dataclass(frozen=True, kw_only=True)
class TrackSettings:
    """Every setting of a tracking run."""

    source: Annotated[
        tuple[str, ...],
        "a video file, a folder of images, the index of a camera, an RTSP or HTTP address, a pattern such as "
        "videos/*.mp4, several as [a.mp4, b.mp4], or synthetic for a short drawn clip",
    ]
    output: Annotated[str | None, "file for the annotated video: .mp4, .m4v, .mov, .mkv or .avi"]
    results: Annotated[str | None, "file for the tracks: .txt in MOTChallenge's format, .csv or .parquet"]
    json: Annotated[str | None, "file for the summary: frames, tracks, their lengths, speed of each stage"]
    montage: Annotated[
        str | None, "file for one video that shows the annotated videos of all sources and presets side by side"
    ]
    compare: Annotated[tuple[str, ...], "further presets to track each source with, such as [sort, botsort]"]
    reid: Annotated[
        str | None,
        "a Re-ID model (file or name) for presets with appearance; null: the bundled one where a preset needs it",
    ]
    refine: Annotated[
        tuple[str, ...],
        OneOf(("recommended", *PARTS)),
        COMMAS,
        "mend the tracks once the video is over, as recommended or a,b: what is done; the results are then offline",
    ]
    zones: Annotated[
        str | None,
        "JSON file with zones and lines in pixels, for visits and counts: "
        '{"zones": {"door": [[0, 0], [80, 0], [80, 60]]}, "lines": {"gate": [[0, 90], [80, 90]]}}',
    ]
    link: Annotated[
        bool,
        "join the tracks of all sources once they are over, so that a person has one identity in all of them; without "
        "a source: three synthetic cameras",
    ]
    max_false_links: Annotated[
        float, MAX_FALSE_LINKS, "with link: largest share of joined pairs of tracks that may show two persons"
    ]
    device: Annotated[str, "auto, cpu, cuda, cuda:1 or mps"]
    runtime: Runtime
    max_frames: Annotated[int | None, Count, "stop each source after this many frames; null: at its end"]
    min_track_length: Annotated[int, Count, "leave tracks seen in fewer frames out of results and summary"]
    min_score: Annotated[float, Share, "leave tracks with a lower mean score out of results and summary"]
    workers: Annotated[int, Count, "sources that are tracked at the same time"]
    engine: Annotated[str, OneOf(("local", "ray")), "where they are tracked: local processes, or a Ray cluster"]
    detector: DetectorSettings
    tracker: TrackerSettings
    draw: DrawSettings
    actions: ActionSettings
