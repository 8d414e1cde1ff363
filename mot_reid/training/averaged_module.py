"""AveragedModule: what every training of ours does, whatever its network learns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from lightning import LightningModule
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from mot_reid.training.averaging import Averaging
from mot_reid.training.dataset import Batch
from mot_reid.training.length import steps_per_epoch
from mot_reid.training.loss_watch import LossWatch
from mot_reid.training.training_images import batch_seed

BuildOptimizer = Callable[[Iterable[tuple[str, nn.Parameter]]], torch.optim.Optimizer]
BuildSchedule = Callable[[torch.optim.Optimizer, int], LRScheduler]

NETWORK_SEED = 1 << 41
"""Beyond the seeds of all batches: the network itself draws other numbers than the augmentation."""


class AveragedModule(LightningModule):
    """Trains `network`, and keeps the moving average of its weights, which is then scored and exported.

    Random numbers depend on the seed, the batch and the rank alone, so that a resumed run goes on as if it had not
    stopped. No epoch ends, and no checkpoint is written, while a loss that is not finite is unnoticed.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        build_optimizer: BuildOptimizer,
        build_schedule: BuildSchedule,
        memory_format: torch.memory_format,
        ema_decay: float | None,
        freeze_epochs: float,
        seed: int,
        metadata: dict[str, Any] | None,
    ) -> None:
        """Keeps what is trained, and how.

        Args:
            network: What is trained.
            build_optimizer: Of the parameters of `trained_parts`.
            build_schedule: From the optimiser and the number of steps in an epoch; stepped after every step.
            memory_format: Order of clips or images, and of kernels.
            ema_decay: Of the moving average of the weights; None for none.
            freeze_epochs: At the start, during which a part of the network stays as it is.
            seed: With the batch and the rank, decides every random number.
            metadata: What a checkpoint says of itself, apart from its weights.
        """
        super().__init__()
        self.memory_format = memory_format
        self.network = network.to(memory_format=memory_format)
        self.build_optimizer, self.build_schedule = build_optimizer, build_schedule
        self.freeze_epochs, self.seed, self.metadata = freeze_epochs, seed, metadata or {}
        self.average = Averaging(ema_decay)
        self._watch = LossWatch()
        self._frozen = False

    def trained_parts(self) -> list[nn.Module]:
        """Returns the parts that the optimiser moves."""
        return [self.network]

    def configure_optimizers(self) -> Any:
        """Returns the optimiser and its schedule, stepped with every batch."""
        optimizer = self.build_optimizer([named for part in self.trained_parts() for named in part.named_parameters()])
        schedule = self.build_schedule(optimizer, self._steps_per_epoch())
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_fit_start(self) -> None:
        """Starts the moving average, or continues it after a resume, also where nothing is left to train."""
        self.average.begin(self.network)

    def on_train_start(self) -> None:
        """Notes up to which step the average has followed."""
        self.average.step = self.global_step

    def on_train_epoch_start(self) -> None:
        """Chooses the epoch's batches."""
        self.trainer.datamodule.start_epoch(self.current_epoch)  # type: ignore[attr-defined]

    def on_train_epoch_end(self) -> None:
        """Ends no epoch whose losses were not all finite."""
        self._check_finite()

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Moves the average of the weights after every step of the optimiser."""
        self.average.follow(self.network, step=self.global_step)

    def on_train_end(self) -> None:
        """Gives every process the same running statistics."""
        self.average.share(self.network)

    def averaged_state(self) -> dict[str, Tensor]:
        """Returns the weights that are scored and exported: the average where there is one."""
        return self.average.state(self.network)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the averaged weights, and what is needed to build the network again."""
        self._check_finite()
        checkpoint["mot_reid"] = self.metadata
        self.average.save(checkpoint)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes the averaged weights."""
        self.average.load(checkpoint)

    def _watched(self, loss: Tensor, terms: Mapping[str, Tensor], batch: Batch) -> Tensor:
        """Returns a loss that is logged, and looked at some steps later, so that no step waits for it."""
        if self._watch.add(loss.detach(), dict(terms), step=self.global_step, epoch=self.current_epoch, row=batch.row):
            self._check_finite()
        self.log("train/loss", loss.detach(), prog_bar=True, batch_size=len(batch.label))
        return loss

    def _is_frozen_now(self) -> bool:
        """Whether this step lies in the first epochs, in which a part of the network stays as it is."""
        return self.global_step < self.freeze_epochs * self._steps_per_epoch()

    def _batch_seed(self) -> int:
        done = self.trainer.fit_loop.epoch_loop.batch_progress.current.ready
        batch = self.current_epoch * self.trainer.datamodule.batches_per_epoch + done  # type: ignore[attr-defined]
        return batch_seed(self.seed, batch=batch, rank=self.global_rank)

    def _steps_per_epoch(self) -> int:
        return steps_per_epoch(self.trainer, self.trainer.datamodule.batches_per_epoch)  # type: ignore[attr-defined]

    def _check_finite(self) -> None:
        table = self.trainer.datamodule.train  # type: ignore[attr-defined]
        self._watch.check(lambda row: table.path[row.cpu().numpy()])
