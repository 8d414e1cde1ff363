"""Which run of a sweep won, and with which command its settings are trained and tested in full."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mot_reid.settings.load import AnyConfig, by_key, load_experiment, load_training

_OWN = ("run.", "logger.", "data.validation", "trainer.enable_progress_bar", "trainer.default_root_dir")
"""What a trial has for the sweep's sake, and not because it is better."""


@dataclass(frozen=True)
class Trial:
    """A finished run of a sweep.

    Attributes:
        folder: Of the run.
        score: Its best score of validation.
        config: Its settings.
    """

    folder: Path
    score: float
    config: AnyConfig

    @property
    def changes(self) -> dict[str, Any]:
        """The values in which it differs from its experiment, by key, without those of `_OWN`."""
        base, own = by_key(load_experiment(self.config.run.experiment)), by_key(self.config)
        return {key: value for key, value in own.items() if value != base[key] and not key.startswith(_OWN)}

    def arguments(self) -> list[str]:
        """Returns the arguments of `mot-reid fit` that train these settings as the experiment is trained and tested."""
        name = Path(self.config.run.experiment).stem
        changes = [f"{key}={_spelled(value)}" for key, value in self.changes.items()]
        return [f"experiment={self.config.run.experiment}", *changes, f"run.name={name}-winner"]


def read_trials(folders: Sequence[Path], metric: str | None = None) -> tuple[list[Trial], list[Path]]:
    """Returns the finished runs, the best one first, and the folders of those that are not finished.

    Args:
        folders: Of runs; a folder without config.yaml is passed over.
        metric: The score of validation that counts; None for `run.monitor` of the runs.

    Raises:
        ValueError: No run is finished, they are of several experiments or choose by several scores, one was
            tested, or the metric is a loss or not a number.
    """
    if metric is not None and "loss" in metric:
        raise ValueError(f"metric: got '{metric}'; expected a score, of which the highest is the best, such as val/mAP")
    trials, unfinished = [], []
    for folder in (folder for folder in folders if (folder / "config.yaml").is_file()):
        config = load_training([f"experiment={folder / 'config.yaml'}"])
        score = _best(folder / "metrics.csv", metric or config.run.monitor)
        if score is None or not (folder / "model.safetensors").is_file():
            unfinished.append(folder)
            continue
        trials.append(Trial(folder, score, config))
    if not trials:
        raise ValueError(
            f"runs: got {len(unfinished)} unfinished runs and none with a model and "
            f"{metric or 'the score of run.monitor'}; expected the folders of a finished sweep, such as runs/NAME-*"
        )
    for what, found in (
        ("experiments", {trial.config.run.experiment for trial in trials}),
        ("scores", {metric or trial.config.run.monitor for trial in trials}),
    ):
        if len(found) > 1:
            raise ValueError(f"runs: got several {what} ({', '.join(sorted(found))}); expected one; name fewer runs")
    tested = [trial.folder for trial in trials if trial.config.run.score_test]
    if tested:
        raise ValueError(
            f"runs: got '{tested[0]}', which was scored on the test split; expected run.score_test=false in a "
            "sweep, so that nothing is chosen by the test"
        )
    return sorted(trials, key=lambda trial: -trial.score), unfinished


def _best(path: Path, metric: str) -> float | None:
    """Returns the highest value in a column of metrics.csv; None where there is none."""
    if not path.is_file():
        return None
    try:
        with path.open(newline="", encoding="utf-8") as file:
            values = [float(row[metric]) for row in csv.DictReader(file) if row.get(metric)]
    except ValueError as error:
        raise ValueError(f"'{path}': {metric}: got {error}; expected numbers; leave this run out of runs=") from None
    return max((value for value in values if math.isfinite(value)), default=None)


def _spelled(value: Any) -> str:
    """Returns a value as the command line takes it."""
    if isinstance(value, (tuple, list)):
        return f"[{','.join(map(_spelled, value))}]"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
