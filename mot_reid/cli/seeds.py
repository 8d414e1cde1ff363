"""One training for each of several seeds, `mot-reid fit run.seed=[0,1,2]`, and what the scores are on average."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from mot_reid.files import write_json
from mot_reid.settings.load import COMMAND_LINE, AnyConfig, ConfigError, by_key, load_training

KEY = "run.seed"
_NAMES = {
    "mAP": "mAP", "rank1": "Rank-1", "rank5": "Rank-5", "rank10": "Rank-10", "mINP": "mINP",
    "accuracy": "right", "balanced_accuracy": "balanced",
}  # fmt: skip


def seeds_of(given: Mapping[str, str]) -> list[int]:
    """Returns the seeds of a list on the command line; none where it has one seed only, or none.

    Args:
        given: the arguments by key.

    Raises:
        ConfigError: the list is not one of different whole numbers from 0.
    """
    text = given.get(KEY, "").strip()
    if not text.startswith("["):
        return []
    parts = [part.strip() for part in text[1:].removesuffix("]").split(",")]
    if (
        not text.endswith("]")
        or not all(re.fullmatch(r"\d+", part) for part in parts)
        or len(set(map(int, parts))) < len(parts)
    ):
        raise ConfigError(f"{COMMAND_LINE}: {KEY}: got {text}; expected different whole numbers from 0, as [0,1,2]")
    return [int(part) for part in parts]


def with_first_seed(argv: Sequence[str], given: Mapping[str, str]) -> list[str]:
    """Returns a command line with the first of its seeds.

    Args:
        argv: the command line.
        given: its arguments by key.

    Raises:
        ConfigError: as `seeds_of`.
    """
    seeds = seeds_of(given)
    if not seeds:
        return list(argv)
    return [f"{KEY}={seeds[0]}" if word.lstrip("-").startswith(f"{KEY}=") else word for word in argv]


def fit_seeds(config: AnyConfig, given: Mapping[str, str]) -> int:
    """Trains with each seed in a process of its own and prints the mean and the standard deviation of the scores.

    Finished seeds are not trained again, and an interrupted one goes on, so that the same command resumes.

    Args:
        config: of the first seed; `run.dir` is the folder of all, with a folder `seed-N` for each.
        given: the arguments by key.

    Returns:
        The exit code: that of the first run that did not end well, else 0.

    Raises:
        ConfigError: a seed's folder holds a run with other settings, or one checkpoint is given for all.
    """
    if given.get("ckpt", "auto") not in ("auto", "last"):
        raise ConfigError(
            f"{COMMAND_LINE}: ckpt: got '{given['ckpt']}' with several seeds; expected none: each has its own"
        )
    if "LOCAL_RANK" in os.environ:
        raise ConfigError(
            f"{COMMAND_LINE}: {KEY}: got several seeds under torchrun; expected one; start a run for each"
        )
    words = {seed: _arguments(config, given, seed) for seed in seeds_of(given)}
    runs = {seed: load_training(arguments) for seed, arguments in words.items()}
    done = {seed for seed, run in runs.items() if _is_finished(run)}
    for seed, run in runs.items():
        print(f"seed {seed}: {'trained before, in ' if seed in done else ''}{run.run.dir}", flush=True)
        if seed not in done and (code := _fit([*words[seed], "ckpt=auto"])):
            return code
    _report(Path(config.run.dir), {seed: _scores(Path(run.run.dir)) for seed, run in runs.items()})
    return 0


def _arguments(config: AnyConfig, given: Mapping[str, str], seed: int) -> list[str]:
    """Returns the command line of one seed."""
    own = {KEY: seed, "run.dir": Path(config.run.dir) / f"seed-{seed}", "run.name": f"{config.run.name}-seed-{seed}"}
    values = {key: text for key, text in given.items() if key not in (*own, "ckpt")}
    return [f"{key}={value}" for key, value in {**values, **own}.items()]


def _is_finished(config: AnyConfig) -> bool:
    """Whether a run with exactly these settings is finished; refuses where it had others."""
    folder = Path(config.run.dir)
    if not (folder / "model.safetensors").is_file() or not (folder / "config.yaml").is_file():
        return False
    before = load_training([f"experiment={folder / 'config.yaml'}"])
    now, then = (by_key(one) for one in (config, before))
    changed = sorted(key for key in {*now, *then} - {"run.experiment"} if now.get(key) != then.get(key))
    if changed:
        raise ConfigError(
            f"run.dir: got '{folder}', a finished run with other values of {', '.join(changed[:5])}; expected the same "
            "settings for all seeds; set another run.name"
        )
    return True


def _fit(words: Sequence[str]) -> int:
    """Runs `mot-reid fit` in a process of its own, which frees its memory at the end; returns its exit code."""
    environment = {name: value for name, value in os.environ.items() if name != "MOT_REID_LAUNCH"}
    process = subprocess.Popen([sys.executable, "-m", "mot_reid", "fit", *words], env=environment)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:  # the run has got it too, and saves its state
            continue


def _scores(folder: Path) -> dict[str, float]:
    """Returns the scores that a finished run keeps with its model."""
    from mot_reid.reid import checkpoint

    model = folder / "model.safetensors"
    found: dict[str, float] = checkpoint.describe(model)["provenance"]["scores"] if model.is_file() else {}
    return found


def _report(folder: Path, scores: Mapping[int, Mapping[str, float]]) -> None:
    """Prints and writes the scores of each seed, their mean and their standard deviation."""
    names = [name for name in next(iter(scores.values())) if all(name in of_one for of_one in scores.values())]
    summary = {}
    for name in names:
        values = [of_one[name] for of_one in scores.values()]
        deviation = statistics.stdev(values) if len(values) > 1 else None
        summary[name] = {"mean": statistics.fmean(values), "standard_deviation": deviation}
    path = write_json(
        folder / "seeds.json", {"seeds": {str(seed): dict(one) for seed, one in scores.items()}, **summary}
    )
    stage = "test" if any(name.startswith("test/") for name in names) else "val"
    columns = [name for name in _NAMES if f"{stage}/{name}" in names]
    if not columns:
        print(f"\nno scores to average; {path}")
        return
    print(f"\n{stage + ' (%)':<22}" + "".join(f"{_NAMES[name]:>9}" for name in columns))
    for seed, one in scores.items():
        print(f"seed {seed:<17}" + "".join(f"{100 * one[f'{stage}/{name}']:9.1f}" for name in columns))
    for title in ("mean", "standard_deviation"):
        cells = [summary[f"{stage}/{name}"][title] for name in columns]
        line = "".join(f"{'':>9}" if cell is None else f"{100 * cell:9.1f}" for cell in cells)
        print(f"{title.replace('_', ' '):<22}{line}")
    print(f"\n{path}")
