"""Room for uploads: who gets it, and for how long."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mot_reid.serving.http.slots import Pace, Slots
from mot_reid.serving.refusal import Refusal
from mot_reid.settings.load import load_settings
from mot_reid.settings.serving import ServeSettings

LIMITS = replace(
    load_settings(ServeSettings, [], base="serve").limits,
    idle_seconds=30, upload_seconds=900, upload_bytes_per_second=1000,
)  # fmt: skip


def test_one_client_cannot_take_every_slot() -> None:
    slots = Slots(3, each=2)
    with slots.take("a"), slots.take("a"):
        with pytest.raises(Refusal, match="2 uploads of this client are running") as caught, slots.take("a"):
            pass
        assert caught.value.kind == "too_many_requests"
        with slots.take("b"):
            with pytest.raises(Refusal, match="as many uploads as it can"), slots.take("c"):
                pass
            assert slots.taken == 3
    with slots.take("a"):
        assert slots.taken == 1


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("every", "size", "lasts"),
    [
        (8, 1, 30),  # a byte each 8 seconds: the first 30 seconds are free
        (8, 7999, 900),  # a little slower than allowed: the grace lasts for longer than the longest upload
        (1, 500, 60),  # half as fast as allowed: at 60 s, 30 kB are due for the 30 s after the grace
        (31, 10**9, 30),  # nothing at all for too long
        (1, 1500, 900),
    ],
)
def test_upload_that_drips_is_given_up(every: float, size: int, lasts: float) -> None:
    """By hand: bytes n have to be there 30 s + n / 1,000 s after the start, in steps of 30 s, 900 s in all."""
    clock = Clock()
    pace = Pace(LIMITS, clock)
    while pace.seconds >= every:
        clock.now += every
        pace.count(size)
    assert lasts - every <= clock.now + pace.seconds <= lasts + 0.01
