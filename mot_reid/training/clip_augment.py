"""Random changes of clips, the same in all frames of one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipAugment:
    """Changes training clips on their device.

    Attributes:
        flip: Probability of a horizontal flip.
        pad: Pixels of repeated border added before a random crop back to size.
        brightness: Largest relative change of brightness.
        contrast: Largest relative change of contrast, around the mean of the clip.
    """

    flip: float = 0.0
    pad: int = 0
    brightness: float = 0.0
    contrast: float = 0.0

    def __call__(self, clips: Tensor, *, generator: torch.Generator) -> Tensor:
        """Returns (B, T, H, W, 3) float32 clips in [0, 255].

        Args:
            clips: (B, T, H, W, 3) in [0, 255].
            generator: On the device of the clips.
        """
        found = self._moved(clips.float(), generator)
        flipped = self._random(len(found), generator) < self.flip
        found = torch.where(flipped.view(-1, 1, 1, 1, 1), found.flip(3), found)
        for strength, centre in ((self.brightness, None), (self.contrast, (1, 2, 3, 4))):
            factor = 1 + strength * (2 * self._random(len(found), generator) - 1).view(-1, 1, 1, 1, 1)
            middle = found.mean(dim=centre, keepdim=True) if centre else 0.0
            found = (found - middle) * factor + middle
        return found.clamp(0, 255)

    def _moved(self, clips: Tensor, generator: torch.Generator) -> Tensor:
        """Returns each clip shifted by up to `pad` pixels each way."""
        if not self.pad:
            return clips
        batch, frames, height, width, channels = clips.shape
        flat = clips.permute(0, 1, 4, 2, 3).reshape(batch, frames * channels, height, width)
        wide = F.pad(flat, (self.pad,) * 4, mode="replicate")
        steps = torch.randint(2 * self.pad + 1, (batch, 2), generator=generator, device=clips.device).tolist()
        parts = [one[:, y : y + height, x : x + width] for one, (y, x) in zip(wide, steps)]
        return torch.stack(parts).view(batch, frames, channels, height, width).permute(0, 1, 3, 4, 2)

    @staticmethod
    def _random(count: int, generator: torch.Generator) -> Tensor:
        return torch.rand(count, generator=generator, device=generator.device)
