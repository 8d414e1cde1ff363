"""`mot-reid sweep-winner`: the best of some finished runs, and the command that trains its settings in full."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from mot_reid.cli import sweep_winner
from mot_reid.settings.load import by_key, load_config, save_config

SWEPT = ("data.validation=0.2", "run.score_test=false", "logger=wandb")


def a_run(folder: Path, *arguments: str, scores: list[float], finished: bool = True) -> None:
    """A folder as a run of a sweep leaves it; the scores are those of its validations."""
    words = ["experiment=quickstart", *SWEPT, f"run.dir={folder}", f"run.name={folder.name}", *arguments]
    given = dict(word.split("=", 1) for word in words)  # later ones win
    config = load_config([f"{key}={value}" for key, value in given.items()])
    save_config(config, folder / "config.yaml")
    rows = "".join(f"{step},{score},\n{step + 1},,0.5\n" for step, score in enumerate(scores))
    (folder / "metrics.csv").write_text(f"step,val/mAP,train/loss\n{rows}")
    if finished:
        (folder / "model.safetensors").write_text("weights")


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    a_run(Path("runs/s-a"), "optim.lr=0.001", scores=[0.3, 0.5])
    a_run(
        Path("runs/s-b"),
        "optim.lr=0.002",
        "loss.triplet_margin=null",
        "augment.erase_area=[0.1,0.2]",
        scores=[0.6, 0.4],
    )
    a_run(Path("runs/s-c"), "optim.lr=0.003", scores=[0.9], finished=False)
    return tmp_path / "runs"


def test_winner_is_the_run_with_the_best_validation_and_its_settings_are_trained_in_full(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep_winner.main(["runs=runs/s-*", "json=sweep.json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == ["2 finished runs, 1 unfinished", "  val/mAP 0.6000  runs/s-b", "  val/mAP 0.5000  runs/s-a"]
    command = shlex.split(lines[-1])
    wanted = ["experiment=quickstart", "augment.erase_area=[0.1,0.2]", "loss.triplet_margin=null", "optim.lr=0.002"]
    assert sorted(command[2:-1]) == sorted(wanted) and command[-1] == "run.name=quickstart-winner"
    given, base = by_key(load_config(command[2:])), by_key(load_config(["experiment=quickstart"]))
    assert {key for key in base if given[key] != base[key]} == {
        "augment.erase_area", "loss.triplet_margin", "optim.lr", "run.name", "run.dir",
        "trainer.default_root_dir",  # follows run.dir
    }  # fmt: skip
    kept = json.loads(Path("sweep.json").read_text())
    assert [run["score"] for run in kept["runs"]] == [0.6, 0.5] and kept["command"] == lines[-1]


@pytest.mark.parametrize(
    ("arguments", "more", "said"),
    [
        (["runs=runs/s-c"], [], "got 1 unfinished runs and none with a model"),
        (["runs=runs/x-*"], [], "runs: got 'runs/x-*', where nothing is"),
        (["runs=[runs/s-a,runs/typo]"], [], "runs: got 'runs/typo', where nothing is"),
        (["runs=runs"], [], "got 0 unfinished runs and none"),
        (["runs=runs/*", "metric=train/loss"], [], "got 'train/loss'; expected a score, of which the highest"),
        (["runs=runs/*", "metric=val/hota"], [], "none with a model and val/hota"),
        (
            ["runs=runs/*"],
            ["run.score_test=true"],
            "'runs/s-d', which was scored on the test split; expected run.score",
        ),
    ],
)
def test_mistake_is_one_line(
    runs: Path, arguments: list[str], more: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if more:
        a_run(Path("runs/s-d"), *more, scores=[0.1])
    assert sweep_winner.main(arguments) == 2
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1


def test_runs_of_two_experiments_are_not_compared(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = load_config(["experiment=resnet50_market", *SWEPT, "run.dir=runs/other", "run.name=other"])
    save_config(config, Path("runs/other/config.yaml"))
    Path("runs/other/metrics.csv").write_text("step,val/mAP\n1,0.5\n")
    Path("runs/other/model.safetensors").write_text("weights")
    assert sweep_winner.main(["runs=runs/*"]) == 2
    assert "got several experiments (quickstart, resnet50_market); expected one" in capsys.readouterr().err


def test_run_whose_score_is_not_finite_does_not_win_nor_count(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a_run(Path("runs/s-0"), scores=[float("nan"), float("inf")])
    assert sweep_winner.main(["runs=runs/s-*"]) == 0
    assert capsys.readouterr().out.splitlines()[:2] == ["2 finished runs, 2 unfinished", "  val/mAP 0.6000  runs/s-b"]


@pytest.mark.parametrize("content", [b"step,val/mAP\n0,0.5x\n", b"\xff\xfe"])
def test_damaged_scores_are_named_by_their_file(runs: Path, content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    (runs / "s-a" / "metrics.csv").write_bytes(content)
    assert sweep_winner.main(["runs=runs/s-*"]) == 2
    assert "'runs/s-a/metrics.csv': val/mAP: got " in capsys.readouterr().err
