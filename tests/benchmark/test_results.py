"""Shares and comparisons by hand."""

from __future__ import annotations

import pytest

from mot_reid.benchmark.results import Figure, compare, line


def test_share_of_a_speed_is_what_is_reached_of_the_bound() -> None:
    assert Figure("train/images", 600.0, "images/s", 800.0, "fixed").share == pytest.approx(0.75)


def test_share_of_a_time_is_the_bound_in_what_it_took() -> None:
    assert Figure("train/step", 100.0, "ms", 80.0, "fixed").share == pytest.approx(0.8)


def test_figure_without_a_bound_has_no_share() -> None:
    assert Figure("train/copy", 88.0, "GB/s").share is None


def test_line_tells_value_bound_and_share() -> None:
    words = line(Figure("train/step", 1234.5, "ms", 80.25, "the floor")).split()
    assert words == ["train/step", "1,234", "ms", "80.2", "the", "floor", "(7%)"]
    assert line(Figure("train/copy", 88.0, "GB/s")).split() == ["train/copy", "88", "GB/s"]


def test_comparison_says_how_many_times_better() -> None:
    old = {
        "a/speed": Figure("a/speed", 100.0, "images/s"),
        "a/time": Figure("a/time", 10.0, "ms"),
        "a/gone": Figure("a/gone", 1.0, "ms"),
    }
    now = [Figure("a/speed", 150.0, "images/s"), Figure("a/time", 20.0, "ms"), Figure("a/new", 1.0, "ms")]
    told = [told.split() for told in compare(now, old).splitlines()]
    assert [(words[0], words[-1]) for words in told] == [("a/speed", "1.50x"), ("a/time", "0.50x")]


def test_comparison_of_two_units_or_of_nothing_is_refused() -> None:
    figure = Figure("a/time", 20.0, "ms")
    with pytest.raises(ValueError, match="'a/time' is in us there and in ms here"):
        compare([figure], {"a/time": Figure("a/time", 1.0, "us")})
    with pytest.raises(ValueError, match="without any of these figures"):
        compare([figure], {})


def test_comparison_has_no_ratio_where_nothing_was_taken() -> None:
    was, now = Figure("train/memory_per_image", 0.0, "MB"), Figure("train/memory_per_image", 0.0, "MB")
    assert compare([now], {was.name: was}).split() == ["train/memory_per_image", "0", "->", "0", "MB"]
