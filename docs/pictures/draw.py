"""Draws the pictures of the tracking guide: `python docs/pictures/draw.py [parameter ...]`.

Every picture shows one parameter of `Tracker` at two or three values on a synthetic street scene: a row for each
person, pale where the person is in the picture, coloured and numbered where a track is on the person.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
from PIL import Image

from mot_reid import boxes
from mot_reid.data.synthetic_clip import Clip, walkers
from mot_reid.metrics.mot import ClearPairs, evaluate_mot
from mot_reid.pipeline.summary import to_table
from mot_reid.reid.embedder import Embedder
from mot_reid.structures import Detections, TrackTable
from mot_reid.tracking.tracker import Tracker
from mot_reid.viewing.draw import Annotator, colour
from mot_reid.viewing.html.timelines import Row, person_rows

FOLDER = Path(__file__).parent
MODEL = "osnet_x0_25_market1501"
REID = {"preset": "bytetrack_reid", "reid": MODEL}
FRAMES = 150
WIDTH, DPI = 8.4, 100


@dataclass(frozen=True)
class Picture:
    """A parameter at several values.

    Attributes:
        scene: Name of the clip.
        panels: What is written next to each panel, and the keywords of its tracker.
        shows: "tracks", "embedded" (boxes that went through the network) or "stages" (what formed the pairs).
    """

    scene: str
    panels: dict[str, dict[str, Any]]
    shows: str = "tracks"


@dataclass
class Run:
    """What a tracker said of a clip, and what it did for it."""

    table: TrackTable
    embedded: list[int] = field(default_factory=list)
    stages: list[dict[str, int]] = field(default_factory=list)


def values(parameter: str, *given: Any, **others: Any) -> dict[str, dict[str, Any]]:
    """Returns a panel for each value of a parameter."""
    fixed = "".join(f", {name}={value!r}" for name, value in others.items() if name not in REID or others != REID)
    return {f"{parameter}={value!r}{fixed}": {**others, parameter: value} for value in given}


PICTURES = {
    "preset": Picture(
        "street",
        {f'"{name}"': {"preset": name} for name in ("sort", "ocsort", "bytetrack", "botsort")}
        | {'"bytetrack_reid"': REID},
    ),
    "reid": Picture("street", {"reid=None": {"preset": "bytetrack"}, f'reid="{MODEL}"': REID}),
    "frame_rate": Picture("street", values("frame_rate", 3.0, 12.5)),
    "appearance": Picture("street", values("appearance", "on_demand", "always", **REID), shows="embedded"),
    "bands": Picture("weak", values("bands", "published", "adaptive")),
    "camera": Picture("shaken", values("camera", "none", "sparse_flow", preset="botsort")),
    "explain": Picture("street", {"explain=True": {**REID, "explain": True}}, shows="stages"),
    "high": Picture("street", values("high", 0.3, 0.6, 0.85, birth=0.7)),
    "low": Picture("street", values("low", 0.1, 0.59)),
    "birth": Picture("street", values("birth", 0.4, 0.7, 0.95, high=0.3)),
    "limit": Picture("street", values("limit", 0.3, 0.5, 0.9)),
    "confirm_hits": Picture("alarms", values("confirm_hits", 0, 1, 8, birth=0.1, high=0.1)),
    "max_missed": Picture("street", values("max_missed", 1, 10, 60)),
    "duplicate": Picture("street", values("duplicate", 0.3, 0.85)),
    "gate": Picture("street", values("gate", 0.2, None, 0.95, **REID)),
    "proximity": Picture("street", values("proximity", 0.1, 0.9, **REID)),
    "max_lost_seconds": Picture("street", values("max_lost_seconds", 0.0, 60.0, **REID)),
}


@cache
def scene(name: str) -> Clip:
    """Returns a clip of synthetic people by its name."""
    if name == "shaken":
        return shaken(walkers(frames=FRAMES, width=640, height=300, seed=0))
    clip = walkers(frames=FRAMES, seed=0)
    if name == "weak":
        return replace(clip, detections=[found.replace(score=0.7 * found.score) for found in clip.detections])
    return with_false_alarms(clip) if name == "alarms" else clip


def shaken(clip: Clip) -> Clip:
    """Returns the view of a camera that swings to and fro in front of a wider scene, and is knocked now and then."""
    height, width = clip.images[0].shape[:2]
    wide, high = width - 160, height - 30
    time = np.arange(len(clip.images))
    rng = np.random.default_rng(0)
    x = np.round(80 + 60 * np.sin(time / 5) + rng.uniform(-18, 18, len(time))).astype(int)
    y = np.round(15 + rng.uniform(-12, 12, len(time))).astype(int)
    images = [np.ascontiguousarray(image[b : b + high, a : a + wide]) for image, a, b in zip(clip.images, x, y)]
    shift = np.stack([x, y, x, y], axis=1)
    found = []
    for detections, offset in zip(clip.detections, shift):
        seen = boxes.clip(detections.xyxy - offset, wide, high)
        kept = (seen[:, 2] - seen[:, 0] > 8) & (seen[:, 3] - seen[:, 1] > 16)
        found.append(Detections(seen[kept], detections.score[kept]))
    moved = clip.truth.xyxy - shift[clip.truth.frame - 1]
    centre = moved[:, [0, 2]].mean(axis=1)
    inside = (centre > 0) & (centre < wide)
    truth = clip.truth.replace(xyxy=moved)[inside]
    return replace(clip, images=images, detections=found, truth=truth, visibility=clip.visibility[inside])


def with_false_alarms(clip: Clip) -> Clip:
    """Returns the clip with boxes that a poor detector gives: anywhere, for one to three frames."""
    rng = np.random.default_rng(0)
    extra: list[list[list[float]]] = [[] for _ in clip.images]
    for start in range(5, len(extra) - 3, 7):
        x, y = rng.uniform(20, 400), rng.uniform(20, 150)
        for time in range(start, start + int(rng.integers(1, 4))):
            extra[time].append([x, y, x + 30, y + 80])
    found = [
        Detections(np.vstack([d.xyxy, np.reshape(more, (-1, 4))]), np.append(d.score, [0.6] * len(more)))
        for d, more in zip(clip.detections, extra)
    ]
    return replace(clip, detections=found)


class Counted:
    """The bundled model, and how many boxes it was given."""

    def __init__(self) -> None:
        self._embedder = _model()
        self.threshold = self._embedder.threshold
        self.count = 0

    def __call__(self, image: Any, xyxy: Any) -> Any:
        """Returns the embeddings of boxes."""
        self.count += len(xyxy)
        return self._embedder(image, xyxy)


@cache
def _model() -> Embedder:
    return Embedder(MODEL, device="cpu")


def track(clip: Clip, given: dict[str, Any]) -> Run:
    """Returns what a tracker with these keywords says of a clip."""
    reid = Counted() if "reid" in given else None
    arguments = {"frame_rate": clip.frame_rate, **given, **({"reid": reid} if reid else {})}
    tracker = Tracker(**arguments)
    frames, run = [], Run(TrackTable.empty())
    for number, (detections, image) in enumerate(zip(clip.detections, clip.images), 1):
        before = reid.count if reid else 0
        frames.append((number, tracker.update(detections, image)))
        run.embedded.append(reid.count - before if reid else 0)
        if tracker.explain:
            names, counts = np.unique(tracker.decisions.stage, return_counts=True)
            run.stages.append(dict(zip(names.tolist(), counts.tolist())))
    run.table = to_table(frames)
    return run


def draw(name: str) -> Path:
    """Draws the picture of a parameter; returns its path."""
    from matplotlib.figure import Figure

    picture = PICTURES[name]
    clip = scene(picture.scene)
    height = {"tracks": 1.62, "embedded": 1.2, "stages": 2.6}[picture.shows]
    figure = Figure(figsize=(WIDTH, 0.45 + height * len(picture.panels)), dpi=DPI, layout="constrained")
    axes = figure.subplots(len(picture.panels), sharex=True, sharey=picture.shows == "embedded", squeeze=False)[:, 0]
    for axis, (label, given) in zip(axes, picture.panels.items()):
        run = track(clip, given)
        if picture.shows == "tracks":
            _draw_tracks(axis, clip, run.table, label)
        elif picture.shows == "embedded":
            axis.bar(range(1, len(run.embedded) + 1), run.embedded, width=1.0, color="#3b6fb6")
            axis.set_ylabel("boxes embedded", fontsize=8)
            _title(axis, label, f"{sum(run.embedded)} of {sum(map(len, clip.detections))} boxes")
        else:
            _draw_stages(axis, run.stages, label)
        axis.tick_params(labelsize=7, length=2)
        for side in ("top", "right", "left"):
            axis.spines[side].set_visible(False)
    axes[-1].set_xlabel("frame", fontsize=8)
    axes[-1].set_xlim(0, len(clip.images) + 1)
    return _save(figure, name)


def _draw_tracks(axis: Any, clip: Clip, table: TrackTable, label: str) -> None:
    """Draws a row for each person, and one for boxes on nobody."""
    scored = evaluate_mot(clip.truth, table, benchmark="MOT15")
    pairs = scored.pairs["sequence"]
    rows = sorted(person_rows(clip.truth, pairs), key=lambda row: row.identity)
    for place, row in enumerate(rows):
        _draw_row(axis, row, place)
    stray = stray_frames(table, pairs)
    axis.broken_barh([(frame - 0.5, 1.0) for frame in stray], (len(rows) - 0.3, 0.6), color="#c0392b")
    axis.set_yticks([*range(len(rows)), len(rows)], [*(f"person {row.identity}" for row in rows), "nobody"])
    axis.set_ylim(len(rows) + 0.6, -0.6)
    values_ = scored.combined.to_dict()
    told = f"{len(np.unique(table.track_id))} identities, {values_['idsw']} switches, IDF1 {100 * values_['idf1']:.0f}"
    _title(axis, label, told)


def _draw_row(axis: Any, row: Row, place: int) -> None:
    for bar in row.bars:
        width = bar.stop - bar.start + 1
        if bar.identity is None:
            axis.barh(place, width, left=bar.start - 0.5, height=0.22, color="#d5d8dc", zorder=1)
            continue
        blue, green, red = (part / 255 for part in colour(bar.identity))
        axis.barh(place, width, left=bar.start - 0.5, height=0.8, color=(red, green, blue), zorder=2)
        if width > 4:
            ink = "white" if 0.3 * red + 0.6 * green + 0.1 * blue < 0.55 else "black"
            text = f"{bar.identity}"
            axis.text(bar.start + 0.3, place + 0.03, text, fontsize=6, va="center", color=ink, zorder=3)


def stray_frames(table: TrackTable, pairs: ClearPairs) -> list[int]:
    """Returns the frames in which a reported box is on nobody."""
    matched = set(zip(pairs.frame.tolist(), pairs.track.tolist()))
    reported = zip(table.frame.tolist(), table.track_id.tolist())
    return sorted({frame for frame, track_id in reported if (frame, track_id) not in matched})


def _draw_stages(axis: Any, stages: list[dict[str, int]], label: str) -> None:
    """Draws how many pairs each stage formed in each frame."""
    names = sorted({name for frame in stages for name in frame})
    floor = np.zeros(len(stages))
    for name, shade in zip(names, ("#3b6fb6", "#e08e2b", "#4c9f70", "#b64a6f", "#777777")):
        counts = np.array([frame.get(name, 0) for frame in stages])
        axis.bar(range(1, len(stages) + 1), counts, bottom=floor, width=1.0, color=shade, label=name)
        floor += counts
    axis.set_ylabel("pairs", fontsize=8)
    axis.legend(fontsize=7, ncols=len(names), loc="lower center", frameon=True)
    _title(axis, label, "decisions of each frame, by stage")


def _title(axis: Any, label: str, told: str) -> None:
    axis.set_title(label, loc="left", fontsize=9, family="monospace", fontweight="bold")
    axis.set_title(told, loc="right", fontsize=8)


def _save(figure: Any, name: str) -> Path:
    """Writes a PNG with few colours, which is small."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    path = FOLDER / f"{name}.png"
    image.quantize(48, dither=Image.Dither.NONE).save(path, optimize=True)
    return path


def draw_frame() -> Path:
    """Draws one frame of the scene as `tools/track.py` annotates it; returns its path."""
    clip = scene("street")
    tracker, annotate = Tracker("bytetrack", frame_rate=clip.frame_rate), Annotator(frame_rate=clip.frame_rate)
    for detections, image in zip(clip.detections[:40], clip.images):
        picture = annotate(image, tracker.update(detections))
    path = FOLDER / "frame.png"
    image = Image.fromarray(np.ascontiguousarray(picture[..., ::-1]))
    image.quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)
    return path


def main(names: Sequence[str]) -> int:
    """Draws the pictures that are named, or all; returns the exit code."""
    import torch

    torch.set_num_threads(1)
    if not names:
        print(draw_frame())
    for name in names or PICTURES:
        print(draw(name))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
