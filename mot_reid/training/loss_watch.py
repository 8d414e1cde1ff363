"""Losses that are not finite end a run, and name the step and the images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

_CHECK_EVERY = 20
"""Losses of an accelerator that are looked at together, since it waits for the host whenever one is."""


class _Unchecked(NamedTuple):
    """A batch whose loss nobody has looked at yet."""

    step: int
    epoch: int
    finite: Tensor
    terms: dict[str, Tensor]
    row: Tensor


class LossWatch:
    """Looks at every loss, several at a time where an accelerator would wait."""

    def __init__(self) -> None:
        """Starts with nothing to look at."""
        self._unchecked: list[_Unchecked] = []

    def add(self, loss: Tensor, terms: dict[str, Tensor], *, step: int, epoch: int, row: Tensor) -> bool:
        """Takes the loss of a batch; returns whether it is time to check.

        Args:
            loss: The sum.
            terms: Its terms by name.
            step: Optimiser steps before it.
            epoch: From 0.
            row: The batch's images, by their place in the training table.
        """
        self._unchecked.append(_Unchecked(step, epoch, loss.isfinite(), terms, row))
        return loss.device.type == "cpu" or len(self._unchecked) >= _CHECK_EVERY

    def check(self, paths: Callable[[Tensor], Sequence[str]]) -> None:
        """Raises FloatingPointError where a loss since the last check is not finite. An accelerator waits here only.

        Args:
            paths: Gives the files of a batch's images.
        """
        unchecked, self._unchecked = self._unchecked, []
        if not unchecked or bool(torch.stack([one.finite for one in unchecked]).all()):
            return
        first = next(one for one in unchecked if not one.finite)
        culprits = ", ".join(
            f"{name}={value.item():g}" for name, value in first.terms.items() if not torch.isfinite(value)
        )
        raise FloatingPointError(
            f"loss: got {culprits or 'an overflow of the sum'} in step {first.step}, epoch {first.epoch}; "
            "expected finite numbers; lower optim.lr, set trainer.gradient_clip_val, or look at these images: "
            + ", ".join(paths(first.row))
        )
