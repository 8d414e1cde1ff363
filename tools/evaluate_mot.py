"""Scores a tracker: `python tools/evaluate_mot.py benchmark=MOT17 ground_truth=DIR results=DIR [key=value ...]`."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence as Words
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mot_reid.config import ConfigError, parse_arguments
from mot_reid.data.folders import write_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mot_reid.data.motchallenge import Sequence
    from mot_reid.metrics.bootstrap import Interval
    from mot_reid.metrics.mot import MotResult
    from mot_reid.metrics.mot_events import MotEvent
    from mot_reid.metrics.mot_rules import Benchmark
    from mot_reid.reid.embedder import Embedder
    from mot_reid.structures import TrackTable
    from mot_reid.viewing.mot_pictures import Picture, Shot
    from mot_reid.viewing.mot_report import MotReport

USAGE = """usage: python tools/evaluate_mot.py ground_truth=DIR results=DIR [key=value ...]

Scores a tracker by the rules of MOTChallenge: HOTA, CLEAR and Identity, per sequence and over all boxes together.
The numbers are TrackEval's.

  ground_truth=DIR         sequences, each a folder with seqinfo.ini and gt/gt.txt; or a single such folder
  results=DIR              one NAME.txt for each sequence (in DIR or DIR/data); or the file of a single sequence
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
BENCHMARKS = ("MOT15", "MOT16", "MOT17", "MOT20")
PERCENT = {"HOTA": "hota", "DetA": "deta", "AssA": "assa", "MOTA": "mota", "IDF1": "idf1"}
COUNTS = {"IDs": "idsw", "Frag": "frag", "MT": "mt", "ML": "ml", "FP": "fp", "FN": "fn"}


def main(argv: Words[str]) -> int:
    """Scores a tracker; returns the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        arguments = parse_arguments(argv, allowed=KEYS)
        if "help" in arguments:
            print(USAGE)
            return 0
        _evaluate(arguments)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


def _evaluate(arguments: dict[str, str]) -> None:
    """Reads, scores, prints and writes what was asked for."""
    from mot_reid.data.motchallenge import read_ground_truth, read_results, read_sequences
    from mot_reid.metrics.mot import evaluate_mot

    samples, benchmark = _whole(arguments, "bootstrap", 0), _benchmark(arguments)
    scale, gate = _number(arguments, "scale", 1.0), _number(arguments, "gate", 0.1, most=1.0)
    _number(arguments, "threshold", 0.5, least=0.0, most=1.0)
    _check_report_keys(arguments)
    names = arguments["sequences"].split(",") if "sequences" in arguments else None
    sequences = read_sequences(_path(arguments, "ground_truth"), names)
    files = find_results(_path(arguments, "results"), list(sequences), chosen="sequences" in arguments)
    if samples and len(sequences) == 1:
        raise ConfigError(f"command line: bootstrap: got the one sequence {min(sequences)}; expected two or more")
    truths = {name: read_ground_truth(sequence.ground_truth_path) for name, sequence in sequences.items()}
    results = {name: read_results(file) for name, file in files.items()}
    lengths = {name: sequence.length for name, sequence in sequences.items()}
    scored = evaluate_mot(truths, results, benchmark=benchmark, lengths=lengths)
    intervals: dict[str, Interval] = {}
    if samples:
        from mot_reid.metrics.bootstrap import bootstrap_mot

        intervals = bootstrap_mot(scored, samples=samples)
    print(table(scored, intervals))
    if "json" in arguments:
        print(f"scores   {write_text(arguments['json'], _json_text(scored, intervals, arguments))}")
    if arguments.get("plots", "false").lower() != "false":
        from mot_reid.viewing.mot_plots import write_mot_plots

        named = arguments["plots"].lower() != "true"
        folder = Path(arguments["plots"]) if named else _path(arguments, "results").resolve().parent / "plots"
        for picture in write_mot_plots(folder, scored, results=results, lengths=lengths):
            print(f"plot     {picture}")
    if "report" in arguments:
        from mot_reid.viewing.mot_report import mot_report_html

        report = _report(scored, sequences, truths, results, arguments, scale=scale, gate=gate)
        print(f"report   {write_text(arguments['report'], mot_report_html(report))}")


def find_results(root: Path, names: list[str], *, chosen: bool = False) -> dict[str, Path]:
    """Returns the result file of each sequence.

    Args:
        root: A folder of files, one with a folder `data` of them, or the file of a single sequence.
        names: Of the sequences.
        chosen: Whether other files may be there, too.

    Raises:
        FileNotFoundError: A sequence has no file.
        ValueError: A file belongs to no sequence.
    """
    if root.is_file() and len(names) == 1:
        return {names[0]: root}
    if not root.is_dir():
        raise FileNotFoundError(f"results: got '{root}'; expected a folder with {names[0]}.txt; check the path")
    files = {path.stem: path for path in root.glob("*.txt")}
    if not files and (root / "data").is_dir():
        files = {path.stem: path for path in (root / "data").glob("*.txt")}
    missing, extra = [name for name in names if name not in files], sorted(set(files) - set(names))
    if missing:
        others = f"; these belong to no sequence: {', '.join(extra)}" if extra else ""
        raise FileNotFoundError(f"results: got no {', '.join(f'{name}.txt' for name in missing)} in '{root}'{others}")
    if extra and not chosen:
        raise ValueError(
            f"results: got {', '.join(f'{name}.txt' for name in extra)} in '{root}', but there is no such sequence; "
            f"take them away, or name those to score by sequences={','.join(names)}"
        )
    return {name: files[name] for name in names}


def table(result: MotResult, intervals: dict[str, Interval]) -> str:
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


def _report(
    scored: MotResult,
    sequences: dict[str, Sequence],
    truths: dict[str, TrackTable],
    results: dict[str, TrackTable],
    arguments: dict[str, str],
    *,
    scale: float,
    gate: float,
) -> MotReport:
    """Returns what the page shows: the events of each sequence, and what the camera saw of them."""
    from mot_reid.data.motchallenge import read_detections
    from mot_reid.metrics.mot_events import find_events
    from mot_reid.viewing.mot_report import MotReport, SequenceReport

    embedder = _embedder(arguments.get("reid"))
    parts = []
    for name, sequence in sequences.items():
        file = _found(arguments, "detections", sequence, several=len(sequences) > 1)
        frames = _found(arguments, "frames", sequence, several=len(sequences) > 1)
        if frames is None and (sequence.folder / sequence.images).is_dir():
            frames = sequence.folder / sequence.images
        detections = None if file is None else read_detections(file)
        events = find_events(truths[name], results[name], scored.pairs[name], detections=detections)
        events, pictures = _look(events, truths[name], frames, embedder, scale=scale)
        parts.append(
            SequenceReport(
                name,
                scored.sequences[name],
                truth=truths[name],
                result=results[name],
                pairs=scored.pairs[name],
                events=events,
                length=sequence.length,
                pictures=pictures,
            )
        )
    threshold = _threshold(arguments, embedder)
    results_path = _path(arguments, "results")
    return MotReport(
        results_path.stem,
        f"{', '.join(sequences)} by the rules of {arguments.get('benchmark', 'MOT17')}, results in {results_path}",
        scored.combined,
        parts,
        gate=gate,
        threshold=threshold,
    )


def _look(
    events: list[MotEvent], truth: TrackTable, frames: Path | None, embedder: Embedder | None, *, scale: float
) -> tuple[list[MotEvent], dict[Shot, Picture]]:
    """Returns the events with the similarity of the looks, and the pictures, in one pass over the frames."""
    if frames is None or not events:
        return events, {}
    from dataclasses import replace

    import numpy as np
    from tqdm import tqdm

    from mot_reid.data.video import VideoReader
    from mot_reid.viewing.mot_pictures import looks, shots, take

    wanted = [shot for event in events for shot in shots(event, truth)]
    boxes: dict[int, list[tuple[int, Any]]] = {}
    for place, event in enumerate(events if embedder is not None else ()):
        for frame, box in looks(event):
            boxes.setdefault(frame, []).append((place, box * scale))
    found: dict[int, list[Any]] = {}

    def pictures_of(reader: VideoReader) -> Iterator[tuple[int, Any]]:
        bar = tqdm(reader, total=reader.length, desc="looking", unit="frame", disable=not sys.stderr.isatty())
        for frame in bar:
            asked = boxes.get(frame.number, [])
            if asked and embedder is not None:
                for (place, _), vector in zip(asked, embedder(frame.image, np.array([box for _, box in asked]))):
                    found.setdefault(place, []).append(vector)
            yield frame.number, frame.image

    with VideoReader(frames) as reader:
        pictures = take(pictures_of(reader), wanted, scale=scale)
    cosines = {place: float(pair[0] @ pair[1]) for place, pair in found.items() if len(pair) == 2}
    return [replace(e, cosine=cosines[place]) if place in cosines else e for place, e in enumerate(events)], pictures


def _embedder(name: str | None) -> Embedder | None:
    if name is None:
        return None
    from mot_reid.reid.embedder import Embedder

    return Embedder(name)


def _threshold(arguments: dict[str, str], embedder: Embedder | None) -> float:
    if "threshold" in arguments:
        return _number(arguments, "threshold", 0.5, least=0.0, most=1.0)
    calibrated = None if embedder is None else embedder.threshold
    return 0.5 if calibrated is None else calibrated


def _found(arguments: dict[str, str], key: str, sequence: Sequence, *, several: bool) -> Path | None:
    """Returns the file that belongs to a sequence: in its folder, or where the argument says."""
    if key not in arguments:
        return None
    inside, given = sequence.folder / arguments[key], Path(arguments[key])
    if inside.exists():
        return inside
    if given.exists() and not several:
        return given
    raise FileNotFoundError(f"{key}: got '{given}'; expected a file of {sequence.name}, or one in '{sequence.folder}'")


def _check_report_keys(arguments: dict[str, str]) -> None:
    for key in REPORT_KEYS[1:]:
        if key in arguments and "report" not in arguments:
            raise ConfigError(f"command line: {key}: got it without report=FILE; expected both")


def _json_text(result: MotResult, intervals: dict[str, Interval], arguments: dict[str, str]) -> str:
    """Returns the scores, their intervals, and what they were measured with."""
    content: dict[str, Any] = result.to_dict()
    if intervals:
        content["intervals"] = {name: list(interval) for name, interval in intervals.items()}
    content["settings"] = {key: value for key, value in arguments.items() if key not in ("json", "plots", "report")}
    return json.dumps(content, indent=2) + "\n"


def _benchmark(arguments: dict[str, str]) -> Benchmark:
    name: Any = arguments.get("benchmark", "MOT17")
    if name not in BENCHMARKS:
        raise ConfigError(f"command line: benchmark: got '{name}'; expected one of {', '.join(BENCHMARKS)}")
    return name


def _path(arguments: dict[str, str], key: str) -> Path:
    if not arguments.get(key):
        raise ConfigError(f"command line: {key} is missing; expected {key}=DIR; see --help")
    return Path(arguments[key])


def _whole(arguments: dict[str, str], key: str, default: int) -> int:
    text = arguments.get(key, str(default))
    if not text.isdecimal():
        raise ConfigError(f"command line: {key}: got '{text}'; expected a whole number from 0")
    return int(text)


def _number(arguments: dict[str, str], key: str, default: float, *, least: float = 1e-6, most: float = 1e6) -> float:
    try:
        value = float(arguments.get(key, default))
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        raise ConfigError(f"command line: {key}: got '{arguments[key]}'; expected a number from {least:g} to {most:g}")
    return value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
