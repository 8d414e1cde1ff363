"""Trains a Re-ID model: `python tools/fit.py experiment=NAME [key=value ...]`."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mot_reid.config import ConfigError, describe_keys, load_config, parse_arguments

if TYPE_CHECKING:
    from mot_reid.training.fit import FitResult

USAGE = """usage: python tools/fit.py experiment=NAME [ckpt=last|PATH] [group=name] [section.key=value ...]

Trains a person re-identification model and writes it, with its configuration, curves and scores, to run.dir.
"""
NOISE = (
    ".*on_after_batch_transfer.*",
    ".*LeafSpec.*",
    ".*logs directory.*",
    ".*Total length of `list`.*",
    ".*isinstance.*",
)


def main(argv: Sequence[str]) -> int:
    """Runs one experiment; returns the exit code: 0, 1 for a failed run, 2 for a mistake in it, 130 if interrupted."""
    _quieten()
    try:
        arguments = parse_arguments(argv)
        if "help" in arguments:
            print(USAGE + "\n" + describe_keys())
            return 0
        config = load_config(argv, tool_keys=("ckpt",))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    from mot_reid.training.fit import fit

    try:
        result = fit(config, resume=arguments.get("ckpt"))
    except (ValueError, OSError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 2
    except FloatingPointError as error:
        print(error, file=sys.stderr)
        return 1
    if result.interrupted:
        print(f"interrupted; go on with: python tools/fit.py {' '.join(argv)} ckpt=last", file=sys.stderr)
        return 130
    _report(result)
    return 0


def _quieten() -> None:
    """Lets the run's own messages through, and of Lightning's only the warnings that help."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for name in ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in NOISE:
        warnings.filterwarnings("ignore", message=message)


def _report(result: FitResult) -> None:
    """Prints the table of scores, and draws the curves."""
    from mot_reid.viewing.plots import plot_training

    names = ("mAP", "rank1", "rank5", "rank10", "mINP")
    rows = [("test, untrained", "test", result.untrained), ("validation", "val", result.scores)]
    rows.append(("test", "test", result.scores))
    print(f"\n{'':<16}" + "".join(f"{name:>9}" for name in ("mAP", "Rank-1", "Rank-5", "Rank-10", "mINP")) + "   (%)")
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
    speed = result.scores.get("train/images_per_second")
    print(f"time           {result.minutes:.1f} min" + (f", {speed:.0f} images/s in training" if speed else ""))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
