"""Numbers as pictures."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from mot_reid.files import whole

Curve = tuple[list[float], list[float]]

PANELS = {
    "loss": ("train/loss", "train/cross_entropy", "train/triplet", "train/weighted_triplet", "train/circle"),
    "score": (
        "val/mAP",
        "val/rank1",
        "val/idf1",
        "val/hota",
        "test/mAP",
        "test/rank1",
        "val/accuracy",
        "test/accuracy",
    ),
    "learning rate": ("lr",),
    "images per second": ("train/images_per_second",),
}
"""Title of a panel, and the columns it shows, by their names up to a dash: `lr-Adam` is `lr`."""


def read_curves(path: str | Path) -> dict[str, Curve]:
    """Returns each column of a metrics.csv as (steps, values), without the rows where it is empty.

    Args:
        path: As Lightning's CSVLogger writes it: a column `step`, the others sparse.
    """
    curves: dict[str, Curve] = defaultdict(lambda: ([], []))
    with Path(path).open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            for name, text in row.items():
                if text and name not in ("step", "epoch"):
                    curves[name][0].append(float(row["step"]))
                    curves[name][1].append(float(text))
    return dict(curves)


def plot_training(metrics: str | Path, picture: str | Path) -> Path:
    """Draws the curves of a training run: loss, scores, learning rate and speed over steps.

    Args:
        metrics: The run's metrics.csv.
        picture: Where to write; the ending chooses the format.

    Returns:
        `picture`.
    """
    from matplotlib.figure import Figure

    curves = read_curves(metrics)
    panels = {title: of_panel(title, curves) for title in PANELS}
    shown = {title: names for title, names in panels.items() if names}
    figure = Figure(figsize=(5.5 * max(1, len(shown)), 4), layout="constrained")
    for place, (title, names) in enumerate(shown.items(), start=1):
        axes = figure.add_subplot(1, len(shown), place)
        for name in names:
            steps, values = curves[name]
            axes.plot(steps, values, label=name, marker="o" if len(steps) < 40 else None, markersize=3)
        axes.set(title=title, xlabel="step")
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize="small")
    with whole(picture) as partial:
        figure.savefig(partial, dpi=120)
    return Path(picture)


def of_panel(title: str, names: Iterable[str]) -> list[str]:
    """Returns those of the columns that a panel shows, in their order."""
    return [name for name in names if name.partition("-")[0] in PANELS[title] and not _further_group(name)]


def _further_group(name: str) -> bool:
    """Whether this is the rate of a parameter group after the first: the same curve at another height."""
    optimizer, _, group = name.partition("/pg")
    return optimizer.startswith("lr-") and group.isdigit() and int(group) > 1
