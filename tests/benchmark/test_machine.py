"""Timing by a clock that the test turns."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from mot_reid.benchmark import machine


class Clock:
    """Seconds that pass only in calls."""

    def __init__(self, *spent: float) -> None:
        self.now, self.spent, self.calls = 0.0, list(spent), 0

    def perf_counter(self) -> float:
        return self.now

    def work(self) -> None:
        self.now += self.spent[min(self.calls, len(self.spent) - 1)]
        self.calls += 1


def test_median_leaves_the_warm_up_out(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(100.0, 100.0, 1.0, 5.0, 2.0, 4.0, 3.0)
    monkeypatch.setattr(machine, "time", SimpleNamespace(perf_counter=clock.perf_counter))
    assert machine.median_seconds(clock.work, least=5, budget_seconds=0.0) == 3.0
    assert clock.calls == 7


def test_calls_are_repeated_until_the_budget_is_spent_or_there_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    for most, calls in ((1000, 10), (6, 6)):
        clock = Clock(1.0)
        monkeypatch.setattr(machine, "time", SimpleNamespace(perf_counter=clock.perf_counter))
        assert machine.median_seconds(clock.work, least=2, budget_seconds=10.0, most=most, warm_up=0) == 1.0
        assert clock.calls == calls


def test_description_names_the_machine_and_the_versions() -> None:
    told = machine.describe()
    assert (
        told["versions"]["torch"] == torch.__version__.split("+")[0] or told["versions"]["torch"] in torch.__version__
    )
    assert told["cores"] >= 1 and told["threads"] == torch.get_num_threads()


def test_matrix_product_stays_small_where_a_type_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor that takes a second for 512 x 512 is measured at that size, not at the largest one."""
    clock, sides = Clock(0.0), []

    def product(left: torch.Tensor, right: torch.Tensor) -> None:
        sides.append(len(left))
        clock.now += 0.01 if len(left) < 512 else 1.0

    monkeypatch.setattr(machine.torch, "matmul", product)
    monkeypatch.setattr(machine, "time", SimpleNamespace(perf_counter=clock.perf_counter))
    assert machine.matmul_peak(torch.device("cpu"), torch.float32) == 2 * 512**3
    assert max(sides) == 512
