"""Fine-tunes a YOLO network on people: `python tools/fit_detector.py data.root=data/mot17 [key=value ...]`."""

from __future__ import annotations

import json
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mot_reid.config import Config, ConfigError, describe_settings, load_settings, parse_arguments, save_config
from mot_reid.detector_schema import FitDetectorSettings

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
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    os.environ.setdefault("YOLO_AUTOINSTALL", "false")
    warnings.filterwarnings("ignore", message=".*logs directory.*")
    try:
        arguments = parse_arguments(argv)
        if "help" in arguments:
            print(USAGE + describe_settings(FitDetectorSettings, base=BASE))
            return 0
        settings = load_settings(FitDetectorSettings, argv, base=BASE, tool_keys=TOOL_KEYS)
        if arguments.get("ckpt", "last") != "last":
            raise ConfigError(f"ckpt: got '{arguments['ckpt']}'; expected last")
        result = _fit(settings, resume="ckpt" in arguments)
        _report(result, arguments.get("json"))
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"interrupted; go on with: python tools/fit_detector.py {' '.join(argv)} ckpt=last", file=sys.stderr)
        return 130
    return 0


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
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.{os.getpid()}")
        partial.write_text(json.dumps(answer, indent=2) + "\n", encoding="utf-8")
        os.replace(partial, target)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
