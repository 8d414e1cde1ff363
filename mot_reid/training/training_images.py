"""What the network sees of a training crop: resized, augmented and normalised, by random numbers of its own."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from mot_reid.reid.preprocess import Preprocess
from mot_reid.training.augment import BatchAugment


class TrainingImages:
    """Makes what the network sees in training of a batch of crops.

    Attributes:
        small_epochs: Epochs at the start that see smaller images; found from `small_share` when the run begins.
        calm_from: First epoch, from 0, that sees calmer images; found from `calm_share` then.
    """

    def __init__(
        self,
        preprocess: Preprocess,
        augment: BatchAugment,
        *,
        small_share: float = 0.0,
        small_scale: float = 1.0,
        calm_share: float = 0.0,
    ) -> None:
        """Puts the steps together.

        Args:
            preprocess: What validation and the exported model do to a crop.
            augment: Applied between resizing and the network.
            small_share: Share of the run's epochs, at its start, that see smaller images.
            small_scale: Height and width of those, relative to the full size.
            calm_share: Share of the run's epochs, at its end, that see calmer images (`BatchAugment.calmed`).
        """
        self.preprocess, self.augment, self.calm = preprocess, augment, augment.calmed()
        self.calm_share, self.calm_from = calm_share, math.inf
        self.small_share, self.small_epochs = small_share, 0
        self.small = scaled(preprocess, small_scale)

    def begin(self, epochs: float) -> None:
        """Finds the epochs with smaller and with calmer images, of a run of so many epochs."""
        self.small_epochs = round(self.small_share * epochs) if self.small_share else 0
        self.calm_from = epochs - round(self.calm_share * epochs) if self.calm_share else math.inf

    def is_calm(self, epoch: int) -> bool:
        """Returns whether an epoch, from 0, sees calmer images."""
        return epoch >= self.calm_from

    def __call__(self, image: Tensor, *, epoch: int, seed: int) -> Tensor:
        """Returns what the network sees, (B, 3, H, W), of crops (B, 3, h, w) in [0, 255].

        Args:
            image: The crops.
            epoch: From 0; the first ones may see smaller images, the last ones calmer images.
            seed: Decides everything that is random.
        """
        generator = torch.Generator(device=image.device)
        generator.manual_seed(seed)
        preprocess = self.small if epoch < self.small_epochs else self.preprocess
        augment = self.calm if self.is_calm(epoch) else self.augment
        image = augment.mirror(image, generator)
        image = image if tuple(image.shape[2:]) == preprocess.size else preprocess.resize(image)
        image = augment.move(image, generator).float()
        if augment.recolours:
            image = augment.recolour(image / 255, generator) * 255
        return augment.erase(preprocess.normalise(image), generator)


def batch_seed(seed: int, *, batch: int, rank: int) -> int:
    """Returns a seed of its own for every batch and rank.

    Args:
        seed: Of the run.
        batch: Its number in the run, from 0.
        rank: Of the process.
    """
    return (seed * 1_000_003 + batch) * 1_009 + rank


def scaled(preprocess: Preprocess, scale: float) -> Preprocess:
    """Returns the preprocessing for images of another height and width."""
    return replace(preprocess, height=round(preprocess.height * scale), width=round(preprocess.width * scale))
