"""Bars on a terminal, in few words."""

from __future__ import annotations

import sys
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning.pytorch.callbacks.progress.tqdm_progress import Tqdm


class Bars(TQDMProgressBar):
    """Lightning's bars in few words; they leave no trace, since `EpochReport` does."""

    def init_train_tqdm(self) -> Tqdm:
        """Returns the bar of an epoch."""
        return self._quiet(super().init_train_tqdm())

    def init_validation_tqdm(self) -> Tqdm:
        """Returns the bar of a validation."""
        return self._quiet(super().init_validation_tqdm())

    def init_test_tqdm(self) -> Tqdm:
        """Returns the bar of a test."""
        return self._quiet(super().init_test_tqdm())

    def on_train_epoch_start(self, trainer: Trainer, *_: Any) -> None:
        """Names the epoch as a person counts."""
        super().on_train_epoch_start(trainer)
        self.train_progress_bar.set_description(f"epoch {trainer.current_epoch + 1}")

    def on_validation_batch_start(self, *arguments: Any, **named: Any) -> None:
        """Says what is going on."""
        super().on_validation_batch_start(*arguments, **named)
        self.val_progress_bar.set_description("validation")

    def on_test_batch_start(self, *arguments: Any, **named: Any) -> None:
        """Says what is going on."""
        super().on_test_batch_start(*arguments, **named)
        self.test_progress_bar.set_description("test")

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        """Returns the loss under its short name."""
        return {
            name.rpartition("/")[2]: value
            for name, value in super().get_metrics(trainer, pl_module).items()
            if name != "v_num"
        }

    @staticmethod
    def _quiet(bar: Tqdm) -> Tqdm:
        bar.leave = False
        return bar


def bars_can_be_seen() -> bool:
    """Whether somebody watches: a terminal or a notebook. A file would fill with every state of a bar."""
    return sys.stdout.isatty() or "ipykernel" in sys.modules
