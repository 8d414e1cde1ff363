"""The keys of `mot-reid adapt`: types, rules and meanings; the values are in `configs/adapt.yaml`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from mot_reid.settings.schema import Between, Count, Positive, Share
from mot_reid.settings.tracking import DetectorSettings

_Rate = Between(0, 1, above=True, below=True)


@dataclass(frozen=True, kw_only=True)
class EvidenceSettings:
    """What the videos must show to count as evidence."""

    max_cover: Annotated[
        float, Share, "share of the smaller of two boxes that the other may cover; above it both tracks are cut there"
    ]
    max_gap_seconds: Annotated[float, Positive, "time that a person may be unseen before the track is cut"]
    min_length_seconds: Annotated[float, Positive, "least length of a tracklet"]
    min_score: Annotated[float, Share, "least mean score of the boxes of a tracklet"]
    min_together_seconds: Annotated[float, Positive, "time that two tracklets are both seen for, to be two persons"]
    apart_seconds: Annotated[float, Positive, "time between two images of a tracklet that are compared"]
    images: Annotated[int, Between(2), "most images of a tracklet that are compared"]


@dataclass(frozen=True, kw_only=True)
class AdaptSettings:
    """Which model is adapted to which videos."""

    checkpoint: Annotated[str, "a model.safetensors, a Lightning .ckpt of a run, or the name of a bundled model"]
    source: Annotated[
        tuple[str, ...],
        "videos of the place where the model will be used: files, folders of images, a pattern such as videos/*.mp4, "
        "several as [a.mp4, b.mp4], or synthetic for a short clip that is drawn",
    ]
    output: Annotated[
        str | None,
        "file to write; null: next to the checkpoint, or here for a bundled model, as NAME-adapted.safetensors",
    ]
    json: Annotated[str | None, "file for the figures"]
    false_match_rate: Annotated[
        float, _Rate, "share of pairs of strangers that may match; a smaller one needs more people seen together"
    ]
    batch_norm: Annotated[
        float,
        Share,
        "share by which the means and variances of the batch norms are moved to those of these videos; above 0 the "
        "embeddings are others",
    ]
    device: Annotated[str, "auto, cpu, cuda, cuda:1 or mps"]
    frame_rate: Annotated[float | None, Positive, "frames per second; null: those of the source"]
    max_frames: Annotated[int | None, Count, "stop each source after this many frames; null: at its end"]
    links: EvidenceSettings
    detector: DetectorSettings
