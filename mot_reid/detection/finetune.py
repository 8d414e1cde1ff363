"""A YOLO network fine-tuned on people: Ultralytics' training, on our data file and with our names of the scores."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mot_reid.files import write_text

EpochHook = Callable[[int, dict[str, float]], None]

SCORES = {
    "metrics/mAP50-95(B)": "val/map",
    "metrics/mAP50(B)": "val/map50",
    "metrics/precision(B)": "val/precision",
    "metrics/recall(B)": "val/recall",
}
"""Ultralytics' names and ours; `map` is COCO's mean over IoU 0.5 to 0.95."""
LAST = Path("weights") / "last.pt"


@dataclass(frozen=True, slots=True)
class FineTuneResult:
    """What a training gave.

    Attributes:
        weights: the best epoch's network, which `YoloDetector` takes.
        scores: of these on the validation frames, see `SCORES`.
        epochs: that were trained, those before a resumption included.
    """

    weights: Path
    scores: dict[str, float]
    epochs: int


def write_data_file(data: str | Path, path: str | Path) -> Path:
    """Writes the YAML file that tells Ultralytics where the frames are; returns its path.

    Args:
        data: a folder with `images/train`, `images/val` and `labels`, as mot-reid prepare-mot17 makes it.
        path: where to write.

    Raises:
        FileNotFoundError: the folder is not there, or has no frames or labels.
    """
    data = Path(data)
    for part in ("images/train", "images/val", "labels/train", "labels/val"):
        if not (data / part).is_dir():
            raise FileNotFoundError(
                f"data: got '{data}' without {part}; expected a folder made by mot-reid prepare-mot17"
            )
    # JSON is YAML, and quotes any character of a path.
    lines = {"path": str(data.resolve()), "train": "images/train", "val": "images/val"}
    text = "".join(f"{key}: {json.dumps(value)}\n" for key, value in lines.items())
    return write_text(path, f"{text}names:\n  0: person\n")


def completed_epochs(folder: str | Path) -> int:
    """Returns how many epochs an interrupted run has behind it, by the table that Ultralytics keeps with the weights.

    Args:
        folder: of the run.

    Raises:
        FileNotFoundError: there is nothing to go on from.
    """
    folder = Path(folder)
    table = folder / "results.csv"
    if not (folder / LAST).is_file() or not table.is_file():
        raise FileNotFoundError(f"resume: got '{folder}' without {LAST}; expected the folder of an interrupted run")
    return len(table.read_text(encoding="utf-8").split("\n")[1:-1])


def fine_tune(
    data: str | Path,
    folder: str | Path,
    *,
    weights: str = "yolov8s.pt",
    epochs: int = 20,
    image_size: int = 640,
    batch_size: int = 16,
    optimizer: str = "auto",
    lr: float | None = None,
    freeze: int = 0,
    patience: int = 10,
    share: float = 1.0,
    workers: int = 4,
    device: str = "auto",
    seed: int = 0,
    resume: bool = False,
    on_epoch: EpochHook | None = None,
) -> FineTuneResult:
    """Trains a person detector.

    Args:
        data: as for `write_data_file`.
        folder: where weights and curves go.
        weights: network to begin with: `.pt` weights, or a `.yaml` such as yolov8n.yaml for one from scratch.
        epochs: passes over the training frames.
        image_size: side of the input in pixels.
        batch_size: frames in a step.
        optimizer: `auto` (Ultralytics chooses, and the learning rate too), `SGD`, `AdamW` ..
        lr: learning rate; not with `auto`.
        freeze: layers from the input on that stay as they are.
        patience: epochs without a better score after which it stops.
        share: of the training frames that are used.
        workers: processes that load frames.
        device: `auto`, `cpu`, `cuda` ..
        seed: of every random number.
        resume: go on from the last epoch in `folder`, with the settings it began with.
        on_epoch: called after each epoch with its number (from 1), its losses and scores.

    Raises:
        FileNotFoundError: no such data, weights, or nothing to resume.
        ImportError: Ultralytics is not installed.
        ValueError: a setting that Ultralytics refuses, or a run that is already complete.
    """
    folder = Path(folder)
    if optimizer == "auto" and lr is not None:
        raise ValueError(f"lr: got {lr} with optimizer 'auto', which chooses its own; expected an optimizer by name")
    options: dict[str, Any] = {
        "epochs": epochs,
        "imgsz": image_size,
        "batch": batch_size,
        "optimizer": optimizer,
        "freeze": freeze or None,
        "patience": patience,
        "fraction": share,
        "workers": workers,
        "device": None if device == "auto" else device,
        "seed": seed,
    }
    if lr is not None:
        options["lr0"] = lr
    if resume:
        completed_epochs(folder)
    options["data"] = str(write_data_file(data, folder / "data.yaml"))
    model = _resumed(folder) if resume else _new(weights)
    return _train(model, {"resume": True} if resume else options | _output(folder), on_epoch)


def _new(weights: str) -> Any:
    from mot_reid.detection.yolo import open_ultralytics

    return open_ultralytics(weights)


def _resumed(folder: Path) -> Any:
    """Returns the network of an interrupted run."""
    model = _new(str(folder / LAST))
    if (model.ckpt or {}).get("epoch", -1) < 0:  # Ultralytics marks a complete run like this
        raise ValueError(f"resume: got '{folder}', which is complete; expected an interrupted run; begin a new one")
    return model


def _output(folder: Path) -> dict[str, Any]:
    """Returns Ultralytics' settings of where a run writes, and of what it leaves out."""
    whole = folder.resolve()
    return {"project": str(whole.parent), "name": whole.name, "exist_ok": True, "plots": False, "verbose": False}


def _train(model: Any, options: dict[str, Any], on_epoch: EpochHook | None) -> FineTuneResult:
    reporter = _Reporter(on_epoch)
    model.add_callback("on_train_epoch_end", reporter.trained)
    model.add_callback("on_fit_epoch_end", reporter.scored)
    model.train(trainer=_trainer(), **options)
    trainer = model.trainer
    scores = {name: value for name, value in _named(trainer.metrics).items() if name in SCORES.values()}
    return FineTuneResult(Path(trainer.best), scores, trainer.epoch + 1)


def _trainer() -> type:
    """Returns Ultralytics' trainer without its own loggers: the curves go where the caller sends them."""
    from ultralytics.models.yolo.detect import DetectionTrainer

    class Quiet(DetectionTrainer):  # type: ignore[misc]
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            for name, hooks in self.callbacks.items():
                self.callbacks[name] = [hook for hook in hooks if not _is_service(hook)]

    return Quiet


def _is_service(hook: Any) -> bool:
    module = getattr(hook, "__module__", "")
    return module.startswith("ultralytics.utils.callbacks.") and not module.endswith(".base")


class _Reporter:
    """Passes epochs on. Ultralytics ends with one more score, of the best weights, which is no epoch."""

    def __init__(self, on_epoch: EpochHook | None) -> None:
        self._on_epoch = on_epoch
        self._trained = False

    def trained(self, trainer: Any) -> None:
        self._trained = True

    def scored(self, trainer: Any) -> None:
        if self._trained and self._on_epoch is not None:
            losses = trainer.label_loss_items(trainer.tloss, prefix="train")
            self._on_epoch(trainer.epoch + 1, _named({**losses, **trainer.metrics}))
        self._trained = False


def _named(scores: dict[str, Any]) -> dict[str, float]:
    """Returns numbers under our names, without those that are none."""
    named = {SCORES.get(name, name): float(value) for name, value in scores.items()}
    return {name: value for name, value in named.items() if math.isfinite(value)}
