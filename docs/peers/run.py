"""Runs the trackers of other programs on the boxes that `mot-reid compare` reads: ours and theirs in one table.

`python docs/peers/run.py PEER,PEER,.. ground_truth=DIR detectors=.. output=comparison`, with the keys of `mot-reid
compare`. A peer is PROGRAM:NAME or, with the first model of `embedders=`, PROGRAM:NAME+. Ours are run first (into
`comparison/first`, to see whether the machine kept its speed), then the peers, then ours again into the table with all.
Results of the peers are in `comparison/peers/DETECTOR/PROGRAM_NAME[+MODEL]`. Nothing is set but the frame rate, and
camera motion is off where the program lets it be.

ultralytics (AGPL-3.0): bytetrack, botsort, ocsort, tracktrack, fasttrack, ..
trackers (Apache-2.0): SORT, ByteTrack, OCSORT, CBIoU, BoTSORT
boxmot (AGPL-3.0): bytetrack, ocsort, botsort, strongsort, boosttrack, ..
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from mot_reid.arrays import FloatArray
from mot_reid.cli import compare
from mot_reid.evaluation.comparison_data import Video, embedded, open_embedder, read_videos
from mot_reid.reid.bundled import title
from mot_reid.settings.comparison import CompareSettings
from mot_reid.settings.load import load_settings
from mot_reid.structures import Detections

Step = Callable[[Detections, Any], FloatArray]
"""Takes the boxes of a frame and its image; returns rows (x1, y1, x2, y2, identity)."""
_NOBODY = np.zeros((0, 5))


def ultralytics(name: str, frame_rate: float, *, looks: bool) -> Step:
    """Returns a tracker of Ultralytics with the values of its YAML file."""
    from ultralytics.engine.results import Boxes
    from ultralytics.trackers.track import TRACKER_MAP
    from ultralytics.utils import ROOT, YAML

    values = YAML.load(ROOT / f"cfg/trackers/{name}.yaml")
    values.update({"with_reid": looks, "gmc_method": "none"})
    tracker = TRACKER_MAP[name](args=SimpleNamespace(**values))
    given: list[FloatArray] = []
    tracker.encoder = lambda image, boxes: list(given[0])

    def step(found: Detections, image: Any) -> FloatArray:
        if looks:
            given[:] = [_filled(found)]
        rows = np.column_stack([found.xyxy, found.score, np.zeros(len(found))]).astype(np.float32)
        answer = np.asarray(tracker.update(Boxes(rows, image.shape[:2]), image))
        return answer[:, :5] if len(answer) else _NOBODY

    return step


def trackers(name: str, frame_rate: float, *, looks: bool) -> Step:
    """Returns a tracker of Roboflow's `trackers`; none of them takes embeddings."""
    import supervision
    import trackers as roboflow

    kind = getattr(roboflow, f"{name}Tracker")
    off = {"enable_cmc": False} if "enable_cmc" in signature(kind).parameters else {}
    tracker = kind(frame_rate=frame_rate, **off)

    def step(found: Detections, image: Any) -> FloatArray:
        boxes = supervision.Detections(
            xyxy=found.xyxy.astype(np.float32),
            confidence=found.score.astype(np.float32),
            class_id=np.zeros(len(found), int),
        )
        answer = tracker.update(boxes)
        if not len(answer):
            return _NOBODY
        known = answer.tracker_id >= 0
        return np.column_stack([answer.xyxy, answer.tracker_id])[known]

    return step


def boxmot(name: str, frame_rate: float, *, looks: bool) -> Step:
    """Returns a tracker of BoxMOT."""
    import torch
    from boxmot import create_tracker
    from boxmot.structures import Boxes
    from boxmot.structures import Detections as Found
    from boxmot.trackers import TrackerSpec

    values: dict[str, Any] = {"use_embeddings": looks} if name not in ("bytetrack", "ocsort", "strongsort") else {}
    if name in ("botsort", "boosttrack", "occluboost"):
        values["use_cmc"] = False
    if name in ("botsort", "bytetrack"):
        values["frame_rate"] = round(frame_rate)
    tracker = create_tracker(TrackerSpec(name=name, options=tuple(sorted(values.items()))))

    def step(found: Detections, image: Any) -> FloatArray:
        rows = np.column_stack([found.xyxy, found.score, np.zeros(len(found))]).astype(np.float32)
        if not looks:
            answer = np.asarray(tracker.update(rows, image) if name != "bytetrack" else tracker.update(rows))
            return answer[:, :5] if len(answer) else _NOBODY
        boxes = Found(
            Boxes(torch.from_numpy(rows[:, :4].copy())),
            torch.from_numpy(rows[:, 4].copy()),
            torch.zeros(len(rows), dtype=torch.int64),
            "frame",
            embeddings=torch.from_numpy(_filled(found)),
        )
        tracks = tracker.update(boxes, image)
        return np.column_stack([tracks.geometry.values.numpy(), tracks.track_ids]) if len(tracks) else _NOBODY

    return step


PROGRAMS = {"ultralytics": ultralytics, "trackers": trackers, "boxmot": boxmot}


def _filled(found: Detections) -> Any:
    """Returns the embeddings, of boxes too weak to be embedded the one that is as near to all."""
    assert found.embedding is not None
    flat = 1 / np.sqrt(found.embedding.shape[1])
    return np.where(np.isnan(found.embedding), flat, found.embedding).astype(np.float32)


def track(video: Video, frames: list[Detections], step: Step) -> tuple[list[str], float]:
    """Returns the lines of a MOT file, and milliseconds of processor time a frame for tracking alone."""
    import cv2

    lines, spent = [], 0.0
    for number, (found, (image, scale)) in enumerate(zip(frames, video.images()), 1):
        sized = image if scale == 1 else cv2.resize(image, None, fx=scale, fy=scale)
        start = time.process_time()
        rows = step(found, sized)
        spent += time.process_time() - start
        lines += [
            f"{number},{int(row[4])},{row[0]:.2f},{row[1]:.2f},{row[2] - row[0]:.2f},{row[3] - row[1]:.2f},1,-1,-1,-1"
            for row in rows
        ]
    return lines, 1000 * spent / len(frames)


def run(peer: str, settings: CompareSettings, videos: list[Video]) -> str:
    """Tracks every video with the boxes of every detector; returns the folder for `peers=`."""
    program, _, name = peer.removesuffix("+").partition(":")
    looks = peer.endswith("+")
    called = f"{program}_{name}" + (f"+{title(settings.embedders[0])}" if looks else "")
    for detector in videos[0].boxes:
        folder, times = Path(settings.output) / "peers" / detector / called, {}
        folder.mkdir(parents=True, exist_ok=True)
        for video in videos:
            frames = _embedded(settings, video, detector) if looks else video.boxes[detector]
            lines, times[video.name] = track(video, frames, PROGRAMS[program](name, video.frame_rate, looks=looks))
            (folder / f"{video.name}.txt").write_text("\n".join([*lines, ""]))
        (folder / "milliseconds.json").write_text(json.dumps(times))
    return f"{settings.output}/peers/{{detector}}/{called}"


def _embedded(settings: CompareSettings, video: Video, detector: str) -> list[Detections]:
    """Returns the boxes with embeddings of the first model, which `compare` has computed."""
    name = settings.embedders[0]
    embedder, identity = open_embedder(name, settings.device)
    return embedded(video, detector, embedder, above=0.2, folder=Path(settings.output) / "embeddings", model=identity)


def main(peers: list[str], arguments: list[str]) -> int:
    """Runs ours, the peers, and ours again; returns the exit code of the last."""
    settings = load_settings(CompareSettings, arguments, base="compare")
    assert settings.ground_truth is not None, "ground_truth=DIR is missing"
    ours = [word for word in arguments if word.lstrip("-").partition("=")[0] not in ("output", "peers", "reference")]
    first = Path(settings.output) / "first"
    if compare.main([*ours, f"output={first}"]):
        return 2
    if (first / "embeddings").is_dir():
        shutil.copytree(first / "embeddings", Path(settings.output) / "embeddings", dirs_exist_ok=True)
    videos = read_videos(
        settings.ground_truth,
        settings.sequences,
        detectors=settings.detectors,
        frames=settings.frames,
        length=settings.length,
    )
    folders = [run(peer, settings, videos) for peer in peers]
    theirs = f"peers={','.join([*settings.peers, *folders])}"
    reference = [] if settings.reference is None else [f"reference={settings.reference}"]
    return compare.main([*ours, *reference, theirs, f"output={settings.output}"])


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1].split(","), sys.argv[2:]))
