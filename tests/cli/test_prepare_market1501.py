"""The command line of tools/prepare_market1501.py, run as a user does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

TOOL = Path(__file__).resolve().parents[2] / "tools" / "prepare_market1501.py"


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(TOOL), *arguments], capture_output=True, text=True, check=False)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for folder, name in (
        ("bounding_box_train", "0002_c1s1_000451_03.jpg"),
        ("bounding_box_train", "0007_c2s1_000451_03.jpg"),
        ("query", "0001_c1s1_001051_00.jpg"),
        ("bounding_box_test", "0001_c2s1_000301_00.jpg"),
    ):
        (tmp_path / "in" / folder).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (64, 128)).save(tmp_path / "in" / folder / name)
    return tmp_path / "in"


def test_tool_prepares_then_verifies(source: Path, tmp_path: Path) -> None:
    arguments = (f"source={source}", f"--output={tmp_path / 'out'}", "data.official_counts=false")
    first, second = _run(*arguments), _run(*arguments)
    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    assert "written to" in first.stdout and "train          2 images     2 identities" in first.stdout
    assert "verified, nothing to do" in second.stdout


def test_tool_exits_one_and_names_the_bad_file(source: Path, tmp_path: Path) -> None:
    (source / "query" / "0001_c1s1_001051_00.jpg").write_bytes(b"x")
    done = _run(f"source={source}", f"output={tmp_path / 'out'}", "data.official_counts=false")
    assert done.returncode == 1
    assert "got 1 bad file(s)" in done.stderr and "query/0001_c1s1_001051_00.jpg" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["source=.", "outptu=x"], "no key 'outptu'; did you mean 'output'?"),
        (["output=x"], "source is missing; add source=VALUE (Market-1501-v15.09.15.zip"),
        (["source=/nowhere", "output=x"], "source: got '/nowhere'; expected an existing archive or folder"),
        (
            ["source=.", "output=x", "data.validation=1.5"],
            "data.validation: got 1.5; expected a number of at least 0 and below 1",
        ),
        (["source=.", "output=x", "data.seed=one"], "data.seed: got 'one'; expected int"),
        (["source=.", "output=x", "data.official_counts=maybe"], "got 'maybe'; expected true or false"),
        (["source"], "got 'source'; expected key=value"),
    ],
)
def test_tool_exits_two_for_wrong_arguments(arguments: list[str], message: str) -> None:
    done = _run(*arguments)
    assert done.returncode == 2
    assert message in done.stderr and done.stderr.count("\n") == 1
