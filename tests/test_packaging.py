"""The Conda environment is in step with pyproject.toml, and the wheel works without the checkout."""

from __future__ import annotations

import os
import re
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
from mot_reid.extras import EXTRAS
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


def test_environment_brings_every_extra_but_those_of_developers() -> None:
    """Ray is left out for its size, and since it lags behind new releases of Python."""
    assert environment()["dependencies"][-1]["pip"] == ["-e .[all]"]
    extras = project()["optional-dependencies"]
    brought = set(brings("all"))
    assert {name for name in extras if set(brings(name)) - brought} == {"test", "docs", "dvc", "ray"}


def brings(extra: str) -> list[str]:
    """The packages of an extra, and of the extras that it names."""
    found = []
    for item in project()["optional-dependencies"][extra]:
        inner = re.fullmatch(r"mot-reid\[([\w,]+)\]", item)
        found += [one for name in inner[1].split(",") for one in brings(name)] if inner else [item]
    return found


def test_extra_that_messages_name_brings_the_package() -> None:
    """The name of a distribution is that of its package, but for these."""
    names = {"faiss": "faiss-cpu", "mlflow": "mlflow-skinny", "markupsafe": "jinja2"}
    for package, extra in EXTRAS.items():
        wanted = names.get(package, package.replace("_", "-"))
        assert wanted in {re.split(r"[\[><=]", one)[0].replace("_", "-") for one in brings(extra)}, (package, extra)


def test_plain_install_is_small() -> None:
    names = [re.split("[><=]", one)[0] for one in project()["dependencies"]]
    assert names == ["numpy", "scipy", "pillow", "opencv-python", "safetensors", "omegaconf", "tqdm"]


def test_every_dependency_has_a_floor() -> None:
    extras = [item for items in project()["optional-dependencies"].values() for item in items]
    others = [item for item in (*project()["dependencies"], *extras) if not item.startswith("mot-reid[")]
    assert [item for item in others if ">=" not in item] == []


# The wheel, as somebody gets it who has no checkout

PIP = [sys.executable, "-m", "pip"]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the files that are built from."""
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
    return folder / "source"


@pytest.fixture(scope="module")
def wheel(sources: Path) -> Path:
    """The wheel."""
    folder = sources.parent
    run(*PIP, "wheel", "-q", "--no-deps", "--no-index", "--no-build-isolation", "-w", folder, sources)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """The programs of an environment into which the wheel was installed, with the other packages of this one."""
    folder = wheel.parent
    venv.create(folder / "environment", with_pip=False)
    python = folder / "environment" / "bin" / "python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    (site / "packages_of_the_tests.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    run(*PIP, "--python", python, "install", "-q", "--no-deps", "--no-index", wheel)
    return python.parent


@pytest.fixture(scope="module")
def plain(wheel: Path) -> Path:
    """The programs of an environment with the wheel, what it asks for, and no extra."""
    folder = wheel.parent / "plain"
    venv.create(folder, with_pip=False)
    done = subprocess.run(
        [*PIP, "--python", folder / "bin" / "python", "install", "-q", wheel],
        capture_output=True,
        text=True,
        check=False,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},  # a checkout there is no wheel
    )
    if done.returncode:
        pytest.skip(f"the packages cannot be installed here: {done.stderr.strip().splitlines()[-1]}")
    return folder / "bin"


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


PLAIN = """
import sys, time
start = time.perf_counter()
from mot_reid import Tracker
seconds = time.perf_counter() - start
import numpy as np
from mot_reid import TrackTable, evaluate_mot
from mot_reid.viewing.draw import Annotator

tracker, tables = Tracker("bytetrack"), []
for number in range(1, 21):
    tracks = tracker.update([[5 * number, 20, 5 * number + 40, 120, 0.9], [200, 30, 240, 130, 0.8]])
    tables.append((number, tracks))
frame = np.concatenate([np.full(len(tracks), number) for number, tracks in tables])
table = TrackTable(frame, np.concatenate([t.track_id for _, t in tables]), np.concatenate([t.xyxy for _, t in tables]))
table.save("tracks.txt")
scores = evaluate_mot(table, table, benchmark="MOT15")
image = Annotator()(np.zeros((150, 300, 3), np.uint8), tables[-1][1])
heavy = [name for name in ("torch", "ultralytics", "pandas", "matplotlib", "lightning") if name in sys.modules]
print(f"{seconds:.2f}", len(set(table.track_id.tolist())), scores.to_dict()["combined"]["hota"], image.any(), heavy)
"""


@pytest.mark.slow
def test_wheel_without_extras_tracks_scores_and_draws(
    plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seconds, people, hota, drawn, heavy = run(plain / "python", "-c", PLAIN, cwd=tmp_path).split(maxsplit=4)
    assert (people, float(hota), drawn, heavy.strip()) == ("2", 1.0, "True", "[]")
    said = run(plain / "mot-reid", "track", "max_frames=5", "reid=null", "results=a.txt", cwd=tmp_path)
    assert (tmp_path / "a.txt").is_file(), said
    size = sum(path.stat().st_size for path in plain.parent.rglob("*") if path.is_file() and not path.is_symlink())
    packages = run(*PIP, "--python", plain / "python", "list", "--format", "freeze").split()
    with capsys.disabled():
        print(f"\nplain install: {size / 1e6:.0f} MB in {len(packages)} packages; import of Tracker: {seconds} s")
    assert not [name for name in packages if re.match("torch|ultralytics|pandas|matplotlib|lightning|wandb", name)]


@pytest.mark.slow
def test_what_is_uploaded_passes_the_checks_of_the_release(wheel: Path, sources: Path) -> None:
    """The commands of .github/workflows/release.yml on the wheel and the source archive."""
    for program in ("twine", "check-wheel-contents"):
        if shutil.which(program, path=Path(sys.executable).parent) is None:
            pytest.skip(f"{program} is not installed")
    build = "from setuptools.build_meta import build_sdist; print(build_sdist('..'))"
    archive = sources.parent / run(sys.executable, "-c", build, cwd=sources).split()[-1]
    run(Path(sys.executable).with_name("twine"), "check", "--strict", wheel, archive)
    run(Path(sys.executable).with_name("check-wheel-contents"), wheel)
