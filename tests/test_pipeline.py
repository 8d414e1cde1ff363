"""The DVC pipeline: its commands are those of the tools, its parameters those the tools read, and it runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from mot_reid.settings.load import ROOT
from tests.helpers.commands import check, commands

PIPELINE: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
VARIANTS: dict[str, dict[str, str]] = PIPELINE["vars"][0]["variants"]
STAGES = ("prepare", "fit", "evaluate", "track")


def filled(value: Any, variant: str) -> Any:
    """A part of the pipeline with the values of a variant in their places."""
    text = json.dumps(value)
    for name, given in VARIANTS[variant].items():
        text = text.replace(f"${{item.{name}}}", json.dumps(given)[1:-1])
    return json.loads(text)


def stage(name: str, variant: str) -> dict[str, Any]:
    found: dict[str, Any] = filled(PIPELINE["stages"][name]["do"], variant)
    return found


def paths(items: list[Any]) -> list[str]:
    return [next(iter(item)) if isinstance(item, dict) else item for item in items]


def test_stages_are_those_from_data_to_tracks() -> None:
    assert tuple(PIPELINE["stages"]) == STAGES


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", STAGES)
def test_commands_are_what_their_tools_take(name: str, variant: str) -> None:
    for command in commands(stage(name, variant)["cmd"]):
        check(command)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", STAGES)
def test_stage_depends_on_what_is_there_or_made_before(name: str, variant: str) -> None:
    made = {path for earlier in STAGES[: STAGES.index(name)] for path in paths(stage(earlier, variant).get("outs", []))}
    needed = paths(stage(name, variant)["deps"]) + paths(stage(name, variant).get("params", []))
    missing = [path for path in needed if not (ROOT / path).exists() and path not in made]
    assert [path for path in missing if not path.startswith("data/")] == []


@pytest.mark.parametrize("variant", VARIANTS)
def test_parameters_of_training_are_the_bases_of_its_experiment(variant: str) -> None:
    experiment = f"experiments/{VARIANTS[variant]['experiment']}.yaml"
    bases = OmegaConf.load(ROOT / experiment).bases
    read = {f"configs/{base}.yaml" for base in bases if not base.startswith("logger/")} | {experiment}
    assert set(paths(stage("fit", variant)["params"])) == read


def checkout(folder: Path) -> Path:
    """A copy of this checkout under git, without what git ignores."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    return folder


@pytest.mark.slow
def test_synthetic_variant_runs_once_and_again_from_what_changed(tmp_path: Path) -> None:
    """With an epoch in place of eight; then other tracking settings run the last stage alone."""
    dvc = shutil.which("dvc", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if dvc is None:
        pytest.skip('dvc is not installed; pip install -e ".[dvc]"')
    folder = checkout(tmp_path)
    change(folder / "experiments" / "quickstart.yaml", "max_epochs: 8", "max_epochs: 1")
    change(folder / "configs" / "base.yaml", "test_identities: 50", "test_identities: 5")

    def run(*arguments: str) -> str:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        environment = {**os.environ, "PATH": path, "TQDM_DISABLE": "1", "OMP_WAIT_POLICY": "passive"}
        done = subprocess.run(
            [dvc, *arguments], cwd=folder, capture_output=True, text=True, check=False, env=environment
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    targets = ("track@synthetic", "evaluate@synthetic")
    first = run("repro", *targets)
    assert all(f"Running stage '{name}@synthetic'" in first for name in STAGES)
    scores = json.loads((folder / "runs" / "quickstart" / "scores.json").read_text(encoding="utf-8"))
    assert scores["data"]["queries"] == 20
    tracks = json.loads((folder / "runs" / "quickstart" / "tracks.json").read_text(encoding="utf-8"))
    assert tracks["frames"] == 100
    assert "Running stage" not in run("repro", *targets)
    change(folder / "configs" / "track.yaml", "min_track_length: 3", "min_track_length: 200")
    again = run("repro", *targets)
    assert [name for name in STAGES if f"Running stage '{name}@synthetic'" in again] == ["track"]
    assert not (folder / "runs" / "quickstart" / "tracks.txt").read_text(encoding="utf-8")


def change(path: Path, old: str, new: str) -> None:
    """Exchanges a text that stands in a file once."""
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")
