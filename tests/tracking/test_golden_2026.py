"""The engine against recorded programs of later trackers, and what our presets do differently from those programs.

Recorded was how others implemented a paper. `AS_RECORDED` holds, for each recording, our preset with what that program
does differently put back; the tests below them show the difference by hand.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mot_reid import Tracker
from mot_reid.tracking.presets import CBIOU, Preset
from tests.tracking.test_golden import WORLDS, assert_same_up_to_renaming, frames_of, golden_of, recorded

GOLDEN = Path(__file__).parents[1] / "golden" / "trackers_2026.npz"

AS_RECORDED: dict[str, Preset] = {
    # roboflow's C-BIoU has no second look at strong boxes.
    "cbiou": replace(CBIOU, stages=(CBIOU.stages[0], *CBIOU.stages[2:])),
}


def recording_of(world: str, tracker: str, request: pytest.FixtureRequest) -> dict[str, np.ndarray]:
    """The recording in the repository, or the full one beside the real data."""
    if f"{world}/{tracker}/frame" in recorded(GOLDEN):
        return recorded(GOLDEN)
    full = request.getfixturevalue("real_data").parent / "golden" / "trackers_2026.npz"
    if not full.exists():
        pytest.skip(f"the full recording is not beside the real data: {full}")
    return recorded(full)


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("tracker", AS_RECORDED)
def test_preset_reproduces_the_recorded_program(tracker, world, request):
    """Fails when a stage, a limit, a buffer, a policy, the filter or a rule of life is another one."""
    golden = recording_of(world, tracker, request)
    engine = Tracker(AS_RECORDED[tracker], bands="published")
    answer = [engine.update(detections) for detections in frames_of(golden_of(world, "sort", request), world)]
    # Recorded in single precision.
    assert_same_up_to_renaming(answer, golden, f"{world}/{tracker}", within=1e-3)


def walk(*lefts: float, score: float = 0.9) -> list[np.ndarray]:
    """Frames with one box of 40 x 100 each, at these left edges."""
    return [np.array([[left, 50.0, left + 40.0, 150.0, score]]) for left in lefts]


def identities(preset: Preset, frames: list[np.ndarray]) -> list[list[int]]:
    tracker = Tracker(preset, bands="published")
    return [tracker.update(frame).track_id.tolist() for frame in frames]


def test_cbiou_looks_again_with_the_large_buffer_as_the_paper_says():
    """A person who leaps 50 pixels: boxes grown by 0.3 are 64 wide and share too little, those by 0.5 enough."""
    leap = walk(0, 0, 0, 50, 50)
    assert identities(CBIOU, leap)[-1] == [1]
    assert identities(AS_RECORDED["cbiou"], leap)[-1] == [2]
