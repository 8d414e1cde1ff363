"""When a tracker asks its embedder, and what it makes of the answer."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from mot_reid import Tracker

IMAGE = np.zeros((400, 800, 3), np.uint8)


class Recorder:
    """An embedder that tells people apart by their height in the picture and writes down what it was asked."""

    def __init__(self, threshold: float | None = None) -> None:
        self.threshold = threshold
        self.asked: list[np.ndarray] = []

    def __call__(self, image: np.ndarray, xyxy: np.ndarray) -> np.ndarray:
        assert image is IMAGE
        self.asked.append(xyxy.copy())
        return np.eye(9, dtype=np.float32)[(xyxy[:, 1] // 50).astype(int)] * 3.0

    @property
    def last(self) -> np.ndarray:
        return self.asked[-1] if self.asked else np.zeros((0, 4))


def rows(*boxes: tuple[float, float], score: float = 0.9) -> np.ndarray:
    return np.array([[x, y, x + 40, y + 80, score] for x, y in boxes])


def settled(embedder: Recorder, *boxes: tuple[float, float], appearance: str = "on_demand") -> Tracker:
    """A tracker that has seen these people for five frames; what was asked is cleared."""
    tracker = Tracker("bytetrack_reid", reid=embedder, appearance=appearance)
    for _ in range(5):
        tracker.update(rows(*boxes), IMAGE)
    embedder.asked.clear()
    return tracker


def test_always_embeds_every_box_of_the_high_band():
    embedder = Recorder()
    tracker = settled(embedder, (100, 100), (300, 100), appearance="always")
    tracker.update(np.vstack([rows((100, 100), (300, 100)), rows((500, 100), score=0.4)]), IMAGE)
    np.testing.assert_array_equal(np.sort(embedder.last[:, 0]), [100, 300])


def test_on_demand_asks_nothing_while_everyone_walks_alone():
    embedder = Recorder()
    tracker = settled(embedder, (100, 100), (300, 100))
    tracker.update(rows((101, 100), (301, 100)), IMAGE)
    assert not embedder.asked


def test_on_demand_asks_where_two_boxes_are_in_reach_of_a_track():
    embedder = Recorder()
    tracker = settled(embedder, (100, 100), (500, 100))
    tracker.update(rows((100, 100), (115, 100), (500, 100)), IMAGE)
    np.testing.assert_array_equal(np.sort(embedder.last[:, 0]), [100, 115])


def test_on_demand_asks_where_two_tracks_are_in_reach_of_a_box():
    embedder = Recorder()
    tracker = settled(embedder, (100, 100), (125, 100), (500, 100))
    tracker.update(rows((113, 100), (500, 100)), IMAGE)
    np.testing.assert_array_equal(embedder.last[:, 0], [113])


def test_on_demand_asks_where_a_lost_track_is_in_reach():
    embedder = Recorder()
    tracker = settled(embedder, (100, 100), (500, 100))
    tracker.update(rows((500, 100)), IMAGE)
    tracker.update(rows((100, 100), (500, 100)), IMAGE)
    np.testing.assert_array_equal(embedder.last[:, 0], [100])


def test_on_demand_asks_for_a_new_track_at_its_second_sight():
    embedder = Recorder()
    tracker = settled(embedder, (100, 100))
    tracker.update(rows((100, 100), (500, 100)), IMAGE)
    assert not embedder.asked
    tracker.update(rows((100, 100), (500, 100)), IMAGE)
    np.testing.assert_array_equal(embedder.last[:, 0], [500])


def test_on_demand_refreshes_an_old_embedding():
    embedder = Recorder()
    tracker = settled(embedder, (100, 100))
    for _ in range(20):
        tracker.update(rows((100, 100)), IMAGE)
    assert len(embedder.asked) == 2


def test_gate_is_the_threshold_of_the_model_unless_given():
    assert Tracker("bytetrack_reid", reid=Recorder(0.83))._source.gate == 0.83
    assert Tracker("bytetrack_reid", reid=Recorder(0.83), gate=0.4)._source.gate == 0.4
    assert Tracker("bytetrack_reid", reid=Recorder(None))._source.gate == 0.5


def test_answer_is_made_unit_length():
    embedder = Recorder()
    tracker = settled(embedder, (100, 100))
    mean = tracker.state_dict()["appearance/embeddings.mean"]
    np.testing.assert_allclose(np.linalg.norm(mean, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(
    "answer", [np.zeros((1, 4, 4)), np.ones((5, 4)), np.full((2, 4), np.nan)], ids=["shape", "rows", "nan"]
)
def test_answer_that_is_no_embedding_is_refused_and_changes_nothing(answer):
    tracker = Tracker("bytetrack_reid", reid=lambda image, xyxy: answer, appearance="always")
    before = tracker.state_dict()
    with pytest.raises(ValueError, match=r"reid: got shape .* for 2 boxes; expected one finite vector per box"):
        tracker.update(rows((100, 100), (300, 100)), IMAGE)
    for name, value in tracker.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_embedder_that_fails_leaves_the_tracker_as_it_was():
    embedder = Recorder()
    tracker = settled(embedder, (100, 100), appearance="always")
    before = tracker.state_dict()
    with pytest.raises(AssertionError):
        tracker.update(rows((100, 100)), IMAGE.copy())
    for name, value in tracker.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_embedder_without_an_image_is_refused():
    tracker = Tracker("bytetrack_reid", reid=Recorder(), appearance="always")
    with pytest.raises(ValueError, match="image: got None; expected the frame"):
        tracker.update(rows((100, 100)))


def test_what_is_no_embedder_is_refused():
    with pytest.raises(ValueError, match="reid: got int; expected a checkpoint, or a callable"):
        Tracker("bytetrack_reid", reid=3)


def test_path_of_a_checkpoint_is_opened_by_the_embedder(monkeypatch):
    """With a stand-in for the module, so that this room's tests load no torch."""
    opened = []

    class Embedder(Recorder):
        def __init__(self, path, *, runtime):
            opened.append((path, runtime))
            super().__init__(threshold=0.77)

    monkeypatch.setitem(sys.modules, "mot_reid.reid.embedder", SimpleNamespace(Embedder=Embedder))
    assert Tracker("bytetrack_reid", reid="model.safetensors")._source.gate == 0.77
    assert opened == [("model.safetensors", "auto")]


def test_embeddings_of_the_detections_come_before_the_embedder():
    from mot_reid import Detections

    embedder = Recorder()
    tracker = Tracker("bytetrack_reid", reid=embedder, appearance="always")
    tracker.update(Detections([[0, 0, 40, 80]], [0.9], embedding=np.eye(4)[:1]), IMAGE)
    assert not embedder.asked


def test_model_without_a_threshold_is_used_with_a_warning(caplog):
    class Bare:
        def __call__(self, image, xyxy):
            return np.zeros((len(xyxy), 4), np.float32)

    Tracker("bytetrack_reid", reid=Bare())
    assert "no calibrated threshold; using a gate of 0.5" in caplog.text
    caplog.clear()
    Tracker("bytetrack_reid", reid=Bare(), gate=0.6)
    assert not caplog.text
