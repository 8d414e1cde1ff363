"""The names that settings offer are those that the rooms know; settings may not import the rooms."""

from __future__ import annotations

import inspect
from dataclasses import fields
from typing import get_args

import pytest

from mot_reid.data.mot_crops import CropRules
from mot_reid.data.mot_layouts import PREPARED
from mot_reid.data.prepare_mot17 import SPLITS
from mot_reid.data.splits import KINDS, PARTS
from mot_reid.evaluation.tuning import OBJECTIVES
from mot_reid.metrics.mot_rules import BENCHMARKS
from mot_reid.metrics.retrieval import AveragePrecision, Metric
from mot_reid.reid.embedder import RUNTIMES
from mot_reid.settings.comparison import CompareSettings
from mot_reid.settings.evaluation import EvaluateMotSettings, EvaluateSettings, TuneTrackerSettings
from mot_reid.settings.export import ExportSettings
from mot_reid.settings.linking import LinkSettings
from mot_reid.settings.load import load_settings
from mot_reid.settings.preparation import PrepareMotSettings
from mot_reid.settings.schema import OneOf, schema
from mot_reid.settings.tracking import TrackSettings
from mot_reid.settings.training import Config


@pytest.mark.parametrize(
    ("tree", "key", "names"),
    [
        (Config, "data.kind", KINDS),
        (EvaluateSettings, "data.kind", KINDS),
        (EvaluateSettings, "data.split", PARTS),
        (EvaluateSettings, "metric", get_args(Metric)),
        (EvaluateSettings, "average_precision", get_args(AveragePrecision)),
        (EvaluateMotSettings, "benchmark", BENCHMARKS),
        (TuneTrackerSettings, "benchmark", BENCHMARKS),
        (TuneTrackerSettings, "objective", OBJECTIVES),
        (CompareSettings, "benchmark", BENCHMARKS),
        (TrackSettings, "runtime", RUNTIMES),
        (CompareSettings, "runtime", RUNTIMES),
        (PrepareMotSettings, "split", SPLITS),
        (PrepareMotSettings, "benchmark", PREPARED),
    ],
)
def test_names_of_a_key_are_those_of_its_room(tree: type, key: str, names: tuple[str, ...]) -> None:
    rule = next(rule for rule in schema(tree)[key].rules if isinstance(rule, OneOf))
    assert set(rule.names) == set(names)


@pytest.mark.parametrize(
    ("tree", "base", "needed"),
    [
        (TrackSettings, "track", []),
        (LinkSettings, "link", ["tracks=a.txt", "videos=a.mp4", "output=out"]),
        (CompareSettings, "compare", []),
        (TuneTrackerSettings, "tune_tracker", ["ground_truth=truth"]),
        (EvaluateMotSettings, "evaluate_mot", ["ground_truth=truth", "results=results"]),
    ],
)
def test_what_is_measured_runs_as_what_is_used(tree: type, base: str, needed: list[str]) -> None:
    """`track` chooses its runtime by itself, and so does every command that measures a tracker or joins its tracks."""
    assert load_settings(tree, needed, base=base).runtime == "auto"


def test_optimisers_and_schedules_are_those_that_are_built() -> None:
    from mot_reid.training.optim import OPTIMIZERS, SCHEDULES

    rules = {key: spec.rules[0] for key, spec in schema(Config).items() if key in ("optim.name", "optim.schedule")}
    assert rules == {"optim.name": OneOf(OPTIMIZERS), "optim.schedule": OneOf(SCHEDULES)}


def test_formats_of_export_are_those_that_are_written() -> None:
    from mot_reid.cli.export import SUFFIXES

    assert schema(ExportSettings)["format"].rules == (OneOf(tuple(SUFFIXES)),)


def test_rules_for_crops_are_keys() -> None:
    from mot_reid.cli.prepare_mot17 import RULES

    assert {field.name for field in fields(CropRules)} == {"visibility", *RULES}


def test_every_loss_setting_is_an_argument_of_the_objective() -> None:
    from mot_reid.training.objective import Objective

    keys = {key.partition(".")[2] for key in schema(Config) if key.startswith("loss.")}
    assert set(inspect.signature(Objective).parameters) == keys | {"classes", "embedding_dim"}
