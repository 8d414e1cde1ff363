"""Re-association: who asks, who may answer, and how sure the score is."""

from __future__ import annotations

import numpy as np
import pytest

from mot_reid.metrics.reassociation import reassociate

EMBEDDING = np.array([[1.0, 0.1], [0.9, 0.2], [0.1, 1.0], [1.0, 0.15], [0.2, 0.9], [0.8, 1.0]])
PERSON = [1, 1, 2, 2, 2, 1]
FIRST = [1, 16, 1, 60, 61, 62]
LAST = [15, 30, 15, 70, 70, 70]


def score(**changes: object):  # type: ignore[no-untyped-def]
    return reassociate(EMBEDDING, **{"person_id": PERSON, "first_frame": FIRST, "last_frame": LAST, **changes})


def test_score_by_hand() -> None:
    """Tracklets 0, 1, 2 ask among 3, 4, 5. 0 and 1 are nearest to 3, of the other person; 2 to 4, its own."""
    found = score()
    assert found.right.tolist() == [False, False, True]
    assert found.person_id.tolist() == [1, 1, 2]
    assert found.rank1 == pytest.approx(1 / 3)
    assert found.chance == pytest.approx((1 / 3 + 1 / 3 + 2 / 3) / 3)
    assert found.tracklets == 6


def test_answer_counts_from_the_frame_the_gap_ends_in() -> None:
    """Tracklet 1 ends in frame 30 and 3 begins in 60: thirty apart, but not thirty-one."""
    assert score(apart=30).right.tolist() == [False, False, True]
    assert score(apart=31).right.tolist() == [False, True, True]  # of 1's answers 4 and 5 are left, and 5 is nearer


def test_same_scores_as_a_naive_loop() -> None:
    rng = np.random.default_rng(3)
    person, first = rng.integers(1, 6, 60), rng.integers(1, 300, 60)
    last, embedding = first + 14, rng.normal(size=(60, 8)) + 2 * np.eye(8)[person]
    right = []
    for asking in range(60):
        answers = [i for i in range(60) if first[i] >= last[asking] + 30]
        if any(person[i] == person[asking] for i in answers):
            cosine = [embedding[asking] @ embedding[i] / np.linalg.norm(embedding[i]) for i in answers]
            right.append(person[answers[int(np.argmax(cosine))]] == person[asking])
    found = reassociate(embedding, person_id=person, first_frame=first, last_frame=last)
    assert found.right.tolist() == right
    low, high = found.interval(samples=200)
    assert 0 < low < found.rank1 < high < 1


def test_video_in_which_nobody_comes_again_is_refused() -> None:
    with pytest.raises(ValueError, match="got 6 tracklets, none of a person who comes again 90 frames later"):
        score(apart=90)
