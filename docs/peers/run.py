"""Runs the trackers of other programs on the boxes that `mot-reid compare` reads: ours and theirs in one table.

`python docs/peers/run.py PEER,PEER,.. ground_truth=DIR detectors=.. output=comparison`, with the keys of `mot-reid
compare`. A peer is PROGRAM:NAME or, with the first model of `embedders=`, PROGRAM:NAME+. Ours are run first (into
`comparison/first`), then the peers, then ours again into the table with all. `comparison/pace.json` has the
milliseconds a frame of both runs of ours, which say whether the machine kept its speed; `comparison/peers/DETECTOR/
PROGRAM_NAME[+MODEL]` has the results of the peers. Nothing is set but the frame rate, and camera motion is off where
the program lets it be. Call it again after an interruption: what is finished, of ours and of theirs, is not done again.

ultralytics (AGPL-3.0): bytetrack, botsort, ocsort, tracktrack, fasttrack, ..
trackers (Apache-2.0): SORT, ByteTrack, OCSORT, CBIoU, BoTSORT
boxmot (AGPL-3.0): bytetrack, ocsort, botsort, strongsort, boosttrack, ..
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from inspect import signature
from itertools import repeat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from mot_reid.arrays import FloatArray
from mot_reid.cli import compare
from mot_reid.evaluation.comparison_data import Video, digest, embedded, open_embedder, read_videos
from mot_reid.evaluation.peers import MILLISECONDS
from mot_reid.files import write_json, write_text
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

    def step(found: Detections, image: Any) -> FloatArray:
        given = {"feats": _filled(found)} if looks else {}  # as those of its own detectors
        rows = np.column_stack([found.xyxy, found.score, np.zeros(len(found))]).astype(np.float32)
        answer = np.asarray(tracker.update(Boxes(rows, image.shape[:2]), image, **given))
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
_CAMERA = ("boxmot:strongsort", "boxmot:deepocsort", "boxmot:hybridsort")
"""Programs whose camera motion cannot be turned off, so that they need the pictures."""


def _filled(found: Detections) -> Any:
    """Returns the embeddings, of boxes too weak to be embedded the one that is as near to all."""
    assert found.embedding is not None
    flat = 1 / np.sqrt(found.embedding.shape[1])
    return np.where(np.isnan(found.embedding), flat, found.embedding).astype(np.float32)


def track(frames: list[Detections], images: Iterator[Any], step: Step) -> tuple[list[str], float]:
    """Returns the lines of a MOT file, and milliseconds of processor time a frame for tracking alone."""
    lines, spent = [], 0.0
    for number, (found, image) in enumerate(zip(frames, images), 1):
        start = time.process_time()
        rows = step(found, image)
        spent += time.process_time() - start
        lines += [
            f"{number},{int(row[4])},{row[0]:.2f},{row[1]:.2f},{row[2] - row[0]:.2f},{row[3] - row[1]:.2f},1,-1,-1,-1"
            for row in rows
        ]
    return lines, 1000 * spent / len(frames)


def pictures(video: Video, *, needed: bool) -> Iterator[Any]:
    """Yields the frames in the size that the boxes are for; where they are not needed, the first one for ever."""
    import cv2

    sized = (image if k == 1 else cv2.resize(image, None, fx=k, fy=k) for image, k in video.images())
    return sized if needed else repeat(next(sized))


def run(peer: str, settings: CompareSettings, videos: list[Video]) -> str:
    """Tracks what is not finished of the videos, with the boxes of every detector; returns the folder for `peers=`."""
    program, _, name = peer.removesuffix("+").partition(":")
    looks = peer.endswith("+")
    called = f"{program}_{name}" + (f"+{title(settings.embedders[0])}" if looks else "")
    for detector in videos[0].boxes:
        folder = Path(settings.output) / "peers" / detector / called
        inputs, times = _known(folder / _INPUTS), _known(folder / MILLISECONDS)
        for video in videos:
            frames = _embedded(settings, video, detector) if looks else video.boxes[detector]
            given = _digest(program, video, frames)
            if inputs.get(video.name) == given:
                continue
            images = pictures(video, needed=peer.removesuffix("+") in _CAMERA)
            lines, times[video.name] = track(frames, images, PROGRAMS[program](name, video.frame_rate, looks=looks))
            inputs[video.name] = given
            write_text(folder / f"{video.name}.txt", "\n".join([*lines, ""]))
            write_json(folder / MILLISECONDS, times)
            write_json(folder / _INPUTS, inputs)  # last: what stands there is finished
    return f"{settings.output}/peers/{{detector}}/{called}"


_INPUTS = "inputs.json"
"""The file beside the results that has, for each finished video, the digest of the program's version and its input."""


def _known(file: Path) -> dict[str, Any]:
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else {}


def _digest(program: str, video: Video, frames: list[Detections]) -> str:
    """Returns a name for what a program is given, and for its version."""
    try:
        release = version(program)
    except PackageNotFoundError:
        release = ""
    arrays = ((found.xyxy, found.score, found.embedding) for found in frames)
    boxes = (array.tobytes() for row in arrays for array in row if array is not None)
    return digest(release.encode(), repr(video.frame_rate).encode(), *boxes)


def _embedded(settings: CompareSettings, video: Video, detector: str) -> list[Detections]:
    """Returns the boxes with embeddings of the first model, which `compare` has computed."""
    name = settings.embedders[0]
    embedder, identity = open_embedder(name, settings.device, settings.runtime)
    return embedded(video, detector, embedder, above=0.2, folder=Path(settings.output) / "embeddings", model=identity)


def main(peers: list[str], arguments: list[str]) -> int:
    """Runs ours, the peers, and ours again; returns the exit code of the last."""
    settings = load_settings(CompareSettings, arguments, base="compare")
    assert settings.ground_truth is not None, "ground_truth=DIR is missing"
    ours = _without(arguments, "output", "peers", "reference")
    output, first = Path(settings.output), Path(settings.output) / "first"
    _share(output / "embeddings", first / "embeddings")
    timed = _without(ours, "bootstrap", "refine", "retrieval")
    print("Ours before the others, for the times:\n", flush=True)
    if compare.main([*timed, "bootstrap=1", f"output={first}"]):
        return 2
    _share(first / "embeddings", output / "embeddings")
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
    print("\nOurs after the others, and all of them:\n", flush=True)
    answer = compare.main([*ours, *reference, theirs, f"output={settings.output}"])
    if answer == 0:
        report_pace(first, output)
    return answer


def _without(arguments: list[str], *names: str) -> list[str]:
    """Returns the words of a command line but for some keys."""
    return [word for word in arguments if word.lstrip("-").partition("=")[0] not in names]


def _share(source: Path, target: Path) -> None:
    """Copies the embeddings that only one folder has."""
    target.mkdir(parents=True, exist_ok=True)
    for file in source.glob("*.npy"):
        if not (target / file.name).exists():
            shutil.copyfile(file, target / file.name)


def report_pace(first: Path, last: Path) -> None:
    """Writes and prints the milliseconds a frame of our rows, before and after the other programs."""
    before, after = ({row["name"]: row["milliseconds"] for row in _rows(folder)} for folder in (first, last))
    pace = {name: [before[name], after[name]] for name in before}
    write_json(last / "pace.json", pace)
    ratio = [b / a for a, b in pace.values()]
    print(f"pace   ours took {min(ratio):.2f} to {max(ratio):.2f} times as long after the others as before")


def _rows(folder: Path) -> list[dict[str, Any]]:
    return list(json.loads((folder / "compare.json").read_text(encoding="utf-8"))["rows"])


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1].split(","), sys.argv[2:]))
