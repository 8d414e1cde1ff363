"""Input that lacks what a preset needs, or is of another scale: said once, or refused."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from mot_reid import Detections, Tracker

PERSON = np.array([[50.0, 50.0, 90.0, 150.0, 0.9]])
IMAGE = np.zeros((360, 640, 3), np.uint8)
FACE = np.eye(4, dtype=np.float32)[:1]


def told(tracker: Tracker, *frames: tuple) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for frame in frames:
            tracker.update(*frame)
    return [str(warning.message).partition(";")[0] for warning in caught]


def test_preset_with_appearance_says_once_that_embeddings_are_missing() -> None:
    expected = "preset 'bytetrack_reid': got no embeddings"
    assert told(Tracker("bytetrack_reid"), (np.zeros((0, 5)),), (PERSON,), (PERSON,)) == [expected]
    assert told(Tracker("bytetrack_reid"), (Detections(PERSON[:, :4], [0.9], embedding=FACE),)) == []
    assert (
        told(Tracker("bytetrack_reid", reid=lambda image, xyxy: np.repeat(FACE, len(xyxy), 0)), (PERSON, IMAGE)) == []
    )


def test_botsort_says_once_that_images_are_missing() -> None:
    assert told(Tracker("botsort"), (PERSON,), (PERSON,)) == ["preset 'botsort': got no image"]
    assert told(Tracker("botsort"), (PERSON, IMAGE), (PERSON, IMAGE)) == []
    assert told(Tracker("botsort", camera="none"), (PERSON,)) == []
    assert told(Tracker("bytetrack", camera="sparse_flow"), (PERSON,)) == ["preset 'bytetrack': got no image"]


def test_parameter_of_appearance_is_not_taken_without_a_word() -> None:
    assert told(Tracker("botsort", camera="none", gate=0.7), (PERSON,)) == ["preset 'botsort': got no embeddings"]


def test_embedding_always_needs_a_model() -> None:
    with pytest.raises(ValueError, match="appearance: got 'always' without reid; expected reid=MODEL"):
        Tracker("bytetrack_reid", appearance="always")


@pytest.mark.parametrize("preset", ["sort", "ocsort"])
def test_presets_of_one_band_refuse_a_second(preset: str) -> None:
    with pytest.raises(ValueError, match=f"low: preset '{preset}' does not use it"):
        Tracker(preset, low=0.1)


def test_botsort_takes_the_gate_of_the_model() -> None:
    """A cosine of 0.7 joins at the default gate of 0.5, and does not at a calibrated 0.9."""

    def embed(image: np.ndarray, xyxy: np.ndarray) -> np.ndarray:
        return np.repeat(FACE, len(xyxy), 0)

    embed.threshold = 0.9  # type: ignore[attr-defined]
    for reid, cosine in ((None, 0.7), (embed, 0.7), (embed, 0.95)):
        tracker = Tracker("botsort", reid=reid, camera="none", explain=True)
        look = np.array([[cosine, np.sqrt(1 - cosine**2), 0, 0]], np.float32)
        for number, face in enumerate((FACE, FACE, look)):
            tracker.update(Detections(PERSON[:, :4] + 8.0 * number, [0.9], embedding=face), IMAGE)
        joined = tracker.decisions.cost[0] == pytest.approx((1 - cosine) / 2, abs=1e-6)
        assert joined == (reid is None or cosine > 0.9)


@pytest.mark.parametrize("appearance", ["on_demand", "always"])
def test_max_lost_seconds_works_for_botsort(appearance: str) -> None:
    """Person with face 0 leaves on the left and comes back on the right after 100 frames."""
    tracker = Tracker("botsort", reid=lambda image, xyxy: np.repeat(FACE, len(xyxy), 0), appearance=appearance,
                      camera="none", max_lost_seconds=60)  # fmt: skip
    for _ in range(10):
        tracker.update(PERSON, IMAGE)
    for _ in range(100):
        tracker.update(np.zeros((0, 5)), IMAGE)
    assert tracker.update(PERSON + np.array([500, 0, 500, 0, 0]), IMAGE).track_id.tolist() == [1]


# ---- scale ---------------------------------------------------------------------------------------------------------

BIG = np.array([[1500.0, 700, 1600, 900, 0.9], [1000, 500, 1100, 700, 0.8], [200, 100, 280, 300, 0.7]])


def test_boxes_of_a_larger_image_are_refused_in_the_first_frame() -> None:
    tracker = Tracker("bytetrack")
    with pytest.raises(
        ValueError, match=r"got 2 of 3 boxes outside of the image of 640 x 360, such as 1500, 700, 1600, 900; expected"
    ):
        tracker.update(BIG, IMAGE)
    assert len(tracker.state_dict()["tracks/track_id"]) == 0


def test_boxes_as_fractions_of_the_image_are_refused_in_the_first_frame() -> None:
    """Without an image they may be of any unit."""
    rows = np.array([[0.1, 0.2, 0.3, 1.0, 0.9]])
    with pytest.raises(ValueError, match=r"such as 0.1, 0.2, 0.3, 1; expected pixels; multiply x by 640 and y by 360"):
        Tracker("bytetrack").update(rows, IMAGE)
    assert len(Tracker("bytetrack").update(rows)) == 1


def test_boxes_outside_of_the_image_have_no_appearance() -> None:
    """A lone box outside is said once; it is not embedded, and an embedding that came with it does not count."""
    asked: list[np.ndarray] = []

    def embed(image: np.ndarray, xyxy: np.ndarray) -> np.ndarray:
        asked.append(xyxy)
        return np.repeat(FACE, len(xyxy), 0)

    tracker = Tracker("bytetrack_reid", reid=embed, appearance="always", gate=0.5)
    rows = np.array([[50.0, 50, 90, 150, 0.9], [150, 50, 190, 150, 0.9], [700, 50, 740, 150, 0.9]])
    assert told(tracker, (rows, IMAGE), (rows, IMAGE)) == [
        "detections: got 1 of 3 boxes outside of the image of 640 x 360, such as 700, 50, 740, 150"
    ]
    assert {len(boxes) for boxes in asked} == {2}
    given = Tracker("bytetrack_reid", gate=0.5)
    told(given, *[(Detections(rows[:, :4], rows[:, 4], embedding=np.repeat(FACE, 3, 0)), IMAGE)] * 2)
    assert np.isnan(given.state_dict()["appearance/embeddings.mean"][:, 0]).tolist() == [False, False, True]
