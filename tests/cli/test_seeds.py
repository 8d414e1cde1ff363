"""`mot-reid fit run.seed=[0,1,2]`: a run for each seed, resumed where it stopped, and the mean of their scores."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path

import pytest

from mot_reid.cli import fit, seeds
from mot_reid.settings.load import load_config, parse_arguments, save_config

SCORES = {0: 0.50, 1: 0.56, 4: 0.44}


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """The calls of runs that train nothing: each writes its configuration and a model whose scores are known."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    calls: list[list[str]] = []

    def run(words: Sequence[str]) -> int:
        calls.append(list(words))
        config = load_config([word for word in words if not word.startswith("ckpt=")])
        save_config(config, Path(config.run.dir) / "config.yaml")
        (Path(config.run.dir) / "model.safetensors").write_text(str(config.run.seed))
        return 0

    def scores(folder: Path) -> dict[str, float]:
        score = SCORES[int((folder / "model.safetensors").read_text())]
        return {"test/mAP": score, "test/rank1": score + 0.1}

    monkeypatch.setattr(seeds, "_fit", run)
    monkeypatch.setattr(seeds, "_scores", scores)
    return calls


ARGUMENTS = ["experiment=quickstart", "run.seed=[0,1,4]", "optim.lr=1e-3"]


def test_each_seed_has_a_run_and_scores_a_mean(trained: list[list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    assert fit.main(ARGUMENTS) == 0
    assert [parse_arguments(words) for words in trained] == [
        {
            "experiment": "quickstart",
            "optim.lr": "1e-3",
            "run.seed": str(seed),
            "run.dir": f"runs/quickstart/seed-{seed}",
            "run.name": f"quickstart-seed-{seed}",
            "ckpt": "auto",
        }
        for seed in SCORES
    ]
    lines = capsys.readouterr().out.splitlines()
    assert next(line.split() for line in lines if line.startswith("mean")) == ["mean", "50.0", "60.0"]
    deviation = 100 * statistics.stdev(SCORES.values())
    assert next(line.split()[-2] for line in lines if line.startswith("standard")) == f"{deviation:.1f}" == "6.0"
    kept = json.loads(Path("runs/quickstart/seeds.json").read_text())
    assert kept["test/mAP"] == {"mean": pytest.approx(0.5), "standard_deviation": pytest.approx(0.06)}
    assert kept["seeds"]["4"]["test/rank1"] == pytest.approx(0.54)


def test_finished_seeds_are_not_trained_again(trained: list[list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    assert fit.main(["experiment=quickstart", "run.seed=[1]", "optim.lr=1e-3"]) == 0
    assert fit.main(ARGUMENTS) == 0
    assert [parse_arguments(words)["run.seed"] for words in trained] == ["1", "0", "4"]
    assert "seed 1: trained before, in runs/quickstart/seed-1\n" in capsys.readouterr().out


def test_run_with_other_settings_is_not_averaged(trained: list[list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    assert fit.main(["experiment=quickstart", "run.seed=[1]", "optim.lr=2e-3"]) == 0
    assert fit.main(ARGUMENTS) == 2
    said = capsys.readouterr().err
    assert "run.dir: got 'runs/quickstart/seed-1', a finished run with other values of optim.lr; expected" in said
    assert len(trained) == 1 and said.count("\n") == 1


def test_run_that_fails_ends_it_with_its_code(trained: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeds, "_fit", lambda words: 130)
    assert fit.main(ARGUMENTS) == 130


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run.seed=[0,0]"], "run.seed: got [0,0]; expected different whole numbers from 0, as [0,1,2]"),
        (["run.seed=[0,1"], "run.seed: got [0,1; expected different whole numbers"),
        (["run.seed=[a]"], "run.seed: got [a]; expected different whole numbers"),
        (["run.seed=[0,1]", "ckpt=a.ckpt"], "ckpt: got 'a.ckpt' with several seeds; expected none"),
        (["run.seed=[0,1]", "optim.lrr=1"], "no key 'optim.lrr'; did you mean 'optim.lr'?"),
    ],
)
def test_mistake_is_one_line_before_anything_is_trained(
    trained: list[list[str]], arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit.main(["experiment=quickstart", *arguments]) == 2
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1 and trained == []


def test_help_shows_the_keys_with_several_seeds_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert fit.main(["experiment=quickstart", "run.seed=[3,4]", "--help"]) == 0
    assert "seed: int = 3" in capsys.readouterr().out
