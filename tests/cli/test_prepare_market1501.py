"""The command line of tools/prepare_market1501.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from mot_reid.cli.prepare_market1501 import main
from tests.helpers.calls import Call, caller


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs the command in this process: exit code, standard output, standard error."""
    return caller(main, capsys)


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


def test_tool_prepares_then_verifies(run: Call, source: Path, tmp_path: Path) -> None:
    arguments = (f"source={source}", f"--output={tmp_path / 'out'}", "data.official_counts=false")
    (code, first, complaint), (again, second, _) = run(*arguments), run(*arguments)
    assert code == again == 0, complaint
    assert "written to" in first and "train          2 images     2 identities" in first
    assert "verified, nothing to do" in second


def test_tool_exits_one_and_names_the_bad_file(run: Call, source: Path, tmp_path: Path) -> None:
    (source / "query" / "0001_c1s1_001051_00.jpg").write_bytes(b"x")
    code, _, said = run(f"source={source}", f"output={tmp_path / 'out'}", "data.official_counts=false")
    assert code == 1
    assert "got 1 bad file(s)" in said and "query/0001_c1s1_001051_00.jpg" in said
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
def test_tool_exits_two_for_wrong_arguments(run: Call, arguments: list[str], message: str) -> None:
    code, _, said = run(*arguments)
    assert code == 2
    assert message in said and said.count("\n") == 1
