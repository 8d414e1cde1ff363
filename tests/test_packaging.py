"""The Conda environment is in step with pyproject.toml, and the wheel works without the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import Any

import pytest
import yaml

import mot_reid
from mot_reid.cli.main import COMMANDS
from mot_reid.settings.load import ROOT, experiment_names
from tests.helpers.runs import SMALL

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # comes with pytest there


def project() -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return found


def environment() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    return found


def test_environment_has_the_name_of_the_distribution() -> None:
    assert environment()["name"] == project()["name"]


def test_environment_asks_for_the_same_python() -> None:
    assert f"python{project()['requires-python']}" in environment()["dependencies"]


def test_environment_has_the_same_packages_and_floors() -> None:
    pip = environment()["dependencies"][-1]["pip"]
    assert pip == [*project()["dependencies"], "-e ."]


def test_every_dependency_has_a_floor() -> None:
    extras = [item for items in project()["optional-dependencies"].values() for item in items]
    assert [item for item in (*project()["dependencies"], *extras) if ">=" not in item] == []


# The wheel, as somebody gets it who has no checkout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment into which the wheel was installed, with the other packages of this one."""
    pytest.importorskip("setuptools")
    folder = tmp_path_factory.mktemp("wheel")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("the sources are no git checkout, from which the wheel is built")
    for name in filter(None, listed.stdout.splitlines()):
        if (ROOT / name).is_file() and name.split("/")[0] not in ("tests", "docs", "docker"):
            (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / "source" / name)
    pip = [sys.executable, "-m", "pip"]
    run(*pip, "wheel", "-q", "--no-deps", "--no-index", "--no-build-isolation", "-w", folder, folder / "source")
    venv.create(folder / "environment", with_pip=False)
    python = folder / "environment" / "bin" / "python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    (site / "packages_of_the_tests.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    wheel = next(folder.glob("*.whl"))
    run(*pip, "--python", python, "install", "-q", "--no-deps", "--no-index", wheel)
    return python.parent


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """What a command prints, without what this process says of paths and packages."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIP_"))}
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_wheel_brings_the_command_and_all_values(installed: Path, tmp_path: Path) -> None:
    where = run(installed / "python", "-c", "import mot_reid; print(mot_reid.__file__)", cwd=tmp_path)
    assert Path(where).is_relative_to(installed.parent)
    assert run(installed / "mot-reid", "--version", cwd=tmp_path) == f"mot-reid {mot_reid.__version__}\n"
    names = "from mot_reid.settings.load import experiment_names as e; print(*e())"
    assert run(installed / "python", "-c", names, cwd=tmp_path).split() == experiment_names()
    for name in COMMANDS:
        assert f"usage: mot-reid {name} " in run(installed / "mot-reid", name, "--help", cwd=tmp_path)


@pytest.mark.slow
def test_wheel_trains_and_tracks_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    run(installed / "mot-reid", "fit", "experiment=quickstart", *SMALL, cwd=tmp_path)
    model = tmp_path / "runs" / "quickstart" / "model.safetensors"
    assert model.is_file()
    run(installed / "mot-reid", "track", "max_frames=12", "results=tracks.txt", f"reid={model}", cwd=tmp_path)
    rows = (tmp_path / "tracks.txt").read_text().splitlines()
    assert {int(row.split(",")[0]) for row in rows} <= set(range(1, 13)) and len(rows) >= 12
    assert {path.name for path in tmp_path.iterdir()} == {"data", "runs", "tracks.txt"}
