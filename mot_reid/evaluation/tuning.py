"""The parameters of a tracker, tuned so that no sequence plays a part in the search for its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

from mot_reid.extras import require
from mot_reid.metrics.mot import MotScores, evaluate_mot
from mot_reid.metrics.mot_rules import Benchmark
from mot_reid.settings.tracker_parameters import PARAMETERS
from mot_reid.structures import Detections, TrackTable
from mot_reid.tracking.parameters import tuned
from mot_reid.tracking.presets import PRESETS
from mot_reid.tracking.tracker import Tracker

if TYPE_CHECKING:
    from optuna import Trial

Parameters = Mapping[str, float]
Tick = Callable[[], object] | None

SEARCHED = {name: tuned(preset) for name, preset in PRESETS.items()}
"""The parameters of each preset that are worth a search."""
OBJECTIVES = ("hota", "assa", "idf1", "mota")


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
        tried: Scores by sequence and parameters.
    """

    preset: str
    benchmark: Benchmark
    truths: Mapping[str, TrackTable]
    frames: Mapping[str, list[Detections]]
    rates: Mapping[str, float]
    threshold: float | None = None
    tried: dict[tuple[str, tuple[tuple[str, float], ...]], MotScores] = field(default_factory=dict)

    def score(self, name: str, parameters: Parameters) -> MotScores:
        """Returns the scores of one sequence with these parameters; without any, those of the preset."""
        key = name, tuple(sorted(parameters.items()))
        if key not in self.tried:
            given: dict[str, Any] = ({} if self.threshold is None else {"gate": self.threshold}) | dict(parameters)
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

    def combined(self, names: Iterable[str], parameters: Parameters) -> MotScores:
        """Returns the scores of several sequences together."""
        return reduce(add, (self.score(name, parameters) for name in names))


def search(
    bench: Bench,
    names: Sequence[str],
    parameters: Sequence[str],
    *,
    objective: str,
    trials: int,
    seed: int,
    tick: Tick = None,
) -> dict[str, float]:
    """Returns the parameters that are best on some sequences together; none where nothing was better than the preset.

    Args:
        bench: The sequences.
        names: Of those to look at.
        parameters: Those to search.
        objective: One of `OBJECTIVES`.
        trials: Tries, the preset itself aside.
        seed: Of the search.
        tick: Called after every try.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))

    def value(trial: Trial) -> float:
        found = float(bench.combined(names, suggest(trial, parameters)).to_dict()[objective])
        if tick is not None:
            tick()
        return found

    study.optimize(value, n_trials=trials)
    default = bench.combined(names, {}).to_dict()[objective]
    return dict(study.best_params) if study.best_value > default else {}


def search_range(name: str) -> tuple[float, float]:
    """Returns the smallest and the largest value that the search tries of a parameter."""
    found = PARAMETERS[name].place.search
    assert found is not None, f"{name} is not tuned"
    return found


def suggest(trial: Trial, parameters: Sequence[str]) -> dict[str, float]:
    """Returns a value for each parameter, from its range in the table, rounded so that it can be written down.

    Args:
        trial: Where values come from.
        parameters: Names.
    """
    found: dict[str, float] = {}
    for parameter in parameters:
        low, high = search_range(parameter)
        if PARAMETERS[parameter].whole:
            found[parameter] = trial.suggest_int(parameter, int(low), int(high))
        else:
            found[parameter] = trial.suggest_float(parameter, low, high, step=1.0 if high > 1 else 0.01)
    return found


def hold_out(
    bench: Bench,
    parameters: Sequence[str],
    *,
    objective: str,
    trials: int,
    seed: int,
    tick: Tick = None,
) -> dict[str, dict[str, float]]:
    """Returns, for each sequence, the parameters that are best on the others.

    Args:
        bench: Two or more sequences.
        parameters: As in `search`.
        objective: As in `search`.
        trials: As in `search`.
        seed: As in `search`.
        tick: As in `search`.
    """
    names = list(bench.frames)
    options: dict[str, Any] = {"objective": objective, "trials": trials, "seed": seed, "tick": tick}
    return {name: search(bench, [one for one in names if one != name], parameters, **options) for name in names}


@dataclass(frozen=True, slots=True)
class Tuned:
    """What tuning gave.

    Attributes:
        held_out: For each sequence the parameters that were best on the others.
        parameters: Those that are best on all sequences: to be used.
        pairs: Scores by the preset and by `held_out`, of each sequence and of "combined".
    """

    held_out: dict[str, dict[str, float]]
    parameters: dict[str, float]
    pairs: dict[str, tuple[MotScores, MotScores]]

    def to_dict(self) -> dict[str, Any]:
        """Returns scores, as fractions, and parameters."""
        default, tuned = self.pairs["combined"]
        return {
            "default": default.to_dict(),
            "held_out": tuned.to_dict(),
            "parameters": self.parameters,
            "sequences": {
                name: {
                    "default": self.pairs[name][0].to_dict(),
                    "held_out": self.pairs[name][1].to_dict(),
                    "parameters": parameters,
                }
                for name, parameters in self.held_out.items()
            },
        }


def tune(
    bench: Bench,
    parameters: Sequence[str],
    *,
    objective: str,
    trials: int,
    seed: int,
    tick: Tick = None,
) -> Tuned:
    """Returns parameters for use, and what to expect of them.

    Args:
        bench: As in `hold_out`, as are all others.
        parameters: Those to search.
        objective: What is to be high.
        trials: Tries for each search, of which there is one more than sequences.
        seed: Of the search.
        tick: Called after every try.
    """
    options: dict[str, Any] = {"objective": objective, "trials": trials, "seed": seed, "tick": tick}
    held_out = hold_out(bench, parameters, **options)
    final = search(bench, list(bench.frames), parameters, **options)
    pairs = {name: (bench.score(name, {}), bench.score(name, found)) for name, found in held_out.items()}
    pairs["combined"] = bench.combined(held_out, {}), reduce(add, (tuned for _, tuned in pairs.values()))
    return Tuned(held_out, final, pairs)


def check_optuna() -> None:
    """Raises ImportError where Optuna is not installed, before there is anything to search."""
    require("optuna", "tune")
