"""Searches the parameters of a tracker: `mot-reid tune-tracker preset=bytetrack ground_truth=DIR`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mot_reid.cli.command import Command, Given, check_output
from mot_reid.files import write_json
from mot_reid.settings.evaluation import TuneTrackerSettings
from mot_reid.settings.load import ConfigError
from mot_reid.settings.schema import OneOf

if TYPE_CHECKING:
    from mot_reid.evaluation.tuning import Tuned

COMMAND = Command(
    "tune-tracker",
    TuneTrackerSettings,
    usage="ground_truth=DIR [key=value ...] [config=FILE]",
    about="""
Searches for the best parameters of a tracker on existing detections. It uses cross-validation: each sequence is scored
with the parameters that were best on the other sequences, and compared with the default parameters. At the end the
parameters are tuned once more on all sequences. Use these, and expect about the cross-validated scores.""",
    examples=(
        "ground_truth=data/mot17/train",
        "ground_truth=data/mot17/train preset=bytetrack_reid embeddings=embeddings reid=osnet_x0_25_market1501",
        "ground_truth=data/mot17/train objective=idf1 parameters=high,low,max_missed trials=100 json=tuned.json",
    ),
)
SHOWN = {"HOTA": "hota", "AssA": "assa", "MOTA": "mota", "IDF1": "idf1"}


def main(argv: Sequence[str]) -> int:
    """Tunes a tracker; returns the exit code."""
    return COMMAND.run(_tune, argv)


def _tune(settings: TuneTrackerSettings, given: Given) -> None:
    """Reads, searches, prints and writes."""
    check_output("json", settings.json)
    from mot_reid.evaluation.tuning import SEARCHED, check_optuna, tune

    known = SEARCHED[settings.preset]
    parameters = known if settings.parameters is None else settings.parameters
    if (expected := OneOf(known).refuse(parameters)) is not None:
        wrong = next(name for name in parameters if name not in known)
        raise ConfigError(f"command line: parameters: got '{wrong}'; expected {expected}")
    check_optuna()
    from tqdm import tqdm

    from mot_reid.evaluation.tuning_data import read_bench

    bench = read_bench(
        settings.ground_truth,
        settings.preset,
        benchmark=settings.benchmark,  # type: ignore[arg-type]
        sequences=settings.sequences,
        detections=settings.detections,
        embeddings=settings.embeddings,
        reid=settings.reid,
        runtime=settings.runtime,
    )
    total = (len(bench.frames) + 1) * settings.trials
    with tqdm(total=total, desc="tuning", unit="try", disable=None) as bar:
        tuned = tune(
            bench,
            parameters,
            objective=settings.objective,
            trials=settings.trials,
            seed=settings.seed,
            tick=bar.update,
        )
    print(_table(tuned))
    if settings.json is not None:
        told = {key: value for key, value in given.items() if key != "json"}
        print(f"\nscores   {write_json(settings.json, tuned.to_dict() | {'settings': told})}")


def _table(tuned: Tuned) -> str:
    """Returns the scores in percent: each sequence by the defaults and by what was tuned without it; parameters."""
    width = max(12, *(len(name) for name in tuned.held_out)) + 2
    head = "".join(f"{name:>18}" for name in SHOWN)
    lines = [f"{'held out':<{width}}{head}   (%, default > tuned on the others)"]
    for name, pair in tuned.pairs.items():
        before, after = (scores.to_dict() for scores in pair)
        cells = "".join(f"{f'{100 * before[key]:.2f} > {100 * after[key]:.2f}':>18}" for key in SHOWN.values())
        lines.append(f"{name:<{width}}{cells}")
    words = " ".join(f"{parameter}={value:g}" for parameter, value in tuned.parameters.items())
    lines += ["", f"parameters tuned on all sequences: {words or 'those of the preset: nothing was better'}"]
    return "\n".join(lines)
