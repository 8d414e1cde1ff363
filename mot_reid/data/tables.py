"""Tracks as a file of the kind that its name says: MOTChallenge text, CSV or Parquet."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mot_reid.data.motchallenge import RESULT_ENDINGS, read_results, write_results
from mot_reid.extras import require
from mot_reid.files import whole
from mot_reid.structures import TrackTable, exact_below

COLUMNS = ("frame", "track_id", "x1", "y1", "x2", "y2", "score", "class_id")
FILLED = "filled"
"""The column of a table that was refined offline, see `TrackTable`."""
_OPTIONAL = {"score": 1.0, "class_id": 0.0, FILLED: np.nan}
"""What stands in a column that a file lacks."""
_ALL = (*COLUMNS, FILLED)


def write_tracks(path: str | Path, table: TrackTable, *, more: Mapping[str, Any] | None = None) -> Path:
    """Write tracks, by frame and identity; the file appears whole or not at all. Returns its path.

    `.txt` is the format of MOTChallenge's server (left, top, width, height, to a hundredth of a pixel); `.csv` and
    `.parquet` have the columns frame, track_id, x1, y1, x2, y2, score and class_id, and filled (0 or 1) where the table
    was refined offline.

    Args:
        path: Of the file.
        table: The tracks.
        more: (M,) further columns by name; text of MOTChallenge has no place for them.

    Raises:
        ValueError: Another ending.
        ImportError: Parquet without pyarrow.
    """
    path = Path(path)
    check_ending(path)
    if path.suffix == ".txt":
        return write_results(path, table)
    names = COLUMNS if table.filled is None else (*COLUMNS, FILLED)
    rows = table.to_pandas()[list(names)].assign(**(more or {})).sort_values(["frame", "track_id"], kind="stable")
    rows = rows.astype({FILLED: np.int64} if FILLED in rows else {})
    with whole(path) as partial:
        if path.suffix == ".csv":
            rows.to_csv(partial, index=False, lineterminator="\n")
        else:
            _check_parquet()
            rows.to_parquet(partial, index=False)
    return path


def read_tracks(path: str | Path) -> TrackTable:
    """Read tracks from MOTChallenge text, or from the CSV or Parquet that `write_tracks` writes.

    The first line tells text from CSV: it, which names the columns in a CSV; other columns are passed over, and
    a CSV without score or class_id has 1 and 0 there. MOTChallenge text has no classes.

    Raises:
        FileNotFoundError: No such file.
        ValueError: A column is missing, or a line is malformed, which is named.
        ImportError: Parquet without pyarrow.
    """
    path = Path(path)
    if path.suffix == ".parquet":
        return _from_parquet(path)
    if not names_columns(path):
        return read_results(path)
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file)
        names = [name.strip() for name in next(lines)]
        rows = [(lines.line_num, row) for row in lines if any(cell.strip() for cell in row)]
    places = _places(path, names)
    values = np.tile([_OPTIONAL.get(name, np.nan) for name in _ALL], (len(rows), 1))
    for at, (line, row) in enumerate(rows):
        for name, place in places.items():
            values[at, _ALL.index(name)] = _number(path, line, row, name, place)
    return _table(path, values, [f" line {line}" for line, _ in rows])


def check_ending(path: str | Path) -> None:
    """Raise what `write_tracks` would raise for the name of a file, before there is anything to write."""
    suffix = Path(path).suffix
    if suffix not in RESULT_ENDINGS:
        raise ValueError(f"results: got '{path}'; expected a name ending in {', '.join(RESULT_ENDINGS)}")
    if suffix == ".parquet":
        _check_parquet()


def names_columns(path: str | Path) -> bool:
    """Whether the first line of a file holds words instead of numbers; false for a file that cannot be read."""
    try:
        with Path(path).open(encoding="utf-8-sig") as file:
            first = file.readline().partition(",")[0].strip().strip('"')
    except (OSError, UnicodeDecodeError):
        return False
    return first.isidentifier() and first.lower() not in ("nan", "inf")


def _places(path: Path, names: list[str]) -> dict[str, int]:
    missing = [name for name in COLUMNS if name not in names and name not in _OPTIONAL]
    if missing:
        raise ValueError(
            f"'{path}' line 1: got columns {', '.join(names)}; expected {', '.join(missing)} as well; "
            "or MOTChallenge's lines of numbers: frame, identity, left, top, width, height, confidence"
        )
    return {name: names.index(name) for name in _ALL if name in names}


def _number(path: Path, line: int, row: list[str], name: str, place: int) -> float:
    if place >= len(row):
        raise ValueError(f"'{path}' line {line}: got {len(row)} values; expected one for each column, such as {name}")
    try:
        return float(row[place])
    except ValueError:
        raise ValueError(f"'{path}' line {line}: {name}: got '{row[place][:40]}'; expected a number") from None


def _from_parquet(path: Path) -> TrackTable:
    if not path.is_file():
        raise FileNotFoundError(f"'{path}': no such file; expected a file of tracks; check the path")
    _check_parquet()
    import pandas as pd

    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise ValueError(f"'{path}': got {' '.join(str(error).split())}; expected a Parquet file of tracks") from None
    places = _places(path, [str(name) for name in frame.columns])
    columns = [frame.iloc[:, places[name]] if name in places else _OPTIONAL[name] for name in _ALL]
    values = np.empty((len(frame), len(_ALL)))
    for at, column in enumerate(columns):
        values[:, at] = column
    return _table(path, values, [f" row {row}" for row in range(len(frame))])


def _table(path: Path, values: Any, where: list[str]) -> TrackTable:
    """Returns the table of (M, 9) numbers, COLUMNS and FILLED; refuses the first that makes no sense."""
    whole_numbers = {"frame": 1, "track_id": 0, "class_id": None}
    for name, column in zip(COLUMNS, values.T):
        least = whole_numbers.get(name)
        wrong = ~np.isfinite(column)
        if name in whole_numbers:
            wrong |= (column != np.trunc(column)) | (column >= exact_below(column.dtype))
        if least is not None:
            wrong |= column < least
        if wrong.any():
            row, rule = int(np.argmax(wrong)), "a finite number"
            if name in whole_numbers:
                rule = "a whole number" if least is None else f"a whole number from {least}"
                rule += f" and below {exact_below(column.dtype)}"
            raise ValueError(f"'{path}'{where[row]}: {name}: got {column[row]:g}; expected {rule}")
    turned = (values[:, 4:6] < values[:, 2:4]).any(axis=1)
    if turned.any():
        row = int(np.argmax(turned))
        raise ValueError(
            f"'{path}'{where[row]}: got the box {values[row, 2:6].tolist()}; expected x1 <= x2 and y1 <= y2"
        )
    return TrackTable(
        values[:, 0].astype(np.int64),
        values[:, 1].astype(np.int64),
        values[:, 2:6],
        values[:, 6],
        values[:, 7].astype(np.int64),
        filled=None if np.isnan(values[:, 8]).any() else values[:, 8] != 0,
    )


def _check_parquet() -> None:
    require("pyarrow", "results: .parquet")
