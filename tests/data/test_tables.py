"""Tracks as MOT text, CSV and Parquet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mot_reid.data import tables
from mot_reid.data.motchallenge import read_results
from mot_reid.data.tables import read_tracks, write_tracks
from mot_reid.structures import TrackTable

TABLE = TrackTable(
    np.array([2, 1, 2]),
    np.array([7, 1, 3]),
    np.array([[0.0, 1, 10, 21], [1, 2, 3, 4], [5, 6, 7, 8]]),
    np.array([0.5, 1, 0.25]),
)


def test_text_is_mot_challenges(tmp_path: Path) -> None:
    found = read_results(write_tracks(tmp_path / "a.txt", TABLE))
    assert found.track_id.tolist() == [1, 3, 7]
    assert found.xyxy.tolist() == [[1, 2, 3, 4], [5, 6, 7, 8], [0, 1, 10, 21]]


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_table_has_one_row_a_box_by_frame_and_identity(tmp_path: Path, ending: str) -> None:
    if ending == ".parquet":
        pytest.importorskip("pyarrow")
    path = write_tracks(tmp_path / "new" / f"a{ending}", TABLE)
    found = pd.read_csv(path) if ending == ".csv" else pd.read_parquet(path)
    assert list(found.columns) == ["frame", "track_id", "x1", "y1", "x2", "y2", "score", "class_id"]
    assert found["track_id"].tolist() == [1, 3, 7]
    assert found.iloc[2].tolist() == [2, 7, 0, 1, 10, 21, 0.5, 0]
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_table_without_rows_keeps_its_columns(tmp_path: Path) -> None:
    assert len(pd.read_csv(write_tracks(tmp_path / "a.csv", TrackTable.empty())).columns) == 8


def test_other_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"results: got '.*a\.xls'; expected a name ending in \.txt, \.csv, \.parquet"):
        write_tracks(tmp_path / "a.xls", TABLE)


def test_parquet_without_its_package_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mot_reid.extras.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install \"mot-reid\[parquet\]\""):
        tables.check_ending(tmp_path / "a.parquet")


def test_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(pd.DataFrame, "to_csv", fail)
    with pytest.raises(OSError, match="disk full"):
        write_tracks(tmp_path / "a.csv", TABLE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_tables_are_read_back_to_the_last_digit(tmp_path: Path, ending: str) -> None:
    if ending == ".parquet":
        pytest.importorskip("pyarrow")
    given = TrackTable([2, 1], [7, 1], [[1 / 3, 1, 10, 21], [1, 2, 3, 4]], [0.1, 1], [3, 0])
    found = read_tracks(write_tracks(tmp_path / f"a{ending}", given))
    for name in ("frame", "track_id", "xyxy", "score", "class_id"):
        np.testing.assert_array_equal(getattr(found, name), getattr(given[[1, 0]], name))


@pytest.mark.parametrize("name", ["a.txt", "a.csv"])
def test_text_is_recognised_by_its_content(tmp_path: Path, name: str) -> None:
    """MOTChallenge's lines under any name, and columns with names, in another order, under any name."""
    (tmp_path / name).write_text("1,4,10,20,30,40,0.5,-1,-1,-1\n")
    assert read_tracks(tmp_path / name).xyxy.tolist() == [[10, 20, 40, 60]]
    (tmp_path / name).write_text("\ufefftrack_id, frame,x1,y1,x2,y2,note\r\n4,1,10,20,40,60,tall\r\n\r\n", newline="")
    found = read_tracks(tmp_path / name)
    assert (found.frame.tolist(), found.track_id.tolist(), found.xyxy.tolist()) == ([1], [4], [[10, 20, 40, 60]])
    assert found.score.tolist() == [1] and found.class_id.tolist() == [0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("frame,track_id,x1,y1,x2\n", r"line 1: got columns frame, track_id, x1, y1, x2; expected y2 as well; or MOT"),
        ("frame,track_id,x1,y1,x2,y2\n1,1,0,0,5,5\n2,1,0,0,5\n", "line 3: got 5 values; expected one for each column"),
        ("frame,track_id,x1,y1,x2,y2\n1,1,0,0,5,x\n", "line 2: y2: got 'x'; expected a number"),
        ("frame,track_id,x1,y1,x2,y2\n1,anna,0,0,5,5\n", "line 2: track_id: got 'anna'; expected a number"),
        ("frame,track_id,x1,y1,x2,y2\n-1,1,0,0,5,5\n", "line 2: frame: got -1; expected a whole number from 1"),
        ("frame,track_id,x1,y1,x2,y2\n1,1.5,0,0,5,5\n", "line 2: track_id: got 1.5; expected a whole number from 0"),
        ("frame,track_id,x1,y1,x2,y2,score\n1,1,0,0,5,5,nan\n", "line 2: score: got nan; expected a finite number"),
        (
            "frame,track_id,x1,y1,x2,y2\n\n1,1,9,0,5,5\n",
            r"line 3: got the box \[9.0, .*; expected x1 <= x2",
        ),
    ],
)
def test_malformed_table_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(ValueError, match=rf"a\.csv' {message}"):
        read_tracks(tmp_path / "a.csv")


def test_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone\.csv': no such file"):
        read_tracks(tmp_path / "gone.csv")


@pytest.mark.parametrize("ending", [".txt", ".csv", ".parquet"])
def test_identities_that_would_merge_are_refused(tmp_path: Path, ending: str) -> None:
    """2**53 + 1 is 2**53 as a float: two people would become one."""
    if ending == ".parquet":
        pytest.importorskip("pyarrow")
    xyxy = np.array([[0.0, 0, 5, 5], [9, 0, 15, 5]])
    path = write_tracks(tmp_path / f"a{ending}", TrackTable([1, 1], [2**53, 2**53 + 1], xyxy))
    with pytest.raises(ValueError, match=r"(identity|track_id): got 9\.0072e\+15; expected .* below 9007199254740992"):
        read_tracks(path)
    below = write_tracks(tmp_path / f"b{ending}", TrackTable([1, 1], [2**53 - 2, 2**53 - 1], xyxy))
    assert read_tracks(below).track_id.tolist() == [2**53 - 2, 2**53 - 1]
