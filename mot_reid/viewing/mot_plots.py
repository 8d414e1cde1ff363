"""A tracker's scores, track lengths and switches as pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mot_reid.files import whole
from mot_reid.metrics.mot import MotResult
from mot_reid.structures import TrackTable

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Figure

SCORES = {"HOTA": "hota", "DetA": "deta", "AssA": "assa", "MOTA": "mota", "IDF1": "idf1"}


def write_mot_plots(
    folder: str | Path, scored: MotResult, *, results: Mapping[str, TrackTable], lengths: Mapping[str, int]
) -> list[Path]:
    """Draws scores.png, track_lengths.png and switches.png.

    Args:
        folder: Where; made if it is not there.
        scored: From `evaluate_mot`.
        results: The tracker's tables by sequence.
        lengths: Frames by sequence.

    Returns:
        The three files.
    """
    folder = Path(folder)
    together = {"combined": scored.combined} if len(scored.sequences) > 1 else {}
    values = {name: scores.to_dict() for name, scores in {**scored.sequences, **together}.items()}
    figures = {
        "scores": plot_scores(values),
        "track_lengths": plot_track_lengths(results),
        "switches": plot_switches(scored, lengths),
    }
    for name, figure in figures.items():
        with whole(folder / f"{name}.png") as partial:
            figure.savefig(partial, dpi=120)
    return [folder / f"{name}.png" for name in figures]


def plot_scores(scores: Mapping[str, Mapping[str, float]]) -> Figure:
    """Returns bars of HOTA, DetA, AssA, MOTA and IDF1 side by side.

    Args:
        scores: What is compared, sequences or trackers, by name; fractions as in `MotScores.to_dict`.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(max(7.0, 1.1 * len(scores) + 3), 4.2), layout="constrained")
    axes = figure.add_subplot()
    width = 0.8 / max(1, len(scores))
    for place, (name, values) in enumerate(scores.items()):
        x = np.arange(len(SCORES)) + (place - (len(scores) - 1) / 2) * width
        heights = [100 * values[key] for key in SCORES.values()]
        bars = axes.bar(x, heights, width, label=name, color="black" if name == "combined" else f"C{place % 10}")
        if len(scores) <= 4:
            axes.bar_label(bars, fmt="%.1f", fontsize="x-small", padding=2)
    axes.set_xticks(np.arange(len(SCORES)), list(SCORES))
    axes.set(ylabel="%", title="Scores", ylim=(min(0, axes.get_ylim()[0]), 105))
    axes.axhline(0, color="black", linewidth=0.8)
    axes.grid(axis="y", alpha=0.3)
    axes.legend(
        frameon=False, fontsize="small", ncols=max(1, len(scores) // 8 + 1), loc="center left", bbox_to_anchor=(1, 0.5)
    )
    return figure


def plot_timeline(table: TrackTable, *, length: int, frame_rate: float) -> Figure:
    """Returns who was seen when: a row for each track, a bar wherever it was seen in consecutive frames.

    Args:
        table: The tracks of a video.
        length: Frames of the video.
        frame_rate: Frames per second.
    """
    from matplotlib.figure import Figure

    identities = np.unique(table.track_id)
    figure = Figure(figsize=(9, 1.2 + 0.22 * max(1, len(identities))), layout="constrained")
    axes = figure.add_subplot()
    for row, identity in enumerate(identities):
        frames = np.unique(table.frame[table.track_id == identity])
        runs = np.split(frames, np.flatnonzero(np.diff(frames) > 1) + 1)
        bars = [((run[0] - 1) / frame_rate, len(run) / frame_rate) for run in runs]
        axes.broken_barh(bars, (row - 0.4, 0.8), color=f"C{row % 10}")
    axes.set_yticks(range(len(identities)), [str(identity) for identity in identities], fontsize="x-small")
    axes.set(xlabel="seconds", ylabel="identity", xlim=(0, length / frame_rate), title="Who was seen when")
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    return figure


def plot_track_lengths(results: Mapping[str, TrackTable]) -> Figure:
    """Returns how many tracks were seen in how many frames, in bins that double.

    Args:
        results: A tracker's tables by sequence.
    """
    from matplotlib.figure import Figure

    lengths = {name: np.unique(table.track_id, return_counts=True)[1] for name, table in results.items()}
    longest = max((int(found.max()) for found in lengths.values() if len(found)), default=1)
    edges = 2.0 ** np.arange(0, np.ceil(np.log2(longest + 1)) + 1)
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.add_subplot()
    axes.hist(list(lengths.values()), bins=list(edges), stacked=True, label=list(lengths))
    axes.set_xscale("log", base=2)
    axes.set_xticks(edges, [f"{edge:g}" for edge in edges])
    axes.minorticks_off()
    axes.set(xlabel="frames in which a track is reported", ylabel="tracks", title="Track lengths")
    axes.grid(axis="y", alpha=0.3)
    axes.legend(frameon=False, fontsize="small")
    return figure


def plot_switches(scored: MotResult, lengths: Mapping[str, int]) -> Figure:
    """Returns how the identity switches of each sequence add up over its frames.

    Args:
        scored: From `evaluate_mot`.
        lengths: Frames by sequence.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for name, pairs in scored.pairs.items():
        frames = np.sort(pairs.frame[pairs.switch])
        x = np.concatenate([[1], frames, [lengths[name]]])
        axes.step(x, np.append(np.arange(len(frames) + 1), len(frames)), where="post", label=f"{name}: {len(frames)}")
    axes.set(xlabel="frame", ylabel="switches so far", title="Identity switches over time")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize="small")
    return figure
