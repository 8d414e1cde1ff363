"""What was measured, and what it is compared with."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """One number.

    Attributes:
        name: such as "train/step"; the part before the slash is what was measured.
        value: the median of the repetitions.
        unit: "ms", "us", "images/s", "MB" ..; what ends in "/s" is a speed, the rest is better when it is small.
        bound: what the machine could do at best, in the same unit; None where nobody can say.
        bound_name: what that is.
    """

    name: str
    value: float
    unit: str
    bound: float | None = None
    bound_name: str | None = None

    @property
    def share(self) -> float | None:
        """How much of the bound is reached: 1 is all of it; None without a bound."""
        if not self.bound or not self.value:
            return None
        return self.value / self.bound if self.is_speed else self.bound / self.value

    @property
    def is_speed(self) -> bool:
        """Whether more is better."""
        return self.unit.endswith("/s")

    def to_dict(self) -> dict[str, Any]:
        """Returns the figure as JSON has it."""
        return {
            "value": self.value, "unit": self.unit, "bound": self.bound, "bound_name": self.bound_name,
            "share": self.share,
        }  # fmt: skip


def line(figure: Figure) -> str:
    """Returns a figure as a line for people: value, bound, and the share of it that is reached."""
    text = f"{figure.name:<34}{_number(figure.value):>12} {figure.unit:<10}"
    if figure.bound is not None and figure.share is not None:
        text += f"{_number(figure.bound):>12} {figure.bound_name} ({figure.share:.0%})"
    return text.rstrip()


def read(path: str | Path, *, what: str) -> dict[str, Figure]:
    """Returns the figures of a file that `mot-reid benchmark` wrote, by name.

    Args:
        path: of the file.
        what: they are to be compared with: "train", .. or "all".

    Raises:
        ValueError: it is no such file, or has none of them.
    """
    try:
        told = json.loads(Path(path).read_text(encoding="utf-8"))["figures"]
        figures = {name: Figure(name, float(one["value"]), str(one["unit"])) for name, one in told.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        figures = {}
    if not figures or not all(math.isfinite(figure.value) for figure in figures.values()):
        raise ValueError(f"compare: got '{path}'; expected a file that json= of this tool wrote; check the path")
    if what != "all" and not any(name.startswith(f"{what}/") for name in figures):
        raise ValueError(f"compare: got '{path}' without figures of what={what}; expected a file of the same what=")
    return figures


def compare(figures: Sequence[Figure], old: Mapping[str, Figure]) -> str:
    """Returns lines that say how many times better each figure is than the one of that name in `old`.

    Args:
        figures: those of this run.
        old: those of an earlier one; what only one of both has is left out.

    Raises:
        ValueError: a figure of that name has another unit, or both have no name in common.
    """
    lines = []
    for figure in (figure for figure in figures if figure.name in old):
        before = old[figure.name]
        if before.unit != figure.unit:
            raise ValueError(
                f"compare: '{figure.name}' is in {before.unit} there and in {figure.unit} here; expected one unit; "
                "measure both with one version"
            )
        better, worse = (figure, before) if figure.is_speed else (before, figure)
        ratio = f"{better.value / worse.value:.2f}x" if worse.value > 0 else ""
        now = f"{_number(figure.value):>10} {figure.unit:<10}"
        lines.append(f"{figure.name:<34}{_number(before.value):>12} -> {now}{ratio}".rstrip())
    if not lines:
        raise ValueError("compare: got a file without any of these figures; expected one of the same what=")
    return "\n".join(lines)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
