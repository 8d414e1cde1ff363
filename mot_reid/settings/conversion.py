"""The keys of `mot-reid convert`: types, rules and meanings; the values are in `configs/convert.yaml`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from mot_reid.settings.evaluation import BENCHMARKS
from mot_reid.settings.schema import Count, OneOf, Positive


@dataclass(frozen=True, kw_only=True)
class ConvertSettings:
    """Which tracks become which file."""

    source: Annotated[
        str,
        "tracks (.txt, .csv, .parquet), a zip of CVAT's format MOT 1.1, a JSON file of COCO with track ids or of Label "
        "Studio; or crops: a data set of people, or a zip of CVAT's format Market-1501; for format=submission a folder "
        "of tracks, one file for each sequence",
    ]
    output: Annotated[str, "file to write, or with format=sequence the folder to make"]
    format: Annotated[
        str | None,
        OneOf(("tracks", "sequence", "cvat", "coco", "label_studio", "market1501", "submission", "clips")),
        "what is written; sequence: a folder with seqinfo.ini and gt/gt.txt, as evaluate-mot and prepare-mot17 take; "
        "market1501: a zip of crops for CVAT; submission: the zip that the server of benchmark= takes; "
        "clips: a folder of clips for each label in the column label of a .csv, to train an action classifier on; "
        "null: tracks for .txt, .csv and .parquet, cvat for .zip, sequence without an ending",
    ]
    benchmark: Annotated[str | None, OneOf(BENCHMARKS), "for format=submission: whose server it is for"]
    seconds: Annotated[float, Positive, "for format=clips: length of a clip"]
    label: Annotated[
        str | None, "label of people in the tool; null: the only one of the source, or person, pedestrian or people"
    ]
    video: Annotated[
        str | None,
        "the video, for its size, frame rate and length, which Label Studio and format=sequence need, and for "
        "format=clips; null: the keys below",
    ]
    width: Annotated[int | None, Count, "width of the video in pixels, where there is no video="]
    height: Annotated[int | None, Count, "height of the video in pixels, where there is no video="]
    frame_rate: Annotated[float | None, Positive, "frames per second, where there is no video="]
    frames: Annotated[int | None, Count, "number of frames, where there is no video="]
    url: Annotated[str | None, "address under which Label Studio finds the video; null: that of video="]
