"""Training from Python: values win as on the command line, and mistakes come before torch is loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import mot_reid
from mot_reid.settings.load import ROOT, Config, ConfigError, load_config


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Config, str | None]]:
    """What would have been trained."""
    found: list[tuple[Config, str | None]] = []
    monkeypatch.setattr("mot_reid.training.fit.fit", lambda config, *, resume: found.append((config, resume)))
    return found


def test_overrides_are_the_keys_of_the_command_line(trained: list[tuple[Config, str | None]]) -> None:
    values = {"optim.lr": 0.003, "optim.milestones": [4, 7], "data": "folders", "data.root": Path("my/people")}
    mot_reid.fit("quickstart", values, resume="last")
    words = ["optim.lr=0.003", "optim.milestones=[4,7]", "data=folders", "data.root=my/people"]
    assert trained == [(load_config(["experiment=quickstart", *words]), "last")]


def test_list_of_paths_is_a_list_of_folders(trained: list[tuple[Config, str | None]]) -> None:
    mot_reid.fit("quickstart", {"data": "auto", "data.root": [Path("one"), "two"]})
    assert trained[0][0].data.root == ("one", "two")


def test_single_key_wins_over_a_base_in_either_order(trained: list[tuple[Config, str | None]]) -> None:
    mot_reid.fit("quickstart", {"optim.weight_decay": 0.5, "optim": "sgd"})
    mot_reid.fit("quickstart", {"optim": "sgd", "optim.weight_decay": 0.5})
    assert [(config.optim.name, config.optim.weight_decay) for config, _ in trained] == [("sgd", 0.5)] * 2


def test_experiment_of_your_own_is_a_path(trained: list[tuple[Config, str | None]]) -> None:
    mot_reid.fit(ROOT / "experiments" / "quickstart.yaml")
    assert trained[0][0].trainer.max_epochs == 8


@pytest.mark.parametrize(
    ("experiment", "overrides", "line"),
    [
        ("quikstart", {}, "command line: no experiment 'quikstart'; did you mean 'quickstart'?"),
        ("quickstart", {"optim.lrr": 1}, "overrides: no key 'optim.lrr'; did you mean 'optim.lr'?"),
        ("quickstart", {"optim.lr": "fast"}, "overrides: optim.lr: got 'fast'; expected float"),
        ("quickstart", {"optim.lr": -1}, "overrides: optim.lr: got -1.0; expected a number above 0"),
        ("quickstart", {"optim": "adm"}, "overrides: no base 'optim/adm'; did you mean 'optim/adam'?"),
        ("quickstart", {"loss": {"triplet": 0}}, "overrides: 'loss' is a section; set one of its keys, such as "),
    ],
)
def test_mistake_is_one_line_that_names_its_place(
    experiment: str, overrides: dict[str, Any], line: str, trained: list[tuple[Config, str | None]]
) -> None:
    with pytest.raises(ConfigError) as caught:
        mot_reid.fit(experiment, overrides)
    assert str(caught.value).startswith(line) and "\n" not in str(caught.value)
    assert trained == []


def test_mistake_comes_before_torch_is_loaded() -> None:
    code = (
        "import sys, mot_reid\n"
        "try:\n    mot_reid.fit('quickstart', {'optim.lrr': 1})\n"
        "except ValueError as error:\n    print([n for n in ('torch', 'lightning', 'numpy') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"
