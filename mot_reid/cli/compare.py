"""Compares trackers: `mot-reid compare ground_truth=DIR trackers=sort,bytetrack`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mot_reid.cli.command import Command, Given, check_output
from mot_reid.files import write_json, write_text
from mot_reid.settings.comparison import CompareSettings
from mot_reid.settings.tracker_parameters import NEED_EMBEDDINGS, USE_EMBEDDINGS

if TYPE_CHECKING:
    from mot_reid.evaluation.comparison import Cell, Entry, Scoring
    from mot_reid.evaluation.comparison_data import Video

COMMAND = Command(
    "compare",
    CompareSettings,
    usage="[ground_truth=DIR] [key=value ...] [config=FILE]",
    about="""
Runs trackers with Re-ID models on the boxes of several detectors, and scores all of them on the same videos: one page
and one JSON file, with intervals of the differences. Finished cells are kept, so that an interrupted comparison goes on
where it stood. Without ground truth it compares on a short synthetic clip.""",
    examples=(
        "trackers=sort,bytetrack,bytetrack_reid",
        "ground_truth=data/mot17/sequences/val benchmark=MOT17 embedders=osnet_x0_25_market1501,person_small",
        "ground_truth=train detectors=boxes/yolov8n/{sequence}.txt frames=videos/{sequence}.mp4 refine=recommended",
    ),
)
PERCENT = {"HOTA": "hota", "DetA": "deta", "AssA": "assa", "IDF1": "idf1"}


def main(argv: Sequence[str]) -> int:
    """Compares; returns the exit code."""
    return COMMAND.run(_compare, argv)


def _compare(settings: CompareSettings, given: Given) -> None:
    """Reads, tracks, scores, prints and writes."""
    folder = Path(settings.output)
    check_output("output", str(folder / "compare.json"))
    from mot_reid.evaluation.comparison import Scoring, leaderboard
    from mot_reid.evaluation.comparison_data import read_videos, synthetic_video
    from mot_reid.viewing.html.comparison import comparison_html

    if settings.ground_truth is None:
        videos = [synthetic_video()]
    else:
        videos = read_videos(
            settings.ground_truth, settings.sequences, detectors=settings.detectors, frames=settings.frames
        )
    scoring = Scoring(settings.benchmark, settings.bootstrap, settings.block_frames, folder / "cells")  # type: ignore[arg-type]
    board = leaderboard(_cells(settings, videos, scoring))
    print(_table(board))
    write_json(folder / "compare.json", board | {"settings": dict(given)})
    measured = f"{', '.join(board['videos'])} by the rules of {settings.benchmark}"
    print(f"\npage   {write_text(folder / 'index.html', comparison_html(board, measured=measured))}")
    print(f"scores {folder / 'compare.json'}")


def _cells(settings: CompareSettings, videos: list[Video], scoring: Scoring) -> dict[Entry, dict[str, Cell]]:
    """Returns every row on every video; an embedder is loaded once, and only where something is not cached."""
    from tqdm import tqdm

    from mot_reid.evaluation.comparison import Entry, tracked_cells

    cells: dict[Entry, dict[str, Cell]] = {}
    work = [(embedder, tracker) for tracker in settings.trackers for embedder in _embedders(settings, tracker)]
    models = {name: _model(name, settings.device) for name in dict.fromkeys(name for name, _ in work if name)}
    names = list(videos[0].boxes)
    with tqdm(total=len(work) * len(names) * len(videos), desc="comparing", unit="cell", disable=None) as bar:
        for detector in names:
            for embedder, tracker in work:
                for video in videos:
                    frames, gate = _frames(settings, video, detector, models.get(embedder))
                    done = tracked_cells(video, frames, tracker, gate=gate, parts=settings.refine, scoring=scoring)
                    for offline, cell in enumerate(done):
                        entry = Entry(detector, tracker, embedder, bool(offline))
                        cells.setdefault(entry, {})[video.name] = cell
                    bar.update()
    return cells | _peers(settings.peers, videos, scoring)


def _embedders(settings: CompareSettings, tracker: str) -> list[str]:
    """Returns the embedders that a tracker is run with; "" for none."""
    if tracker not in USE_EMBEDDINGS:
        return [""]
    return list(settings.embedders) if tracker in NEED_EMBEDDINGS else ["", *settings.embedders]


def _model(name: str, device: str) -> tuple[Any, bytes]:
    """Returns an embedder, and what identifies it."""
    from mot_reid.reid.checkpoint import find
    from mot_reid.reid.embedder import Embedder

    path = find(name)
    weights = path.with_suffix(".bin") if path.suffix == ".xml" else path
    return Embedder(name, device=device), weights.read_bytes()


def _frames(settings: CompareSettings, video: Video, detector: str, model: tuple[Any, bytes] | None) -> tuple[Any, Any]:
    """Returns the detections for a tracker, and the gate that belongs to their embeddings."""
    if model is None:
        return video.boxes[detector], None
    from mot_reid.evaluation.comparison_data import embedded

    folder = Path(settings.output) / "embeddings"
    return embedded(video, detector, model[0], above=0.2, folder=folder, model=model[1]), model[0].threshold


def _peers(folders: Sequence[str], videos: list[Video], scoring: Scoring) -> dict[Entry, dict[str, Cell]]:
    """Returns the rows of other programs."""
    from mot_reid.data.motchallenge import find_results
    from mot_reid.data.tables import read_tracks
    from mot_reid.evaluation.comparison import Entry, result_cell

    rows: dict[Entry, dict[str, Cell]] = {}
    for folder in folders:
        files = find_results(folder, [video.name for video in videos], chosen=True)
        cells = {video.name: result_cell(video, read_tracks(files[video.name]), scoring) for video in videos}
        rows[Entry("", Path(folder).name)] = cells
    return rows


def _table(board: Mapping[str, Any]) -> str:
    """Returns the rows in percent, with the interval of the difference in HOTA to the first."""
    width = max(len(row["name"]) for row in board["rows"]) + 2
    lines = [f"{'':<{width}}" + "".join(f"{n:>8}" for n in PERCENT) + f"{'IDs':>7}{'ms':>8}   HOTA to the first, 95%"]
    for row in board["rows"]:
        scores, (low, high) = row["combined"], row["to_best"]["hota"]
        spent = "" if row["milliseconds"] is None else f"{row['milliseconds']:.2f}"
        cells = "".join(f"{100 * scores[key]:8.2f}" for key in PERCENT.values())
        lines.append(
            f"{row['name']:<{width}}{cells}{scores['idsw']:7,}{spent:>8}   {100 * low:+.1f} to {100 * high:+.1f}"
        )
    return "\n".join(lines)
