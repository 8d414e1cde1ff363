"""What `mot-reid adapt` promises and what it gives: adapted on one half of a video, judged on the other.

    python experiments/adapt_halves.py DATA BOXES CACHE [rate=0.05] [draws=3] [videos=PETS09-S2L1,ADL-Rundle-6]

DATA holds MOT15/train and video; BOXES holds SEQUENCE.txt, MOTChallenge's det.txt in the coordinates of the ground
truth; CACHE keeps embeddings. The truth judges and does nothing else. A box is of the person whom it overlaps by an IoU
of 0.5. Pairs of two persons are all pairs of labelled boxes of every fifth frame, seen together or not; pairs of one
person are a second or more apart, whatever lay between. Tracking is `bytetrack_reid`; of its draws the first is of the
boxes as they are, in the others corners are moved by 0.7% of the height and scores by 0.01.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from scipy.optimize import linear_sum_assignment

from mot_reid.adaptation.tracklets import Rules, find_tracklets
from mot_reid.boxes import iou
from mot_reid.data.motchallenge import read_detections, read_ground_truth
from mot_reid.data.video import VideoReader
from mot_reid.metrics.linked_pairs import LinkedCalibration, calibrate_linked, link_pairs
from mot_reid.metrics.mot import evaluate_mot
from mot_reid.reid import checkpoint
from mot_reid.structures import Detections, TrackTable
from mot_reid.tracking.tracker import Tracker

MODELS = ("osnet_x0_25_market1501", "person_small")
VIDEOS = {"PETS09-S2L1": ("pets09-s2l1.avi", 0.625), "ADL-Rundle-6": ("adl-rundle-6.mp4", 2 / 3)}
VIDEOS["TUD-Campus"] = ("tud-campus.mp4", 1.0)
"""File of each sequence, and what its ground truth is to be multiplied with."""
RULES = Rules(max_cover=0.7, max_gap=0.3, min_length=1.0, min_score=0.5, min_together=0.5)
"""Those of configs/adapt.yaml."""


@dataclass
class Half:
    """Boxes of one half of a video with their truth and embeddings, sorted by frame, frames from 1."""

    name: str
    rate: float
    length: int
    boxes: TrackTable
    person: np.ndarray
    embedding: dict[str, np.ndarray]
    truth: TrackTable

    def detections(self, model: str | None, draw: int = 0) -> list[tuple[np.ndarray, Detections]]:
        """Returns for each frame the rows and the boxes, moved a little in a draw above 0."""
        rng, found = np.random.default_rng(draw), []
        for number in range(1, self.length + 1):
            rows = np.flatnonzero(self.boxes.frame == number)
            xyxy, score = self.boxes.xyxy[rows], self.boxes.score[rows]
            if draw:
                height = (xyxy[:, 3] - xyxy[:, 1])[:, None]
                xyxy = xyxy + 0.007 * height * rng.normal(size=xyxy.shape)
                score = np.clip(score + rng.normal(0, 0.01, len(score)), 0, 1)
            embedding = None if model is None else self.embedding[model][rows]
            found.append((rows, Detections(xyxy, score, embedding=embedding)))
        return found


def read(name: str, data: Path, boxes: Path, cache: Path) -> tuple[Half, Half]:
    """Returns both halves of a video."""
    file, scale = VIDEOS[name]
    table = read_detections(boxes / f"{name}.txt")
    table = table[np.argsort(table.frame, kind="stable")]
    table = table.replace(xyxy=scale * table.xyxy)
    truth = read_ground_truth(data / "MOT15" / "train" / name / "gt" / "gt.txt")
    truth = truth[~truth.ignore]
    truth = truth.replace(xyxy=scale * truth.xyxy)
    reader = VideoReader(str(data / "video" / file))
    rate, length = float(reader.frame_rate), int(reader.length or 0)
    kept = cache / f"{name}.npz"
    if not kept.is_file():
        np.savez(kept, **embed(reader, table))
    stored = np.load(kept)
    person, halves, middle = labels(table, truth), [], length // 2
    for low, high in ((1, middle), (middle + 1, length)):
        rows = (table.frame >= low) & (table.frame <= high)
        part, of = table[rows], truth[(truth.frame >= low) & (truth.frame <= high)]
        part, of = (one.replace(frame=one.frame - low + 1) for one in (part, of))
        embedding = {model: stored[model][rows] for model in MODELS}
        halves.append(Half(name, rate, high - low + 1, part, person[rows], embedding, of))
    return halves[0], halves[1]


def embed(reader: VideoReader, table: TrackTable) -> dict[str, np.ndarray]:
    """Returns the embeddings of all boxes by both models."""
    from mot_reid.reid.embedder import Embedder

    models = {name: Embedder(name, device="cpu") for name in MODELS}
    found = {name: np.zeros((len(table), model.embedding_dim), dtype=np.float32) for name, model in models.items()}
    for frame in reader:
        rows = np.flatnonzero(table.frame == frame.number)
        for name, model in models.items():
            found[name][rows] = model(frame.image, table.xyxy[rows])
    return found


def labels(table: TrackTable, truth: TrackTable) -> np.ndarray:
    """Returns the person of each box; 0 where there is none."""
    found = np.zeros(len(table), dtype=np.int64)
    for number in np.unique(table.frame):
        rows, people = np.flatnonzero(table.frame == number), np.flatnonzero(truth.frame == number)
        overlap = iou(table.xyxy[rows], truth.xyxy[people])
        one, other = linear_sum_assignment(-overlap)
        good = overlap[one, other] >= 0.5
        found[rows[one[good]]] = truth.track_id[people[other[good]]]
    return found


def adapted(half: Half, model: str, rate: float) -> tuple[LinkedCalibration, str]:
    """Returns the threshold found on a half without its truth, and in words how good its links were."""
    tracker, parts, rows = Tracker("bytetrack", frame_rate=half.rate), [], []
    for number, (here, boxes) in enumerate(half.detections(None), start=1):
        tracks = tracker.update(boxes)
        if tracks.detection is not None and len(tracks):
            parts.append(
                TrackTable(np.full(len(tracks), number), tracks.track_id, boxes.xyxy[tracks.detection], tracks.score)
            )
            rows.append(here[tracks.detection])
    table, row = TrackTable.concatenate(parts), np.concatenate(rows)
    found = find_tracklets(table, half.rate, RULES)
    key = {(f, t): r for f, t, r in zip(table.frame.tolist(), table.track_id.tolist(), row.tolist())}
    row = np.array(
        [key[f, t] for f, t in zip(found.table.frame.tolist(), found.table.track_id.tolist())], dtype=np.int64
    )
    images = found.spread(16)
    pairs = link_pairs(
        half.embedding[model][row[images]],
        tracklet=found.tracklet[images],
        track=found.table.track_id[images],
        seconds=found.table.frame[images] / half.rate,
        together=found.together,
        apart=1.0,
    )
    return calibrate_linked(pairs, false_match_rate=rate), purity(found.tracklet, found.together, half.person[row])


def purity(tracklet: np.ndarray, together: np.ndarray, person: np.ndarray) -> str:
    """Returns in words how many links are wrong by the truth, boxes that are nobody's left out."""
    counts = [np.bincount(person[(tracklet == one) & (person > 0)], minlength=1) for one in np.unique(tracklet)]
    most = [int(count.argmax()) for count in counts]
    mixed = sum(count.max() < 0.95 * count.sum() for count in counts)
    same = sum(most[one] == most[other] for one, other in together.tolist())
    return (
        f"{len(most)} tracklets, of {len(set(most) - {0})} persons, {mixed} with more than 5% of another; "
        f"{len(together)} pairs of them, {same} of one person"
    )


def judged(half: Half, model: str, threshold: float) -> tuple[float, float]:
    """Returns the share of pairs of two persons that match, and that of pairs of one, by the truth."""
    rows = np.flatnonzero((half.person > 0) & (half.boxes.frame % 5 == 0))
    unit, person, frame = half.embedding[model][rows], half.person[rows], half.boxes.frame[rows]
    matches = unit @ unit.T >= threshold
    same = person[:, None] == person
    upper = np.triu(np.ones_like(same), 1)
    apart = np.abs(frame[:, None] - frame) >= half.rate
    return float(matches[upper & ~same].mean()), float(matches[upper & same & apart].mean())


def tracked(half: Half, model: str | None, draws: int, options: dict[str, Any]) -> str:
    """Returns HOTA and IDF1 in percent, the means over the draws, and their spread."""
    scores = []
    for draw in range(draws):
        tracker = Tracker("bytetrack" if model is None else "bytetrack_reid", frame_rate=half.rate, **options)
        table = TrackTable.from_frames(tracker.update(boxes) for _, boxes in half.detections(model, draw))
        found = evaluate_mot(
            {half.name: half.truth}, {half.name: table}, benchmark="MOT15", lengths={half.name: half.length}
        )
        told = found.combined.to_dict()
        scores.append((100 * told["hota"], 100 * told["idf1"]))
    low, mean, high = np.min(scores, axis=0), np.mean(scores, axis=0), np.max(scores, axis=0)
    return " / ".join(f"{m:.1f} ({a:.1f} to {b:.1f})" for a, m, b in zip(low, mean, high))


def main(argv: list[str]) -> None:
    """Prints for each video, half and model the promise and what it gives, before and after."""
    given = dict(word.split("=") for word in argv if "=" in word)
    data, boxes, cache = (Path(word) for word in argv if "=" not in word)
    rate, draws = float(given.get("rate", 0.05)), int(given.get("draws", 3))
    for name in given.get("videos", ",".join(VIDEOS)).split(","):
        halves = read(name, data, boxes, cache)
        for which, (first, second) in enumerate((halves, halves[::-1]), start=1):
            print(f"{name}, adapted on half {which}, judged on the other")
            if draws:
                print(f"  without appearance: HOTA / IDF1 {tracked(second, None, draws, {})}", flush=True)
            for model in MODELS:
                old = checkpoint.describe(checkpoint.find(model))["calibration"]
                report(
                    f"{model} before, promised {100 * old['false_match_rate']:g}%",
                    second,
                    model,
                    old["threshold"],
                    draws,
                )
                try:
                    found, links = adapted(first, model, rate)
                except ValueError as error:
                    print(f"  {model} refused: {error}", flush=True)
                    continue
                low, high = found.interval
                print(
                    f"  {links}; {found.calibration.identities} tracks, {found.track_pairs} pairs; estimate "
                    f"{found.estimate:.3f}, 95% {low:.3f} to {high:.3f}"
                )
                threshold = found.calibration.threshold
                report(f"{model} after, promised {100 * rate:g}%", second, model, threshold, draws)


def report(title: str, half: Half, model: str, threshold: float, draws: int) -> None:
    """Prints one row."""
    false, true = judged(half, model, threshold)
    told = f"  {title}: threshold {threshold:.3f}, false matches {100 * false:.2f}%, true matches {100 * true:.1f}%"
    if draws:
        told += f"; HOTA / IDF1 {tracked(half, model, draws, {'gate': threshold})}"
    print(told, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
