"""What the demo shows: names are escaped, times are seconds, and nobody is told apart from somebody."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from mot_reid.serving.demo import answers
from mot_reid.serving.galleries.gallery import Answer, Match, Person
from mot_reid.serving.jobs.job_store import StoredJob
from mot_reid.structures import TrackTable

NASTY = '<img src=x onerror="alert(1)">&'
ESCAPED = "&lt;img src=x onerror=&#34;alert(1)&#34;&gt;&amp;"


def person(name: str) -> Person:
    return Person("a" * 24, name, 2, 0.0, 0.0)


def job(**changes: Any) -> StoredJob:
    facts = {"frames": 20, "tracks": 2, "tracks_per_frame": 0.7, "median_length": 7.0, "frames_per_second": 31.4}
    kept: dict[str, Any] = {
        "id": "b" * 24, "state": "done", "preset": "sort", "visualize": True, "created": 0.0, "started": 0.0,
        "ended": 1.0, "attempts": 1, "frames_done": 20, "frames": 20, "result": {**facts, "frame_rate": 10.0},
        "error": None,
    }  # fmt: skip
    return StoredJob(**(kept | changes))


def table() -> TrackTable:
    """Person 1 in frames 1 to 5 and 11 to 15, person 2 in frames 16 to 20; at ten frames a second."""
    frame = np.array([*range(1, 6), *range(11, 16), *range(16, 21)])
    box = np.tile([0.0, 0.0, 10.0, 20.0], (15, 1))
    return TrackTable(frame, np.array([1] * 10 + [2] * 5), box, np.full(15, 0.8))


def test_names_are_escaped_wherever_they_stand() -> None:
    known = answers.answer(Answer(person(NASTY), 0.5, (Match(person(NASTY), 0.9),)))
    nobody = answers.answer(Answer(None, 0.5, (Match(person(NASTY), 0.4),)))
    for shown in (known, nobody, answers.persons([person(NASTY)]), answers.problem(NASTY), answers.note(NASTY)):
        assert "<img" not in shown and ESCAPED in shown


def test_nobody_is_told_with_the_best_similarity_and_the_threshold() -> None:
    shown = answers.answer(Answer(None, 0.534, (Match(person("Ada"), 0.412),)))
    assert "Nobody I know" in shown and "Ada, with 0.41; 0.53 is needed" in shown
    assert "This is Ada" in answers.answer(Answer(person("Ada"), 0.534, (Match(person("Ada"), 0.612),)))
    assert "Nobody is in this gallery yet" in answers.answer(Answer(None, 0.534, ()))


def test_result_tells_who_was_seen_when_in_seconds() -> None:
    shown = answers.result(job(), table(), video=True)
    titles = re.findall(r"<title>(.*?)</title>", shown)
    assert titles == ["person 1, 0.0 s to 0.5 s", "person 1, 1.0 s to 1.5 s", "person 2, 1.5 s to 2.0 s"]
    cells = re.findall(r"</i>(\d)</td><td>(.*?)</td><td>(.*?)</td><td>(.*?)</td><td>(.*?)</td>", shown)
    assert cells == [("1", "0.0 s", "1.5 s", "1.0 s", "80%"), ("2", "1.5 s", "2.0 s", "0.5 s", "80%")]
    assert f'src="../api/jobs/{"b" * 24}/video"' in shown


def test_bars_stand_where_their_seconds_are() -> None:
    """640 units with 52 and 8 beside them, for two seconds: a second is 290 wide."""
    shown = answers.result(job(), table(), video=True)
    places = [(float(x), float(w)) for x, w in re.findall(r'<rect x="([\d.]+)" y="\d+" width="([\d.]+)"', shown)]
    assert places == [(52.0, 145.0), (342.0, 145.0), (487.0, 145.0)]


def test_result_without_people_or_picture_says_so() -> None:
    empty = job(result={**(job().result or {}), "tracks": 0})
    shown = answers.result(empty, table()[:0], video=False)
    assert "Nobody was found in it." in shown and "<video" not in shown and "/video" not in shown


@pytest.mark.parametrize(
    ("changes", "ready", "expected"),
    [
        ({"state": "queued", "frames_done": 0}, False, "The models are being loaded."),
        ({"state": "queued", "frames_done": 0}, True, "Waiting for its turn."),
        ({"state": "running", "frames_done": 5}, True, "5 of 20 frames"),
        ({"state": "running", "frames_done": 5, "frames": None}, True, "5 frames"),
    ],
)
def test_progress_says_how_far_it_is(changes: dict[str, Any], ready: bool, expected: str) -> None:
    shown = answers.progress(job(**changes), ready=ready)
    assert f"<span>{expected}</span>" in shown
    assert ("width:25.0%" in shown) == (expected == "5 of 20 frames")
