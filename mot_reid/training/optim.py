"""Optimisers, and the learning rate of every step."""

from __future__ import annotations

import functools
import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Literal

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from mot_reid.names import did_you_mean

SCHEDULES = ("constant", "step", "multistep", "cosine", "linear")
OPTIMIZERS = ("adam", "adamw", "sgd")
NECK_SCALE = "neck.weight"
"""Never decayed: each of its numbers scales one number of the embedding, which would die with it (measured: LOG.md)."""


def build_optimizer(
    network: nn.Module | Iterable[tuple[str, nn.Parameter]],
    *,
    name: str,
    lr: float,
    weight_decay: float,
    momentum: float,
    nesterov: bool,
    betas: tuple[float, float],
    amsgrad: bool,
    no_decay_norm_and_bias: bool,
    bias_lr_factor: float,
    fused: bool,
) -> torch.optim.Optimizer:
    """Returns an optimiser over the trainable parameters, in one to three groups so that its steps run in few kernels.

    Args:
        network: a module, or its ``named_parameters()``.
        name: "adam" (weight decay added to the gradient), "adamw" (decoupled) or "sgd".
        lr: base learning rate, multiplied by the schedule's factor.
        weight_decay: of all parameters but the neck's scale, or of those that no_decay_norm_and_bias leaves.
        momentum: of SGD.
        nesterov: of SGD.
        betas: of Adam and AdamW.
        amsgrad: of Adam and AdamW.
        no_decay_norm_and_bias: no weight decay for parameters with fewer than two dimensions (norms, biases, GeM's p).
        bias_lr_factor: learning rate of biases relative to lr; TransReID uses 2.
        fused: torch's single-kernel step, faster on a CPU too; without it torch chooses (foreach on CUDA).
            Lightning refuses to clip gradients for a fused optimiser under mixed precision.

    Raises:
        ValueError: an unknown name, or nothing to train.
    """
    if name not in OPTIMIZERS:
        raise ValueError(_unknown("optim.name", name, OPTIMIZERS))
    named = network.named_parameters() if isinstance(network, nn.Module) else network
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for key, parameter in named:
        if parameter.requires_grad:
            spared = key == NECK_SCALE or (no_decay_norm_and_bias and parameter.ndim < 2)
            decay = 0.0 if spared else weight_decay
            rate = lr * bias_lr_factor if key.rpartition(".")[2] == "bias" else lr
            groups.setdefault((rate, decay), []).append(parameter)
    if not groups:
        raise ValueError("optimiser: got no trainable parameter; expected at least one; unfreeze a part of the network")
    settings = [{"params": part, "lr": rate, "weight_decay": decay} for (rate, decay), part in groups.items()]
    kernel = True if fused else None
    if name == "sgd":
        return torch.optim.SGD(settings, lr=lr, momentum=momentum, nesterov=nesterov, fused=kernel)
    kind = torch.optim.Adam if name == "adam" else torch.optim.AdamW
    return kind(settings, lr=lr, betas=betas, amsgrad=amsgrad, fused=kernel)


def factor(
    step: int,
    *,
    schedule: str,
    epochs: float,
    steps_per_epoch: int,
    warmup_epochs: float,
    warmup_factor: float,
    milestones: Sequence[float],
    step_epochs: float,
    gamma: float,
    flat_epochs: float,
    final_factor: float,
    per: Literal["epoch", "step"],
    count_from: Literal[0, 1],
) -> float:
    """Returns what the base learning rate is multiplied by at optimiser step `step`, counted from 0.

    First the time t, in epochs: with ``per="epoch"`` the number of the epoch, with ``per="step"`` that of the step over
    steps_per_epoch; `count_from` is the number that the recipe gives to the first. While t < warmup_epochs, the line
    from warmup_factor (t = 0) to 1 (t = warmup_epochs); after that

    * constant: 1
    * step: gamma ** floor(t / step_epochs)
    * multistep: gamma ** (number of milestones <= t)
    * cosine: from 1 at flat_epochs to final_factor at `epochs`; 1 before. ``flat_epochs=warmup_epochs`` is a decay that
      starts where the warm-up ends; 0 is timm's (the cosine's clock runs during the warm-up).
    * linear: the same, on a line.

    How published recipes map:

    * BoT numbers its epochs from 1 and steps the scheduler when an epoch starts, so epoch e has 0.01 (1 - e/10) + e/10
      during its 10 warm-up epochs and 0.1 from epoch 40 on: ``multistep, milestones=(40, 70), warmup_epochs=10,
      warmup_factor=0.01, per="epoch", count_from=1``. The same for AGW and, with its cosine, for TransReID.
    * torch's schedulers stepped when an epoch ends (roadmap StepLR 40, torchreid): ``per="epoch", count_from=0``.
    * fast-reid warms up for 2,000 iterations from 0.1: ``per="step", warmup_epochs=2000 / steps_per_epoch,
      warmup_factor=0.1``. Its milestones [40, 90] act at epochs 50 and 100, because its scheduler rests while warming
      up: write those. SBS: ``cosine, epochs=60, flat_epochs=30, final_factor=0.002`` (3.5e-4 to 7e-7).
    """
    number = step // steps_per_epoch if per == "epoch" else step
    time = float(number + count_from) if per == "epoch" else (number + count_from) / steps_per_epoch
    if time < warmup_epochs:
        return warmup_factor + (1.0 - warmup_factor) * time / warmup_epochs
    if schedule == "step":
        return gamma ** math.floor(time / step_epochs)
    if schedule == "multistep":
        return gamma ** bisect_right(sorted(milestones), time)
    if schedule == "constant" or time <= flat_epochs:
        return 1.0
    progress = min(1.0, (time - flat_epochs) / (epochs - flat_epochs))
    remaining = 1.0 - progress if schedule == "linear" else 0.5 * (1.0 + math.cos(math.pi * progress))
    return final_factor + (1.0 - final_factor) * remaining


def build_schedule(
    optimizer: torch.optim.Optimizer,
    *,
    schedule: str,
    epochs: float,
    steps_per_epoch: int,
    warmup_epochs: float,
    warmup_factor: float,
    milestones: Sequence[float],
    step_epochs: float,
    gamma: float,
    flat_epochs: float,
    final_factor: float,
    per: Literal["epoch", "step"],
    count_from: Literal[0, 1],
) -> LambdaLR:
    """Returns the scheduler to step after every optimiser step; `factor` explains the arguments.

    A resumed scheduler keeps its step count and takes the settings given here, not those of the interrupted run.

    Raises:
        ValueError: an unknown schedule or a number out of its range.
    """
    if schedule not in SCHEDULES:
        raise ValueError(_unknown("optim.schedule", schedule, SCHEDULES))
    if per not in ("epoch", "step"):
        raise ValueError(_unknown("optim.per", per, ("epoch", "step")))
    rules = (
        ("epochs", epochs, epochs > 0, "more than 0"),
        ("steps_per_epoch", steps_per_epoch, steps_per_epoch >= 1, "at least 1"),
        (
            "warmup_epochs",
            warmup_epochs,
            0 <= warmup_epochs <= epochs,
            f"0 to the run's length in epochs ({epochs:g})",
        ),
        ("step_epochs", step_epochs, step_epochs > 0, "more than 0"),
        (
            "flat_epochs",
            flat_epochs,
            0 <= flat_epochs < epochs,
            f"0 to below the run's length in epochs ({epochs:g})",
        ),
        ("count_from", count_from, count_from in (0, 1), "0 or 1"),
    )
    for key, value, holds, rule in rules:
        if not holds:
            raise ValueError(f"optim.{key}: got {value}; expected {rule}")
    multiplier = functools.partial(
        factor,
        schedule=schedule,
        epochs=epochs,
        steps_per_epoch=steps_per_epoch,
        warmup_epochs=warmup_epochs,
        warmup_factor=warmup_factor,
        milestones=tuple(milestones),
        step_epochs=step_epochs,
        gamma=gamma,
        flat_epochs=flat_epochs,
        final_factor=final_factor,
        per=per,
        count_from=count_from,
    )
    return LambdaLR(optimizer, multiplier)


def _unknown(key: str, value: str, known: Sequence[str]) -> str:
    hint = did_you_mean(value.lower(), known) or "; choose one of them"
    return f"{key}: got '{value}'; expected {', '.join(known)}{hint}"
