"""`experiments/reproduce.sh`: what it would run loads, for every row of the table, in earnest and rehearsed."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from mot_reid.cli.evaluate import COMMAND
from mot_reid.settings.load import ROOT, Config, experiment_names, load_config

SCRIPT = ROOT / "experiments" / "reproduce.sh"
NAMES = [name for name in experiment_names() if name not in ("quickstart", "actions_synthetic")]

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")


def call(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    named = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": os.environ.get("HOME", "/"), **environment}
    return subprocess.run(["bash", str(SCRIPT), *arguments], capture_output=True, text=True, env=named, check=False)


def planned(*arguments: str, **environment: str) -> list[Config]:
    """The configurations of the trainings it would run; each is followed by the scoring of its model."""
    done = call(*arguments, DRY="1", **environment)
    assert done.returncode == 0, done.stderr
    lines = [shlex.split(line) for line in done.stdout.splitlines() if line.startswith("python ")]
    found = []
    for fit, evaluate in zip(lines[::2], lines[1::2], strict=True):
        assert fit[1] == "tools/fit.py" and evaluate[1] == "tools/evaluate.py"
        assert len({word.partition("=")[0] for word in fit}) == len(fit)  # no key twice
        found.append(load_config(fit[2:], tool_keys=("ckpt",)))
        assert COMMAND.load(evaluate[2:]).checkpoint == (f"{found[-1].run.dir}/model.safetensors",)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_every_experiment_is_one_command(name: str) -> None:
    (config,) = planned(name, TEACHER="0277.xml", MOBILENET="mobilenet.pth", DATA="elsewhere/market", OUT="out")
    plain = load_config([f"experiment={name}", "trainer.enable_progress_bar=false", f"run.dir=out/{name}"])
    assert config.run.experiment == name and config.data.root == ("elsewhere/market",)
    assert config.run.dir == f"out/{name}"
    for section in (
        "loss",
        "optim",
        "augment",
        "engine",
        "trainer",
        "progressive",
    ):  # the row is the experiment as it is
        assert getattr(config, section) == getattr(plain, section)


@pytest.mark.parametrize("name", ["cpu", "gpu", "vit_small_market"])
def test_rehearsal_needs_no_data_no_gpu_and_no_weights_of_others(name: str) -> None:
    for config in planned(name, SMALL="1"):
        assert (config.data.kind, config.trainer.accelerator, config.trainer.max_epochs) == ("synthetic", "cpu", 2)
        assert config.optim.warmup_epochs == config.optim.freeze_epochs == config.optim.flat_epochs == 0
        assert config.model.weights == "none" and not config.engine.compile
        assert config.distill.teacher is None or "0277" not in config.distill.teacher


def test_gpu_is_from_scratch_and_from_imagenet_weights_within_fifteen_minutes() -> None:
    runs = planned("gpu", RESNET50="resnet50.pth")
    assert [(run.model.backbone, run.model.weights) for run in runs] == [
        ("osnet_x1_0", "none"), ("resnet50.tv_in1k", "none"), ("resnet50.tv_in1k", "resnet50.pth"),
    ]  # fmt: skip
    days, hours, minutes, seconds = zip(*(map(int, str(run.trainer.max_time).split(":")) for run in runs))
    assert sum(days) == sum(hours) == 0 and 60 * sum(minutes) + sum(seconds) < 15 * 60 - 120
    assert all(max(run.optim.milestones) < (run.trainer.max_epochs or 0) for run in runs)


def test_cpu_leaves_out_what_needs_a_teacher_of_others() -> None:
    names = [run.run.experiment for run in planned("cpu")]
    assert "person_small" not in names and "osnet_x0_25_market_cpu" in names
    first, again = ("mobilenetv2_short_taught_market_cpu", "mobilenetv2_market_cpu_again")
    (short,) = (run for run in planned("cpu") if run.run.experiment == first)
    assert short.model.weights == short.distill.teacher == f"runs/reproduce/{again}/model.safetensors"
    assert names.index(again) < names.index(first)
    assert "person_small: left out, TEACHER is not set" in call("cpu", DRY="1").stdout


def test_trainings_with_teachers_keep_their_views_apart() -> None:
    """A folder holds the views of one teacher; a run that finds those of another there is refused."""
    taught = [run for run in planned("cpu", TEACHER="0277.xml") if run.distill.teacher is not None]
    assert len(taught) == 4 and len({run.distill.teacher for run in taught}) == 3
    assert len({run.distill.cache for run in taught}) == 4


def test_arguments_of_ones_own_win() -> None:
    (config,) = planned("osnet_x0_25_market_cpu", "optim.lr=0.5", "data.root=mine")
    assert config.optim.lr == 0.5 and config.data.root == ("mine",)


@pytest.mark.parametrize(
    ("arguments", "message"), [(["nope"], "got 'nope'; expected cpu, gpu or"), (["person_small"], "got no TEACHER")]
)
def test_mistakes_are_one_line(arguments: list[str], message: str) -> None:
    done = call(*arguments, DRY="1")
    assert done.returncode == 2 and message in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="needs shellcheck")
def test_shellcheck_finds_nothing() -> None:
    done = subprocess.run(["shellcheck", str(SCRIPT)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_rehearsal_trains_scores_and_goes_on(tmp_path: Path) -> None:
    for _ in range(2):  # the second time all is done
        done = call("osnet_x0_25_market_cpu", SMALL="1", OUT=str(tmp_path))
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "osnet_x0_25_market_cpu" / "scores.json").is_file()
