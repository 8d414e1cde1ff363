"""Fine-tunes a YOLO network on people: `mot-reid fit-detector data.root=data/mot17`."""

from __future__ import annotations

import shlex
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from mot_reid.cli.command import Command, Given, called_as, check_output, mistake
from mot_reid.files import write_json
from mot_reid.settings.detector import FitDetectorCall, FitDetectorSettings
from mot_reid.settings.load import Config, save_config

if TYPE_CHECKING:
    from mot_reid.detection.finetune import FineTuneResult

COMMAND = Command(
    "fit-detector",
    FitDetectorCall,
    usage="[data.root=FOLDER] [ckpt=last] [section.key=value ...] [config=FILE]",
    about="""
Fine-tunes a YOLO network on the folder that mot-reid prepare-mot17 makes, and reports its mAP on the validation frames.
The best weights are run.dir/weights/best.pt; give them to mot-reid track as detector.weights=. Ultralytics and what it
trains are AGPL-3.0.""",
    examples=(
        "data.root=data/mot17",
        "data.root=data/mot17 model.weights=yolov8n.pt trainer.max_epochs=50 logger.name=wandb",
        "data.root=data/mot17 ckpt=last",
    ),
    exits="0 done, 2 a mistake in the arguments or the data",
)


def main(argv: Sequence[str]) -> int:
    """Trains a detector; returns the exit code."""
    warnings.filterwarnings("ignore", message=".*logs directory.*")
    again = f"interrupted; go on with: {called_as('fit-detector')} {shlex.join(argv)} ckpt=last"
    return COMMAND.run(_run, argv, judge=_judge, interrupted=again)


def _judge(error: Exception) -> tuple[str, int] | None:
    """Ultralytics raises mistakes as RuntimeError, too."""
    return mistake(ValueError(str(error)) if isinstance(error, RuntimeError) else error)


def _run(call: FitDetectorCall, given: Given) -> None:
    """Trains and reports."""
    check_output("json", call.json)
    _report(_fit(call.settings(), resume=call.ckpt is not None), call.json)


def _fit(settings: FitDetectorSettings, *, resume: bool) -> FineTuneResult:
    """Trains, and sends every epoch to the loggers."""
    from mot_reid.detection.finetune import completed_epochs, fine_tune
    from mot_reid.training.loggers import build_loggers, close_loggers

    model, data, trainer, folder = settings.model, settings.data, settings.trainer, Path(settings.run.dir)
    done = completed_epochs(folder) if resume else None
    save_config(settings, folder / "config.yaml")
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
        write_json(path, answer)
