"""Who was followed by whom, and when: a row for each person or track over the frames of a sequence, as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from markupsafe import Markup

from mot_reid.arrays import IntArray
from mot_reid.metrics.mot import ClearPairs
from mot_reid.structures import TrackTable
from mot_reid.viewing.charts import Axis
from mot_reid.viewing.draw import colour

LEFT, RIGHT, TOP, WIDTH, ROW = 52, 8, 4, 1040, 15


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch of frames.

    Attributes:
        start: First frame.
        stop: Last frame.
        identity: Whose colour it has; None for a pale bar.
    """

    start: int
    stop: int
    identity: int | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """A place to look at: a frame, and the anchor in the page that tells of it."""

    frame: int
    anchor: str
    title: str


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a timeline: bars are drawn in their order, then marks."""

    identity: int
    bars: Sequence[Bar]
    marks: Sequence[Mark] = ()


@dataclass(frozen=True, slots=True)
class Presence:
    """Somebody in front of a camera, from one second to another."""

    identity: int
    camera: str
    begin: float
    end: float
    title: str


def person_rows(truth: TrackTable, pairs: ClearPairs) -> list[Row]:
    """Returns a row for each person that was ever matched or could have been: pale where annotated, else the tracks."""
    return _rows(truth, pairs.person, pairs.frame, pairs.track)


def track_rows(result: TrackTable, pairs: ClearPairs) -> list[Row]:
    """Returns a row for each track: pale where reported, else the persons it was on."""
    return _rows(result, pairs.track, pairs.frame, pairs.person)


def timeline_svg(rows: Sequence[Row], *, length: int, what: str) -> Markup:
    """Returns the rows below each other.

    Args:
        rows: From `person_rows` or `track_rows`.
        length: Frames of the sequence.
        what: "person" or "track": whose rows these are; the bars are of the other.
    """
    axis = Axis("frame", 1, max(length, 2))
    floor = TOP + ROW * len(rows)
    other = "track" if what == "person" else "person"
    parts = _grid(axis, floor, [value for value in axis.ticks() if value >= 1] or [1.0])
    for place, row in enumerate(rows):
        y = TOP + ROW * place
        parts.append(f'<text x="{LEFT - 7}" y="{y + 11}" text-anchor="end">{row.identity}</text>')
        parts += [_bar(axis, bar, y, f"{what} {row.identity}", other) for bar in row.bars]
        parts += [_mark(axis, mark, y) for mark in row.marks]
    return _framed(parts, floor, f"{what.capitalize()}s over the frames of the sequence")


def seen_svg(table: TrackTable, *, length: int, frame_rate: float, most: int, width: int = WIDTH) -> Markup:
    """Returns who was seen when, over the seconds of a video without a ground truth: a row for each track.

    Args:
        table: What a tracker reported.
        length: Frames of the video.
        frame_rate: Frames per second.
        most: Rows at most; the tracks that appear first.
        width: Of the drawing in its own units, of which there are as many as pixels where it stands.
    """
    rows = _rows(table, table.track_id, table.frame, table.track_id)[:most]
    axis = Axis("second", 0.0, max(length / frame_rate, 1e-3))
    floor = TOP + ROW * len(rows)
    parts = _grid(axis, floor, axis.ticks(), width=width, unit=" s")
    for place, row in enumerate(rows):
        y = TOP + ROW * place
        parts.append(f'<text x="{LEFT - 7}" y="{y + 11}" text-anchor="end">{row.identity}</text>')
        for bar in row.bars:
            if bar.identity is not None:
                start, stop = (bar.start - 1) / frame_rate, bar.stop / frame_rate
                title = f"person {row.identity}, {start:.1f} s to {stop:.1f} s"
                parts.append(_coloured(_x(axis, start, width), _x(axis, stop, width), y, bar.identity, title))
    return _framed(parts, floor, "Who was seen when, over the seconds of the video", width)


def presence_svg(presences: Sequence[Presence], *, width: int = WIDTH) -> Markup:
    """Returns who was in front of which camera when: a row for each identity and camera, in the identity's colour.

    Args:
        presences: In any order.
        width: Of the drawing in its own units.
    """
    lines = sorted({(one.identity, one.camera) for one in presences})
    axis = Axis("second", min(0.0, *(one.begin for one in presences)), max(1e-3, *(one.end for one in presences)))
    floor = TOP + ROW * len(lines)
    parts = _grid(axis, floor, axis.ticks(), width=width, unit=" s")
    for place, line in enumerate(lines):
        y = TOP + ROW * place
        if not place or lines[place - 1][0] != line[0]:
            parts.append(f'<text x="{LEFT - 7}" y="{y + 11}" text-anchor="end">{line[0]}</text>')
        for one in presences:
            if (one.identity, one.camera) == line:
                x, end = (_x(axis, value, width) for value in (one.begin, one.end))
                parts.append(_coloured(x, end, y, one.identity, one.title, text=one.camera))
    return _framed(parts, floor, "Who was in front of which camera, over the seconds of the videos", width)


def _grid(axis: Axis, floor: int, ticks: Sequence[float], *, width: int = WIDTH, unit: str = "") -> list[str]:
    """Returns a line and a label for each tick."""
    parts = []
    for tick in ticks:
        x = _x(axis, tick, width)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{floor}"/>')
        parts.append(f'<text x="{x:.1f}" y="{floor + 14}" text-anchor="middle">{axis.write(tick)}{unit}</text>')
    return parts


def _framed(parts: Sequence[str], floor: int, label: str, width: int = WIDTH) -> Markup:
    return Markup(
        f'<div class="scroll"><svg class="timeline" viewBox="0 0 {width} {floor + 20}" role="img" '
        f'aria-label="{label}">{"".join(parts)}</svg></div>'
    )


def _rows(table: TrackTable, owner: IntArray, frame: IntArray, partner: IntArray) -> list[Row]:
    """Returns a row for each identity of a table, in the order in which they appear."""
    order = np.lexsort((table.frame, table.track_id))
    identities, starts = np.unique(table.track_id[order], return_index=True)
    rows = []
    for identity, present in zip(identities.tolist(), np.split(table.frame[order], starts[1:])):
        mine = np.flatnonzero(owner == identity)
        mine = mine[np.argsort(frame[mine])]
        bars = [Bar(a, b) for a, b, _ in _runs(present, np.zeros(len(present), np.int64))]
        bars += [Bar(a, b, key) for a, b, key in _runs(frame[mine], partner[mine])]
        rows.append(Row(identity, bars))
    return sorted(rows, key=lambda row: (row.bars[0].start, row.identity))


def _runs(frames: IntArray, keys: IntArray) -> list[tuple[int, int, int]]:
    """Returns first frame, last frame and key of each run of successive frames with the same key."""
    if not len(frames):
        return []
    cuts = np.flatnonzero((np.diff(frames) != 1) | (np.diff(keys) != 0)) + 1
    first, last = np.concatenate([[0], cuts]), np.concatenate([cuts, [len(frames)]]) - 1
    return list(zip(frames[first].tolist(), frames[last].tolist(), keys[first].tolist()))


def _bar(axis: Axis, bar: Bar, y: int, whose: str, other: str) -> str:
    x, end = _x(axis, bar.start), _x(axis, bar.stop + 1)
    title = f"{whose}, frames {bar.start} to {bar.stop}"
    if bar.identity is None:
        shape = f'<rect class="pale" x="{x:.1f}" y="{y + 5}" width="{end - x:.1f}" height="5"'
        return f"{shape}><title>{escape(title)}</title></rect>"
    return _coloured(x, end, y, bar.identity, f"{title}: {other} {bar.identity}")


def _coloured(x: float, end: float, y: int, identity: int, title: str, *, text: str = "") -> str:
    """Returns a bar in the colour of an identity; its number, or the text, is in it where there is room."""
    blue, green, red = colour(identity)
    written, inside = text or str(identity), ""
    if end - x > 9 * len(written) + 4:
        dark = 0.299 * red + 0.587 * green + 0.114 * blue < 140
        ink = "#fff" if dark else "#111"
        inside = f'<text class="in" x="{x + 4:.1f}" y="{y + 11}" style="fill:{ink}">{escape(written)}</text>'
    return (
        f'<rect x="{x:.1f}" y="{y + 1}" width="{max(end - x, 0.8):.1f}" height="{ROW - 2}" '
        f'fill="rgb({red},{green},{blue})"><title>{escape(title)}</title></rect>{inside}'
    )


def _mark(axis: Axis, mark: Mark, y: int) -> str:
    x = _x(axis, mark.frame)
    return (
        f'<a href="#{mark.anchor}"><path class="event-mark" d="M{x:.1f} {y + ROW}v-{ROW}l-4 -3h8l-4 3">'
        f"<title>{escape(mark.title)}</title></path></a>"
    )


def _x(axis: Axis, value: float, width: int = WIDTH) -> float:
    return LEFT + float(axis.place([value])[0]) * (width - LEFT - RIGHT)
