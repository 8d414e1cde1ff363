"""Trains a Re-ID model: `mot-reid fit experiment=NAME`."""

from __future__ import annotations

import hashlib
import os
import shlex
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mot_reid.cli.command import Command, Given, called_as
from mot_reid.cli.seeds import fit_seeds, seeds_of, with_first_seed
from mot_reid.settings.draft import Draft
from mot_reid.settings.help import describe_experiments, describe_keys, experiment_schema
from mot_reid.settings.load import (
    AnyConfig,
    Config,
    ConfigError,
    draft_config,
    draft_settings,
    load_settings,
    load_training,
    parse_arguments,
)
from mot_reid.settings.schema import schema
from mot_reid.settings.training import FitCall

if TYPE_CHECKING:
    from mot_reid.training.fit import FitResult


@dataclass(frozen=True)
class _FitCommand(Command[AnyConfig]):
    """Training: its values come from an experiment, and `ckpt` is none of them."""

    def load(self, argv: Sequence[str]) -> AnyConfig:
        load_settings(FitCall, _call(argv), base=self.base)
        return load_training(with_first_seed(argv, parse_arguments(argv)), tool_keys=schema(FitCall))

    def values(self, argv: Sequence[str]) -> dict[str, Any]:
        return _draft(argv).values()

    def keys_help(self, argv: Sequence[str]) -> str:
        call = draft_settings(FitCall, _call(argv), base=self.base).values()
        named = parse_arguments(argv).get("experiment")
        origin = f"with the values of {named}" if named else "with their values in configs/base.yaml"
        keys = describe_keys(FitCall, call) + "\n" + describe_keys(_draft(argv).cls, self.values(argv))
        return f"{describe_experiments()}\n\nKeys, {origin}:\n{keys}"

    def schema(self, argv: Sequence[str]) -> dict[str, Any]:
        return experiment_schema(_draft(argv).cls, self.values(argv), title="experiment of mot-reid fit")


COMMAND = _FitCommand(
    "fit",
    Config,
    usage="experiment=NAME [ckpt=last|auto|PATH] [group=name] [section.key=value ...]",
    about="""
Trains a person re-identification model, or a classifier of what people do, and writes it, with its configuration,
curves and scores, to run.dir.""",
    examples=(
        "experiment=quickstart",
        "experiment=resnet50_market data=folders data.root=my/people data.validation=0.2",
        "experiment=resnet50_market optim.lr=1e-3 trainer.max_epochs=60 run.name=fast",
        "experiment=resnet50_market ckpt=last",
        "experiment=quickstart run.seed=[0,1,2]",
        "experiment=actions_synthetic data.kind=folders data.root=my/clips",
        "experiment=resnet50_market --help",
    ),
    exits="0 done, 1 the run failed, 2 a mistake in its settings",
)


_LAUNCH = "MOT_REID_LAUNCH"
"""The environment's name for what `_launch` gives."""


def main(argv: Sequence[str]) -> int:
    """Runs one experiment; returns the exit code: 0, 1 for a failed run, 2 for a mistake in it, 130 if interrupted."""
    os.environ.setdefault(_LAUNCH, _launch())
    return COMMAND.run(_run, argv, judge=_judge, interrupted="interrupted before training began")


def _draft(argv: Sequence[str]) -> Draft[Any]:
    """Returns the settings that a command line gives, of the task of its experiment, complete or not."""
    return draft_config(with_first_seed(argv, parse_arguments(argv)), tool_keys=schema(FitCall))[0]


def _call(argv: Sequence[str]) -> list[str]:
    """Returns the arguments that belong to the call, not to the experiment."""
    return [f"{key}={text}" for key, text in parse_arguments(argv).items() if key in schema(FitCall)]


def _run(config: AnyConfig, given: Given) -> int:
    """Trains and reports; returns the exit code."""
    if seeds_of(given):
        return fit_seeds(config, given)
    result = _fit(config, given.get("ckpt"))
    if not result.interrupted:
        if _tells():
            _report(result)
        return 0
    if _tells():
        again = shlex.join(f"{key}={text}" for key, text in given.items() if key != "ckpt")
        saved = (result.folder / "checkpoints" / "last.ckpt").exists()
        hint = f"go on with: {called_as('fit')} {again} ckpt=last" if saved else "nothing was saved yet"
        print(f"interrupted; {hint}", file=sys.stderr)
    return 130


def _fit(config: AnyConfig, resume: str | None) -> FitResult:
    """Trains, with the run's own messages alone on the screen."""
    from mot_reid.training.fit import fit
    from mot_reid.training.host import quieten

    quieten()
    return fit(config, resume=resume)


def _judge(error: Exception) -> tuple[str, int] | None:
    """Returns one line and the exit code: 1 for a run that failed, 2 for a mistake in its settings."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    if lines[0].startswith("Caught "):  # in a worker process, with its traceback
        lines = [lines[-1].partition(": ")[2]]
    line = " ".join(" ".join(lines).split())
    if isinstance(error, FloatingPointError):
        return _once(line), 1
    return (_once(line), 2) if _is_mistake(error) else None


def _once(line: str) -> str:
    """Returns a message, or nothing where another process of this run, on this machine, has printed the same."""
    if "LOCAL_RANK" not in os.environ:
        return line
    name = hashlib.sha256(f"{os.environ[_LAUNCH]} {line}".encode()).hexdigest()
    try:
        os.close(os.open(Path(tempfile.gettempdir()) / f"mot-reid-{name[:32]}", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return ""
    except OSError:  # better said twice than not at all
        pass
    return line


def _launch() -> str:
    """A name that all processes of a run on this machine share, and no other run."""
    for shared in ("TORCHELASTIC_RUN_ID", "SLURM_STEP_ID"):  # whoever started them is the parent of all
        if shared in os.environ:
            return f"{os.environ[shared]}-{os.environ.get('SLURM_JOB_ID', '')}-{os.getppid()}"
    return f"{os.getpid()}-{time.time_ns()}"  # of the first process, which starts the others with its environment


def _is_mistake(error: Exception) -> bool:
    """Whether an error is the user's, shown in one line, and not the program's, which shows where it happened.

    Ours and Lightning's checks raise in their own code; an error from deeper is a bug.
    """
    if isinstance(error, (ConfigError, OSError)) or str(error).startswith("Caught ValueError in DataLoader worker"):
        return True
    if type(error).__name__ == "MisconfigurationException":  # Lightning's, which may not be imported yet
        return True
    origin = Path(traceback.extract_tb(error.__traceback__)[-1].filename)
    files = (sys.modules[name].__file__ for name in ("mot_reid", "lightning") if name in sys.modules)
    checked = any(origin.is_relative_to(Path(file).parent) for file in files if file)
    return checked and isinstance(error, (ValueError, RuntimeError, ModuleNotFoundError))


def _tells() -> bool:
    """Whether this is the one process of a run that speaks."""
    from lightning.pytorch.utilities import rank_zero_only

    return not rank_zero_only.rank  # type: ignore[attr-defined]


def _report(result: FitResult) -> None:
    """Prints the table of scores, and draws the curves."""
    if any(name.endswith("accuracy") for name in result.scores):
        for name, score in result.scores.items():
            print(f"{name:<24}{100 * score:6.1f} %")
        _print_files(result)
        return
    names = ("mAP", "rank1", "rank5", "rank10", "mINP")
    rows = [("test, untrained", "test", result.untrained), ("validation", "val", result.scores)]
    rows.append(("test", "test", result.scores))
    if not {"val/mAP", "test/mAP"} & {*result.scores, *result.untrained}:
        if result.model is not None:
            print("\nno scores, no threshold: no test split was scored, and data.validation holds nobody out")
    else:
        print(
            f"\n{'':<16}" + "".join(f"{name:>9}" for name in ("mAP", "Rank-1", "Rank-5", "Rank-10", "mINP")) + "   (%)"
        )
    for title, stage, scores in rows:
        if f"{stage}/mAP" in scores:
            cells = (
                f"{100 * scores[key]:9.1f}" if (key := f"{stage}/{name}") in scores else f"{'':9}" for name in names
            )
            print(f"{title:<16}" + "".join(cells))
    _print_files(result)


def _print_files(result: FitResult) -> None:
    """Draws the curves, and prints where they and the model are and how long it took."""
    from mot_reid.viewing.plots import plot_training

    metrics = result.folder / "metrics.csv"
    if metrics.exists():
        print(f"\ncurves         {plot_training(metrics, result.folder / 'curves.png')}")
    if result.model is not None:
        print(f"model          {result.model}")
    speed = result.images_per_second
    print(f"time           {result.minutes:.1f} min" + (f", {speed:.0f} images/s in training" if speed else ""))
