"""How often a client may ask."""

from __future__ import annotations

import pytest

from mot_reid.serving.http.admission import Rate


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_client_may_ask_as_often_as_the_bucket_allows_and_then_at_its_rate() -> None:
    clock = Clock()
    rate = Rate(6, clients=10, clock=clock)
    assert [rate.wait_seconds("a") for _ in range(6)] == [0.0] * 6
    assert rate.wait_seconds("a") == pytest.approx(10)
    clock.now += 4
    assert rate.wait_seconds("a") == pytest.approx(6)  # having asked in vain costs nothing
    clock.now += 6
    assert rate.wait_seconds("a") == 0
    assert rate.wait_seconds("a") == pytest.approx(10)
    clock.now += 1e6
    assert [rate.wait_seconds("a") > 0 for _ in range(7)] == [False] * 6 + [True]


def test_clients_do_not_pay_for_each_other() -> None:
    rate = Rate(1, clients=10, clock=Clock())
    assert [rate.wait_seconds(client) > 0 for client in "aabb"] == [False, True, False, True]


def test_only_so_many_clients_are_remembered() -> None:
    rate = Rate(1, clients=2, clock=Clock())
    rate.wait_seconds("a"), rate.wait_seconds("b"), rate.wait_seconds("a"), rate.wait_seconds("c")
    assert [rate.wait_seconds(client) > 0 for client in "cab"] == [True, True, False]
