"""Trains a Re-ID model: `python tools/fit.py experiment=NAME [key=value ...]`."""

from __future__ import annotations

import logging
import shlex
import sys
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mot_reid.config import Config, ConfigError, describe_keys, load_config, parse_arguments

if TYPE_CHECKING:
    from mot_reid.training.fit import FitResult

USAGE = """usage: python tools/fit.py experiment=NAME [ckpt=last|PATH] [group=name] [section.key=value ...]

Trains a person re-identification model and writes it, with its configuration, curves and scores, to run.dir.
"""
NOISE = (
    "You have overridden `on_after_batch_transfer`",
    ".*LeafSpec",
    "Experiment logs directory",
    "Total length of `list`",
    "The number of training batches .* is smaller than the logging interval",
    "You're resuming from a checkpoint that ended before the epoch ended",
    ".*does not have many workers",
    "It is recommended to use .*sync_dist=True",
    "Checkpoint directory .* exists and is not empty",
)
"""Beginnings of warnings that tell a person nothing to act on."""


def main(argv: Sequence[str]) -> int:
    """Runs one experiment; returns the exit code: 0, 1 for a failed run, 2 for a mistake in it, 130 if interrupted."""
    try:
        arguments = parse_arguments(argv)
        if "help" in arguments:
            print(USAGE + "\n" + describe_keys())
            return 0
        config = load_config(argv, tool_keys=("ckpt",))
        result = _fit(config, arguments.get("ckpt"))
    except FloatingPointError as error:
        return _refuse(error, code=1)
    except Exception as error:
        if not _is_mistake(error):
            raise
        return _refuse(error, code=2)
    except KeyboardInterrupt:
        print("interrupted before training began", file=sys.stderr)
        return 130
    if not _tells():
        return 130 if result.interrupted else 0
    if result.interrupted:
        again = [argument for argument in argv if not argument.removeprefix("--").startswith("ckpt=")]
        saved = (result.folder / "checkpoints" / "last.ckpt").exists()
        hint = f"go on with: python tools/fit.py {shlex.join(again)} ckpt=last" if saved else "nothing was saved yet"
        print(f"interrupted; {hint}", file=sys.stderr)
        return 130
    _report(result)
    return 0


def _fit(config: Config, resume: str | None) -> FitResult:
    """Trains, with the run's own messages alone on the screen."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for message in NOISE:
        warnings.filterwarnings("ignore", message=message)
    from mot_reid.training.fit import fit

    for name in ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in ("mlflow", "alembic", "lightning.pytorch.loggers"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return fit(config, resume=resume)


def _is_mistake(error: Exception) -> bool:
    """Whether an error is the user's, told in one line, and not the program's, which shows where it happened.

    Ours and Lightning's checks raise in their own code; whatever comes from deeper was not expected by anybody.
    """
    if isinstance(error, (ConfigError, OSError)) or str(error).startswith("Caught ValueError in DataLoader worker"):
        return True
    if type(error).__name__ == "MisconfigurationException":  # Lightning's, which may not be imported yet
        return True
    origin = Path(traceback.extract_tb(error.__traceback__)[-1].filename)
    files = (sys.modules[name].__file__ for name in ("mot_reid", "lightning") if name in sys.modules)
    checked = any(origin.is_relative_to(Path(file).parent) for file in files if file)
    return checked and isinstance(error, (ValueError, RuntimeError, ModuleNotFoundError))


def _refuse(error: Exception, *, code: int) -> int:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    if lines[0].startswith("Caught "):  # in a worker process, with its traceback
        lines = [lines[-1].partition(": ")[2]]
    print(" ".join(" ".join(lines).split()), file=sys.stderr)
    return code


def _tells() -> bool:
    """Whether this is the one process of a run that speaks."""
    from lightning.pytorch.utilities import rank_zero_only

    return not rank_zero_only.rank


def _report(result: FitResult) -> None:
    """Prints the table of scores, and draws the curves."""
    from mot_reid.viewing.plots import plot_training

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
    metrics = result.folder / "metrics.csv"
    if metrics.exists():
        print(f"\ncurves         {plot_training(metrics, result.folder / 'curves.png')}")
    if result.model is not None:
        print(f"model          {result.model}")
    speed = result.images_per_second
    print(f"time           {result.minutes:.1f} min" + (f", {speed:.0f} images/s in training" if speed else ""))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
