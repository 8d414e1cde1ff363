"""The keys of `mot-reid compare`: types, rules and meanings; the values are in `configs/compare.yaml`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from mot_reid.settings.evaluation import BENCHMARKS
from mot_reid.settings.refinement import PARTS
from mot_reid.settings.runtimes import Runtime
from mot_reid.settings.schema import COMMAS, Count, OneOf
from mot_reid.settings.tracker_parameters import PRESET_NAMES


@dataclass(frozen=True, kw_only=True)
class CompareSettings:
    """What is compared on which videos, and where the answers go."""

    ground_truth: Annotated[
        str | None,
        "folder of sequences, each with seqinfo.ini and gt/gt.txt, or the folder of a single one; null: the synthetic "
        "clip, with its own boxes",
    ]
    sequences: Annotated[tuple[str, ...] | None, COMMAS, "names of the sequences to take, as A,B; null: all"]
    benchmark: Annotated[str, OneOf(BENCHMARKS), "whose rules score the tracks"]
    frames: Annotated[
        str | None,
        "the video of each sequence, such as videos/{sequence}.mp4, of any size; null: the frames in its own folder",
    ]
    length: Annotated[int | None, Count, "the first frames of each sequence to compare on; null: all"]
    detectors: Annotated[
        tuple[str, ...],
        COMMAS,
        "files of boxes: in the folder of each sequence, such as det/det.txt, or boxes/NAME/{sequence}.txt",
    ]
    trackers: Annotated[tuple[str, ...], OneOf(PRESET_NAMES), COMMAS, "presets"]
    embedders: Annotated[
        tuple[str, ...], COMMAS, "Re-ID models, files or names, for the presets that use embeddings; [] for none"
    ]
    refine: Annotated[
        tuple[str, ...],
        OneOf(("recommended", *PARTS)),
        COMMAS,
        "also score every row refined offline, by these parts; [] for not",
    ]
    peers: Annotated[
        tuple[str, ...],
        COMMAS,
        "results of other programs from the same boxes: folders NAME or NAME+MODEL with a SEQUENCE.txt for each "
        "sequence and maybe milliseconds.json, such as results/{detector}/NAME",
    ]
    reference: Annotated[
        str | None,
        "the row that those on the same boxes are compared with: TRACKER or TRACKER+MODEL; null: the best one",
    ]
    retrieval: Annotated[
        str | None,
        "mAP of the embedders, to see whether it predicts IDF1: the JSON file of evaluate for several models, or a CSV "
        "file with columns embedder and mean_ap",
    ]
    output: Annotated[str, "folder for compare.json, index.html, embeddings, and what is finished already"]
    bootstrap: Annotated[int, Count, "draws of the 95% intervals, the same for every row"]
    block_frames: Annotated[int, Count, "frames of a block that is drawn as a whole"]
    device: Annotated[str, "auto, cpu, cuda, cuda:1 or mps; of the Re-ID models"]
    runtime: Runtime
