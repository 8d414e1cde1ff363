"""Scores a tracker: `python tools/evaluate_mot.py benchmark=MOT17 ground_truth=DIR results=DIR [key=value ...]`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from collections.abc import Sequence as Words
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mot_reid.cli.command import Arguments, run
from mot_reid.files import write_text
from mot_reid.settings.load import ConfigError

if TYPE_CHECKING:
    from mot_reid.metrics.bootstrap import Interval
    from mot_reid.metrics.mot import MotResult
    from mot_reid.reid.embedder import Embedder

USAGE = """usage: python tools/evaluate_mot.py ground_truth=DIR results=DIR [key=value ...]

Scores a tracker by the rules of MOTChallenge: HOTA, CLEAR and Identity, per sequence and over all boxes together.
The numbers are TrackEval's.

  ground_truth=DIR         sequences, each a folder with seqinfo.ini and gt/gt.txt; or a single such folder
  results=DIR              one NAME.txt, .csv or .parquet for each sequence (in DIR or DIR/data); or the file of a
                           single sequence
  benchmark=MOT17          whose rules: MOT15 (no classes: also for data of your own), MOT16, MOT17 or MOT20
  sequences=NAME,NAME      score these only
  bootstrap=0              samples of 95% intervals over the sequences; 0 for none
  json=FILE                write the scores, as fractions
  plots=DIR|true           write pictures; true: in a folder "plots" beside the results
  report=FILE              write one HTML file on every identity switch and fragment, and why it came about

For the report, each of these told of a single sequence, or relative to the folder of each one:
  frames=PATH              its video or folder of frames; default: the frames of the sequence, where they are
  scale=1                  pixels of the video for one of the ground truth
  detections=FILE          what the tracker was given, such as det/det.txt; default: the boxes it reported
  reid=PATH|NAME           a model, to compare the looks before and after
  threshold=               least similarity of the same looks; default: the model's; 0 for a tracker that does not look
  gate=0.1                 least overlap of a box with where its track was expected

Exit code: 0 done, 2 a mistake in the arguments or the files.
"""
REPORT_KEYS = ("report", "frames", "scale", "detections", "reid", "threshold", "gate")
KEYS = ("help", "ground_truth", "results", "benchmark", "sequences", "bootstrap", "json", "plots", *REPORT_KEYS)
PERCENT = {"HOTA": "hota", "DetA": "deta", "AssA": "assa", "MOTA": "mota", "IDF1": "idf1"}
COUNTS = {"IDs": "idsw", "Frag": "frag", "MT": "mt", "ML": "ml", "FP": "fp", "FN": "fn"}


def main(argv: Words[str]) -> int:
    """Scores a tracker; returns the exit code."""
    return run(_evaluate, argv, usage=lambda: USAGE)


def _evaluate(argv: Words[str]) -> None:
    """Reads, scores, prints and writes what was asked for."""
    from mot_reid.data.motchallenge import find_results, read_ground_truth, read_sequences
    from mot_reid.data.tables import read_tracks
    from mot_reid.metrics.bootstrap import bootstrap_mot
    from mot_reid.metrics.mot import evaluate_mot
    from mot_reid.metrics.mot_rules import BENCHMARKS

    asked = Arguments(argv, KEYS)
    samples, benchmark = asked.whole("bootstrap", 0), asked.choice("benchmark", BENCHMARKS, "MOT17")
    shown, page, numbers = _shown(asked), asked.output("report"), asked.output("json")
    sequences = read_sequences(asked.required("ground_truth", "DIR"), asked.names("sequences"))
    files = find_results(asked.required("results", "DIR"), list(sequences), chosen="sequences" in asked)
    if samples and len(sequences) == 1:
        raise ConfigError(f"command line: bootstrap: got the one sequence {min(sequences)}; expected two or more")
    truths = {name: read_ground_truth(sequence.ground_truth_path) for name, sequence in sequences.items()}
    results = {name: read_tracks(file) for name, file in files.items()}
    lengths = {name: sequence.length for name, sequence in sequences.items()}
    scored = evaluate_mot(truths, results, benchmark=benchmark, lengths=lengths)
    intervals = bootstrap_mot(scored, samples=samples) if samples else {}
    print(table(scored, intervals))
    if numbers is not None:
        print(f"scores   {write_text(numbers, _json_text(scored, intervals, asked.given))}")
    plots = asked.text("plots") or "false"
    if plots.lower() != "false":
        from mot_reid.viewing.mot_plots import write_mot_plots

        beside = Path(asked.given["results"]).resolve().parent / "plots"
        for picture in write_mot_plots(
            beside if plots.lower() == "true" else plots, scored, results=results, lengths=lengths
        ):
            print(f"plot     {picture}")
    if page is not None:
        from mot_reid.evaluation.mot_report import mot_report
        from mot_reid.viewing.html.mot_report import mot_report_html

        report = mot_report(
            scored,
            sequences,
            truths=truths,
            results=results,
            title=Path(asked.given["results"]).stem,
            measured=f"{', '.join(sequences)} by the rules of {benchmark}, results in {Path(asked.given['results'])}",
            embedder=_embedder(asked.text("reid")),
            **shown,
        )
        print(f"report   {write_text(page, mot_report_html(report))}")


def _shown(asked: Arguments) -> dict[str, Any]:
    """Returns the settings of the report, refused before any work."""
    from mot_reid.evaluation.mot_report import Footage

    for key in REPORT_KEYS[1:]:
        if key in asked and "report" not in asked:
            raise ConfigError(f"command line: {key}: got it without report=FILE; expected both")
    scale = asked.number("scale", 1.0, low=1e-6, high=1e6)
    return {
        "footage": Footage(asked.text("frames"), asked.text("detections"), scale),
        "gate": asked.number("gate", 0.1, low=1e-6, high=1.0),
        "threshold": asked.number("threshold", 0.5, high=1.0) if "threshold" in asked else None,
    }


def _embedder(name: str | None) -> Embedder | None:
    if name is None:
        return None
    from mot_reid.reid.embedder import Embedder

    return Embedder(name)


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


def _json_text(result: MotResult, intervals: Mapping[str, Interval], given: Mapping[str, str]) -> str:
    """Returns the scores, their intervals, and what they were measured with."""
    content: dict[str, Any] = result.to_dict()
    if intervals:
        content["intervals"] = {name: list(interval) for name, interval in intervals.items()}
    content["settings"] = {key: value for key, value in given.items() if key not in ("json", "plots", "report")}
    return json.dumps(content, indent=2) + "\n"
