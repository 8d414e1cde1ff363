"""Tunes the knobs of a tracker: `python tools/tune_tracker.py preset=bytetrack ground_truth=DIR [key=value ...]`."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterable, Mapping
from collections.abc import Sequence as Words
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mot_reid.config import ConfigError, parse_arguments
from mot_reid.data.folders import write_text
from mot_reid.schema import did_you_mean

if TYPE_CHECKING:
    import optuna

    from mot_reid.data.motchallenge import Sequence
    from mot_reid.metrics.mot import MotScores
    from mot_reid.reid.embedder import Embedder
    from mot_reid.structures import Detections, TrackTable

    Knobs = Mapping[str, float]

USAGE = """usage: python tools/tune_tracker.py ground_truth=DIR [key=value ...]

Searches the knobs of a tracker on detections that are there already. Every sequence is scored with the knobs that were
best on the others, so that nothing is tuned on what it reports; the defaults' scores stand beside it. At the end the
knobs are tuned once more on all sequences: those are to be used, and the held-out scores are what to expect of them.

  ground_truth=DIR         two or more sequences: folders with seqinfo.ini, gt/gt.txt and detections
  preset=bytetrack         bytetrack | bytetrack_reid | botsort | ocsort | sort
  detections=det/det.txt   inside each sequence's folder; scores from 0 to 1
  embeddings=DIR           NAME.npy for each sequence: a row for each line of its detections
  reid=PATH|NAME           a model that computes what is missing there, from the frames in the sequences' folders
  benchmark=MOT17          whose rules: MOT15, MOT16, MOT17 or MOT20
  sequences=NAME,NAME      these only
  objective=hota           hota | assa | idf1 | mota
  knobs=NAME,NAME          search these only; default: all that the preset has
  trials=40                tries for each sequence held out
  seed=0                   of the search
  json=FILE                write scores, as fractions, and knobs

Exit code: 0 done, 2 a mistake in the arguments or the files, 130 interrupted.
"""
KEYS = (
    "help", "ground_truth", "preset", "detections", "embeddings", "reid", "benchmark", "sequences", "objective",
    "knobs", "trials", "seed", "json",
)  # fmt: skip
SPACE: dict[str, tuple[float, float]] = {
    "high": (0.3, 0.8),
    "low": (0.05, 0.3),
    "birth": (0.3, 0.95),
    "limit": (0.5, 0.99),
    "confirm_hits": (0, 4),
    "max_missed": (5, 150),
    "duplicate": (0.6, 1.0),
    "gate": (0.1, 0.95),
    "proximity": (0.0, 0.6),
    "max_lost_seconds": (0.0, 120.0),
}
"""Where each knob is looked for; whole numbers stay whole."""
_BYTE = ("high", "low", "birth", "limit", "confirm_hits", "max_missed", "duplicate")
PRESET_KNOBS = {
    "bytetrack": _BYTE,
    "bytetrack_reid": (*_BYTE, "gate", "proximity", "max_lost_seconds"),
    "botsort": (*_BYTE, "gate", "proximity"),
    "ocsort": ("high", "limit", "confirm_hits", "max_missed"),
    "sort": ("limit", "confirm_hits", "max_missed"),
}
BENCHMARKS = ("MOT15", "MOT16", "MOT17", "MOT20")
OBJECTIVES = ("hota", "assa", "idf1", "mota")
SHOWN = {"HOTA": "hota", "AssA": "assa", "MOTA": "mota", "IDF1": "idf1"}


def main(argv: Words[str]) -> int:
    """Tunes a tracker; returns the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        arguments = parse_arguments(argv, allowed=KEYS)
        if "help" in arguments:
            print(USAGE)
            return 0
        _tune(arguments)
    except (OSError, ValueError, ImportError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


@dataclass
class Bench:
    """Cached sequences on which a preset can be tried, and all that was tried so far.

    Attributes:
        preset: Name of the preset.
        benchmark: Whose rules.
        truths: By sequence.
        frames: Detections of each frame, by sequence.
        rates: Frames per second, by sequence.
        threshold: Of the model that made the embeddings: the gate where none is tried; None for the preset's.
        tried: Scores by sequence and knobs.
    """

    preset: str
    benchmark: Any
    truths: Mapping[str, TrackTable]
    frames: Mapping[str, list[Detections]]
    rates: Mapping[str, float]
    threshold: float | None = None
    tried: dict[tuple[str, tuple[tuple[str, float], ...]], MotScores] = field(default_factory=dict)

    def score(self, name: str, knobs: Knobs) -> MotScores:
        """Returns the scores of one sequence with these knobs; without any, those of the preset."""
        key = name, tuple(sorted(knobs.items()))
        if key not in self.tried:
            from mot_reid.metrics.mot import evaluate_mot
            from mot_reid.structures import TrackTable
            from mot_reid.tracking.tracker import Tracker

            given: dict[str, Any] = ({} if self.threshold is None else {"gate": self.threshold}) | dict(knobs)
            tracker = Tracker(self.preset, frame_rate=self.rates[name], camera="none", **given)
            found = TrackTable.from_frames(tracker.update(boxes) for boxes in self.frames[name])
            scored = evaluate_mot(
                {name: self.truths[name]},
                {name: found},
                benchmark=self.benchmark,
                lengths={name: len(self.frames[name])},
            )
            self.tried[key] = scored.combined
        return self.tried[key]

    def combined(self, names: Iterable[str], knobs: Knobs) -> MotScores:
        """Returns the scores of several sequences together."""
        return reduce(add, (self.score(name, knobs) for name in names))


def search(
    bench: Bench, names: Words[str], knobs: Words[str], *, objective: str, trials: int, seed: int, tick: Any = None
) -> dict[str, float]:
    """Returns the knobs that are best on some sequences together; none where nothing was better than the preset.

    Args:
        bench: The sequences.
        names: Of those to look at.
        knobs: Those to search.
        objective: One of `OBJECTIVES`.
        trials: Tries, the preset itself aside.
        seed: Of the search.
        tick: Called after every try.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))

    def value(trial: optuna.Trial) -> float:
        found = float(bench.combined(names, suggest(trial, knobs)).to_dict()[objective])
        if tick is not None:
            tick()
        return found

    study.optimize(value, n_trials=trials)
    default = bench.combined(names, {}).to_dict()[objective]
    return dict(study.best_params) if study.best_value > default else {}


def suggest(trial: optuna.Trial, knobs: Words[str]) -> dict[str, float]:
    """Returns a value for each knob, from its range in `SPACE`, rounded so that it can be written down.

    Args:
        trial: Where values come from.
        knobs: Names.
    """
    found: dict[str, float] = {}
    for knob in knobs:
        low, high = SPACE[knob]
        if isinstance(low, int) and isinstance(high, int):
            found[knob] = trial.suggest_int(knob, low, high)
        else:
            found[knob] = trial.suggest_float(knob, low, high, step=1.0 if high > 1 else 0.01)
    return found


def hold_out(
    bench: Bench, knobs: Words[str], *, objective: str, trials: int, seed: int, tick: Any = None
) -> dict[str, dict[str, float]]:
    """Returns, for each sequence, the knobs that are best on the others.

    Args:
        bench: Two or more sequences.
        knobs: As in `search`.
        objective: As in `search`.
        trials: As in `search`.
        seed: As in `search`.
        tick: As in `search`.
    """
    names = list(bench.frames)
    options: dict[str, Any] = {"objective": objective, "trials": trials, "seed": seed, "tick": tick}
    return {name: search(bench, [one for one in names if one != name], knobs, **options) for name in names}


def _tune(arguments: dict[str, str]) -> None:
    """Reads, searches, prints and writes."""
    preset, objective = arguments.get("preset", "bytetrack"), arguments.get("objective", "hota")
    _choose("preset", preset, tuple(PRESET_KNOBS))
    _choose("objective", objective, OBJECTIVES)
    knobs = arguments["knobs"].split(",") if "knobs" in arguments else list(PRESET_KNOBS[preset])
    for knob in knobs:
        _choose("knobs", knob, PRESET_KNOBS[preset])
    trials, seed = _whole(arguments, "trials", 40, low=1), _whole(arguments, "seed", 0)
    _check_optuna()
    bench = read_bench(arguments, preset)
    from tqdm import tqdm

    total = (len(bench.frames) + 1) * trials
    with tqdm(total=total, desc="tuning", unit="try", disable=not sys.stderr.isatty()) as bar:
        options: dict[str, Any] = {"objective": objective, "trials": trials, "seed": seed, "tick": bar.update}
        chosen = hold_out(bench, knobs, **options)
        final = search(bench, list(bench.frames), knobs, **options)
    print(_told(bench, chosen, final))
    if "json" in arguments:
        content = _content(bench, chosen, final) | {"settings": {k: v for k, v in arguments.items() if k != "json"}}
        print(f"\nscores   {write_text(arguments['json'], json.dumps(content, indent=2) + chr(10))}")


def read_bench(arguments: Mapping[str, str], preset: str) -> Bench:
    """Returns the sequences with their detections, and embeddings where they are given or a model computes them.

    Raises:
        FileNotFoundError: Something is missing.
        ValueError: A file is malformed, embeddings do not fit, or there is only one sequence.
    """
    from mot_reid.data.motchallenge import by_frame, read_detections, read_ground_truth, read_sequences

    benchmark = arguments.get("benchmark", "MOT17")
    _choose("benchmark", benchmark, BENCHMARKS)
    if not arguments.get("ground_truth"):
        raise ConfigError("command line: ground_truth is missing; expected ground_truth=DIR; see --help")
    names = arguments["sequences"].split(",") if "sequences" in arguments else None
    sequences = read_sequences(arguments["ground_truth"], names)
    if len(sequences) < 2:
        raise ConfigError(f"command line: ground_truth: got the one sequence {min(sequences)}; expected two or more")
    embedder = _embedder(arguments)
    truths, frames = {}, {}
    for name, sequence in sequences.items():
        truths[name] = read_ground_truth(sequence.ground_truth_path)
        table = read_detections(sequence.folder / arguments.get("detections", "det/det.txt"))
        frames[name] = by_frame(table, sequence.length)
        if "embeddings" in arguments:
            file = Path(arguments["embeddings"]) / f"{name}.npy"
            frames[name] = _with_embeddings(sequence, table, frames[name], file, embedder)
    rates = {name: sequence.frame_rate for name, sequence in sequences.items()}
    threshold = None if embedder is None else embedder.threshold
    return Bench(preset, benchmark, truths, frames, rates, threshold)


def _embedder(arguments: Mapping[str, str]) -> Embedder | None:
    if "reid" not in arguments:
        return None
    if not arguments.get("embeddings"):
        raise ConfigError("command line: reid: got it without embeddings=DIR; expected the folder to keep them in")
    from mot_reid.reid.embedder import Embedder

    return Embedder(arguments["reid"])


def _with_embeddings(
    sequence: Sequence, table: TrackTable, frames: list[Detections], file: Path, embedder: Embedder | None
) -> list[Detections]:
    """Returns the detections with the embeddings of their lines, which are computed where they are missing."""
    import numpy as np

    if not file.is_file():
        if embedder is None:
            raise FileNotFoundError(f"embeddings: got no '{file}'; expected it, or reid=PATH to compute it")
        _embed(sequence, table, file, embedder)
    embedding = np.load(file)
    if embedding.ndim != 2 or len(embedding) != len(table):
        raise ValueError(
            f"'{file}': got shape {embedding.shape}; expected a row for each of the {len(table)} detections"
        )
    order = np.argsort(table.frame, kind="stable")
    parts = np.split(embedding[order], np.cumsum([len(found) for found in frames])[:-1])
    return [found.replace(embedding=part) for found, part in zip(frames, parts)]


def _embed(sequence: Sequence, table: TrackTable, file: Path, embedder: Embedder) -> None:
    """Computes the embeddings of all detections of a sequence, and keeps them."""
    import numpy as np
    from tqdm import tqdm

    from mot_reid.data.video import VideoReader

    embedding = np.full((len(table), embedder.embedding_dim), np.nan, dtype=np.float32)
    with VideoReader(sequence.folder) as reader:
        for frame in tqdm(reader, total=reader.length, desc=sequence.name, disable=not sys.stderr.isatty()):
            rows = table.frame == frame.number
            embedding[rows] = embedder(frame.image, table.xyxy[rows])
    if np.isnan(embedding).any():
        raise ValueError(f"'{sequence.folder}': got detections beyond its last frame; expected all frames to be there")
    file.parent.mkdir(parents=True, exist_ok=True)
    np.save(file, embedding)


def _told(bench: Bench, chosen: Mapping[str, Knobs], final: Knobs) -> str:
    """Returns the table: each sequence by the defaults and by what was tuned without it, in percent."""
    width = max(12, *(len(name) for name in chosen)) + 2
    head = "".join(f"{name:>18}" for name in SHOWN)
    lines = [f"{'held out':<{width}}{head}   (%, default > tuned on the others)"]
    tuned = {name: bench.score(name, knobs) for name, knobs in chosen.items()}
    pairs = {name: (bench.score(name, {}), tuned[name]) for name in chosen}
    pairs["combined"] = bench.combined(chosen, {}), reduce(add, tuned.values())
    for name, (before, after) in pairs.items():
        a, b = before.to_dict(), after.to_dict()
        cells = "".join(f"{f'{100 * a[key]:.2f} > {100 * b[key]:.2f}':>18}" for key in SHOWN.values())
        lines.append(f"{name:<{width}}{cells}")
    words = " ".join(f"{knob}={value:g}" for knob, value in final.items()) or "those of the preset: nothing was better"
    return "\n".join([*lines, "", f"knobs tuned on all sequences: {words}"])


def _content(bench: Bench, chosen: Mapping[str, Knobs], final: Knobs) -> dict[str, Any]:
    tuned = {name: bench.score(name, knobs) for name, knobs in chosen.items()}
    return {
        "default": bench.combined(chosen, {}).to_dict(),
        "held_out": reduce(add, tuned.values()).to_dict(),
        "knobs": dict(final),
        "sequences": {
            name: {
                "default": bench.score(name, {}).to_dict(),
                "held_out": tuned[name].to_dict(),
                "knobs": dict(knobs),
            }
            for name, knobs in chosen.items()
        },
    }


def _check_optuna() -> None:
    try:
        import optuna  # noqa: F401
    except ImportError:
        raise ImportError("tune: Optuna is not installed; pip install 'mot-reid[tune]'") from None


def _choose(key: str, value: str, names: Words[str]) -> None:
    if value not in names:
        raise ConfigError(
            f"command line: {key}: got '{value}'; expected one of {', '.join(names)}{did_you_mean(value, names)}"
        )


def _whole(arguments: Mapping[str, str], key: str, default: int, *, low: int = 0) -> int:
    text = arguments.get(key, str(default))
    if not text.isdecimal() or int(text) < low:
        raise ConfigError(f"command line: {key}: got '{text}'; expected a whole number from {low}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
