"""ReIDModule: one training step, one validation, and what a checkpoint of it holds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from lightning import LightningModule
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim.lr_scheduler import LRScheduler

from mot_reid.reid.network import ReIDNetwork
from mot_reid.reid.preprocess import Preprocess
from mot_reid.training.augment import BatchAugment
from mot_reid.training.averaging import EMA
from mot_reid.training.dataset import Batch
from mot_reid.training.distill import Distillation
from mot_reid.training.objective import Objective
from mot_reid.training.validation import RetrievalMetric

BuildOptimizer = Callable[[Iterable[tuple[str, nn.Parameter]]], torch.optim.Optimizer]
BuildSchedule = Callable[[torch.optim.Optimizer, int], LRScheduler]

_VIEWS = 1 << 40
"""Parts the random numbers that choose a view from those of the augmentation after it."""
_CHECK_EVERY = 20
"""Losses of an accelerator that are looked at together, since it waits for the host whenever one is."""


class _Unchecked(NamedTuple):
    """A batch whose loss nobody has looked at yet."""

    step: int
    finite: Tensor
    terms: dict[str, Tensor]
    row: Tensor


class ReIDModule(LightningModule):
    """Trains a Re-ID network, and scores it by retrieval.

    Augmentation happens on the device, a batch at a time. Its random numbers, and those of the network itself, depend
    on the seed, the batch and the rank alone, so that a resumed run goes on as if it had not stopped. With a moving
    average of the weights (`ema_decay`), the average is what is validated, tested and exported.

    With several processes each one's loss is that of its own identities: triplets are mined among them, and gradients
    are averaged over the processes, as in the field's code. A batch split over W processes is W smaller batches to the
    metric losses and to batch norm; only the samples are those of one process.
    """

    def __init__(
        self,
        network: ReIDNetwork,
        *,
        objective: Objective | None,
        preprocess: Preprocess,
        augment: BatchAugment,
        build_optimizer: BuildOptimizer,
        build_schedule: BuildSchedule,
        ema_decay: float | None = None,
        freeze_epochs: float = 0.0,
        small_epochs: int = 0,
        small_scale: float = 1.0,
        calm_from: float = math.inf,
        channels_last: bool = False,
        seed: int = 0,
        distillation: Distillation | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Puts the parts together.

        Args:
            network: With a classifier over the training persons.
            objective: What is minimised; None where there is only a teacher to learn from.
            preprocess: The same in training, validation and the exported model.
            augment: Applied between resizing and the network, in training.
            build_optimizer: Of the network's parameters.
            build_schedule: From the optimiser and the number of steps in an epoch; stepped after every step.
            ema_decay: Of the moving average of the weights; None for none.
            freeze_epochs: At the start, during which the backbone stays as it is.
            small_epochs: At the start, which see smaller images.
            small_scale: Height and width of those, relative to the full size.
            calm_from: First epoch, from 0, of the end of the run, which sees calmer images (`BatchAugment.calmed`).
            channels_last: Memory order of images and kernels.
            seed: Of the augmentation.
            distillation: What a teacher says of views of the crops, which are then augmented further; None for none.
            metadata: What a checkpoint says of itself, beside its weights.

        Raises:
            ValueError: Smaller images for a backbone of one input size.
        """
        super().__init__()
        self.network, self.objective, self.distillation = network, objective, distillation
        self.preprocess, self.augment = preprocess, augment
        self.calm, self.calm_from = augment.calmed(), calm_from
        self.small_epochs, self.small_preprocess = small_epochs, scaled(preprocess, small_scale)
        if small_epochs and hasattr(network.backbone, "patch_embed"):
            raise ValueError(
                f"progressive.share: got {small_epochs} epochs with smaller images for '{network.config['backbone']}', "
                "whose input has one size; expected 0"
            )
        self.build_optimizer, self.build_schedule = build_optimizer, build_schedule
        self.ema_decay, self.freeze_epochs = ema_decay, freeze_epochs
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.network.to(memory_format=self.memory_format)
        self.seed, self.metadata = seed, metadata or {}
        self.ema: EMA | None = None
        self._ema_state: dict[str, Any] | None = None
        self._metric: RetrievalMetric | None = None
        self.embeddings: np.ndarray | None = None
        self._averaged_step = 0
        self._frozen = False
        self._unchecked: list[_Unchecked] = []

    def configure_optimizers(self) -> Any:
        """Returns the optimiser and its schedule, stepped with every batch."""
        trained: list[nn.Module] = [self.network]
        if self.distillation is not None:
            trained.append(self.distillation)
        optimizer = self.build_optimizer([named for part in trained for named in part.named_parameters()])
        steps = self._steps_per_epoch()
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": self.build_schedule(optimizer, steps), "interval": "step"},
        }

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Resizes and normalises images on the device; in training also augments them."""
        image = batch.image
        if self.training and self.distillation is not None:
            generator = torch.Generator(device=image.device).manual_seed(self._batch_seed() + _VIEWS)
            chosen = self.distillation.views.choose(batch.row, generator)
            image = self.distillation.views.images(image, chosen)
            batch = batch._replace(target=self.distillation.views.targets(chosen))
        image = self.augmented(image, self._batch_seed()) if self.training else self.preprocess(image)
        return batch._replace(image=image.contiguous(memory_format=self.memory_format))

    def augmented(self, image: Tensor, seed: int) -> Tensor:
        """Returns what the network sees in training, (B, 3, H, W), of crops (B, 3, h, w) in [0, 255].

        H and W are smaller than the network's own in the epochs of `small_epochs`.
        """
        torch.manual_seed(seed)  # of dropout and stochastic depth, which take no generator
        generator = torch.Generator(device=image.device)
        generator.manual_seed(seed)
        preprocess = self.small_preprocess if self.current_epoch < self.small_epochs else self.preprocess
        augment = self.calm if self.current_epoch >= self.calm_from else self.augment
        image = augment.mirror(image, generator)
        image = image if tuple(image.shape[2:]) == preprocess.size else preprocess.resize(image)
        image = augment.move(image, generator).float()
        if augment.recolours:
            image = augment.recolour(image / 255, generator) * 255
        return augment.erase(preprocess.normalise(image), generator)

    def on_fit_start(self) -> None:
        """Starts the moving average, or continues it after a resume, also where nothing is left to train."""
        if self.ema_decay is not None and self.ema is None:
            self.ema = EMA(self.network, decay=self.ema_decay)
            if self._ema_state is not None:
                self.ema.load_state_dict(self._ema_state)

    def on_train_start(self) -> None:
        """Notes up to which step the average has followed."""
        self._averaged_step = self.global_step

    def on_train_epoch_start(self) -> None:
        """Chooses the epoch's batches."""
        self.trainer.datamodule.start_epoch(self.current_epoch)  # type: ignore[attr-defined]

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Returns the loss of a PK batch.

        Raises:
            FloatingPointError: The loss is not finite.
        """
        if self.freeze_epochs:
            self._freeze(self.global_step < self.freeze_epochs * self._steps_per_epoch())
        terms, loss = self._losses(batch)
        told = {name: value.detach() for name, value in terms.items()}
        self._unchecked.append(_Unchecked(self.global_step, loss.detach().isfinite(), told, batch.row))
        if loss.device.type == "cpu" or len(self._unchecked) >= _CHECK_EVERY:
            self._check_finite()
        self.log_dict({f"train/{name}": value for name, value in told.items()}, batch_size=len(batch.label))
        self.log("train/loss", loss.detach(), prog_bar=True, batch_size=len(batch.label))
        return loss

    def _losses(self, batch: Batch) -> tuple[dict[str, Tensor], Tensor]:
        """Returns every term by name, and their weighted sum."""
        assert self.network.classifier is not None
        output = self.network(batch.image)
        terms: dict[str, Tensor] = {}
        totals = []
        if self.objective is not None:
            found = self.objective(output, batch.label, self.network.classifier.weight)
            terms, totals = terms | found, [self.objective.total(found)]
        if self.distillation is not None:
            assert batch.target is not None
            embedding = output.feature if self.network.taken == "before_neck" else output.embedding
            found = self.distillation(embedding, batch.target)
            terms, totals = terms | found, [*totals, self.distillation.total(found)]
        return terms, torch.stack(totals).sum()

    def on_train_epoch_end(self) -> None:
        """Ends no epoch whose losses were not all finite."""
        self._check_finite()

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Drops the gradients of a frozen backbone, and moves the centres, which have no optimiser."""
        if self._frozen:
            self.network.backbone.zero_grad()
        scaler = getattr(self.trainer.precision_plugin, "scaler", None)
        if self.objective is not None:
            self.objective.move_centres(loss_scale=1.0 if scaler is None else scaler.get_scale())

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Moves the average of the weights after every step of the optimiser."""
        if self.ema is not None and self.global_step > self._averaged_step:
            self.ema.update(self.network)
        self._averaged_step = self.global_step

    def embed(self, image: Tensor) -> Tensor:
        """Returns the (B, D) unit embeddings of preprocessed images, by the averaged weights where there are some."""
        if self.ema is None:
            return self.network(image)
        return functional_call(self.network, self.ema.state_dict()["average"], (image,))

    def on_validation_epoch_start(self) -> None:
        """Starts gathering for the validation persons."""
        self._start_gathering("validation")

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Embeds crops of validation persons."""
        self._gather(batch)

    def on_validation_epoch_end(self) -> None:
        """Logs `val/mAP` and its companions."""
        self._log_scores("val")

    def on_test_epoch_start(self) -> None:
        """Starts gathering for the test split."""
        self._start_gathering("test")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Embeds crops of the test split."""
        self._gather(batch)

    def on_test_epoch_end(self) -> None:
        """Logs `test/mAP` and its companions."""
        self._log_scores("test")

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the averaged weights, and what is needed to build the network again."""
        self._check_finite()
        checkpoint["mot_reid"] = self.metadata
        if self.ema is not None:
            state = self.ema.state_dict()
            checkpoint["ema_state_dict"], checkpoint["ema_updates"] = state["average"], state["updates"]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps the averaged weights until training starts, when they are on its device."""
        if "ema_state_dict" in checkpoint:
            self._ema_state = {"average": checkpoint["ema_state_dict"], "updates": checkpoint["ema_updates"]}
            if self.ema is not None:
                self.ema.load_state_dict(self._ema_state)

    def validation_embeddings(self) -> np.ndarray:
        """Returns the (Q + G, D) embeddings of the validation persons, of all processes, at the end of a validation."""
        assert self._metric is not None
        self._metric.compute()  # kept there, so that it is computed once
        assert self._metric.embedding is not None
        return self._metric.embedding

    def averaged_state(self) -> dict[str, Tensor]:
        """Returns the weights that are scored and exported: the average where there is one."""
        return self.network.state_dict() if self.ema is None else self.ema.state_dict()["average"]

    def _start_gathering(self, split: str) -> None:
        tables = getattr(self.trainer.datamodule, split)  # type: ignore[attr-defined]
        self._metric = RetrievalMetric(*tables).to(self.device)

    def _gather(self, batch: Batch) -> None:
        assert self._metric is not None
        self._metric.update(self.embed(batch.image), batch.row)

    def _log_scores(self, stage: str) -> None:
        assert self._metric is not None
        if self.trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        self.log_dict({f"{stage}/{name}": value for name, value in self._metric.compute().items()})
        self.embeddings = self._metric.embedding
        self._metric = None

    def _batch_seed(self) -> int:
        """A seed of its own for every batch and rank."""
        done = self.trainer.fit_loop.epoch_loop.batch_progress.current.ready
        batch = self.current_epoch * self.trainer.datamodule.batches_per_epoch + done  # type: ignore[attr-defined]
        return (self.seed * 1_000_003 + batch) * 1_009 + self.global_rank

    def _steps_per_epoch(self) -> int:
        """Optimiser steps in an epoch; the last one takes what is left of an accumulation."""
        batches = self.trainer.datamodule.batches_per_epoch  # type: ignore[attr-defined]
        limit = self.trainer.limit_train_batches
        batches = min(batches, limit) if isinstance(limit, int) else int(batches * limit)
        return max(1, math.ceil(batches / self.trainer.accumulate_grad_batches))

    def _freeze(self, frozen: bool) -> None:
        """Leaves the backbone out of training, or takes it in again.

        Processes that average gradients expect one of every parameter, so there they are made, and dropped before the
        step.
        """
        self._frozen = frozen
        self.network.backbone.requires_grad_(not frozen or self.trainer.world_size > 1)
        self.network.backbone.train(not frozen)

    def _check_finite(self) -> None:
        """Raises FloatingPointError where a loss since the last check is not finite. An accelerator waits here only."""
        unchecked, self._unchecked = self._unchecked, []
        if not unchecked or bool(torch.stack([one.finite for one in unchecked]).all()):
            return
        first = next(one for one in unchecked if not one.finite)
        culprits = ", ".join(
            f"{name}={value.item():g}" for name, value in first.terms.items() if not torch.isfinite(value)
        )
        paths = self.trainer.datamodule.train.path[first.row.cpu().numpy()]  # type: ignore[attr-defined]
        raise FloatingPointError(
            f"loss: got {culprits or 'an overflow of the sum'} in step {first.step}, epoch {self.current_epoch}; "
            "expected finite numbers; lower optim.lr, set trainer.gradient_clip_val, or look at these images: "
            + ", ".join(paths)
        )


def scaled(preprocess: Preprocess, scale: float) -> Preprocess:
    """Returns the preprocessing for images of another height and width."""
    return replace(preprocess, height=round(preprocess.height * scale), width=round(preprocess.width * scale))
