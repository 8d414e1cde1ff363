"""What score bands that follow the detector bring, beside fixed ones: one row per detector and video.

    python experiments/score_bands.py MOT15/train BOXES [draws=3] [preset=bytetrack] [only=name,name]

MOT15/train holds folders of sequences; BOXES holds a folder for each detector with SEQUENCE.txt inside, MOTChallenge's
det.txt in the coordinates of the ground truth. The public det/det.txt of each sequence are the detector `public`.
Of the draws the first is of the boxes as they are; in the others corners are moved by 0.7% of the height and scores by
0.01, since a single run on a short video says little: one identity more or less is several points.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from mot_reid.data.motchallenge import Sequence, by_frame, read_detections, read_ground_truth, read_sequences
from mot_reid.metrics.mot import evaluate_mot
from mot_reid.structures import Detections, TrackTable
from mot_reid.tracking.tracker import Tracker

PAIRS = [(0.2, 0.4), (0.3, 0.5), (0.35, 0.45), (0.4, 0.5), (0.4, 0.6), (0.3, 0.7), (0.4, 0.7), (0.5, 0.6), (0.5, 0.7),
         (0.5, 0.8), (0.7, 0.8), (0.8, 0.85)]  # fmt: skip
"""Fixed values of `high` and `birth` that are tried."""
BANDS: dict[str, dict[str, Any]] = {"published": {"bands": "published"}, "adaptive": {"bands": "adaptive"}}


def cases(root: Path, boxes: Path) -> Iterator[tuple[str, Sequence, Path]]:
    """Yields detector, sequence and the file of boxes."""
    sequences = read_sequences(root)
    for folder in sorted(path for path in boxes.iterdir() if path.is_dir()):
        for name, sequence in sequences.items():
            if (folder / f"{name}.txt").is_file():
                yield folder.name, sequence, folder / f"{name}.txt"
    for sequence in sequences.values():
        yield "public", sequence, sequence.folder / "det" / "det.txt"


def moved(frames: list[Detections], seed: int) -> list[Detections]:
    """Returns the boxes as they are for seed 0, else moved a little."""
    if seed == 0:
        return frames
    rng = np.random.default_rng(seed)
    found = []
    for one in frames:
        height = (one.xyxy[:, 3] - one.xyxy[:, 1])[:, None]
        xyxy = one.xyxy + 0.007 * height * rng.normal(size=one.xyxy.shape)
        found.append(one.replace(xyxy=xyxy, score=np.clip(one.score + rng.normal(0, 0.01, len(one)), 0, 1)))
    return found


def score(sequence: Sequence, frames: list[Detections], options: dict[str, Any]) -> tuple[float, float]:
    """Returns HOTA and IDF1 in percent."""
    tracker = Tracker(frame_rate=sequence.frame_rate, camera="none", **options)
    table = TrackTable.from_frames(tracker.update(boxes) for boxes in frames)
    truth = read_ground_truth(sequence.ground_truth_path)
    name, benchmark = sequence.name, "MOT17" if sequence.name.startswith("MOT17") else "MOT15"
    found = evaluate_mot({name: truth}, {name: table}, benchmark=benchmark, lengths={name: len(frames)})  # type: ignore[arg-type]
    told = found.combined.to_dict()
    return 100 * told["hota"], 100 * told["idf1"]


def main(argv: list[str]) -> None:
    """Prints a row per detector and sequence, the means over the draws: HOTA IDF1 of each."""
    given = dict(word.split("=") for word in argv if "=" in word)
    root, boxes = (Path(word) for word in argv if "=" not in word)
    options = BANDS | {f"{high:g}/{birth:g}": {"high": high, "birth": birth} for high, birth in PAIRS}
    if "only" in given:
        options = {name: options[name] for name in given["only"].split(",")}
    print("detector", "sequence", *options, sep="\t")
    for detector, sequence, path in cases(root, boxes):
        frames = by_frame(read_detections(path), sequence.length)
        draws = [moved(frames, seed) for seed in range(int(given.get("draws", 3)))]
        cells = []
        for chosen in options.values():
            keywords = {"preset": given.get("preset", "bytetrack"), **chosen}
            hota, idf1 = np.mean([score(sequence, draw, keywords) for draw in draws], axis=0)
            cells.append(f"{hota:.1f} {idf1:.1f}")
        print(detector, sequence.name, *cells, sep="\t", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
