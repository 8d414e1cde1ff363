"""Which box should be reported: the filter's, the detector's, or one between? The identities are the same for all.

    python experiments/reported_boxes.py MOT15/train BOXES [model=osnet_x0_25_taught frames=VIDEOS/{sequence}.mp4]
        [sequences=NAME,NAME] [embeddings=FOLDER]

MOT15/train holds folders of sequences; BOXES holds a folder for each detector with SEQUENCE.txt inside. The public
det/det.txt of each sequence are the detector `det`. With a model `bytetrack_reid` tracks, else `bytetrack`. Rows are
HOTA and IDF1 with the filter's boxes, and what is added by those on the way to the detector's.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from mot_reid.evaluation.comparison_data import Video, embedded, open_embedder, read_videos
from mot_reid.metrics.mot import evaluate_mot
from mot_reid.structures import Detections, TrackTable
from mot_reid.tracking.presets import BYTETRACK, BYTETRACK_REID, Preset
from mot_reid.tracking.tracker import Tracker

SHARES = (0.0, 0.2, 0.3, 0.5, 1.0)


def scores(video: Video, frames: list[Detections], preset: Preset, gate: float | None) -> list[tuple[float, float]]:
    """Returns HOTA and IDF1 in percent for each share of the way from the filter's box to the detector's."""
    given = {} if gate is None else {"gate": gate}
    tracker = Tracker(replace(preset, report="filtered"), frame_rate=video.frame_rate, camera="none", **given)
    tracks = [tracker.update(found) for found in frames]
    table = TrackTable.from_frames(tracks)
    observed = np.concatenate([found.xyxy[track.detection] for found, track in zip(frames, tracks)])
    found = []
    for share in SHARES:
        moved = table.replace(xyxy=table.xyxy + share * (observed - table.xyxy))
        benchmark = "MOT17" if video.name.startswith("MOT17") else "MOT15"
        lengths = {video.name: video.length}
        result = evaluate_mot({video.name: video.truth}, {video.name: moved}, benchmark=benchmark, lengths=lengths)
        told = result.combined.to_dict()
        found.append((100 * told["hota"], 100 * told["idf1"]))
    return found


def main(argv: list[str]) -> None:
    """Prints a row for each sequence and detector."""
    given = dict(word.split("=", 1) for word in argv if "=" in word)
    root, boxes = (Path(word) for word in argv if "=" not in word)
    detectors = [str(folder / "{sequence}.txt") for folder in sorted(boxes.iterdir()) if folder.is_dir()]
    names = given["sequences"].split(",") if "sequences" in given else None
    videos = read_videos(root, names, detectors=[*detectors, "det/det.txt"], frames=given.get("frames"))
    preset, gate = BYTETRACK, None
    if "model" in given:
        embedder, model = open_embedder(given["model"], "cpu", "auto")
        preset, gate, folder = BYTETRACK_REID, embedder.threshold, Path(given.get("embeddings", "embeddings"))
    print("sequence", "detector", *SHARES, sep="\t")
    for video in videos:
        for detector, frames in video.boxes.items():
            if "model" in given:
                frames = embedded(video, detector, embedder, above=0.2, folder=folder, model=model)
            (hota, idf1), *others = scores(video, frames, preset, gate)
            added = [f"{more - hota:+.2f} {also - idf1:+.2f}" for more, also in others]
            print(video.name, detector, f"{hota:.1f} {idf1:.1f}", *added, sep="\t", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
