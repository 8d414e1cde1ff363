"""matching.py: bands, and the three policies of a stage on hand-made candidates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mot_reid import Detections
from mot_reid.tracking.costs import Pairs, Scene
from mot_reid.tracking.matching import arrange, associate
from mot_reid.tracking.presets import SORT, Bands, Stage
from mot_reid.tracking.store import Store

BOXES = [[0, 0, 10, 20], [20, 0, 30, 20], [40, 0, 50, 20], [60, 0, 70, 20]]


def test_arrange_sorts_by_score_and_splits_into_bands():
    boxes = arrange(Detections(BOXES, [0.3, 0.9, 0.05, 0.7]), Bands(high=0.6, low=0.1))
    assert boxes.source.tolist() == [1, 3, 0] and boxes.high == 2
    np.testing.assert_array_equal(boxes.score, [0.9, 0.7, 0.3])
    np.testing.assert_array_equal(boxes.xyxy.T, np.array(BOXES)[[1, 3, 0]])


@pytest.mark.parametrize(
    ("bands", "high", "used"), [(Bands(None, None), 4, 4), (Bands(0.6, None), 2, 2), (Bands(0.3, 0.05), 2, 3)]
)
def test_arrange_takes_scores_above_a_limit_and_not_on_it(bands, high, used):
    boxes = arrange(Detections(BOXES, [0.3, 0.9, 0.05, 0.7]), bands)
    assert (boxes.high, len(boxes.score)) == (high, used)


def pairs_formed(policy: str, iou: list[list[float]]) -> set[tuple[int, int]]:
    """What one stage with limit 0.7 (IoU 0.3) makes of a table of overlaps."""
    table = np.array(iou)
    row, column = table.nonzero()
    store = Store()
    store.append(filter=np.zeros((5, 4, len(table))))
    boxes = arrange(Detections(BOXES[: table.shape[1]], np.ones(table.shape[1])), SORT.bands)
    preset = replace(SORT, stages=(Stage("high", "all", "iou", 0.7, policy),))
    pairs = Pairs(row, column, table[row, column])
    matches = associate(preset, store, boxes, pairs=pairs, scene=Scene(boxes.score))
    return set(zip(matches.row.tolist(), matches.column.tolist()))


def test_weak_pairs_displace_a_good_one_only_where_the_best_total_decides():
    """0.35 alone is within the limit; the weak pairs 0.29 + 0.28 gain more together and are dropped afterwards."""
    overlaps = [[0.35, 0.29], [0.28, 0.0]]
    assert pairs_formed("cut", overlaps) == set()
    assert pairs_formed("clear_or_cut", overlaps) == {(0, 0)}
    assert pairs_formed("gated", overlaps) == {(0, 0)}


def test_every_policy_resolves_a_conflict_by_the_sum():
    overlaps = [[0.9, 0.8], [0.7, 0.0]]
    for policy in ("cut", "clear_or_cut", "gated"):
        assert pairs_formed(policy, overlaps) == {(0, 1), (1, 0)}
