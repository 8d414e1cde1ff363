"""Records what TrackEval says of drawn tracks under every benchmark's rules: `python tests/golden/record_mot.py`.

Needs `pip install trackeval` (1.3.0 was used), best in an environment of its own. Writes mot_synthetic.npz beside this
file. Classes 1 (pedestrian), 2, 7, 8, 12 (distractors), 6 (a distractor on MOT20 only), 9 (occluder) and ignored rows
all occur, and results fall on them.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from pathlib import Path

import numpy as np

BENCHMARKS = ("MOT15", "MOT16", "MOT17", "MOT20", "DanceTrack", "SportsMOT")
CLASSES = np.array([1, 1, 1, 1, 1, 1, 1, 1, 2, 7, 8, 12, 6, 9])


def draw_ground_truth(rng: np.random.Generator, frames: int) -> np.ndarray:
    """Returns rows of a gt.txt: walkers with gaps, some ignored for a while."""
    rows = []
    for identity, class_id in enumerate(CLASSES, start=1):
        place, speed, size = rng.uniform(0, 120, 2), rng.normal(0, 2.5, 2), rng.uniform([20, 50], [30, 80])
        start, stop = sorted(rng.integers(1, frames + 1, 2))
        hole = rng.integers(start, stop + 1)
        for frame in range(start, stop + 1):
            place = place + speed + rng.normal(0, 0.5, 2)
            if hole <= frame < hole + 4:
                continue
            counts = not (class_id == 1 and identity % 4 == 0 and frame % 9 < 3)
            rows.append([frame, identity, *place.round(2), *size.round(2), counts, class_id, 1])
    return np.array(rows)


def draw_result(rng: np.random.Generator, truth: np.ndarray) -> np.ndarray:
    """Returns rows of a result: jittered, incomplete, with swapped and broken identities and false alarms."""
    rows = []
    for frame in np.unique(truth[:, 0]):
        here = truth[(truth[:, 0] == frame) & (rng.random(len(truth)) < 0.85)]
        used = set()
        for row in here:
            identity = row[1] + 20 * (frame // 17) * (row[1] % 3 == 0)
            if rng.random() < 0.03:
                identity = rng.integers(1, 15)
            if identity not in used:
                used.add(identity)
                rows.append([frame, identity, *(row[2:6] + rng.normal(0, 4, 4)).clip(1).round(2), 1, -1, -1, -1])
        if rng.random() < 0.5:
            rows.append([frame, 200 + frame // 5, *rng.uniform(0, 120, 2).round(2), 25, 60, 1, -1, -1, -1])
    return np.array(rows)


def trackeval_scores(root: Path, benchmark: str, lengths: dict[str, int]) -> dict:
    """Returns TrackEval's numbers by sequence and family."""
    import trackeval

    np.float, np.int = float, int  # names that TrackEval still uses
    evaluation = trackeval.Evaluator.get_default_eval_config() | dict.fromkeys(
        ("PRINT_RESULTS", "PRINT_CONFIG", "OUTPUT_SUMMARY", "OUTPUT_DETAILED", "PLOT_CURVES", "TIME_PROGRESS"), False
    )
    data = trackeval.datasets.MotChallenge2DBox.get_default_dataset_config() | {
        "GT_FOLDER": str(root / "gt"),
        "TRACKERS_FOLDER": str(root / "results"),
        "BENCHMARK": benchmark,
        "SPLIT_TO_EVAL": "train",
        "SKIP_SPLIT_FOL": True,
        "SEQ_INFO": lengths,
        "PRINT_CONFIG": False,
    }
    families = (trackeval.metrics.HOTA, trackeval.metrics.CLEAR, trackeval.metrics.Identity)
    with contextlib.redirect_stdout(io.StringIO()):
        answer, _ = trackeval.Evaluator(evaluation).evaluate(
            [trackeval.datasets.MotChallenge2DBox(data)],
            [f({"THRESHOLD": 0.5, "PRINT_CONFIG": False}) for f in families],
        )
    sequences = answer["MotChallenge2DBox"]["drawn"]
    return {name: scores["pedestrian"] for name, scores in sequences.items()}


def main() -> None:
    """Draws, scores and writes."""
    rng = np.random.default_rng(17)
    recorded, lengths = {}, {"first": 60, "second": 45}
    for name, frames in lengths.items():
        recorded[f"{name}/truth"] = draw_ground_truth(rng, frames)
        recorded[f"{name}/result"] = draw_result(rng, recorded[f"{name}/truth"])
    for benchmark in BENCHMARKS:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for name in lengths:
                truth = recorded[f"{name}/truth"].copy()
                if benchmark == "MOT15":
                    truth[:, 7] = -1
                for path, rows in (
                    (root / "gt" / name / "gt" / "gt.txt", truth),
                    (root / "results" / "drawn" / "data" / f"{name}.txt", recorded[f"{name}/result"]),
                ):
                    path.parent.mkdir(parents=True, exist_ok=True)
                    np.savetxt(path, rows, delimiter=",", fmt="%g")
            for name, families in trackeval_scores(root, benchmark, lengths).items():
                for family, scores in families.items():
                    for field, value in scores.items():
                        recorded[f"{benchmark}/{name}/{family}/{field}"] = np.asarray(value)
    np.savez_compressed(Path(__file__).with_name("mot_synthetic.npz"), **recorded)


if __name__ == "__main__":
    main()
