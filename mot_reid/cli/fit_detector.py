"""Fine-tunes a YOLO network on people: `python tools/fit_detector.py data.root=data/mot17 [key=value ...]`."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from mot_reid.cli.command import mistake, run
from mot_reid.files import check_writable, write_text
from mot_reid.settings.detector import FitDetectorSettings
from mot_reid.settings.load import Config, ConfigError, describe_settings, load_settings, parse_arguments, save_config

if TYPE_CHECKING:
    from mot_reid.detection.finetune import FineTuneResult

USAGE = """usage: python tools/fit_detector.py [data.root=FOLDER] [ckpt=last] [json=FILE] [section.key=value ...]

Fine-tunes a YOLO network on the folder that tools/prepare_mot17.py makes, and reports its mAP on the validation frames.
The best weights are run.dir/weights/best.pt, to be used as detector.weights= of tools/track.py. ckpt=last goes on with
an interrupted run; config=FILE lays a YAML file over the defaults. Ultralytics and what it trains are AGPL-3.0.

Exit code: 0 done, 2 a mistake in the arguments or the data, 130 interrupted.

keys (the value is that of configs/fit_detector.yaml):
"""
TOOL_KEYS = ("ckpt", "json")
BASE = "fit_detector"


def main(argv: Sequence[str]) -> int:
    """Trains a detector; returns the exit code."""
    os.environ.setdefault("YOLO_AUTOINSTALL", "false")
    warnings.filterwarnings("ignore", message=".*logs directory.*")
    again = f"interrupted; go on with: python tools/fit_detector.py {' '.join(argv)} ckpt=last"
    return run(_run, argv, usage=_usage, judge=_judge, interrupted=again)


def _usage() -> str:
    return USAGE + describe_settings(FitDetectorSettings, base=BASE)


def _judge(error: Exception) -> tuple[str, int] | None:
    """Ultralytics tells mistakes as RuntimeError, too."""
    return mistake(ValueError(str(error)) if isinstance(error, RuntimeError) else error)


def _run(argv: Sequence[str]) -> None:
    """Trains and reports."""
    arguments = parse_arguments(argv)
    settings = load_settings(FitDetectorSettings, argv, base=BASE, tool_keys=TOOL_KEYS)
    if arguments.get("ckpt", "last") != "last":
        raise ConfigError(f"ckpt: got '{arguments['ckpt']}'; expected last")
    if "json" in arguments:
        check_writable(arguments["json"], "json")
    _report(_fit(settings, resume="ckpt" in arguments), arguments.get("json"))


def _fit(settings: FitDetectorSettings, *, resume: bool) -> FineTuneResult:
    """Trains, with every epoch told to the loggers."""
    from mot_reid.detection.finetune import completed_epochs, fine_tune
    from mot_reid.training.loggers import build_loggers, close_loggers

    model, data, trainer, folder = settings.model, settings.data, settings.trainer, Path(settings.run.dir)
    done = completed_epochs(folder) if resume else None
    save_config(cast(Config, settings), folder / "config.yaml")
    # The loggers ask a configuration only for what the two kinds have in common.
    loggers = build_loggers(cast(Config, settings), folder, resumed_step=None if done is None else done + 1)

    def tell(epoch: int, scores: dict[str, float]) -> None:
        for logger in loggers:
            logger.log_metrics(scores, step=epoch)
            logger.save()

    try:
        return fine_tune(
            data.root,
            folder,
            weights=model.weights,
            epochs=1 if trainer.fast_dev_run else trainer.max_epochs,
            image_size=model.image_size,
            batch_size=data.batch_size,
            optimizer=settings.optim.name,
            lr=settings.optim.lr,
            freeze=model.freeze,
            patience=trainer.patience,
            share=min(data.share, 0.01) if trainer.fast_dev_run else data.share,
            workers=data.workers,
            device=trainer.device,
            seed=settings.run.seed,
            resume=resume,
            on_epoch=tell,
        )
    finally:
        close_loggers(loggers)


def _report(result: FineTuneResult, path: str | None) -> None:
    """Prints the scores, and writes them as fractions."""
    scores = {name.removeprefix("val/"): value for name, value in result.scores.items()}
    print(f"\nepochs       {result.epochs}\nweights      {result.weights}")
    for name, value in scores.items():
        print(f"{name:<12} {100 * value:.1f}%")
    if path is not None:
        answer: dict[str, Any] = {**scores, "epochs": result.epochs, "weights": str(result.weights)}
        write_text(path, json.dumps(answer, indent=2) + "\n")
