"""Tracks as MOT text, CSV and Parquet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mot_reid.data import tables
from mot_reid.data.motchallenge import read_results
from mot_reid.data.tables import write_tracks
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
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install \"mot-reid\[parquet\]\""):
        tables.check_ending(tmp_path / "a.parquet")


def test_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(pd.DataFrame, "to_csv", fail)
    with pytest.raises(OSError, match="disk full"):
        write_tracks(tmp_path / "a.csv", TABLE)
    assert list(tmp_path.iterdir()) == []
