"""Charts: where values land, which ticks are chosen, and that the SVG is well formed."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree

import pytest
from numpy.testing import assert_allclose

from mot_reid.viewing.charts import BOTTOM, LEFT, RIGHT, TOP, Axis, Frame, area, chart, dot, line, rule, whisker

FRAME = Frame(
    Axis("rank", 0, 10), Axis("score", 0, 1, percent=True), width=LEFT + RIGHT + 100, height=TOP + BOTTOM + 50
)


def test_frame_places_values_by_hand() -> None:
    assert_allclose(FRAME.at([0, 5, 10], [0, 0.5, 1]), [[LEFT, TOP + 50], [LEFT + 50, TOP + 25], [LEFT + 100, TOP]])


def test_frame_keeps_values_inside() -> None:
    assert_allclose(FRAME.at([-3, 12], [2, -1]), [[LEFT, TOP], [LEFT + 100, TOP + 50]])


def test_logarithmic_axis_places_decades_evenly() -> None:
    axis = Axis("rate", 1e-4, 1, scale="log")
    assert_allclose(axis.place([1e-4, 1e-2, 1, 0]), [0, 0.5, 1, 0], atol=1e-12)
    assert_allclose(axis.ticks(), [1e-4, 1e-3, 1e-2, 1e-1, 1])


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 10, [0, 2, 4, 6, 8, 10]),
        (1, 50, [10, 20, 30, 40, 50]),
        (0.5, 1, [0.5, 0.6, 0.7, 0.8, 0.9, 1]),
        (-0.4, 0.4, [-0.4, -0.2, 0, 0.2, 0.4]),
    ],
)
def test_ticks_are_round_and_inside(low: float, high: float, ticks: list[float]) -> None:
    assert_allclose(Axis("x", low, high).ticks(), ticks, atol=1e-12)


@pytest.mark.parametrize("span", [1e-6, 3e-3, 0.7, 13, 999, 2.5e5])
def test_ticks_are_four_to_eleven_at_any_size(span: float) -> None:
    ticks = Axis("x", span / 3, span).ticks()
    assert 3 <= len(ticks) <= 11 and min(ticks) >= span / 3 * 0.999 and max(ticks) <= span * 1.001


@pytest.mark.parametrize(
    ("axis", "value", "text"),
    [
        (Axis("x", 0, 1, percent=True), 0.7, "70"),
        (Axis("x", 0, 1), 0.30000000000000004, "0.3"),
        (Axis("x", 0, 9e4), 20000.0, "20k"),
        (Axis("x", 1e-6, 1, scale="log", percent=True), 1e-6, "1e-4"),
        (Axis("x", 1e-6, 1, scale="log", percent=True), 1e-3, "0.1"),
    ],
)
def test_axis_writes(axis: Axis, value: float, text: str) -> None:
    assert axis.write(value) == text


def test_chart_is_well_formed_and_escapes_its_texts() -> None:
    shapes = [
        line(FRAME, [0, 10], [0, 1], color="c1"),
        area(FRAME, [0, 10], [0.2, 0.4], color="c2"),
        rule(FRAME, 3, label="<here> & there"),
        dot(FRAME, 9, 0.5, color="c3", label="point"),
        whisker(FRAME, 5, 0.2, 0.8, color="c1"),
    ]
    figure = ElementTree.fromstring(chart(FRAME, *shapes, title="a < b", legend={"x & y": "c1"}))
    assert figure.findtext("figcaption") == "a < b"
    assert [key.text for key in figure.iter("span")] == ["x & y"]
    assert "<here> & there" in [text.text for text in figure.iter("text")]


def test_line_marks_its_points_only_where_they_are_few() -> None:
    few, many = (line(FRAME, range(count), [0.5] * count, color="c1") for count in (3, 200))
    assert few.count("<circle") == 3 and "<circle" not in many


def test_whisker_spans_its_interval() -> None:
    shape = ElementTree.fromstring(whisker(FRAME, 5, 0.2, 0.8, color="c1"))
    assert shape.get("x1") == shape.get("x2") == f"{LEFT + 50:.1f}"
    assert math.isclose(float(shape.get("y2")) - float(shape.get("y1")), 0.6 * 50, abs_tol=0.1)
