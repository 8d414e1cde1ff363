"""When a server takes others for dead: never just after it could not know."""

from __future__ import annotations

import pytest

from mot_reid.serving.jobs import heart as heart_module
from mot_reid.serving.jobs.heart import Heart
from mot_reid.serving.refusal import Refusal


class Store:
    """Counts what it is asked for."""

    def __init__(self) -> None:
        self.away, self.beats, self.recoveries = False, 0, 0

    def beat(self) -> None:
        if self.away:
            raise Refusal("busy", "away")
        self.beats += 1

    def recover(self, attempts: int) -> tuple[int, int]:
        assert attempts == 2
        self.recoveries += 1
        return 1, 0


def test_nobody_is_taken_for_dead_until_all_had_time_to_show_life(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(heart_module.time, "monotonic", lambda: now[0])
    store, told = Store(), []
    heart = Heart(store, lost_seconds=10, attempts=2, new_job=lambda: told.append(now[0]))  # type: ignore[arg-type]

    def beat_until(end: float) -> None:
        while now[0] <= end:
            heart.beat()
            now[0] += 2

    beat_until(1008)
    assert store.recoveries == 0
    beat_until(1010)
    assert store.recoveries == 1 and told == [1010]
    store.away = True  # the database is away for a minute; every server's last sign of life is old then
    with pytest.raises(Refusal):
        heart.beat()
    now[0], store.away = 1072, False
    beat_until(1080)
    assert store.recoveries == 1
    beat_until(1082)
    assert store.recoveries == 2
    assert store.beats == 6 + 6
