"""What training builds, with the values of `configs/base.yaml` where a test says nothing: signatures hold none."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import torch
import yaml
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from mot_reid.settings.load import ROOT
from mot_reid.training import optim
from mot_reid.training.objective import Objective

_SCHEDULE = (
    "warmup_epochs",
    "warmup_factor",
    "milestones",
    "step_epochs",
    "gamma",
    "flat_epochs",
    "final_factor",
    "per",
)
_OPTIMIZER = ("momentum", "nesterov", "betas", "amsgrad", "no_decay_norm_and_bias", "bias_lr_factor")


@cache
def section(name: str) -> dict[str, Any]:
    """The values of a section of `configs/base.yaml`, lists as tuples."""
    values = yaml.safe_load((ROOT / "configs" / "base.yaml").read_text(encoding="utf-8"))[name]
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}


def _some(names: Iterable[str]) -> dict[str, Any]:
    return {name: section("optim")[name] for name in names}


def build_objective(**given: Any) -> Objective:
    """The objective of `configs/base.yaml` with some settings exchanged."""
    return Objective(**section("loss") | given)


def factor(step: int, **given: Any) -> float:
    """`optim.factor` likewise."""
    return optim.factor(step, **_some((*_SCHEDULE, "count_from")) | given)


def build_schedule(optimizer: torch.optim.Optimizer, **given: Any) -> LambdaLR:
    """`optim.build_schedule` likewise."""
    return optim.build_schedule(optimizer, **_some((*_SCHEDULE, "count_from")) | given)


def build_optimizer(network: nn.Module | Iterable[tuple[str, nn.Parameter]], **given: Any) -> torch.optim.Optimizer:
    """`optim.build_optimizer` likewise, without weight decay and in the plain kernel."""
    return optim.build_optimizer(network, **_some(_OPTIMIZER) | {"weight_decay": 0.0, "fused": False} | given)
