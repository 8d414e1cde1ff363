"""Tunes the knobs of a tracker: `python tools/tune_tracker.py preset=bytetrack ground_truth=DIR [key=value ...]`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mot_reid.cli.command import Arguments, run
from mot_reid.files import write_text

if TYPE_CHECKING:
    from mot_reid.evaluation.tuning import Tuned

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
SHOWN = {"HOTA": "hota", "AssA": "assa", "MOTA": "mota", "IDF1": "idf1"}


def main(argv: Sequence[str]) -> int:
    """Tunes a tracker; returns the exit code."""
    return run(_tune, argv, usage=lambda: USAGE)


def _tune(argv: Sequence[str]) -> None:
    """Reads, searches, prints and writes."""
    from tqdm import tqdm

    from mot_reid.evaluation.tuning import OBJECTIVES, PRESET_KNOBS, check_optuna, tune
    from mot_reid.evaluation.tuning_data import read_bench
    from mot_reid.metrics.mot_rules import BENCHMARKS

    asked = Arguments(argv, KEYS)
    preset = asked.choice("preset", tuple(PRESET_KNOBS), "bytetrack")
    objective = asked.choice("objective", OBJECTIVES, "hota")
    knobs = asked.names("knobs") or list(PRESET_KNOBS[preset])
    asked.check("knobs", knobs, PRESET_KNOBS[preset])
    trials, seed = asked.whole("trials", 40, low=1), asked.whole("seed", 0)
    benchmark = asked.choice("benchmark", BENCHMARKS, "MOT17")
    scores = asked.output("json")
    check_optuna()
    bench = read_bench(
        asked.required("ground_truth", "DIR"),
        preset,
        benchmark=benchmark,
        sequences=asked.names("sequences"),
        detections=asked.text("detections") or "det/det.txt",
        embeddings=asked.text("embeddings"),
        reid=asked.text("reid"),
    )
    total = (len(bench.frames) + 1) * trials
    with tqdm(total=total, desc="tuning", unit="try", disable=None) as bar:
        tuned = tune(bench, knobs, objective=objective, trials=trials, seed=seed, tick=bar.update)
    print(_table(tuned))
    if scores is not None:
        given = {key: value for key, value in asked.given.items() if key != "json"}
        text = json.dumps(tuned.to_dict() | {"settings": given}, indent=2)
        print(f"\nscores   {write_text(scores, text + chr(10))}")


def _table(tuned: Tuned) -> str:
    """Returns the scores in percent: each sequence by the defaults and by what was tuned without it, then the knobs."""
    width = max(12, *(len(name) for name in tuned.held_out)) + 2
    head = "".join(f"{name:>18}" for name in SHOWN)
    lines = [f"{'held out':<{width}}{head}   (%, default > tuned on the others)"]
    for name, pair in tuned.pairs.items():
        before, after = (scores.to_dict() for scores in pair)
        cells = "".join(f"{f'{100 * before[key]:.2f} > {100 * after[key]:.2f}':>18}" for key in SHOWN.values())
        lines.append(f"{name:<{width}}{cells}")
    words = " ".join(f"{knob}={value:g}" for knob, value in tuned.knobs.items())
    lines += ["", f"knobs tuned on all sequences: {words or 'those of the preset: nothing was better'}"]
    return "\n".join(lines)
