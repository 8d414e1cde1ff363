"""Finds the best run of a sweep: `mot-reid sweep-winner runs=runs/NAME-*`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING

from mot_reid.cli.command import Command, Given, called_as, check_output
from mot_reid.files import write_json
from mot_reid.settings.load import ConfigError
from mot_reid.settings.sweep import SweepWinnerSettings

if TYPE_CHECKING:
    from mot_reid.evaluation.sweep import Trial

COMMAND = Command(
    "sweep-winner",
    SweepWinnerSettings,
    usage="runs=FOLDER|PATTERN[,...] [metric=val/mAP] [json=FILE]",
    about="""
Reads the folders of a finished sweep, compares the best validation of each run, and prints the command that trains the
winner's settings as the experiment trains, tested at the end. It needs no account and no network: W&B's offline runs
have all that is needed in their own folders. Runs that were scored on the test split are refused.""",
    examples=("runs=runs/resnet50_market-*", "runs=[runs/a,runs/b] metric=val/rank1 json=sweep.json"),
)
_SHOWN = 10


def main(argv: Sequence[str]) -> int:
    """Compares runs; returns the exit code."""
    return COMMAND.run(_win, argv)


def _win(settings: SweepWinnerSettings, given: Given) -> None:
    """Reads the runs and prints the winner."""
    check_output("json", settings.json)
    from mot_reid.evaluation.sweep import read_trials

    found = {pattern: sorted(glob(pattern)) for pattern in settings.runs}
    if nowhere := [pattern for pattern, names in found.items() if not names]:
        raise ConfigError(f"command line: runs: got '{nowhere[0]}', where nothing is; expected folders of runs")
    folders = [Path(name) for names in found.values() for name in names]
    trials, unfinished = read_trials(list(dict.fromkeys(folders)), settings.metric)
    winner = trials[0]
    metric = settings.metric or winner.config.run.monitor
    print(f"{len(trials)} finished runs" + (f", {len(unfinished)} unfinished" if unfinished else ""))
    for trial in trials[:_SHOWN]:
        print(f"  {metric} {trial.score:.4f}  {trial.folder}")
    command = f"{called_as('fit')} {shlex.join(winner.arguments())}"
    print(f"\nretrain and test the winner:\n{command}")
    if settings.json is not None:
        write_json(settings.json, {"metric": metric, "command": command, "runs": [_described(one) for one in trials]})


def _described(trial: Trial) -> dict[str, object]:
    """Returns a run as JSON has it."""
    return {"folder": str(trial.folder), "score": trial.score, "changes": trial.changes}
