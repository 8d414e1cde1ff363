"""Plots of tracking scores, read back from the figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mot_reid.metrics.mot import MotResult, evaluate_mot
from mot_reid.structures import TrackTable
from mot_reid.viewing.mot_plots import plot_scores, plot_switches, plot_timeline, plot_track_lengths, write_mot_plots


def path(frames: range, identity: int) -> TrackTable:
    return TrackTable(list(frames), [identity] * len(frames), np.tile([0.0, 0, 10, 20], (len(frames), 1)))


TRUTH = path(range(1, 21), 1)
RESULTS = {"a": TrackTable.concatenate([path(range(1, 6), 7), path(range(6, 21), 8)]), "b": path(range(1, 21), 3)}
LENGTHS = {"a": 20, "b": 20}


@pytest.fixture(scope="module")
def scored() -> MotResult:
    return evaluate_mot({"a": TRUTH, "b": TRUTH}, RESULTS, benchmark="MOT15", lengths=LENGTHS)


def test_three_pictures_are_written(scored: MotResult, tmp_path: Path) -> None:
    files = write_mot_plots(tmp_path / "new", scored, results=RESULTS, lengths=LENGTHS)
    assert [file.name for file in files] == ["scores.png", "track_lengths.png", "switches.png"]
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in files)


def test_timeline_has_a_bar_for_each_time_that_a_track_was_seen() -> None:
    table = TrackTable.concatenate([path(range(1, 6), 7), path(range(11, 13), 7), path(range(6, 21), 8)])
    axes = plot_timeline(table, length=20, frame_rate=10).axes[0]
    spans = [[bar.get_extents().intervalx.tolist() for bar in row.get_paths()] for row in axes.collections]
    assert np.allclose(spans[0], [[0, 0.5], [1.0, 1.2]]) and np.allclose(spans[1], [[0.5, 2.0]])
    assert [text.get_text() for text in axes.get_yticklabels()] == ["7", "8"]


def test_bars_are_the_scores_in_percent(scored: MotResult) -> None:
    axes = plot_scores({name: scores.to_dict() for name, scores in scored.sequences.items()}).axes[0]
    heights = [[bar.get_height() for bar in bars] for bars in axes.containers]
    assert heights[1] == [100.0] * 5
    assert heights[0][4] == pytest.approx(75)  # IDF1: 15 of 20 boxes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b"]


def test_track_lengths_count_each_track_once() -> None:
    axes = plot_track_lengths(RESULTS).axes[0]
    (a, b) = ([bar.get_height() for bar in bars] for bars in axes.containers)
    assert a == [0, 0, 1, 1, 0] and b == [0, 0, 0, 0, 1]  # 5 and 15 frames; 20 frames; bins from 1, 2, 4, 8, 16


def test_switches_rise_at_their_frame(scored: MotResult) -> None:
    lines = plot_switches(scored, LENGTHS).axes[0].get_lines()
    assert [line.get_label() for line in lines] == ["a: 1", "b: 0"]
    assert np.asarray(lines[0].get_xdata()).tolist() == [1, 6, 20]
    assert np.asarray(lines[0].get_ydata()).tolist() == [0, 1, 1]


def test_an_empty_result_can_be_drawn(tmp_path: Path) -> None:
    nothing = {"a": TrackTable.empty()}
    scored = evaluate_mot({"a": TRUTH}, nothing, benchmark="MOT15", lengths={"a": 20})
    assert len(write_mot_plots(tmp_path, scored, results=nothing, lengths={"a": 20})) == 3
