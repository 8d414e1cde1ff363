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
    from mot_reid.evaluation.comparison import Cell, Scoring
    from mot_reid.evaluation.comparison_data import Video
    from mot_reid.evaluation.leaderboard import Entry

COMMAND = Command(
    "compare",
    CompareSettings,
    usage="[ground_truth=DIR] [key=value ...] [config=FILE]",
    about="""
Runs trackers with Re-ID models on the boxes of several detectors, and scores all of them on the same videos: one page
and one JSON file, with intervals of the differences to a reference on the same boxes. Finished cells are kept, so that
an interrupted comparison goes on where it stood. Without ground truth it compares on a short synthetic clip.""",
    examples=(
        "trackers=sort,bytetrack,bytetrack_reid",
        "ground_truth=data/mot17/sequences/val benchmark=MOT17 embedders=osnet_x0_25_market1501,person_small",
        "ground_truth=train detectors=boxes/yolov8n/{sequence}.txt,det/det.txt frames=videos/{sequence}.mp4",
        "ground_truth=train reference=bytetrack peers=results/{detector}/ultralytics_bytetrack retrieval=matrix.json",
    ),
)


def main(argv: Sequence[str]) -> int:
    """Compares; returns the exit code."""
    return COMMAND.run(_compare, argv)


def _compare(settings: CompareSettings, given: Given) -> None:
    """Reads, tracks, scores, prints and writes."""
    folder = Path(settings.output)
    _check(settings)
    check_output("output", str(folder / "compare.json"))
    from mot_reid.evaluation.comparison import Scoring
    from mot_reid.evaluation.leaderboard import leaderboard
    from mot_reid.viewing.html.comparison import comparison_html

    mean_ap = _mean_ap(settings)
    videos = _videos(settings)
    scoring = Scoring(settings.benchmark, settings.bootstrap, settings.block_frames, folder / "cells")  # type: ignore[arg-type]
    peers = _peers(settings.peers, videos, scoring)  # first, since theirs is what may be missing
    cells = _cells(settings, videos, scoring)
    same = next((entry for entry in peers if entry in cells), None)
    if same is not None:
        raise ValueError(f"peers: got '{same.method}', a row of our own; expected another name; rename the folder")
    cells |= peers
    board = leaderboard(cells, reference=settings.reference) | _ranked(cells, mean_ap)
    print("\n\n".join(tables(board)))
    write_json(folder / "compare.json", board | {"settings": dict(given)})
    measured = f"{', '.join(board['videos'])} by the rules of {settings.benchmark}"
    print(f"\npage   {write_text(folder / 'index.html', comparison_html(board, measured=measured))}")
    print(f"scores {folder / 'compare.json'}")


def _check(settings: CompareSettings) -> None:
    """Refuses settings that leave nothing to compare."""
    for name in ("sequences", "detectors"):
        if getattr(settings, name) == ():
            raise ValueError(f"{name}: got none; expected at least one; name one, or leave {name}= out")
    if not settings.peers and not any(_embedders(settings, tracker) for tracker in settings.trackers):
        raise ValueError(
            f"trackers: got {', '.join(settings.trackers) or 'none'} with {len(settings.embedders)} embedders, which "
            "makes no row; expected a tracker, and an embedder for one that needs it; add one"
        )


def _videos(settings: CompareSettings) -> list[Video]:
    """Returns the sequences, or the synthetic one."""
    from mot_reid.evaluation.comparison_data import read_videos, synthetic_video

    if settings.ground_truth is None:
        return [synthetic_video()]
    return read_videos(
        settings.ground_truth,
        settings.sequences,
        detectors=settings.detectors,
        frames=settings.frames,
        length=settings.length,
    )


def _mean_ap(settings: CompareSettings) -> dict[str, dict[str, float]]:
    """Returns the mAP of embedders by data set, if any is given."""
    if settings.retrieval is None:
        return {}
    from mot_reid.evaluation.retrieval_and_tracking import read_mean_ap

    return read_mean_ap(settings.retrieval)


def _ranked(cells: Mapping[Entry, Mapping[str, Cell]], mean_ap: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """Returns what is known of the embedders, and whether their mAP predicts IDF1."""
    if not mean_ap:
        return {}
    from mot_reid.evaluation.retrieval_and_tracking import correlations

    return {"mean_ap": mean_ap, "correlations": correlations(cells, mean_ap)}


def _cells(settings: CompareSettings, videos: list[Video], scoring: Scoring) -> dict[Entry, dict[str, Cell]]:
    """Returns every row on every video; an embedder is loaded once, and only where something is not cached."""
    from tqdm import tqdm

    from mot_reid.evaluation.comparison import tracked_cells
    from mot_reid.evaluation.comparison_data import open_embedder
    from mot_reid.evaluation.leaderboard import Entry

    cells: dict[Entry, dict[str, Cell]] = {}
    work = [(embedder, tracker) for tracker in settings.trackers for embedder in _embedders(settings, tracker)]
    titles = _titles([name for name in dict.fromkeys(name for name, _ in work) if name])
    models = {name: open_embedder(name, settings.device, settings.runtime) for name in titles}
    names = list(videos[0].boxes)
    with tqdm(total=len(work) * len(names) * len(videos), desc="comparing", unit="cell", disable=None) as bar:
        for detector in names:
            for embedder, tracker in work:
                for video in videos:
                    frames, gate = _frames(settings, video, detector, models.get(embedder))
                    done = tracked_cells(video, frames, tracker, gate=gate, parts=settings.refine, scoring=scoring)
                    for offline, cell in enumerate(done):
                        entry = Entry(detector, tracker, titles.get(embedder, ""), bool(offline))
                        cells.setdefault(entry, {})[video.name] = cell
                    bar.update()
    return cells


def _titles(embedders: Sequence[str]) -> dict[str, str]:
    """Returns what the models are called in the table, all differently."""
    from mot_reid.reid.bundled import title

    titles = {name: title(name) for name in embedders}
    if len(set(titles.values())) < len(titles):
        raise ValueError(
            f"embedders: got {', '.join(titles.values())}; expected names that differ; name the files differently"
        )
    return titles


def _embedders(settings: CompareSettings, tracker: str) -> list[str]:
    """Returns the embedders that a tracker is run with; "" for none."""
    if tracker not in USE_EMBEDDINGS:
        return [""]
    return list(settings.embedders) if tracker in NEED_EMBEDDINGS else ["", *settings.embedders]


def _frames(settings: CompareSettings, video: Video, detector: str, model: tuple[Any, bytes] | None) -> tuple[Any, Any]:
    """Returns the detections for a tracker, and the gate that belongs to their embeddings."""
    if model is None:
        return video.boxes[detector], None
    from mot_reid.evaluation.comparison_data import embedded

    folder = Path(settings.output) / "embeddings"
    return embedded(video, detector, model[0], above=0.2, folder=folder, model=model[1]), model[0].threshold


def _peers(folders: Sequence[str], videos: list[Video], scoring: Scoring) -> dict[Entry, dict[str, Cell]]:
    """Returns the rows of other programs; a folder NAME+MODEL is of program NAME with that Re-ID model."""
    from mot_reid.evaluation.leaderboard import Entry
    from mot_reid.evaluation.peers import peer_cells

    rows: dict[Entry, dict[str, Cell]] = {}
    names = list(videos[0].boxes)
    for folder in folders:
        if len(names) > 1 and "{detector}" not in folder:
            raise ValueError(
                f"peers: got '{folder}' beside the boxes of {', '.join(names)}; expected {{detector}} in the path, "
                "since results are compared with those of the same boxes"
            )
        for detector in names:
            path = Path(folder.replace("{detector}", detector))
            tracker, _, embedder = path.name.partition("+")
            entry = Entry(detector, tracker, embedder)
            if entry in rows:
                raise ValueError(f"peers: got two folders called '{path.name}'; expected names that differ; rename one")
            rows[entry] = peer_cells(path, videos, scoring)
    return rows


def tables(board: Mapping[str, Any]) -> list[str]:
    """Returns one table for the boxes of each detector, what refinement gained and, if mAP was given, what it says."""
    detectors = dict.fromkeys(row["detector"] for row in board["rows"])
    found = [_table(name, [row for row in board["rows"] if row["detector"] == name]) for name in detectors]
    if "refinement" in board:
        found.append(_refinement(board["refinement"]))
    ranked = board.get("correlations")
    return found if ranked is None else [*found, _correlations(ranked)]


def _table(detector: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Returns the rows in percent, with the interval of the difference in HOTA to the reference."""
    names = [row["name"].replace(f" · {detector}", "") for row in rows]
    width = max(len(detector) + 9, *map(len, names)) + 2
    before = rows[0]["reference"].replace(f" · {detector}", "")
    from mot_reid.viewing.html.comparison import SCORES

    lines = [
        f"{f'boxes of {detector}':<{width}}" + "".join(f"{title:>8}" for title in SCORES)
        + f"{'IDs':>7}{'ms':>8}   HOTA to {before}, 95%"
    ]  # fmt: skip
    for name, row in zip(names, rows):
        scores, (low, high) = row["combined"], row["interval"]["hota"]
        spent = "" if row["milliseconds"] is None else f"{row['milliseconds']:.2f}"
        cells = "".join(f"{100 * scores[key]:8.2f}" for key in SCORES.values())
        lines.append(f"{name:<{width}}{cells}{scores['idsw']:7,}{spent:>8}   {100 * low:+.1f} to {100 * high:+.1f}")
    return "\n".join(lines)


def _refinement(gains: Sequence[Mapping[str, Any]]) -> str:
    """Returns HOTA and IDF1 of every refined row before and after, with the interval of the difference."""
    lines = ["refined offline, before > after; the 95% interval of the difference"]
    for gain in gains:
        method = " · ".join(filter(None, (gain["tracker"], gain["embedder"], gain["detector"])))
        cells = []
        for name, key in (("HOTA", "hota"), ("IDF1", "idf1")):
            low, high = (100 * end for end in gain["interval"][key])
            before, after = (100 * gain[when][key] for when in ("before", "after"))
            cells.append(f"{name} {before:5.2f} > {after:5.2f} ({low:+.1f} to {high:+.1f})")
        lines.append(f"  {method}, {gain['video'] or 'all videos'}: {', '.join(cells)}")
    return "\n".join(lines)


def _correlations(ranked: Sequence[Mapping[str, Any]]) -> str:
    """Returns the rank correlation of mAP and IDF1, one line for each tracker, detector and data set."""
    if not ranked:
        return "mAP and IDF1: fewer than three Re-ID models have both, so that their ranks say nothing"
    lines = ["Spearman's rank correlation of the Re-ID models' mAP with IDF1, 95%"]
    for row in ranked:
        low, high = row["interval"]
        lines.append(
            f"  {row['tracker']}, boxes of {row['detector']}, {row['embedders']} models, "
            f"mAP on {row['data'] or 'the file'}: {row['correlation']:+.2f} ({low:+.2f} to {high:+.2f})"
        )
    return "\n".join(lines)
