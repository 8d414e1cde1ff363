"""Scores of global identities against hand examples, naive loops, our own HOTA and reid-hota."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from mot_reid.metrics.linking import end_to_end, evaluate_links
from mot_reid.metrics.mot import evaluate_mot
from mot_reid.structures import TrackTable


def test_scores_of_a_small_case_by_hand() -> None:
    """Persons 1 1 1 2 2 and one distractor; identities {1 1 2} {1} {2 distractor}."""
    scored = evaluate_links([1, 1, 1, 2, 2, 0], [1, 1, 2, 1, 3, 3]).to_dict()
    # Joined: (1,1) right, (1,2) twice and (2,distractor) wrong; to join: 3 of person 1, 1 of person 2.
    assert scored["precision"] == pytest.approx(1 / 4)
    assert scored["recall"] == pytest.approx(1 / 4)
    assert scored["bcubed_precision"] == pytest.approx((2 / 3 + 2 / 3 + 1 + 1 / 3 + 1 / 2) / 5)
    assert scored["bcubed_recall"] == pytest.approx((2 / 3 + 2 / 3 + 1 / 3 + 1 / 2 + 1 / 2) / 5)
    # The best naming: 1 is identity 1 (2 boxes), 2 is identity 3 (1 box), the distractor is nobody.
    assert scored["idf1"] == pytest.approx(3 / 6)
    association = [2 / 4, 2 / 4, 1 / 3, 1 / 4, 1 / 3, 1 / 2]
    assert scored["assa"] == pytest.approx(np.mean(association))
    assert scored["hota"] == pytest.approx(np.sqrt(np.mean(association)))


def test_two_distractors_in_one_identity_count_neither_way() -> None:
    scored = evaluate_links([0, 0, 1], [1, 1, 2])
    assert scored.precision == 1 and scored.false_share == 0 and scored.recall == 1
    joined = evaluate_links([0, 0, 1], [1, 1, 1])
    assert joined.false_pairs.sum() == 2 and joined.precision == 0


def naive(person, identity, boxes):
    """Pairs, B-cubed, IDF1 and AssA from their definitions; nobody is a distractor."""
    pairs = list(combinations(range(len(person)), 2))
    same = {pair for pair in pairs if person[pair[0]] == person[pair[1]]}
    joined = {pair for pair in pairs if identity[pair[0]] == identity[pair[1]]}
    precisions, recalls, associations = [], [], []
    for n in range(len(person)):
        mine, found = person == person[n], identity == identity[n]
        precisions.append((mine & found).sum() / found.sum())
        recalls.append((mine & found).sum() / mine.sum())
        both = boxes[mine & found].sum()
        associations += [both / (boxes[mine].sum() + boxes[found].sum() - both)] * boxes[n]
    return {
        "precision": len(same & joined) / len(joined) if joined else 1,
        "recall": len(same & joined) / len(same) if same else 1,
        "bcubed_precision": np.mean(precisions),
        "bcubed_recall": np.mean(recalls),
        "assa": np.mean(associations),
    }


def tables(person, identity, boxes):
    """Ground truth and result in which tracklet n is alone in its own camera, one box a frame."""
    truth, result = {}, {}
    for n, (a, b, count) in enumerate(zip(person, identity, boxes)):
        frame, xyxy = np.arange(1, count + 1), np.tile([10.0, 10, 20, 40], (count, 1))
        truth[f"camera{n:02d}"] = TrackTable(frame, np.full(count, a), xyxy)
        result[f"camera{n:02d}"] = TrackTable(frame, np.full(count, b), xyxy)
    return truth, result


@pytest.mark.parametrize("seed", range(20))
def test_scores_equal_naive_loops_and_evaluate_mot(seed) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 25))
    person, identity = rng.integers(1, 7, count), rng.integers(0, 8, count)
    boxes = rng.integers(1, 6, count)
    scored = evaluate_links(person, identity, boxes=boxes).to_dict()
    for name, value in naive(person, identity, boxes).items():
        assert_allclose(scored[name], value, rtol=1e-12, err_msg=name)
    truth, result = (end_to_end(side) for side in tables(person, identity, boxes))
    mot = evaluate_mot(truth, result, benchmark="MOT15").combined.to_dict()
    for name in ("idf1", "assa", "hota"):
        assert_allclose(scored[name], mot[name], rtol=1e-12, err_msg=name)


@pytest.mark.parametrize("seed", range(5))
def test_scores_equal_reid_hota(seed) -> None:
    """NIST's reid-hota gives identities one name over all videos, as IDF1 does."""
    reid_hota = pytest.importorskip("reid_hota", reason="the independent reference; pip install reid-hota")
    import pandas as pd

    rng = np.random.default_rng(seed)
    count = 20
    person = rng.integers(1, 6, count)
    identity = person * 10 + rng.integers(0, 2, count)
    boxes = rng.integers(1, 6, count)
    frames = []
    for side in tables(person, identity, boxes):
        frames.append(
            {
                name: pd.DataFrame(
                    {"frame": t.frame, "id": t.track_id, "object_type": 1}
                    | dict(zip(("x1", "y1", "x2", "y2"), t.xyxy.T))
                )
                for name, t in side.items()
            }
        )
    config = reid_hota.HOTAConfig(
        id_alignment_method="global", similarity_metric="iou", reference_contains_dense_annotations=True,
        suppress_print_statements=True,
    )  # fmt: skip
    evaluator = reid_hota.HOTAReIDEvaluator(n_workers=0, config=config)
    evaluator.evaluate(*frames)
    theirs = evaluator.get_global_hota_data()
    ours = evaluate_links(person, identity, boxes=boxes).to_dict()
    assert ours["idf1"] == pytest.approx(float(np.mean(theirs["IDF1"])))


def test_intervals_hold_the_score_and_shrink_with_more_persons() -> None:
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(1, 401), 4)
    identity = np.where(rng.random(len(person)) < 0.8, person, 1000 + np.arange(len(person)))
    few, many = (evaluate_links(person[:n], identity[:n]) for n in (160, 1600))
    widths = []
    for scored in (few, many):
        low, high = scored.intervals(samples=400)["recall"]
        assert low < scored.recall < high
        widths.append(high - low)
    assert widths[1] < 0.5 * widths[0]


def test_end_to_end_keeps_frames_of_cameras_apart() -> None:
    one = TrackTable([1, 3], [7, 7], [[0, 0, 1, 1]] * 2)
    joined = end_to_end({"b": one, "a": one}, lengths={"a": 5, "b": 3})
    assert joined.frame.tolist() == [1, 3, 6, 8]
    with pytest.raises(ValueError, match="a: got frame 3; expected at most 2, the length of the video"):
        end_to_end({"a": one}, lengths={"a": 2})


@pytest.mark.parametrize(
    ("person", "identity", "boxes", "message"),
    [
        ([1, 2], [1], None, "got shapes"),
        ([], [], None, "at least one tracklet"),
        ([-1], [1], None, "person_id: got -1"),
        ([1], [1], [0], "boxes: got 0"),
        ([1.5], [1], None, "person_id: got 1.5"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(person, identity, boxes, message) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate_links(person, identity, boxes=boxes)
