"""ActionModule: trains a network to say what is done in a clip, and counts how often it is right."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mot_reid.actions.model_file import ClipFormat
from mot_reid.actions.networks import NETWORKS
from mot_reid.metrics.confusion import accuracy, balanced_accuracy
from mot_reid.training.averaged_module import NETWORK_SEED, AveragedModule, BuildOptimizer, BuildSchedule
from mot_reid.training.clip_augment import ClipAugment
from mot_reid.training.dataset import Batch


class ActionModule(AveragedModule):
    """Trains an action classifier with cross-entropy, and scores it by the share of clips that it gets right.

    Augmentation happens on the device.

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
        super().__init__(
            network,
            build_optimizer=build_optimizer,
            build_schedule=build_schedule,
            memory_format=torch.channels_last_3d if channels_last else torch.contiguous_format,
            ema_decay=ema_decay,
            freeze_epochs=freeze_epochs,
            seed=seed,
            metadata=metadata,
        )
        self.clip, self.classes, self.augment = clip, classes, augment
        self.label_smoothing = label_smoothing
        self.confusion = torch.zeros(classes, classes, dtype=torch.int64)
        self._head = NETWORKS[name].head

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Augments training clips, and normalises all."""
        image = batch.image
        if self.training:
            seed = self._batch_seed()
            torch.manual_seed(seed + NETWORK_SEED)  # of dropout and stochastic depth, which take no generator
            image = self.augment(image, generator=torch.Generator(device=image.device).manual_seed(seed))
        dtype = next(self.network.parameters()).dtype
        return batch._replace(image=self.clip.normalised(image).to(dtype).contiguous(memory_format=self.memory_format))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Returns the loss of a batch.

        Raises:
            FloatingPointError: The loss is not finite.
        """
        if self.freeze_epochs:
            self._freeze(self._is_frozen_now())
        loss = F.cross_entropy(self.network(batch.image), batch.label, label_smoothing=self.label_smoothing)
        return self._watched(loss, {"cross_entropy": loss.detach()}, batch)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Drops the gradients of what is frozen; several processes expect all gradients anyway."""
        if self._frozen:
            for name, parameter in self.network.named_parameters():
                if not name.startswith(self._head):
                    parameter.grad = None

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

    def _freeze(self, frozen: bool) -> None:
        """Stops the running statistics of all but the classifier, or lets them move again."""
        self._frozen = frozen
        for name, part in self.network.named_children():
            part.train(not frozen or f"{name}." == self._head)
