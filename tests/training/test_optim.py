"""Learning rates against tables written by hand, optimisers against closed forms."""

from __future__ import annotations

import io
import math
from typing import Any

import pytest
import torch
from torch import nn

from mot_reid.reid.network import ReIDNetwork
from mot_reid.training import optim
from tests.helpers.values import build_optimizer, build_schedule, factor

STEPS = 202  # Market-1501's 12,936 images in batches of 64
BOT: dict[str, Any] = {
    "schedule": "multistep",
    "epochs": 120,
    "warmup_epochs": 10,
    "warmup_factor": 0.01,
    "milestones": (40, 70),
    "gamma": 0.1,
    "per": "epoch",
    "count_from": 1,
}
ROADMAP: dict[str, Any] = {"schedule": "step", "epochs": 100, "step_epochs": 40, "gamma": 0.1}
FAST_REID: dict[str, Any] = {
    "schedule": "multistep",
    "epochs": 120,
    "warmup_epochs": 2000 / STEPS,
    "warmup_factor": 0.1,
    "milestones": (50, 100),
    "per": "step",
}
SBS: dict[str, Any] = {"schedule": "cosine", "epochs": 60, "flat_epochs": 30, "final_factor": 0.002}
OSNET: dict[str, Any] = {"schedule": "multistep", "epochs": 350, "milestones": (150, 225, 300)}
TRANSREID: dict[str, Any] = {
    "schedule": "cosine",
    "epochs": 120,
    "warmup_epochs": 5,
    "warmup_factor": 0.01,
    "final_factor": 0.002,
    "count_from": 1,
}


@pytest.mark.parametrize(
    ("epoch", "expected"),
    zip(
        (1, 2, 9, 10, 11, 39, 40, 41, 69, 70, 71, 120),
        (0.109, 0.208, 0.901, 1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01),
        strict=True,
    ),
)
def test_bot_epoch_has_its_factor_in_all_its_steps(epoch: int, expected: float) -> None:
    """Epochs from 1: 0.01 (1 - e/10) + e/10, then 0.1 from epoch 40, 0.01 from epoch 70.

    Fails for epochs counted from 0, milestones one late, a warm-up that moves within the epoch.
    """
    first, last = (epoch - 1) * STEPS, epoch * STEPS - 1
    for step in (first, (first + last) // 2, last):
        assert factor(step, steps_per_epoch=STEPS, **BOT) == pytest.approx(expected)


@pytest.mark.parametrize(("index", "expected"), [(0, 1), (39, 1), (40, 0.1), (79, 0.1), (80, 0.01), (99, 0.01)])
def test_roadmap_step_lr_40_by_hand(index: int, expected: float) -> None:
    """Epochs from 0, as torch's StepLR counts when stepped at the end of an epoch."""
    for step in (index * STEPS, (index + 1) * STEPS - 1):
        assert factor(step, steps_per_epoch=STEPS, **ROADMAP) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("step", "expected"),
    zip(
        (0, 1, 1000, 1999, 2000, 50 * STEPS - 1, 50 * STEPS, 100 * STEPS - 1, 100 * STEPS, 24239),
        (0.1, 0.10045, 0.55, 0.99955, 1, 1, 0.1, 0.1, 0.01, 0.01),
        strict=True,
    ),
)
def test_fast_reid_warms_up_by_iterations(step: int, expected: float) -> None:
    assert factor(step, steps_per_epoch=STEPS, **FAST_REID) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("index", "expected"),
    [(0, 1), (30, 1), (40, 0.002 + 0.998 * 0.75), (45, 0.501), (50, 0.002 + 0.998 * 0.25), (59, 0.0047336)],
)
def test_sbs_is_flat_and_then_a_cosine_by_hand(index: int, expected: float) -> None:
    """30 flat epochs, 30 of cosine: a third of the way cos(60 degrees), half-way (1 + 0.002) / 2."""
    assert factor(index * STEPS, steps_per_epoch=STEPS, **SBS) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("index", "expected"),
    [(0, 1), (149, 1), (150, 0.1), (224, 0.1), (225, 0.01), (299, 0.01), (300, 0.001), (349, 0.001)],
)
def test_osnet_from_scratch_by_hand(index: int, expected: float) -> None:
    assert factor(index * STEPS, steps_per_epoch=STEPS, **OSNET) == pytest.approx(expected)


@pytest.mark.parametrize("epoch", [1, 4, 5, 6, 60, 119, 120])
def test_transreid_equals_timm(epoch: int) -> None:
    """Its loop calls scheduler.step(epoch) with epochs from 1; the cosine's clock runs during the warm-up."""
    from timm.scheduler import CosineLRScheduler

    base = 0.008
    theirs = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=base)
    scheduler = CosineLRScheduler(
        theirs, t_initial=120, lr_min=0.002 * base, warmup_lr_init=0.01 * base, warmup_t=5, t_in_epochs=True
    )
    scheduler.step(epoch)
    assert base * factor((epoch - 1) * STEPS, steps_per_epoch=STEPS, **TRANSREID) == pytest.approx(
        theirs.param_groups[0]["lr"]
    )


def test_linear_decay_by_hand() -> None:
    found = [
        factor(step, schedule="linear", epochs=10, steps_per_epoch=4, flat_epochs=2, final_factor=0.5, per="step")
        for step in (0, 8, 24, 39, 40, 400)
    ]
    assert found == pytest.approx([1, 1, 0.75, 0.5 + 0.5 / 32, 0.5, 0.5])


def test_constant_follows_the_warm_up_without_a_jump() -> None:
    found = [
        factor(step, schedule="constant", epochs=9, steps_per_epoch=2, warmup_epochs=2, warmup_factor=0.2, per="step")
        for step in range(6)
    ]
    assert found == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1])


def test_steps_counted_from_1_are_one_step_ahead() -> None:
    settings: dict[str, Any] = {"schedule": "cosine", "epochs": 10, "steps_per_epoch": 7, "per": "step"}
    assert factor(33, **settings, count_from=1) == factor(34, **settings, count_from=0)


@pytest.mark.parametrize(
    "settings", [OSNET | {"milestones": (3, 5)}, ROADMAP | {"step_epochs": 3}, {"schedule": "cosine"}]
)
def test_epoch_schedule_equals_torch_stepped_at_the_end_of_epochs(settings: dict[str, Any]) -> None:
    settings = settings | {"epochs": 8}
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=2.0)
    theirs = {
        "multistep": lambda: torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 5], 0.1),
        "step": lambda: torch.optim.lr_scheduler.StepLR(optimizer, 3, 0.1),
        "cosine": lambda: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 8),
    }[settings["schedule"]]()
    for epoch in range(8):
        assert 2.0 * factor(epoch * 5 + 4, steps_per_epoch=5, **settings) == pytest.approx(
            optimizer.param_groups[0]["lr"]
        )
        optimizer.step()
        theirs.step()


def test_schedule_sets_the_rate_of_every_group_at_every_step() -> None:
    network = nn.Linear(2, 2)
    optimizer = build_optimizer(network, name="sgd", lr=0.5, bias_lr_factor=2.0)
    scheduler = build_schedule(optimizer, steps_per_epoch=3, **BOT | {"milestones": (11, 12)})
    for step in range(40):
        expected = factor(step, steps_per_epoch=3, **BOT | {"milestones": (11, 12)})
        assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.5 * expected, expected])
        optimizer.step()
        scheduler.step()


def test_resumed_schedule_keeps_its_step_and_takes_new_settings() -> None:
    optimizer = build_optimizer(nn.Linear(2, 2), name="sgd", lr=1.0)
    first = build_schedule(optimizer, steps_per_epoch=2, schedule="step", epochs=9, step_epochs=1, gamma=0.5)
    for _ in range(4):
        optimizer.step()
        first.step()
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    again = build_schedule(optimizer, steps_per_epoch=2, schedule="step", epochs=9, step_epochs=1, gamma=0.1)
    again.load_state_dict(torch.load(file, weights_only=True))
    again.step()
    again.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.1**3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schedule": "cosin"}, "optim.schedule: got 'cosin'; expected constant, .*; did you mean 'cosine'?"),
        ({"per": "iteration"}, "optim.per: got 'iteration'; expected epoch, step"),
        ({"warmup_epochs": 11}, r"optim.warmup_epochs: got 11; expected 0 to the run's length in epochs \(10\)"),
        ({"flat_epochs": 10}, r"optim.flat_epochs: got 10; expected 0 to below the run's length in epochs \(10\)"),
        ({"count_from": 2}, "optim.count_from: got 2; expected 0 or 1"),
        ({"step_epochs": 0}, "optim.step_epochs: got 0; expected more than 0"),
        ({"epochs": 0}, "optim.epochs: got 0; expected more than 0"),
        ({"steps_per_epoch": 0}, "optim.steps_per_epoch: got 0; expected at least 1"),
    ],
)
def test_schedule_refuses_settings_out_of_range(changes: dict[str, Any], message: str) -> None:
    optimizer = build_optimizer(nn.Linear(2, 2), name="sgd", lr=1.0)
    with pytest.raises(ValueError, match=message):
        build_schedule(optimizer, **{"schedule": "cosine", "epochs": 10, "steps_per_epoch": 5} | changes)


def block() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))


def groups_of(optimizer: torch.optim.Optimizer, network: nn.Module) -> dict[str, tuple[float, float]]:
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    return {
        names[id(parameter)]: (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for parameter in group["params"]
    }


def test_all_parameters_share_one_group_by_default() -> None:
    optimizer = build_optimizer(block(), name="adam", lr=0.1, weight_decay=0.01)
    assert len(optimizer.param_groups) == 1 and len(optimizer.param_groups[0]["params"]) == 6


@pytest.mark.parametrize(("name", "lr"), [("adam", 0.1), ("adamw", 0.1), ("sgd", 0.1)])
def test_scale_of_the_neck_is_never_decayed(name: str, lr: float) -> None:
    """Without a gradient a decayed weight shrinks; the neck's stays, and all other scales are decayed as before."""
    network = ReIDNetwork("osnet_x0_25", weights="none", num_classes=3, image_size=(64, 32))
    optimizer = build_optimizer(network, name=name, lr=lr, weight_decay=0.01)
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    assert torch.equal(network.neck.weight, torch.ones(128))
    assert (network.backbone.stem[0].norm.weight < 1).all()


def test_groups_give_each_parameter_its_rate_and_decay() -> None:
    network = block()
    optimizer = build_optimizer(
        network, name="sgd", lr=0.1, weight_decay=0.01, no_decay_norm_and_bias=True, bias_lr_factor=2.0
    )
    assert len(optimizer.param_groups) == 3
    assert groups_of(optimizer, network) == {
        "0.weight": (0.1, 0.01),
        "0.bias": (0.2, 0.0),
        "1.weight": (0.1, 0.0),
        "1.bias": (0.2, 0.0),
        "3.weight": (0.1, 0.01),
        "3.bias": (0.2, 0.0),
    }


def test_frozen_parameters_are_left_out() -> None:
    network = block()
    network[1].requires_grad_(False)
    assert set(groups_of(build_optimizer(network, name="adamw", lr=0.1), network)) == {
        "0.weight",
        "0.bias",
        "3.weight",
        "3.bias",
    }


def test_named_parameters_are_accepted() -> None:
    network = block()
    optimizer = build_optimizer(network[3].named_parameters(), name="sgd", lr=0.1)
    assert set(groups_of(optimizer, network)) == {"3.weight", "3.bias"}


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        # gradient 2 and weight 1: sgd 1 - .1 (2 + .5), twice with momentum
        ({"name": "sgd", "weight_decay": 0.5, "momentum": 0.0}, 0.75),
        # the first Adam step is lr times the sign, whatever the decay added to the gradient
        ({"name": "adam", "weight_decay": 0.5}, 0.9),
        # decoupled: 1 - .1 * .5 * 1 - .1
        ({"name": "adamw", "weight_decay": 0.5}, 0.85),
        # nesterov: 1 - .1 (2 + .5 * 2)
        ({"name": "sgd", "momentum": 0.5, "nesterov": True}, 0.7),
    ],
    ids=["sgd", "adam", "adamw", "nesterov"],
)
def test_first_step_by_hand(arguments: dict[str, Any], expected: float, fused: bool) -> None:
    parameter = nn.Parameter(torch.ones(1, 1))
    optimizer = build_optimizer([("weight", parameter)], lr=0.1, fused=fused, **arguments)
    parameter.grad = torch.full((1, 1), 2.0)
    optimizer.step()
    assert parameter.item() == pytest.approx(expected, abs=1e-6)


def test_betas_and_amsgrad_arrive() -> None:
    optimizer = build_optimizer(block(), name="adam", lr=0.1, betas=(0.8, 0.95), amsgrad=True)
    assert optimizer.defaults["betas"] == (0.8, 0.95) and optimizer.defaults["amsgrad"] is True


def test_unknown_optimiser_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ValueError, match=r"optim.name: got 'adamW'; expected adam, adamw, sgd; did you mean 'adamw'\?"):
        build_optimizer(block(), name="adamW", lr=0.1)


def test_network_without_trainable_parameters_is_refused() -> None:
    with pytest.raises(ValueError, match="got no trainable parameter; expected at least one"):
        build_optimizer(block().requires_grad_(False), name="sgd", lr=0.1)


def test_names_offered_are_names_understood() -> None:
    for name in optim.OPTIMIZERS:
        build_optimizer(block(), name=name, lr=0.1)
    for schedule in optim.SCHEDULES:
        assert math.isfinite(factor(3, schedule=schedule, epochs=4, steps_per_epoch=2))
