"""ReIDModule: one training step, one validation, and what a checkpoint of it holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from lightning import LightningModule
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from mot_reid.reid.network import ReIDNetwork
from mot_reid.training.averaging import Averaging
from mot_reid.training.dataset import Batch
from mot_reid.training.distill import Distillation
from mot_reid.training.length import run_epochs, steps_per_epoch
from mot_reid.training.loss_watch import LossWatch
from mot_reid.training.mixstyle import MixStyle
from mot_reid.training.objective import Objective
from mot_reid.training.training_images import TrainingImages, batch_seed
from mot_reid.training.validation import Gathering

BuildOptimizer = Callable[[Iterable[tuple[str, nn.Parameter]]], torch.optim.Optimizer]
BuildSchedule = Callable[[torch.optim.Optimizer, int], LRScheduler]

_VIEWS, _NETWORK_SEED = 1 << 40, 1 << 41
"""Beyond the seeds of all batches: choosing a view and the network itself draw other numbers than the augmentation."""


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
        images: TrainingImages,
        build_optimizer: BuildOptimizer,
        build_schedule: BuildSchedule,
        ema_decay: float | None = None,
        freeze_epochs: float = 0.0,
        channels_last: bool = False,
        mixstyle: MixStyle | None = None,
        seed: int = 0,
        distillation: Distillation | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Puts the parts together.

        Args:
            network: With a classifier over the training persons.
            objective: What is minimised; None where there is only a teacher to learn from.
            images: What the network sees of a crop, in training and otherwise.
            build_optimizer: Of the network's parameters.
            build_schedule: From the optimiser and the number of steps in an epoch; stepped after every step.
            ema_decay: Of the moving average of the weights; None for none.
            freeze_epochs: At the start, during which the backbone stays as it is.
            channels_last: Memory order of images and kernels.
            mixstyle: What works on the network's features, off in the calm epochs; None for nothing.
            seed: Of the augmentation.
            distillation: What a teacher says of views of the crops, which are then augmented further; None for none.
            metadata: What a checkpoint says of itself, apart from its weights.

        Raises:
            ValueError: Smaller images for a backbone of one input size.
        """
        super().__init__()
        if images.small_share and hasattr(network.backbone, "patch_embed"):
            raise ValueError(
                f"progressive.share: got {images.small_share:g}, epochs with smaller images, for "
                f"'{network.config['backbone']}', whose input has one size; expected 0"
            )
        self.network, self.objective, self.distillation = network, objective, distillation
        self.mixstyle = mixstyle
        self.images, self.preprocess = images, images.preprocess
        self.build_optimizer, self.build_schedule = build_optimizer, build_schedule
        self.freeze_epochs = freeze_epochs
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.network.to(memory_format=self.memory_format)
        self.seed, self.metadata = seed, metadata or {}
        self.average = Averaging(ema_decay)
        self.gathering = Gathering()
        self.test_name = "test"
        self._watch = LossWatch()
        self._frozen = False

    def configure_optimizers(self) -> Any:
        """Returns the optimiser and its schedule, stepped with every batch."""
        trained: list[nn.Module] = [self.network]
        if self.distillation is not None:
            trained.append(self.distillation)
        optimizer = self.build_optimizer([named for part in trained for named in part.named_parameters()])
        schedule = self.build_schedule(optimizer, self._steps_per_epoch())
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Resizes and normalises images on the device; in training also augments them."""
        image = batch.image
        if self.training and self.distillation is not None:
            generator = torch.Generator(device=image.device).manual_seed(self._batch_seed() + _VIEWS)
            chosen = self.distillation.views.choose(batch.row, generator)
            image = self.distillation.views.images(image, chosen)
            batch = batch._replace(target=self.distillation.views.targets(chosen))
        image = self.augmented(image, self._batch_seed()) if self.training else self.preprocess(image)
        dtype = next(self.network.parameters()).dtype
        return batch._replace(image=image.to(dtype).contiguous(memory_format=self.memory_format))

    def augmented(self, image: Tensor, seed: int) -> Tensor:
        """Returns what the network sees in training, (B, 3, H, W), of crops (B, 3, h, w) in [0, 255]."""
        if self.mixstyle is not None:  # here, since a run that was stopped inside an epoch does not begin it again
            self.mixstyle.active = not self.images.is_calm(self.current_epoch)
        torch.manual_seed(seed + _NETWORK_SEED)  # of dropout and stochastic depth, which take no generator
        return self.images(image, epoch=self.current_epoch, seed=seed)

    def on_fit_start(self) -> None:
        """Starts the moving average, or continues it after a resume, also where nothing is left to train."""
        self.average.begin(self.network)
        trainer, steps = self.trainer, self._steps_per_epoch()
        self.images.begin(run_epochs(max_epochs=trainer.max_epochs, max_steps=trainer.max_steps, steps_per_epoch=steps))

    def on_train_start(self) -> None:
        """Notes up to which step the average has followed."""
        self.average.step = self.global_step

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
        if self._watch.add(loss.detach(), told, step=self.global_step, epoch=self.current_epoch, row=batch.row):
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
        if self.objective is not None and "centre" in self.objective.terms:
            scaler = getattr(self.trainer.precision_plugin, "scaler", None)
            self.objective.move_centres(loss_scale=1.0 if scaler is None else scaler.get_scale())

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Moves the average of the weights after every step of the optimiser."""
        self.average.follow(self.network, step=self.global_step)

    def on_train_end(self) -> None:
        """Gives every process the same running statistics."""
        self.average.share(self.network)

    def embed(self, image: Tensor) -> Tensor:
        """Returns the (B, D) unit embeddings of preprocessed images, by the averaged weights where there are some."""
        return self.average.apply(self.network, image)

    def averaged_state(self) -> dict[str, Tensor]:
        """Returns the weights that are scored and exported: the average where there is one."""
        return self.average.state(self.network)

    def on_validation_epoch_start(self) -> None:
        """Starts gathering for the validation persons."""
        self._start_gathering("validation")

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Embeds crops of validation persons."""
        self.gathering.add(self.embed(batch.image), batch.row)

    def on_validation_epoch_end(self) -> None:
        """Logs `val/mAP` and its companions."""
        self._log_scores("val")

    def on_test_epoch_start(self) -> None:
        """Starts gathering for the test split."""
        self._start_gathering("test")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Embeds crops of the test split."""
        self.gathering.add(self.embed(batch.image), batch.row)

    def on_test_epoch_end(self) -> None:
        """Logs `test/mAP` and its companions, or the same under `test_name`."""
        self._log_scores(self.test_name)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the averaged weights, and what is needed to build the network again."""
        self._check_finite()
        checkpoint["mot_reid"] = self.metadata
        self.average.save(checkpoint)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes the averaged weights."""
        self.average.load(checkpoint)

    def _start_gathering(self, split: str) -> None:
        self.average.share(self.network)
        self.gathering.start(getattr(self.trainer.datamodule, split), self.device)  # type: ignore[attr-defined]

    def _log_scores(self, stage: str) -> None:
        if not self.trainer.fast_dev_run:  # type: ignore[attr-defined]
            self.log_dict({f"{stage}/{name}": value for name, value in self.gathering.finish().items()})

    def _batch_seed(self) -> int:
        done = self.trainer.fit_loop.epoch_loop.batch_progress.current.ready
        batch = self.current_epoch * self.trainer.datamodule.batches_per_epoch + done  # type: ignore[attr-defined]
        return batch_seed(self.seed, batch=batch, rank=self.global_rank)

    def _steps_per_epoch(self) -> int:
        return steps_per_epoch(self.trainer, self.trainer.datamodule.batches_per_epoch)  # type: ignore[attr-defined]

    def _freeze(self, frozen: bool) -> None:
        """Leaves the backbone out of training, or takes it in again; several processes expect all gradients anyway."""
        self._frozen = frozen
        self.network.backbone.requires_grad_(not frozen or self.trainer.world_size > 1)
        self.network.backbone.train(not frozen)

    def _check_finite(self) -> None:
        table = self.trainer.datamodule.train  # type: ignore[attr-defined]
        self._watch.check(lambda row: table.path[row.cpu().numpy()])
