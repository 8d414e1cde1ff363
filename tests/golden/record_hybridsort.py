"""Records what boxmot's Hybrid-SORT says of the nine worlds: `python tests/golden/record_hybridsort.py TRACKERS_NPZ`.

Needs `pip install boxmot==25.0.0`, best in an environment of its own, and the full trackers.npz that holds the worlds.
Writes hybridsort.npz beside this file. The values are those of the authors' commands for MOT17; no appearance, no
camera motion.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

VALUES = {
    "det_thresh": 0.6,
    "track_thresh": 0.6,
    "low_thresh": 0.1,
    "iou_threshold": 0.25,
    "asso_func": "hmiou",
    "inertia": 0.05,
    "delta_t": 3,
    "min_hits": 3,
    "max_age": 30,
    "max_obs": 100,
    "use_byte": True,
    "use_embeddings": False,
    "cmc_method": None,
}


def main(worlds_path: str) -> None:
    """Tracks every world and writes the answers."""
    from boxmot.trackers.box.hybridsort.tracker import HybridSort

    image = np.zeros((2160, 3840, 3), np.uint8)
    answers = {}
    with np.load(worlds_path) as worlds:
        for world in sorted({key.partition("/")[0] for key in worlds.files}):
            frame, xyxy, score = (worlds[f"{world}/input/{name}"] for name in ("frame", "xyxy", "score"))
            tracker, rows = HybridSort(**VALUES), []
            for number in range(1, int(worlds[f"{world}/input/frames"]) + 1):
                here = frame == number
                boxes = np.column_stack([xyxy[here], score[here], np.zeros(here.sum())])
                rows += [[number, *row[:5]] for row in np.asarray(tracker.update(boxes, image))]
            table = np.array(rows)
            answers[f"{world}/hybridsort/frame"] = table[:, 0].astype(np.int16)
            answers[f"{world}/hybridsort/xyxy"] = table[:, 1:5].astype(np.float32)
            answers[f"{world}/hybridsort/track_id"] = table[:, 5].astype(np.int16)
    np.savez_compressed(Path(__file__).with_name("hybridsort.npz"), **answers)


if __name__ == "__main__":
    main(sys.argv[1])
