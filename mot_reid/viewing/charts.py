"""Small line charts as inline SVG, which follow the light or dark colours of the page they stand in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

import numpy as np
from markupsafe import Markup
from numpy.typing import ArrayLike, NDArray

LEFT, RIGHT, TOP, BOTTOM = 44, 12, 12, 40
"""Margins of a chart in its own units, of which there are as many as pixels on a wide screen."""
FEW = 20
"""Up to so many points of a line are marked."""


@dataclass(frozen=True, slots=True)
class Axis:
    """What one direction of a chart shows.

    Attributes:
        label: What is measured.
        low: Value at the left or lower end.
        high: Value at the other end; greater.
        scale: "linear" or "log".
        percent: Whether values are fractions to be written in percent.
    """

    label: str
    low: float
    high: float
    scale: str = "linear"
    percent: bool = False

    def place(self, values: ArrayLike) -> NDArray[np.float64]:
        """Returns where values lie, 0 at the low end and 1 at the high one; values beyond an end lie on it."""
        clipped = np.clip(np.asarray(values, dtype=np.float64), self.low, self.high)
        if self.scale == "log":
            return np.log(clipped / self.low) / math.log(self.high / self.low)
        return (clipped - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        """Returns some five round values between the ends."""
        if self.scale == "log":
            decades = range(math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9) + 1)
            return [10.0**decade for decade in decades]
        rough = (self.high - self.low) / 5
        size = 10.0 ** math.floor(math.log10(rough))
        step = size * next(factor for factor in (1, 2, 5, 10) if factor * size >= rough * 0.999)
        return [step * i for i in range(math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9) + 1)]

    def write(self, value: float) -> str:
        """Returns a value of the axis as text."""
        shown = 100 * value if self.percent else value
        if self.scale == "log" and abs(shown) < 0.01:
            return f"{shown:.0e}".replace("e-0", "e-")
        return f"{round(shown, 10):,g}" if abs(shown) < 1e4 else f"{shown / 1000:,g}k"


@dataclass(frozen=True, slots=True)
class Frame:
    """Two axes and the size of the chart."""

    x: Axis
    y: Axis
    width: int = 460
    height: int = 290

    def at(self, x: ArrayLike, y: ArrayLike) -> NDArray[np.float64]:
        """Returns (N, 2) positions in the chart of N points."""
        right = LEFT + self.x.place(x) * (self.width - LEFT - RIGHT)
        down = TOP + (1 - self.y.place(y)) * (self.height - TOP - BOTTOM)
        return np.stack([right, down], axis=-1)


def line(frame: Frame, x: ArrayLike, y: ArrayLike, *, color: str) -> str:
    """Returns a line through points, with dots where they are few.

    Args:
        frame: Where.
        x: (N,) values, rising.
        y: (N,) values.
        color: A class of the page's colours, "c1" to "c4".
    """
    points = frame.at(x, y)
    few = points if len(points) <= FEW else points[:0]
    dots = "".join(f'<circle class="dot {color}" cx="{right:.1f}" cy="{down:.1f}" r="2.5"/>' for right, down in few)
    return f'<polyline class="line {color}" points="{_path(points)}"/>{dots}'


def area(frame: Frame, x: ArrayLike, y: ArrayLike, *, color: str) -> str:
    """Returns the area between points and the lower end, with its upper edge; arguments as `line`."""
    points = frame.at(x, y)
    floor = frame.height - BOTTOM
    closed = f"{points[0, 0]:.1f},{floor} {_path(points)} {points[-1, 0]:.1f},{floor}"
    return f'<polygon class="area {color}" points="{closed}"/>{line(frame, x, y, color=color)}'


def rule(frame: Frame, x: float, *, label: str) -> str:
    """Returns a dashed vertical line with a label at its top."""
    place = frame.at([x], [frame.y.low])[0, 0]
    left = place > frame.width * 0.6
    return (
        f'<line class="rule" x1="{place:.1f}" x2="{place:.1f}" y1="{TOP}" y2="{frame.height - BOTTOM}"/>'
        f'<text class="note" x="{place + (-5 if left else 5):.1f}" y="{TOP + 11}" '
        f'text-anchor="{"end" if left else "start"}">{escape(label)}</text>'
    )


def dot(frame: Frame, x: float, y: float, *, color: str, label: str) -> str:
    """Returns a marked point with its label next to it."""
    right, down = frame.at([x], [y])[0]
    left = right > frame.width * 0.6
    return (
        f'<circle class="dot {color}" cx="{right:.1f}" cy="{down:.1f}" r="4.5"/>'
        f'<text class="note" x="{right + (-9 if left else 9):.1f}" y="{down + 14:.1f}" '
        f'text-anchor="{"end" if left else "start"}">{escape(label)}</text>'
    )


def whisker(frame: Frame, x: float, low: float, high: float, *, color: str) -> str:
    """Returns an interval of y at one x."""
    (place, top), (_, end) = frame.at([x, x], [high, low])
    return f'<line class="line {color}" x1="{place:.1f}" x2="{place:.1f}" y1="{top:.1f}" y2="{end:.1f}"/>'


def chart(frame: Frame, *shapes: str, title: str, legend: Mapping[str, str] | None = None) -> Markup:
    """Returns a figure: grid, axes, the shapes in their order and, below, what the colours mean.

    Args:
        frame: Axes and size.
        shapes: From `line`, `area`, `rule`, `dot` and `whisker`, drawn in the same frame.
        title: Above the chart.
        legend: Colour class by name.
    """
    keys = "".join(f'<span class="key {color}">{escape(name)}</span>' for name, color in (legend or {}).items())
    return Markup(
        f'<figure class="chart"><figcaption>{escape(title)}</figcaption>'
        f'<svg viewBox="0 0 {frame.width} {frame.height}" role="img" aria-label="{escape(title)}">'
        f"{_grid(frame)}{''.join(shapes)}</svg>" + (f'<div class="legend">{keys}</div>' if keys else "") + "</figure>"
    )


def _grid(frame: Frame) -> str:
    """Returns grid lines, tick labels and axis labels."""
    right, floor = frame.width - RIGHT, frame.height - BOTTOM
    parts = []
    for value in frame.x.ticks():
        x = frame.at([value], [frame.y.low])[0, 0]
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{floor}"/>')
        parts.append(f'<text x="{x:.1f}" y="{floor + 16}" text-anchor="middle">{frame.x.write(value)}</text>')
    for value in frame.y.ticks():
        y = frame.at([frame.x.low], [value])[0, 1]
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{frame.y.write(value)}</text>')
    middle = (LEFT + right) / 2
    parts.append(f'<text x="{middle}" y="{frame.height - 6}" text-anchor="middle">{escape(frame.x.label)}</text>')
    return "".join(parts)


def _path(points: NDArray[np.float64]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
