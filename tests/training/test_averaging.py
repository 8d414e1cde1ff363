"""The weight average against closed forms, and running statistics over several processes."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch
import torch.distributed
from torch import nn

from mot_reid.training.averaging import EMA


def block() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))


def averaged(average: EMA) -> dict[str, torch.Tensor]:
    values: dict[str, torch.Tensor] = average.state_dict()["average"]
    return values


def set_weights(network: nn.Module, value: float) -> None:
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(value)


def test_average_of_a_constant_closes_in_by_the_product_of_decays() -> None:
    """From 0 towards 1: 1 - product of min(decay, (1 + n) / (10 + n)); decay .3 is reached at n = 3 (4/13 > .3)."""
    network = nn.Linear(3, 2)
    set_weights(network, 0.0)
    average = EMA(network, decay=0.3)
    set_weights(network, 1.0)
    rest = 1.0
    for decay in (1 / 10, 2 / 11, 3 / 12, 0.3, 0.3):
        average.update(network)
        rest *= decay
        assert averaged(average)["weight"][0, 0].item() == pytest.approx(1 - rest, abs=1e-6)


def test_average_equals_the_weighted_sum_of_the_weights_seen() -> None:
    network = nn.Linear(4, 3)
    average, expected, generator = EMA(network, decay=0.999), network.weight.detach().clone(), torch.Generator()
    for n in range(20):
        with torch.no_grad():
            network.weight.copy_(torch.randn(3, 4, generator=generator))
        average.update(network)
        decay = (1 + n) / (10 + n)
        expected = decay * expected + (1 - decay) * network.weight.detach()
    torch.testing.assert_close(averaged(average)["weight"], expected)


def test_running_statistics_are_averaged_and_counters_copied() -> None:
    network = block()
    average, start = EMA(network), network[1].running_mean.clone()
    network(torch.rand(4, 3, 1, 1))
    mean = network[1].running_mean.clone()
    average.update(network)
    network(5 + torch.rand(4, 3, 1, 1))
    torch.testing.assert_close(averaged(average)["1.running_mean"], 0.1 * start + 0.9 * mean)
    assert averaged(average)["1.num_batches_tracked"] == 1
    assert network[1].num_batches_tracked == 2


def test_average_does_not_share_memory_with_the_network() -> None:
    network = nn.Linear(2, 2)
    average = EMA(network)
    set_weights(network, 3.0)
    assert (averaged(average)["weight"] != 3).all()


def test_average_follows_a_tensor_that_took_anothers_place() -> None:
    """As the buffers of a network do that moves to another device."""
    network = block()
    average = EMA(network, decay=0.0)
    average.update(network)
    norm = next(part for part in network.modules() if isinstance(part, nn.BatchNorm2d))
    norm.running_mean = torch.full_like(norm.running_mean, 5.0)  # type: ignore[arg-type]
    network[0].weight = nn.Parameter(torch.full_like(network[0].weight, 6.0))
    average.update(network)
    for name, value in network.state_dict().items():
        assert torch.equal(value, averaged(average)[name])


def test_average_follows_shared_weights_and_leaves_out_what_no_checkpoint_holds() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    network[1].weight = network[0].weight
    network.register_buffer("scratch", torch.zeros(1), persistent=False)
    average = EMA(network, decay=0.0)
    set_weights(network, 7.0)
    average.update(network)
    assert averaged(average).keys() == network.state_dict().keys()
    assert all((value == 7).all() for value in averaged(average).values())


def test_resumed_average_goes_on_bit_for_bit() -> None:
    """Fails when the number of updates is not restored."""
    network, file = block(), io.BytesIO()
    whole = EMA(network)
    for value in (1.0, 4.0):
        set_weights(network, value)
        whole.update(network)
    torch.save(whole.state_dict(), file)
    file.seek(0)
    resumed = EMA(block())
    resumed.load_state_dict(torch.load(file, weights_only=True))
    for average in (whole, resumed):
        average.update(network)
    assert resumed.updates == 3
    for name, value in whole.state_dict()["average"].items():
        assert torch.equal(value, resumed.state_dict()["average"][name])


def test_average_of_another_network_is_refused() -> None:
    other = EMA(nn.Linear(3, 2)).state_dict()
    with pytest.raises(ValueError, match="EMA state: got other names or shapes, 'weight' first of 1"):
        EMA(nn.Linear(4, 2)).load_state_dict(other)
    with pytest.raises(ValueError, match="EMA state: got other names or shapes"):
        EMA(block()).load_state_dict(other)


def test_decay_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"ema.decay: got 1\.0; expected 0 to below 1"):
        EMA(block(), decay=1.0)


def train_alone(rank: int, folder: str) -> None:
    """One of two processes: the same weights, other images."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    torch.manual_seed(0)
    network = block()
    average = EMA(network, decay=0.5)
    for step in range(3):
        network(torch.rand(4, 3, 1, 1, generator=torch.Generator().manual_seed(10 * rank + step)))
        average.update(network)
    torch.save(dict(averaged(average)), f"{folder}/before{rank}.pt")
    average.take_from_first_process()
    torch.save(averaged(average), f"{folder}/after{rank}.pt")
    torch.distributed.destroy_process_group()


def test_processes_agree_on_the_statistics_of_the_first(tmp_path: Path) -> None:
    """Without sharing, mean and variance differ: two of nine tensors."""
    torch.multiprocessing.start_processes(train_alone, (str(tmp_path),), nprocs=2, start_method="fork")
    names = ("before0", "before1", "after0", "after1")
    before, before_other, after, after_other = (
        torch.load(tmp_path / f"{name}.pt", weights_only=True) for name in names
    )
    assert {name for name in before if not torch.equal(before[name], before_other[name])} == {
        "1.running_mean",
        "1.running_var",
    }
    assert all(torch.equal(after[name], after_other[name]) and torch.equal(after[name], before[name]) for name in after)
