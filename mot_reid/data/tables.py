"""Tracks as a file of the kind that its name says: MOTChallenge text, CSV or Parquet."""

from __future__ import annotations

from pathlib import Path

from mot_reid.data.motchallenge import write_results
from mot_reid.files import whole
from mot_reid.structures import TrackTable

ENDINGS = (".txt", ".csv", ".parquet")
COLUMNS = ("frame", "track_id", "x1", "y1", "x2", "y2", "score", "class_id")


def write_tracks(path: str | Path, table: TrackTable) -> Path:
    """Write tracks, by frame and identity; the file appears whole or not at all. Returns its path.

    `.txt` is the format of MOTChallenge's server (left, top, width, height, to a hundredth of a pixel); `.csv` and
    `.parquet` have the columns frame, track_id, x1, y1, x2, y2, score and class_id.

    Raises:
        ValueError: Another ending.
        ImportError: Parquet without pyarrow.
    """
    path = Path(path)
    check_ending(path)
    if path.suffix == ".txt":
        return write_results(path, table)
    rows = table.to_pandas()[list(COLUMNS)].sort_values(["frame", "track_id"], kind="stable")
    with whole(path) as partial:
        if path.suffix == ".csv":
            rows.to_csv(partial, index=False, lineterminator="\n")
        else:
            _check_parquet()
            rows.to_parquet(partial, index=False)
    return path


def check_ending(path: str | Path) -> None:
    """Raise what `write_tracks` would raise for the name of a file, before there is anything to write."""
    suffix = Path(path).suffix
    if suffix not in ENDINGS:
        raise ValueError(f"results: got '{path}'; expected a name ending in {', '.join(ENDINGS)}")
    if suffix == ".parquet":
        _check_parquet()


def _check_parquet() -> None:
    from importlib.util import find_spec

    if find_spec("pyarrow") is None:
        raise ImportError('results: .parquet needs pyarrow, which is not installed; pip install "mot-reid[parquet]"')
