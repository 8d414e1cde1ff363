"""Results of other programs, scored like those of the trackers here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import inf, nan
from pathlib import Path

from mot_reid.data.motchallenge import find_results
from mot_reid.data.tables import read_tracks
from mot_reid.evaluation.comparison import Cell, Scoring, result_cell
from mot_reid.evaluation.comparison_data import Video

MILLISECONDS = "milliseconds.json"
"""The file beside the results that has the milliseconds a frame of each sequence."""


def peer_cells(folder: Path, videos: Sequence[Video], scoring: Scoring) -> dict[str, Cell]:
    """Returns the cells of another program, by video.

    Args:
        folder: a SEQUENCE.txt for each sequence and, where the program was timed, `milliseconds.json`.
        videos: the sequences.
        scoring: how, and where the cells are kept.

    Raises:
        FileNotFoundError: a sequence has no result.
        ValueError: a file is malformed.
    """
    files = find_results(folder, [video.name for video in videos], chosen=True)
    spent = _milliseconds(folder / MILLISECONDS)
    cells = {}
    for video in videos:
        tracks = read_tracks(files[video.name])
        if len(tracks) and tracks.frame.max() > video.length:
            raise ValueError(
                f"peers: got frame {tracks.frame.max()} in '{files[video.name]}'; expected the {video.length} frames "
                "that are compared; run the other program on as many, or change length="
            )
        cells[video.name] = result_cell(video, tracks, scoring, milliseconds=spent.get(video.name, nan))
    return cells


def _milliseconds(path: Path) -> dict[str, float]:
    if not path.is_file():
        return {}
    try:
        spent = {name: float(value) for name, value in json.loads(path.read_text(encoding="utf-8")).items()}
    except (ValueError, TypeError, AttributeError, OverflowError):
        raise ValueError(f"peers: got '{path}'; expected JSON, milliseconds a frame by sequence") from None
    wrong = next((name for name, value in spent.items() if not 0 <= value < inf), None)
    if wrong is not None:
        raise ValueError(
            f"peers: got {spent[wrong]:g} for {wrong} in '{path}'; expected milliseconds, 0 or more; "
            "leave out what was not timed"
        )
    return spent
