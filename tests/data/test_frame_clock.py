"""Numbers and times of frames from time stamps, by hand."""

from __future__ import annotations

from itertools import pairwise

import pytest

from mot_reid.data.frame_clock import FrameClock


def placed(stamps: list[float], *, rate: float = 10, failures: dict[int, int] | None = None) -> list[int | None]:
    """The number of each picture; None for one that is out of order."""
    clock, numbers = FrameClock(rate), []
    for at, stamp in enumerate(stamps):
        seconds = clock.place(stamp, failures=(failures or {}).get(at, 0))
        numbers.append(None if seconds is None else clock.number)
    return numbers


def test_regular_stamps_count_from_one() -> None:
    assert placed([5 + n / 10 for n in range(5)]) == [1, 2, 3, 4, 5]


def test_gap_is_counted_in_intervals_of_the_stamps_where_the_announced_rate_is_off() -> None:
    """The container of a file with a gap announces the mean: 8.75 frames a second instead of 10."""
    assert placed([n / 10 for n in (0, 1, 2, 3, 4, 5, 11, 12)], rate=8.75) == [1, 2, 3, 4, 5, 6, 12, 13]


def test_stamps_rounded_to_milliseconds_do_not_drift() -> None:
    numbers = placed([round(1000 * n / 29.97) / 1000 for n in range(5000)], rate=29.97)
    assert numbers == list(range(1, 5001))


def test_variable_rate_is_counted_one_by_one() -> None:
    stamps, at = [], 0.0
    for step in [1, 2, 3, 1, 4, 2, 1, 3] * 4:
        stamps.append(at)
        at += step / 10
    assert placed(stamps, rate=4.7)[8:] == [n + placed(stamps, rate=4.7)[8] for n in range(24)]  # type: ignore[operator]


def test_pictures_without_stamps_are_counted_with_the_failures_between_them() -> None:
    assert placed([0, 0, 0, 0], failures={2: 3}) == [1, 2, 6, 7]


def test_first_frames_that_fail_are_lost() -> None:
    clock = FrameClock(10)
    assert clock.place(0.3, failures=3) == pytest.approx(0.3)
    assert (clock.number, clock.lost) == (4, 3)


def test_picture_out_of_order_is_left_out_after_damage_only() -> None:
    assert placed([0, 0.1, 0.5, 0.2, 0.6], failures={2: 1}) == [1, 2, 6, None, 7]
    assert placed([0, 0.1, 0.3, 0.2, 0.4])[3] is not None


def test_stamps_that_begin_again_go_on_counting() -> None:
    """As in a transport stream that was joined from two."""
    assert placed([100, 100.1, 100.2, 0, 0.1, 90_000, 90_000.1]) == [1, 2, 3, 4, 5, 6, 7]


def test_times_grow_whatever_the_stamps_say() -> None:
    clock = FrameClock(10)
    times = [clock.place(stamp) for stamp in (0, 0, 0.1, 0.1, 0.05, 0.2)]
    assert all(a < b for a, b in pairwise(times))  # type: ignore[operator]
