"""What a run gives, whatever it trains, and what it needs before it starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lightning import Callback, LightningModule, Trainer

from mot_reid.training.checkpoint_io import read
from mot_reid.training.checkpointing import KeepCheckpoints


@dataclass(frozen=True)
class Exported:
    """Which state of a run became the model.

    Attributes:
        epoch: From 1.
        step: Optimiser steps that had been taken.
        epochs: Epochs of the whole run.
        reason: Why this one.
    """

    epoch: int
    step: int
    epochs: int
    reason: str

    def __str__(self) -> str:
        return f"epoch {self.epoch} of {self.epochs}, {self.reason}"


@dataclass(frozen=True)
class FitResult:
    """What a run gave.

    Attributes:
        folder: Where it wrote.
        model: The exported model; None where the run was interrupted or only tried out.
        exported: Which state of the run that model is, and why.
        scores: By name, such as `test/mAP`; fractions.
        untrained: The same of the network before training, where asked for.
        images_per_second: In the last epoch of training; None where none was completed.
        minutes: From the start to the exported model.
        interrupted: Whether it was stopped; it can then be resumed.
    """

    folder: Path
    model: Path | None = None
    exported: Exported | None = None
    scores: dict[str, float] = field(default_factory=dict)
    untrained: dict[str, float] = field(default_factory=dict)
    images_per_second: float | None = None
    minutes: float = 0.0
    interrupted: bool = False


@dataclass(frozen=True)
class Prepared:
    """A training that is ready to run.

    Attributes:
        monitor: The validation score by which the best checkpoint is chosen; None without validation.
        callbacks: Of this task.
        resumed_step: The step that a resumed run goes on from.
        header: Gives the first lines of the run.
        run: Trains, chooses, scores and exports.
    """

    monitor: str | None
    callbacks: Sequence[Callback]
    resumed_step: int | None
    header: Callable[[Trainer], str]
    run: Callable[[Trainer], FitResult]


def scores_of(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Returns the scores of the only loader that was validated or tested."""
    return {name: float(value) for name, value in found[0].items()}


def choose(trainer: Trainer, module: LightningModule) -> Exported:
    """Gives the module the weights of the best checkpoint, where one was kept; returns which weights it has."""
    kept = next((callback for callback in trainer.checkpoint_callbacks if isinstance(callback, KeepCheckpoints)), None)
    best = None if kept is None else kept.check_best(trainer)
    if kept is None or best is None:
        held_out = kept is not None and kept.monitor is not None
        reason = "the last: " + ("no validated epoch was kept" if held_out else "nobody was held out to choose by")
        return Exported(trainer.current_epoch, trainer.global_step, trainer.current_epoch, reason)
    state = read(kept.best_path, map_location=module.device)
    module.on_load_checkpoint(state)
    module.load_state_dict(state["state_dict"])
    reason = f"the best of the validated epochs by {kept.monitor}, {best.score:.4f}"
    return Exported(best.epoch, best.step, trainer.current_epoch, reason)
