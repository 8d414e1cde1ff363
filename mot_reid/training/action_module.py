"""ActionModule: trains a network to say what is done in a clip, and counts how often it is right."""

from __future__ import annotations

from typing import Any

import torch
from lightning import LightningModule
from torch import Tensor, nn
from torch.nn import functional as F

from mot_reid.actions.model_file import ClipFormat
from mot_reid.actions.networks import NETWORKS
from mot_reid.metrics.confusion import accuracy, balanced_accuracy
from mot_reid.training.averaging import Averaging
from mot_reid.training.clip_augment import ClipAugment
from mot_reid.training.dataset import Batch
from mot_reid.training.length import steps_per_epoch
from mot_reid.training.loss_watch import LossWatch
from mot_reid.training.module import BuildOptimizer, BuildSchedule
from mot_reid.training.training_images import batch_seed

_NETWORK_SEED = 1 << 41
"""Beyond the seeds of all batches: the network itself draws other numbers than the augmentation."""


class ActionModule(LightningModule):
    """Trains an action classifier with cross-entropy, and scores it by the share of clips that it gets right.

    Augmentation happens on the device. Random numbers depend on the seed, the batch and the rank alone, so that a
    resumed run goes on as if it had not stopped.

    Attributes:
        confusion: (C, C) counts of the last validation or test: true classes by found ones.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        name: str,
        clip: ClipFormat,
        classes: int,
        augment: ClipAugment,
        build_optimizer: BuildOptimizer,
        build_schedule: BuildSchedule,
        label_smoothing: float = 0.0,
        ema_decay: float | None = None,
        freeze_epochs: float = 0.0,
        channels_last: bool = False,
        seed: int = 0,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Puts the parts together.

        Args:
            network: Gives (B, C) logits.
            name: Of the network, which says what its classifier is called.
            clip: What the network takes.
            classes: C, actions.
            augment: What happens to training clips.
            build_optimizer: Of the network's parameters.
            build_schedule: From the optimiser and the number of steps in an epoch; stepped after every step.
            label_smoothing: Share of the target that is spread over all actions.
            ema_decay: Of the moving average of the weights, which is then scored and exported; None for none.
            freeze_epochs: Epochs at the start in which only the classifier is trained.
            channels_last: Store clips and kernels in channels-last order.
            seed: With the batch and the rank, decides every random number.
            metadata: What the run says of itself, for its checkpoints.
        """
        super().__init__()
        self.memory_format = torch.channels_last_3d if channels_last else torch.contiguous_format
        self.network = network.to(memory_format=self.memory_format)
        self.clip, self.classes, self.augment = clip, classes, augment
        self.build_optimizer, self.build_schedule = build_optimizer, build_schedule
        self.label_smoothing, self.freeze_epochs = label_smoothing, freeze_epochs
        self.seed, self.metadata = seed, metadata or {}
        self.average = Averaging(ema_decay)
        self.confusion = torch.zeros(classes, classes, dtype=torch.int64)
        self._head = NETWORKS[name].head
        self._watch = LossWatch()
        self._frozen = False

    def configure_optimizers(self) -> Any:
        """Returns the optimiser and its schedule, stepped with every batch."""
        optimizer = self.build_optimizer(list(self.network.named_parameters()))
        schedule = self.build_schedule(optimizer, self._steps_per_epoch())
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Augments training clips, and normalises all."""
        image = batch.image
        if self.training:
            seed = self._batch_seed()
            torch.manual_seed(seed + _NETWORK_SEED)  # of dropout and stochastic depth, which take no generator
            image = self.augment(image, generator=torch.Generator(device=image.device).manual_seed(seed))
        dtype = next(self.network.parameters()).dtype
        return batch._replace(image=self.clip.normalised(image).to(dtype).contiguous(memory_format=self.memory_format))

    def on_fit_start(self) -> None:
        """Starts the moving average, or continues it after a resume."""
        self.average.begin(self.network)

    def on_train_start(self) -> None:
        """Notes up to which step the average has followed."""
        self.average.step = self.global_step

    def on_train_epoch_start(self) -> None:
        """Chooses the epoch's batches."""
        self.trainer.datamodule.start_epoch(self.current_epoch)  # type: ignore[attr-defined]

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Returns the loss of a batch.

        Raises:
            FloatingPointError: The loss is not finite.
        """
        if self.freeze_epochs:
            self._freeze(self.global_step < self.freeze_epochs * self._steps_per_epoch())
        loss = F.cross_entropy(self.network(batch.image), batch.label, label_smoothing=self.label_smoothing)
        told = {"cross_entropy": loss.detach()}
        if self._watch.add(loss.detach(), told, step=self.global_step, epoch=self.current_epoch, row=batch.row):
            self._check_finite()
        self.log("train/loss", loss.detach(), prog_bar=True, batch_size=len(batch.label))
        return loss

    def on_train_epoch_end(self) -> None:
        """Ends no epoch whose losses were not all finite."""
        self._check_finite()

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Drops the gradients of what is frozen; several processes expect all gradients anyway."""
        if self._frozen:
            for name, parameter in self.network.named_parameters():
                if not name.startswith(self._head):
                    parameter.grad = None

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Moves the average of the weights after every step of the optimiser."""
        self.average.follow(self.network, step=self.global_step)

    def on_train_end(self) -> None:
        """Gives every process the same running statistics."""
        self.average.share(self.network)

    def averaged_state(self) -> dict[str, Tensor]:
        """Returns the weights that are scored and exported: the average where there is one."""
        return self.average.state(self.network)

    def on_validation_epoch_start(self) -> None:
        """Starts counting."""
        self._start()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Counts the clips of a batch."""
        self._count(batch)

    def on_validation_epoch_end(self) -> None:
        """Logs `val/accuracy` and `val/balanced_accuracy`."""
        self._log_scores("val")

    def on_test_epoch_start(self) -> None:
        """Starts counting."""
        self._start()

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Counts the clips of a batch."""
        self._count(batch)

    def on_test_epoch_end(self) -> None:
        """Logs `test/accuracy` and `test/balanced_accuracy`."""
        self._log_scores("test")

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the averaged weights, and what the run says of itself."""
        self._check_finite()
        checkpoint["mot_reid"] = self.metadata
        self.average.save(checkpoint)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes the averaged weights."""
        self.average.load(checkpoint)

    def _start(self) -> None:
        self.average.share(self.network)
        self.confusion = torch.zeros(self.classes, self.classes, dtype=torch.int64, device=self.device)

    def _count(self, batch: Batch) -> None:
        found = self.average.apply(self.network, batch.image).argmax(dim=1)
        ones = torch.ones_like(found)
        self.confusion.index_put_((batch.label, found), ones, accumulate=True)

    def _log_scores(self, stage: str) -> None:
        self.confusion = self.trainer.strategy.reduce(self.confusion, reduce_op="sum")
        table = self.confusion.cpu().numpy()
        found = {f"{stage}/accuracy": accuracy(table), f"{stage}/balanced_accuracy": balanced_accuracy(table)}
        if not self.trainer.fast_dev_run:  # type: ignore[attr-defined]
            self.log_dict({name: torch.tensor(value) for name, value in found.items()})

    def _batch_seed(self) -> int:
        done = self.trainer.fit_loop.epoch_loop.batch_progress.current.ready
        batch = self.current_epoch * self.trainer.datamodule.batches_per_epoch + done  # type: ignore[attr-defined]
        return batch_seed(self.seed, batch=batch, rank=self.global_rank)

    def _steps_per_epoch(self) -> int:
        return steps_per_epoch(self.trainer, self.trainer.datamodule.batches_per_epoch)  # type: ignore[attr-defined]

    def _freeze(self, frozen: bool) -> None:
        """Stops the running statistics of all but the classifier, or lets them move again."""
        self._frozen = frozen
        for name, part in self.network.named_children():
            part.train(not frozen or f"{name}." == self._head)

    def _check_finite(self) -> None:
        table = self.trainer.datamodule.train  # type: ignore[attr-defined]
        self._watch.check(lambda row: table.path[row.cpu().numpy()])
