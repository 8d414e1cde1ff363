"""The keys of `mot-reid prepare-market1501` and `prepare-mot17`: types, rules and meanings.

Types only: the values are in `configs/prepare_market1501.yaml` and `configs/prepare_mot17.yaml`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from mot_reid.settings.schema import COMMAS, Between, Count, OneOf, Positive, Share, Weight

_CROP_VISIBILITY = 0.4


@dataclass(frozen=True, kw_only=True)
class MarketData:
    """How the images are divided and checked."""

    validation: Annotated[
        float, Between(0, 1, below=True), "share of the training persons to list in val.csv, not in train.csv"
    ]
    seed: Annotated[int, Weight, "seed that chooses those persons"]
    official_counts: Annotated[bool, "require the published numbers of images and identities"]


@dataclass(frozen=True, kw_only=True)
class PrepareMarketSettings:
    """What is prepared, and where it goes."""

    source: Annotated[str, "Market-1501-v15.09.15.zip, the folder Market-1501-v15.09.15, or its parent"]
    output: Annotated[str, "folder to make, such as data/market1501"]
    data: MarketData
    workers: Annotated[int | None, Count, "threads; null: one for each processor"]


@dataclass(frozen=True, kw_only=True)
class PrepareMotSettings:
    """What is prepared, and where it goes; the keys from `video` on belong to `crops=true`."""

    source: Annotated[str, "MOT17.zip, the folder of the data set, or any sequence with seqinfo.ini"]
    output: Annotated[str, "folder to make, such as data/mot17"]
    benchmark: Annotated[
        str,
        OneOf(("MOT17", "MOT20", "DanceTrack", "SportsMOT")),
        "the data set: where its sequences lie, and what may not be missing",
    ]
    crops: Annotated[bool, "cut Re-ID crops, in the layout of Market-1501, instead of preparing for detection"]
    visibility: Annotated[
        float | None, Share, f"smallest visible share of a person; null: 0 for labels, {_CROP_VISIBILITY} for crops"
    ]
    split: Annotated[
        str,
        OneOf(("sequences", "half")),
        "sequences: 11 and 13 of MOT17 validate (3,666 / 1,650 frames), of DanceTrack and SportsMOT their folder val, "
        "else the last sequence; half: the first half of each sequence trains",
    ]
    classes: Annotated[tuple[int, ...], COMMAS, Weight, "classes of the ground truth to label as person, as 1,2,7"]
    official_counts: Annotated[bool, "require the published sequences and their numbers of frames"]
    workers: Annotated[int | None, Count, "threads; null: one for each processor"]
    video: Annotated[str | None, "crops: the frames of source, which is then a single sequence, as a video"]
    height: Annotated[float, Count, "crops: smallest height of a box in pixels"]
    inside: Annotated[float, Share, "crops: smallest share of a box that is inside the image"]
    per_second: Annotated[float, Positive, "crops: largest number of crops of a person per second"]
    train_share: Annotated[
        float, Between(0, 0.99), "crops: share of each sequence, from its start, to train on; 0: test everybody"
    ]
    gap_seconds: Annotated[
        float, Weight, "crops: seconds left out between training and testing, and between a query and its answers"
    ]
    seed: Annotated[int, Weight, "crops: seed that chooses the queries"]

    @property
    def least_visibility(self) -> float:
        """The share of a person that must be visible, for labels or for crops."""
        if self.visibility is not None:
            return self.visibility
        return _CROP_VISIBILITY if self.crops else 0.0
