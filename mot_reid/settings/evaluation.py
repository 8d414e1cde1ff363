"""The keys of `mot-reid evaluate`, `evaluate-mot` and `tune-tracker`: types, rules and meanings.

Types only: the values are in `configs/evaluate.yaml`, `configs/evaluate_mot.yaml` and `configs/tune_tracker.yaml`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from mot_reid.settings.runtimes import Runtime
from mot_reid.settings.schema import COMMAS, SHORT, Between, Count, OneOf, Share, Weight
from mot_reid.settings.tracker_parameters import PRESET_NAMES
from mot_reid.settings.training import DATA_KINDS

BENCHMARKS = ("MOT15", "MOT16", "MOT17", "MOT20", "DanceTrack", "SportsMOT")
_Benchmark = OneOf(BENCHMARKS)
_LEAST = 1e-6


@dataclass(frozen=True, kw_only=True)
class EvaluateData:
    """Whose crops a model is scored on."""

    kind: Annotated[str | None, OneOf(DATA_KINDS), SHORT, "layout of the data set; null: recognised from data.root"]
    root: Annotated[
        tuple[str, ...] | None,
        "folder (or CSV file) of the data set, or of several as [a, b]; null: what the model was trained on",
    ]
    split: Annotated[
        str,
        OneOf(("test", "validation", "train")),
        "test: query and gallery of the data set; validation: the persons that training held out; train: all training "
        "persons, for data that the model never saw",
    ]
    validation: Annotated[
        float | None,
        Between(0, 1, below=True),
        "share of the persons that training held out; null: the share stored in the model",
    ]
    official_counts: Annotated[
        bool | None, "require the published numbers of images; null: only if data.kind names a published data set"
    ]


@dataclass(frozen=True, kw_only=True)
class Reassociation:
    """Whether a model finds a person again, later in the same video."""

    ground_truth: Annotated[str | None, "folder of a sequence with seqinfo.ini and gt/gt.txt; null: not scored"]
    video: Annotated[str | None, "its frames as a video or a folder; null: the images that seqinfo.ini names"]
    length: Annotated[int, Count, "frames of a tracklet, which is looked at three times"]
    apart: Annotated[int, Count, "frames from the end of a tracklet to the beginning of those it is compared with"]


@dataclass(frozen=True, kw_only=True)
class EvaluateSettings:
    """Which model is scored, on what, and how."""

    checkpoint: Annotated[
        tuple[str, ...],
        "a model.safetensors, a Lightning .ckpt, a model.onnx, or the name of a bundled model; or several as [a, b]",
    ]
    data: EvaluateData
    reassociation: Reassociation
    flip: Annotated[bool, "average the embeddings of each crop and of its mirror image"]
    rerank: Annotated[bool, "also score k-reciprocal re-ranking (k1=20, k2=6, lambda=0.3)"]
    expand: Annotated[int, Weight, "also score queries averaged with this many of their nearest answers; 0 for none"]
    metric: Annotated[str, OneOf(("cosine", "euclidean")), "distance that the gallery is ranked by"]
    average_precision: Annotated[
        str,
        OneOf(("plain", "trapezoid")),
        "definition; trapezoid: that of Market-1501's own code, which is slightly lower",
    ]
    bootstrap: Annotated[int, Weight, "bootstrap samples of the 95% intervals over persons; 0: no intervals"]
    device: Annotated[str, "auto, cpu, cuda, cuda:1 or mps"]
    precision: Annotated[
        str, OneOf(("float32", "bfloat16", "float16", "auto")), "number format of the network; an ONNX file has its own"
    ]
    batch_size: Annotated[int, Count, "crops that go through the network at once"]
    cache: Annotated[str | None, "folder for the embeddings, which the next call reuses"]
    json: Annotated[str | None, "file for the scores, as fractions"]
    report: Annotated[str | None, "file for the report card, one HTML page with pictures"]


@dataclass(frozen=True, kw_only=True)
class EvaluateMotSettings:
    """Which tracks are scored against which ground truth, and what is written about it."""

    ground_truth: Annotated[
        str, "folder of sequences, each with seqinfo.ini and gt/gt.txt; or the folder of a single sequence"
    ]
    results: Annotated[
        str,
        "folder with NAME.txt, .csv or .parquet for each sequence (also in data/); or the file of a single sequence",
    ]
    benchmark: Annotated[
        str, _Benchmark, "benchmark whose rules are used; for your own data use MOT15, which has no classes"
    ]
    sequences: Annotated[tuple[str, ...] | None, COMMAS, "names of the sequences to score, as A,B; null: all"]
    bootstrap: Annotated[int, Weight, "bootstrap samples of the 95% intervals over the sequences; 0: no intervals"]
    json: Annotated[str | None, "file for the scores, as fractions"]
    plots: Annotated[str | None, "folder for pictures of the scores; true: a folder 'plots' next to the results"]
    report: Annotated[str | None, "file for one HTML page that shows every identity switch and what caused it"]
    frames: Annotated[
        str | None,
        "for the report: video or folder of frames, of a single sequence or relative to the folder of each; null: the "
        "frames that seqinfo.ini names",
    ]
    scale: Annotated[
        float,
        Between(_LEAST, 1e6),
        "for the report: size of the video relative to the ground truth; 0.5 for a video of half its width",
    ]
    detections: Annotated[
        str | None, "for the report: the tracker's input, such as det/det.txt; null: the boxes that it reported"
    ]
    reid: Annotated[
        str | None, "for the report: a Re-ID model, file or name, to compare people before and after a switch"
    ]
    runtime: Runtime
    threshold: Annotated[
        float | None,
        Share,
        "for the report: smallest similarity of embeddings of one person; null: the model's; 0: the tracker uses none",
    ]
    gate: Annotated[
        float, Between(_LEAST, 1), "for the report: smallest IoU of a box with the expected position of its track"
    ]


@dataclass(frozen=True, kw_only=True)
class TuneTrackerSettings:
    """Which tracker is tuned, on which sequences, and how long."""

    ground_truth: Annotated[str, "folder with two or more sequences, each with seqinfo.ini, gt/gt.txt and detections"]
    preset: Annotated[str, OneOf(PRESET_NAMES), "the tracker"]
    detections: Annotated[str, "file in each sequence's folder; scores from 0 to 1"]
    embeddings: Annotated[str | None, "folder with NAME.npy for each sequence: one row for each line of its detections"]
    reid: Annotated[str | None, "a Re-ID model, file or name, that computes the embeddings that are missing there"]
    runtime: Runtime
    benchmark: Annotated[str, _Benchmark, "benchmark whose rules are used"]
    sequences: Annotated[tuple[str, ...] | None, COMMAS, "names of the sequences to use, as A,B; null: all"]
    objective: Annotated[str, OneOf(("hota", "assa", "idf1", "mota")), "score to maximise"]
    parameters: Annotated[tuple[str, ...] | None, COMMAS, "parameters to search, as high,low; null: all of the preset"]
    trials: Annotated[int, Count, "trials for each held-out sequence"]
    seed: Annotated[int, Weight, "seed of the search"]
    json: Annotated[str | None, "file for scores, as fractions, and parameters"]
