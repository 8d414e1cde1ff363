"""The table of classes and its shares, counted by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mot_reid.metrics.confusion import accuracy, as_text, balanced_accuracy, confusion


def test_confusion_counts_truth_in_rows_and_answers_in_columns() -> None:
    table = confusion(np.array([0, 0, 0, 2, 2]), np.array([0, 1, 1, 2, 0]), classes=3)
    assert table.tolist() == [[1, 2, 0], [0, 0, 0], [1, 0, 1]]
    assert accuracy(table) == pytest.approx(2 / 5)
    assert balanced_accuracy(table) == pytest.approx((1 / 3 + 1 / 2) / 2)


def test_an_empty_table_has_no_share() -> None:
    assert math.isnan(accuracy(np.zeros((2, 2), int))) and math.isnan(balanced_accuracy(np.zeros((2, 2), int)))


def test_text_has_a_row_for_each_class_with_its_share_of_right_answers() -> None:
    lines = as_text(np.array([[3, 1], [0, 0]]), ["standing", "up"]).splitlines()
    assert lines[1].split() == ["standing", "3", "1", "75.0%"]
    assert lines[2].split() == ["up", "0", "0"]
