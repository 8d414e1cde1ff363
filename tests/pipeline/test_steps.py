"""Frames through detector and tracker, in order, one beside the other."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

from mot_reid.data.synthetic_clip import walkers
from mot_reid.detection.public import PublicDetector
from mot_reid.pipeline.steps import Stopwatch, steps
from mot_reid.pipeline.track import track
from mot_reid.structures import Detections, Tracks
from mot_reid.tracking.tracker import Tracker


class Frame(NamedTuple):
    number: int
    time_seconds: float
    image: np.ndarray


class Recorder:
    """A tracker that remembers what it was given and answers with nobody."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, float | None]] = []

    def update(self, detections: Any, image: Any = None, *, time_seconds: float | None = None) -> Tracks:
        self.seen.append((float(detections.xyxy[0, 0]), time_seconds))
        return Tracks.empty()


def picture(value: int) -> np.ndarray:
    return np.full((4, 4, 3), value, dtype=np.uint8)


def one_box(image: np.ndarray) -> np.ndarray:
    """A detector that finds one box, at the grey level of the image."""
    value = float(image[0, 0, 0])
    return np.array([[value, 0, value + 1, 1, 0.9]])


def test_tracks_are_those_of_a_plain_loop() -> None:
    clip = walkers(frames=30)
    tracker = Tracker("bytetrack", frame_rate=clip.frame_rate)
    expected = [tracker.update(found) for found in clip.detections]
    answers = list(track(clip.images, PublicDetector(clip.detections), Tracker(frame_rate=clip.frame_rate)))
    assert len(answers) == 30
    for answer, wanted in zip(answers, expected):
        assert answer.track_id.tolist() == wanted.track_id.tolist()
        assert np.array_equal(answer.xyxy, wanted.xyxy)


@pytest.mark.parametrize("workers", [1, 4])
def test_order_is_kept_when_detections_overtake_each_other(workers: int) -> None:
    class Uneven:
        def __call__(self, image: np.ndarray) -> np.ndarray:
            time.sleep(0.004 if image[0, 0, 0] % 3 == 0 else 0)
            return one_box(image)

    detector, recorder = Uneven(), Recorder()
    detector.workers = workers  # type: ignore[attr-defined]
    found = list(steps([picture(value) for value in range(20)], detector, recorder))
    assert [step.number for step in found] == list(range(1, 21))
    assert [x for x, _ in recorder.seen] == list(range(20))
    assert [int(step.image[0, 0, 0]) for step in found] == list(range(20))


def test_workers_detect_at_the_same_time() -> None:
    barrier = threading.Barrier(2, timeout=5)

    class Pair:
        workers = 2

        def __call__(self, image: np.ndarray) -> np.ndarray:
            barrier.wait()  # passes only when two are in here
            return one_box(image)

    assert len(list(steps([picture(0)] * 4, Pair(), Recorder()))) == 4


def test_next_frames_are_detected_while_this_one_is_used() -> None:
    started = threading.Semaphore(0)

    def detector(image: np.ndarray) -> np.ndarray:
        started.release()
        return one_box(image)

    found = steps([picture(value) for value in range(3)], detector, Recorder())
    next(found)
    assert started.acquire(timeout=5) and started.acquire(timeout=5)
    found.close()


def test_no_more_frames_are_read_than_are_worked_on() -> None:
    read = 0

    def frames() -> Iterator[np.ndarray]:
        nonlocal read
        for value in range(100):
            read += 1
            yield picture(value)

    found = steps(frames(), one_box, Recorder())
    next(found)
    assert read <= 3
    found.close()


def test_times_and_numbers_of_frames_reach_tracker_and_caller() -> None:
    recorder = Recorder()
    frames = [Frame(2, 0.5, picture(1)), Frame(5, 0.9, picture(2))]
    assert [(step.number, step.time_seconds) for step in steps(frames, one_box, recorder)] == [(2, 0.5), (5, 0.9)]
    assert [time_seconds for _, time_seconds in recorder.seen] == [0.5, 0.9]


def test_public_detections_are_those_of_the_frames_number() -> None:
    boxes = [Detections(np.array([[n / 2, 0, n / 2 + 1, 1]]), np.array([0.9])) for n in range(1, 6)]
    recorder = Recorder()
    list(steps([Frame(2, 0.0, picture(0)), Frame(5, 0.1, picture(0))], PublicDetector(boxes), recorder))
    assert [2 * x for x, _ in recorder.seen] == [2, 5]


def test_batches_reach_a_detector_that_takes_them() -> None:
    sizes = []

    class Batched:
        def many(self, images: list[np.ndarray]) -> list[np.ndarray]:
            sizes.append(len(images))
            return [one_box(image) for image in images]

        def __call__(self, image: np.ndarray) -> np.ndarray:
            raise AssertionError

    recorder = Recorder()
    list(steps([picture(value) for value in range(7)], Batched(), recorder, batch=3))
    assert sizes == [3, 3, 1]
    assert [x for x, _ in recorder.seen] == list(range(7))


def test_failure_of_the_detector_reaches_the_caller_after_the_frames_before_it() -> None:
    def detector(image: np.ndarray) -> np.ndarray:
        if image[0, 0, 0] == 3:
            raise ValueError("no such luck")
        return one_box(image)

    found = []
    with pytest.raises(ValueError, match="no such luck"):
        for step in steps([picture(value) for value in range(9)], detector, Recorder()):
            found.append(step.number)
    assert found == [1, 2, 3]


def test_lost_stream_is_told_after_the_frames_before_it() -> None:
    def frames() -> Iterator[np.ndarray]:
        yield picture(0)
        yield picture(1)
        raise ConnectionError("lost")

    found = []
    with pytest.raises(ConnectionError, match="lost"):
        for step in steps(frames(), one_box, Recorder()):
            found.append(step.number)
    assert found == [1, 2]


def test_threads_end_when_the_caller_stops_early() -> None:
    before = threading.active_count()
    found = steps([picture(0)] * 50, one_box, Recorder())
    next(found)
    found.close()
    assert threading.active_count() == before


def test_what_is_no_detection_is_refused() -> None:
    with pytest.raises(ValueError, match="as_detections: got str"):
        list(track([picture(0)], lambda image: "nobody", Recorder()))


def test_batch_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="batch: got 0; expected 1 or more"):
        list(track([], one_box, Recorder(), batch=0))


def test_stopwatch_adds_up_over_threads() -> None:
    watch = Stopwatch()

    def work() -> None:
        with watch("nap"):
            time.sleep(0.02)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert watch.seconds["nap"] >= 4 * 0.02


def test_stage_inside_another_counts_by_itself() -> None:
    watch = Stopwatch()
    with watch("outer"):
        with watch("inner"):
            time.sleep(0.05)
        with watch("inner"):
            time.sleep(0.05)
    with watch("outer"):
        pass
    assert watch.seconds["inner"] >= 0.1
    assert watch.seconds["outer"] < 0.05


def test_detections_of_a_batch_are_enriched_together() -> None:
    def enrich(images: list[np.ndarray], found: list[Detections]) -> list[Detections]:
        sizes.append(len(images))
        moved = [float(image[0, 0, 0]) + 100 for image in images]
        return [Detections(one.xyxy + np.array([x, 0, x, 0]), one.score) for one, x in zip(found, moved)]

    sizes: list[int] = []
    recorder = Recorder()
    list(steps([picture(value) for value in range(5)], one_box, recorder, batch=2, enrich=enrich))
    assert sizes == [2, 2, 1]
    assert [x for x, _ in recorder.seen] == [100 + 2 * value for value in range(5)]


def test_stages_are_timed() -> None:
    watch = Stopwatch()
    list(steps([picture(0)] * 3, one_box, Recorder(), stopwatch=watch))
    assert set(watch.seconds) == {"read", "detect", "associate"}
