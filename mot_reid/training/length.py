"""How long is a run? In epochs, from the settings that end it."""

from __future__ import annotations

import math

from lightning import Trainer

from mot_reid.settings.load import AnyConfig, Config

_FALLING = ("cosine", "linear")
"""Schedules that need the length of the run."""


def run_epochs(*, max_epochs: int | None, max_steps: int, steps_per_epoch: int) -> float:
    """Returns the length of a run in epochs: a fraction if it ends inside one, infinite if only time ends it.

    Args:
        max_epochs: As Lightning takes it; null and -1 are no limit.
        max_steps: Optimiser steps; -1 is no limit.
        steps_per_epoch: Optimiser steps in an epoch.
    """
    by_epochs = math.inf if max_epochs is None or max_epochs == -1 else float(max_epochs)
    by_steps = math.inf if max_steps == -1 else max_steps / steps_per_epoch
    return min(by_epochs, by_steps)


def steps_per_epoch(trainer: Trainer, batches: int) -> int:
    """Returns the optimiser steps in an epoch; the last one takes what is left of an accumulation.

    Args:
        trainer: Its limit of batches and its accumulation.
        batches: Of the data, on every process.
    """
    limit = trainer.limit_train_batches
    batches = min(batches, limit) if isinstance(limit, int) else int(batches * limit)
    return max(1, math.ceil(batches / trainer.accumulate_grad_batches))


def check_length(config: AnyConfig) -> None:
    """Refuses a run without an end, and settings that need to know an end that is not known.

    Args:
        config: Of the run.

    Raises:
        ValueError: Nothing says how long the run is, or only trainer.max_time does and something needs more.
    """
    trainer = config.trainer
    if trainer.max_epochs is None and trainer.max_steps == -1 and trainer.max_time is None:
        raise ValueError(
            "trainer.max_epochs: got null, while trainer.max_steps and trainer.max_time set no end either; expected "
            "the length of the run; set one of the three"
        )
    if math.isfinite(run_epochs(max_epochs=trainer.max_epochs, max_steps=trainer.max_steps, steps_per_epoch=1)):
        return
    reasons = {f"optim.schedule: got '{config.optim.schedule}'": config.optim.schedule in _FALLING}
    if isinstance(config, Config):
        reasons |= {
            f"progressive.share: got {config.progressive.share:g}": config.progressive.share > 0,
            f"augment.calm_share: got {config.augment.calm_share:g}": config.augment.calm_share > 0,
        }
    for got, needs_length in reasons.items():
        if needs_length:
            key = got.partition(":")[0]
            instead = f"{key}=constant, step or multistep" if key == "optim.schedule" else f"{key}=0"
            raise ValueError(
                f"{got}, which needs the length of the run, while trainer.max_epochs and trainer.max_steps set none; "
                f"expected one of them; set it, or {instead}"
            )
