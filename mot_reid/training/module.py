"""ReIDModule: one training step, one validation, and what a checkpoint of it holds."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mot_reid.reid.network import ReIDNetwork
from mot_reid.training.averaged_module import NETWORK_SEED, AveragedModule, BuildOptimizer, BuildSchedule
from mot_reid.training.dataset import Batch
from mot_reid.training.distill import Distillation
from mot_reid.training.length import run_epochs
from mot_reid.training.mixstyle import MixStyle
from mot_reid.training.objective import Objective
from mot_reid.training.training_images import TrainingImages
from mot_reid.training.validation import Gathering

_VIEWS = 1 << 40
"""Beyond the seeds of all batches: choosing a view draws other numbers than the augmentation."""


class ReIDModule(AveragedModule):
    """Trains a Re-ID network, and scores it by retrieval.

    Augmentation happens on the device, a batch at a time. Its random numbers, and those of the network itself, depend
    on the seed, the batch and the rank alone, so that a resumed run goes on as if it had not stopped. With a moving
    average of the weights (`ema_decay`), the average is what is validated, tested and exported.

    With several processes each one's loss is that of its own identities: triplets are mined among them, and gradients
    are averaged over the processes, as in the field's code. A batch split over W processes is W smaller batches to the
    metric losses and to batch norm; only the samples are those of one process.
    """

    network: ReIDNetwork

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
        if images.small_share and hasattr(network.backbone, "patch_embed"):
            raise ValueError(
                f"progressive.share: got {images.small_share:g}, epochs with smaller images, for "
                f"'{network.config['backbone']}', whose input has one size; expected 0"
            )
        super().__init__(
            network,
            build_optimizer=build_optimizer,
            build_schedule=build_schedule,
            memory_format=torch.channels_last if channels_last else torch.contiguous_format,
            ema_decay=ema_decay,
            freeze_epochs=freeze_epochs,
            seed=seed,
            metadata=metadata,
        )
        self.objective, self.distillation, self.mixstyle = objective, distillation, mixstyle
        self.images, self.preprocess = images, images.preprocess
        self.gathering = Gathering()
        self.test_name = "test"

    def trained_parts(self) -> list[nn.Module]:
        """Returns the network, and what a student learns with."""
        return [self.network] if self.distillation is None else [self.network, self.distillation]

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
        torch.manual_seed(seed + NETWORK_SEED)  # of dropout and stochastic depth, which take no generator
        return self.images(image, epoch=self.current_epoch, seed=seed)

    def on_fit_start(self) -> None:
        """Starts the moving average, or continues it after a resume, also where nothing is left to train."""
        super().on_fit_start()
        trainer, steps = self.trainer, self._steps_per_epoch()
        self.images.begin(run_epochs(max_epochs=trainer.max_epochs, max_steps=trainer.max_steps, steps_per_epoch=steps))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Returns the loss of a PK batch.

        Raises:
            FloatingPointError: The loss is not finite.
        """
        if self.freeze_epochs:
            self._freeze(self._is_frozen_now())
        terms, loss = self._losses(batch)
        told = {name: value.detach() for name, value in terms.items()}
        self.log_dict({f"train/{name}": value for name, value in told.items()}, batch_size=len(batch.label))
        return self._watched(loss, told, batch)

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

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Drops the gradients of a frozen backbone, and moves the centres, which have no optimiser."""
        if self._frozen:
            self.network.backbone.zero_grad()
        if self.objective is not None and "centre" in self.objective.terms:
            scaler = getattr(self.trainer.precision_plugin, "scaler", None)
            self.objective.move_centres(loss_scale=1.0 if scaler is None else scaler.get_scale())

    def embed(self, image: Tensor) -> Tensor:
        """Returns the (B, D) unit embeddings of preprocessed images, by the averaged weights where there are some."""
        return self.average.apply(self.network, image)

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

    def _start_gathering(self, split: str) -> None:
        self.average.share(self.network)
        self.gathering.start(getattr(self.trainer.datamodule, split), self.device)  # type: ignore[attr-defined]

    def _log_scores(self, stage: str) -> None:
        if not self.trainer.fast_dev_run:  # type: ignore[attr-defined]
            self.log_dict({f"{stage}/{name}": value for name, value in self.gathering.finish().items()})

    def _freeze(self, frozen: bool) -> None:
        """Leaves the backbone out of training, or takes it in again; several processes expect all gradients anyway."""
        self._frozen = frozen
        self.network.backbone.requires_grad_(not frozen or self.trainer.world_size > 1)
        self.network.backbone.train(not frozen)
