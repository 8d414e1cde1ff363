"""The table of parity."""

from __future__ import annotations

from dataclasses import replace

from mot_reid.tracking.presets import PRESETS, SORT
from tests.tracking.parity import HERE, recordings, row, tracked


def test_every_preset_but_ours_has_a_recording() -> None:
    assert {recording.preset for recording in recordings()} == set(PRESETS) - {"bytetrack_reid"}


def test_row_counts_the_sequences_that_are_equal() -> None:
    """SORT equals its original; a SORT that confirms tracks one sight later does not."""
    sort = next(recording for recording in recordings() if recording.preset == "sort")
    later = replace(SORT, life=replace(SORT.life, confirm_hits=4))
    assert row(sort, HERE).split(" | ")[2] == "3 of 3"
    assert row(replace(sort, answers=tracked(later)), HERE).split(" | ")[2:4] == ["0 of 3", "0"]
