"""Appearance: galleries, the memory, the gates of recall, and what they do for a tracker."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mot_reid import Detections, Tracker
from mot_reid.tracking.memory import Embeddings
from mot_reid.tracking.presets import BYTETRACK
from mot_reid.tracking.recall import Edges, Impostors

FACES = np.eye(8, dtype=np.float32)
NOTHING = Detections.empty()


def face(who: int, *, towards: int = 7, cosine: float = 1.0) -> np.ndarray:
    """A unit embedding at that cosine similarity to FACES[who], leaning to FACES[towards]."""
    return (cosine * FACES[who] + np.sqrt(1 - cosine**2) * FACES[towards]).astype(np.float32)


def seen(*people: tuple[float, np.ndarray | int], y: float = 200.0, score: float = 0.9) -> Detections:
    """Boxes of 40 x 100 at each x, with an embedding or the face of that number."""
    xyxy = [[x, y, x + 40, y + 100] for x, _ in people]
    look = [FACES[who] if isinstance(who, int) else who for _, who in people]
    return Detections(xyxy, [score] * len(people), embedding=look)


# A first frame that shows the edges of the picture, far from where people appear and vanish.
CORNERS = Detections([[0, 0, 40, 100], [1960, 980, 2000, 1080]], [0.5, 0.5], embedding=FACES[5:7])


def tracker_that_saw(*frames: Detections, **parameters) -> Tracker:
    tracker = Tracker("bytetrack_reid", **parameters)
    for frame in (CORNERS, *frames):
        tracker.update(frame)
    return tracker


# ---- embeddings ----------------------------------------------------------------------------------------------------


def test_gallery_mean_is_the_normalised_exponential_mean():
    embeddings = Embeddings(0, size=1)
    for embedding in (FACES[0], FACES[1]):
        embeddings.observe(np.array([0]), embedding[None], ema=0.9, clock=1.0)
    expected = np.array([0.9, 0.1]) / np.hypot(0.9, 0.1)
    np.testing.assert_allclose(embeddings.mean[0, :2], expected, rtol=1e-6)


def test_gallery_similarity_is_the_best_of_mean_and_exemplars():
    embeddings = Embeddings(2, size=1)
    for embedding in [FACES[0]] * 20 + [FACES[1]] + [FACES[0]] * 20:
        embeddings.observe(np.array([0]), embedding[None], ema=0.9, clock=1.0)
    similarity = embeddings.similarity(np.zeros(3, int), FACES[:3])
    np.testing.assert_allclose(similarity, [1.0, 1.0, 0.0], atol=1e-6)
    plain = Embeddings(0, size=1)
    plain.mean, plain.exemplars = embeddings.mean, embeddings.exemplars[:, :0]
    assert plain.similarity(np.array([0]), FACES[1:2])[0] < 0.2


def test_gallery_keeps_exemplars_that_differ_and_drops_the_oldest():
    embeddings = Embeddings(2, size=1)
    for who in (0, 0, 1, 0, 2):
        embeddings.observe(np.array([0]), FACES[who][None], ema=0.9, clock=1.0)
    np.testing.assert_array_equal(embeddings.exemplars[0], FACES[[2, 1]])


def test_gallery_similarity_of_the_unseen_is_unknown():
    embeddings = Embeddings(2, size=2, dimension=8)
    assert np.isnan(embeddings.similarity(np.array([1]), FACES[:1])).all()


# ---- impostors and edges -------------------------------------------------------------------------------------------


def test_impostors_threshold_is_exceeded_by_one_pair_in_a_thousand():
    rng = np.random.default_rng(0)
    impostors, values = Impostors(), []
    for _ in range(400):
        vectors = rng.normal(size=(6, 16))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        impostors.observe(vectors.astype(np.float32))
        values.append((vectors @ vectors.T)[np.triu_indices(6, 1)])
    assert impostors.threshold(unknown=0) == pytest.approx(np.quantile(np.concatenate(values), 0.999), abs=0.02)


def test_impostors_have_no_opinion_before_enough_pairs():
    impostors = Impostors()
    impostors.observe(FACES[:3])
    assert impostors.threshold(unknown=0.77) == 0.77


def test_edges_are_those_of_all_boxes_seen():
    edges = Edges()
    edges.observe(np.array([[0.0, 300], [10, 500], [40, 640], [110, 480]]))
    boxes = np.array([[5.0, 200, 600], [200, 200, 200], [45, 240, 638], [300, 300, 300]])
    assert edges.touched_by(boxes).tolist() == [True, False, True]


# ---- in a tracker --------------------------------------------------------------------------------------------------


def crossing(tracker: Tracker, *, with_faces: bool) -> bool:
    """Two people meet, vanish for two frames and part the way they came; returns whether each kept the identity."""
    name: dict[int, int] = {}
    kept = True
    for step in range(24):
        back = step if step < 12 else 23 - step
        left, right = 100.0 + 8 * back, 300.0 - 8 * back
        frame = NOTHING if step in (11, 12) else seen((left, 0), (right, 1))
        tracks = tracker.update(frame if with_faces or not len(frame) else frame.replace(embedding=None))
        for row, identity in zip(tracks.detection.tolist(), tracks.track_id.tolist()):
            kept &= name.setdefault(row, identity) == identity
    return kept


def test_appearance_keeps_identities_apart_where_motion_alone_swaps_them():
    assert crossing(Tracker("bytetrack_reid", gate=0.5), with_faces=True)
    assert not crossing(Tracker("bytetrack_reid", gate=0.5), with_faces=False)


def test_without_embeddings_bytetrack_reid_is_bytetrack_that_reports_boxes_between():
    from tests.helpers.boxes_world import walking_people

    plain, ours = Tracker(replace(BYTETRACK, report="between")), Tracker("bytetrack_reid")
    for frame in walking_people(4):
        expected, tracks = plain.update(frame), ours.update(frame)
        np.testing.assert_array_equal(expected.xyxy, tracks.xyxy)
        np.testing.assert_array_equal(expected.track_id, tracks.track_id)


def comes_back(absent: int, x: float, look: np.ndarray | int, **parameters) -> int:
    """The identity of whoever appears at `x` after person 0 (identity 1) was last seen at 500, `absent` frames ago."""
    tracker = tracker_that_saw(*[seen((500, 0))] * 5, *[NOTHING] * absent, **({"gate": 0.6} | parameters))
    for _ in range(3):
        tracks = tracker.update(seen((x, look)))
    return int(tracks.track_id[0])


@pytest.mark.parametrize("absent", [10, 61, 200, 1000])
def test_person_who_comes_back_elsewhere_has_the_old_identity(absent):
    """Before and after the track expires (60 frames): from the store, then from the memory."""
    assert comes_back(absent, 1200.0, 0) == 1


def test_stranger_has_a_new_identity():
    assert comes_back(200, 1200.0, 1) == 2
    assert comes_back(10, 600.0, 1) == 2


def test_memory_ends_after_max_lost_seconds():
    assert comes_back(95, 1200.0, 0, max_lost_seconds=4) == 1
    assert comes_back(125, 1200.0, 0, max_lost_seconds=4) == 2


def test_memory_has_one_switch():
    assert comes_back(10, 1200.0, 0, max_lost_seconds=0) == comes_back(100, 1200.0, 0, max_lost_seconds=0) == 2


def test_near_recall_asks_the_gate_of_the_model_and_far_recall_more():
    """Similarity 0.7 with a gate of 0.6: enough within walking distance, not on the other side of the picture."""
    similar = face(0, cosine=0.7)
    assert comes_back(30, 620.0, similar) == 1
    assert comes_back(30, 1400.0, similar) == 2
    assert comes_back(30, 620.0, face(0, cosine=0.5)) == 2


def test_near_recall_does_not_ask_at_the_edge_of_the_picture():
    """Someone leaves over the edge, someone else of similar clothes enters there: not the same person."""
    tracker = tracker_that_saw(*[seen((1958, 0))] * 5, *[NOTHING] * 30, gate=0.6)
    for _ in range(3):
        tracks = tracker.update(seen((1955, face(0, cosine=0.7)), y=300.0))
    assert tracks.track_id.tolist() == [2]


def test_far_recall_refuses_who_looks_like_two_people():
    tracker = tracker_that_saw(
        *[seen((500, 0), (800, face(0, towards=1, cosine=0.97)))] * 5, *[NOTHING] * 100, gate=0.6
    )
    for _ in range(3):
        tracks = tracker.update(seen((1400, 0)))
    assert tracks.track_id.tolist() == [3]


def test_nobody_is_recalled_while_still_in_the_picture():
    tracker = tracker_that_saw(*[seen((500, 0))] * 5, gate=0.6)
    for _ in range(4):
        tracks = tracker.update(seen((500, 0), (1200, 0)))
    assert sorted(tracks.track_id.tolist()) == [1, 2]


def test_recalled_identity_is_not_given_twice():
    """After a recall from the store someone else stands where the lost track was believed to be."""
    tracker = tracker_that_saw(*[seen((500, 0))] * 5, *[NOTHING] * 10, *[seen((1200, 0))] * 3, gate=0.6)
    for _ in range(3):
        tracks = tracker.update(seen((1200, 0), (500, 1)))
    assert sorted(tracks.track_id.tolist()) == [1, 2]


def test_another_class_is_never_recalled():
    tracker = tracker_that_saw(*[seen((500, 0))] * 5, *[NOTHING] * 100, gate=0.6)
    for _ in range(3):
        tracks = tracker.update(seen((1200, 0)).replace(class_id=[1]))
    assert tracks.track_id.tolist() == [2]


def test_recall_is_among_the_decisions():
    tracker = tracker_that_saw(*[seen((500, 0))] * 5, *[NOTHING] * 100, seen((1200, 0)), gate=0.6, explain=True)
    tracker.update(seen((1200, 0)))
    row = tracker.decisions[tracker.decisions.stage == "memory"]
    assert row.track_id.tolist() == [1] and row.detection.tolist() == [0]
    np.testing.assert_allclose(row.cosine, [1.0], atol=1e-6)


def test_memory_is_bounded_and_forgets_who_left_first():
    from dataclasses import replace

    from mot_reid.tracking.presets import BYTETRACK_REID

    look = replace(BYTETRACK_REID.appearance, memory=2, gate=0.6)
    tracker = Tracker(replace(BYTETRACK_REID, appearance=look))
    tracker.update(CORNERS)
    for who in (0, 1, 2):
        for _ in range(4):
            tracker.update(seen((500, who)))
        for _ in range(70):
            tracker.update(NOTHING)
    assert tracker.state_dict()["appearance/memory.track_id"].tolist() == [2, 3]


def test_resumed_tracker_remembers_who_left():
    first = tracker_that_saw(*[seen((500, 0))] * 5, *[NOTHING] * 100, gate=0.6)
    second = Tracker("bytetrack_reid", gate=0.6)
    second.load_state_dict(first.state_dict())
    for _ in range(2):
        tracks = second.update(seen((1200, 0)))
    assert tracks.track_id.tolist() == [1]


def test_embeddings_of_another_size_are_refused_and_change_nothing():
    tracker = tracker_that_saw(*[seen((500, 0))] * 3)
    before = tracker.state_dict()
    with pytest.raises(ValueError, match="embedding: got size 4; expected 8"):
        tracker.update(Detections([[500, 200, 540, 300]], [0.9], embedding=np.eye(4)[:1]))
    for name, value in tracker.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_rows_without_embedding_are_matched_by_motion():
    tracker = tracker_that_saw(*[seen((500, 0))] * 3, gate=0.6)
    unknown = seen((500, 0)).replace(embedding=np.full((1, 8), np.nan))
    assert tracker.update(unknown).track_id.tolist() == [1]
