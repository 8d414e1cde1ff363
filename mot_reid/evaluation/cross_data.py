"""Several models on several data sets: what each is worth where it was not trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mot_reid.evaluation.score_people import Scored


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """One model on one data set.

    Attributes:
        model: Its name.
        scored: What it is worth there.
    """

    model: str
    scored: Scored

    def to_dict(self) -> dict[str, Any]:
        """Returns the scores as fractions, with the model and the data set."""
        return {"model": self.model, **self.scored.to_dict()}


NAMES: Mapping[str, str] = {"rank1": "Rank-1", "mean_ap": "mAP", "mean_inp": "mINP"}


def rows(cells: Sequence[Cell]) -> Iterator[tuple[str, list[tuple[str, list[str]]]]]:
    """Yields each data set, as it is called, with the scores of each model there as texts in percent.

    Args:
        cells: Of every model and data set.
    """
    for name in dict.fromkeys(str(cell.scored.people) for cell in cells):
        yield name, [(cell.model, _texts(cell)) for cell in cells if str(cell.scored.people) == name]


def _texts(cell: Cell) -> list[str]:
    """The scores in the order of `NAMES`, with their intervals where there are some."""
    plain = cell.scored.scores["plain"]
    values = plain.to_dict()
    return [percent(values[key], plain.intervals.get(key)) for key in NAMES]


def percent(value: float, interval: Sequence[float] | None = None) -> str:
    """Returns a score, and its interval where there is one, as a text in percent.

    Args:
        value: A fraction.
        interval: Its lower and its upper end.
    """
    return f"{100 * value:.1f}" + (f" ({100 * interval[0]:.1f} - {100 * interval[1]:.1f})" if interval else "")
