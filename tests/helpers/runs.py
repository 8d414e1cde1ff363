"""Training runs of seconds: synthetic people, a network of timm's own tests, a few batches per epoch."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from mot_reid.settings.load import Config, load_config
from mot_reid.training.module import ReIDModule

PEOPLE = (
    "synthetic.identities=10",
    "synthetic.test_identities=3",
    "synthetic.cameras=2",
    "synthetic.images_per_camera=2",
)
SMALL = (
    *PEOPLE,
    "data=synthetic",
    "data.identities=4",
    "data.images=2",
    "data.workers=0",
    "model.backbone=test_efficientnet",
    "model.weights=none",
    "model.height=32",
    "model.width=16",
    "trainer.max_epochs=4",
    "trainer.check_val_every_n_epoch=1",
    "trainer.accelerator=cpu",
    "trainer.precision=32-true",
    "engine.channels_last=false",
    "run.score_untrained=false",
)
"""Five batches of 8 in an epoch, four with `data.validation=0.2`, which holds two persons out."""


def teacher_of(experiment: str) -> list[str]:
    """What names a teacher that is at hand everywhere, for an experiment that learns from one alone."""
    loss = load_config([f"experiment={experiment}"]).loss
    if loss.cross_entropy or loss.triplet or loss.circle:
        return []
    return ["distill.teacher=osnet_x0_25_market1501", "distill.teacher_size=null", "distill.cache=null"]


def small_arguments(root: Path, run: Path, *arguments: str) -> list[str]:
    """The command line of a run in `run` on the people in `root`; later arguments win over those of `SMALL`."""
    named = dict(argument.split("=", 1) for argument in (*SMALL, f"data.root={root}", f"run.dir={run}", *arguments))
    return ["experiment=quickstart", *(f"{key}={value}" for key, value in named.items())]


def small_config(root: Path, run: Path, *arguments: str) -> Config:
    """The configuration of `small_arguments`."""
    return load_config(small_arguments(root, run, *arguments))


@dataclass
class Diary:
    """What happened in a run, in order.

    Attributes:
        steps: Epoch, place in the epoch, global step, rows of the batch, learning rate, mean pixel after augmentation.
        validations: The epochs in which a validation ended.
        epoch_ends: The epochs that ended.
    """

    steps: list[tuple[Any, ...]] = field(default_factory=list)
    validations: list[int] = field(default_factory=list)
    epoch_ends: list[int] = field(default_factory=list)


def keep_diary(monkeypatch: pytest.MonkeyPatch) -> Diary:
    """Writes down what every run does from now on."""
    diary = Diary()
    step, validated = ReIDModule.training_step, ReIDModule.on_validation_epoch_end

    def training_step(self: ReIDModule, batch: Any, batch_idx: int) -> torch.Tensor:
        optimizer = self.optimizers()
        rate = optimizer.param_groups[0]["lr"]  # type: ignore[union-attr]
        entry = (self.current_epoch, batch_idx, self.global_step, batch.row.tolist(), rate, float(batch.image.mean()))
        diary.steps.append(entry)
        return step(self, batch, batch_idx)

    def on_validation_epoch_end(self: ReIDModule) -> None:
        if self.trainer.state.fn == "fit":
            diary.validations.append(self.current_epoch)
        validated(self)

    def on_train_epoch_end(self: ReIDModule) -> None:
        diary.epoch_ends.append(self.current_epoch)

    monkeypatch.setattr(ReIDModule, "training_step", training_step)
    monkeypatch.setattr(ReIDModule, "on_validation_epoch_end", on_validation_epoch_end)
    monkeypatch.setattr(ReIDModule, "on_train_epoch_end", on_train_epoch_end)
    return diary
