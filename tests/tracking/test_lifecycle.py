"""lifecycle.py: which of two tracks of one person is dropped, and which boxes begin one."""

from __future__ import annotations

import numpy as np
import pytest

from mot_reid import Tracker
from mot_reid.tracking.lifecycle import duplicates
from mot_reid.tracking.presets import BYTETRACK
from mot_reid.tracking.store import Store

BOX = np.array([100.0, 100.0, 140.0, 200.0])


def two_tracks(*, lived: tuple[float, float], offset: float, class_id: tuple[int, int] = (0, 0)) -> np.ndarray:
    """Which of a seen and a lost track, `offset` pixels apart, is dropped."""
    store = Store()
    store.append(
        filter=np.zeros((5, 4, 2)),
        missed=np.array([0, 3]),
        seen=np.array([50.0, 47.0]),
        born=np.array([50.0 - lived[0], 47.0 - lived[1]]),
        class_id=np.array(class_id),
    )
    xyxy = np.stack([BOX, BOX + np.array([offset, 0, offset, 0])], axis=1)
    return duplicates(store, np.zeros(2, np.bool_), xyxy=xyxy, preset=BYTETRACK)


@pytest.mark.parametrize(
    ("lived", "dropped"), [((20, 5), [False, True]), ((5, 20), [True, False]), ((9, 9), [True, False])]
)
def test_of_two_tracks_of_one_person_the_younger_is_dropped_and_of_equals_the_seen_one(lived, dropped):
    assert two_tracks(lived=lived, offset=1.0).tolist() == dropped


def test_tracks_that_overlap_less_than_the_limit_are_both_kept():
    """3.2 and 3.3 pixels apart on 40: IoU 36.8 / 43.2 = 0.852 and 36.7 / 43.3 = 0.848 around the limit of 0.85."""
    assert two_tracks(lived=(20, 5), offset=3.2).tolist() == [False, True]
    assert not two_tracks(lived=(20, 5), offset=3.3).any()


def test_tracks_of_different_classes_are_both_kept():
    assert not two_tracks(lived=(20, 5), offset=0.0, class_id=(0, 1)).any()


def test_birth_needs_the_score_of_a_birth_and_identities_follow_the_score():
    rows = np.array([[*BOX, 0.69], [*(BOX + 200), 0.75], [*(BOX + 400), 0.95]])
    tracks = Tracker("bytetrack").update(rows)
    assert dict(zip(tracks.track_id.tolist(), tracks.detection.tolist())) == {1: 2, 2: 1}
