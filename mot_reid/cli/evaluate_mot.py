"""Scores tracks: `mot-reid evaluate-mot benchmark=MOT17 ground_truth=DIR results=DIR`."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from collections.abc import Sequence as Words
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mot_reid.cli.command import Command, Given, check_output
from mot_reid.files import given_by, write_json, write_text
from mot_reid.settings.evaluation import EvaluateMotSettings
from mot_reid.settings.load import ConfigError

if TYPE_CHECKING:
    from mot_reid.data.motchallenge import Sequence
    from mot_reid.metrics.bootstrap import Interval
    from mot_reid.metrics.mot import MotResult
    from mot_reid.reid.embedder import Embedder
    from mot_reid.structures import TrackTable

COMMAND = Command(
    "evaluate-mot",
    EvaluateMotSettings,
    usage="ground_truth=DIR results=DIR [key=value ...] [config=FILE]",
    about="""
Scores tracks by the rules of MOTChallenge: HOTA, CLEAR and Identity, per sequence and over all boxes together. The
numbers are TrackEval's.""",
    examples=(
        "ground_truth=data/mot17/sequences/val results=results",
        "ground_truth=data/mot17/sequences/val results=results json=scores.json plots=true report=mot.html",
        "benchmark=MOT15 ground_truth=my/sequence results=my/tracks.txt",
    ),
)
REPORT_KEYS = ("frames", "scale", "detections", "reid", "runtime", "threshold", "gate")
PERCENT = {"HOTA": "hota", "DetA": "deta", "AssA": "assa", "MOTA": "mota", "IDF1": "idf1"}
COUNTS = {"IDs": "idsw", "Frag": "frag", "MT": "mt", "ML": "ml", "FP": "fp", "FN": "fn"}


def main(argv: Words[str]) -> int:
    """Scores tracks; returns the exit code."""
    return COMMAND.run(_evaluate, argv)


def _evaluate(settings: EvaluateMotSettings, given: Given) -> None:
    """Reads, scores, prints and writes what was asked for."""
    for key in REPORT_KEYS:
        if key in given and settings.report is None:
            raise ConfigError(f"command line: {key}: got no report=FILE; expected both")
    check_output("report", settings.report)
    check_output("json", settings.json)
    from mot_reid.data.motchallenge import find_results, read_ground_truth, read_sequences
    from mot_reid.data.tables import read_tracks
    from mot_reid.metrics.bootstrap import bootstrap_mot
    from mot_reid.metrics.mot import evaluate_mot

    sequences = read_sequences(settings.ground_truth, settings.sequences)
    files = find_results(settings.results, list(sequences), chosen=settings.sequences is not None)
    if settings.bootstrap and len(sequences) == 1:
        raise ConfigError(f"command line: bootstrap: got only one sequence, {min(sequences)}; expected two or more")
    truths = {name: read_ground_truth(sequence.ground_truth_path) for name, sequence in sequences.items()}
    results = {name: read_tracks(file) for name, file in files.items()}
    lengths = {name: sequence.length for name, sequence in sequences.items()}
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        scored = evaluate_mot(truths, results, benchmark=settings.benchmark, lengths=lengths)  # type: ignore[arg-type]
    for warning in told:
        print(f"warning: {warning.message}", file=sys.stderr)
    intervals = bootstrap_mot(scored, samples=settings.bootstrap) if settings.bootstrap else {}
    print(table(scored, intervals))
    if settings.json is not None:
        print(f"scores   {write_json(settings.json, _content(scored, intervals, given))}")
    _write_plots(settings, scored, results, lengths)
    if settings.report is not None:
        page = _report_page(settings, scored, sequences, truths=truths, results=results)
        print(f"report   {write_text(settings.report, page)}")


def _write_plots(
    settings: EvaluateMotSettings, scored: MotResult, results: Mapping[str, TrackTable], lengths: Mapping[str, int]
) -> None:
    """Writes the pictures, where they are wanted."""
    where = (settings.plots or "false").lower()
    if where == "false":
        return
    from mot_reid.viewing.mot_plots import write_mot_plots

    folder = Path(settings.results).resolve().parent / "plots" if where == "true" else str(settings.plots)
    for picture in write_mot_plots(folder, scored, results=results, lengths=lengths):
        print(f"plot     {picture}")


def _report_page(
    settings: EvaluateMotSettings,
    scored: MotResult,
    sequences: Mapping[str, Sequence],
    *,
    truths: Mapping[str, TrackTable],
    results: Mapping[str, TrackTable],
) -> str:
    """Returns the page that shows every identity switch."""
    from mot_reid.evaluation.mot_report import Footage, mot_report
    from mot_reid.viewing.html.mot_report import mot_report_html

    report = mot_report(
        scored,
        sequences,
        truths=truths,
        results=results,
        title=Path(settings.results).stem,
        measured=f"{', '.join(sequences)} by the rules of {settings.benchmark}, results in {Path(settings.results)}",
        embedder=_embedder(settings.reid, settings.runtime),
        footage=Footage(settings.frames, settings.detections, settings.scale),
        gate=settings.gate,
        threshold=settings.threshold,
    )
    return mot_report_html(report)


def _embedder(name: str | None, runtime: str) -> Embedder | None:
    if name is None:
        return None
    from mot_reid.reid.embedder import Embedder

    with given_by("reid"):
        return Embedder(name, runtime=runtime)


def table(result: MotResult, intervals: Mapping[str, Interval]) -> str:
    """Returns the scores of each sequence and of all together: ratios in percent, then counts."""
    width = max(10, *(len(name) for name in result.sequences)) + 2
    lines = [
        f"{'':<{width}}" + "".join(f"{n:>8}" for n in PERCENT) + "".join(f"{n:>7}" for n in COUNTS) + "   (%, boxes)"
    ]
    rows = dict(result.sequences) if len(result.sequences) > 1 else {}
    for name, scores in {**rows, "combined" if rows else next(iter(result.sequences)): result.combined}.items():
        values = scores.to_dict()
        cells = "".join(f"{100 * values[key]:8.2f}" for key in PERCENT.values())
        lines.append(f"{name:<{width}}" + cells + "".join(f"{values[key]:7,}" for key in COUNTS.values()))
    for end in ("low", "high") if intervals else ():
        cells = "".join(f"{100 * getattr(intervals[key], end):8.2f}" for key in PERCENT.values())
        lines.append(f"{'  95% from' if end == 'low' else '  to':<{width}}" + cells)
    return "\n".join(lines)


def _content(result: MotResult, intervals: Mapping[str, Interval], given: Mapping[str, str]) -> dict[str, Any]:
    """Returns the scores, their intervals, and what they were measured with."""
    content: dict[str, Any] = result.to_dict()
    if intervals:
        content["intervals"] = {name: list(interval) for name, interval in intervals.items()}
    content["settings"] = {key: value for key, value in given.items() if key not in ("json", "plots", "report")}
    return content
