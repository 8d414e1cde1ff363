"""The command line of tools/benchmark.py."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mot_reid.benchmark.results import Figure
from mot_reid.cli import benchmark as tool

no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
ROOT = Path(__file__).resolve().parents[2]
FOUND = [Figure("track/a", 10.0, "us", 5.0, "the floor"), Figure("track/peak_memory", 7.0, "MB")]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mot_reid.benchmark.suite.measure", lambda settings: FOUND)


def test_file_holds_machine_versions_and_figures(measured: None, tmp_path: Path) -> None:
    file = tmp_path / "new" / "speed.json"
    assert tool.main(["what=track", f"json={file}"]) == 0
    told = json.loads(file.read_text())
    assert told["figures"]["track/a"] == {
        "value": 10.0, "unit": "us", "bound": 5.0, "bound_name": "the floor", "share": 0.5,
    }  # fmt: skip
    assert told["machine"]["cores"] >= 1 and "torch" in told["machine"]["versions"]


def test_comparison_with_an_earlier_file(measured: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = tmp_path / "old.json"
    old.write_text(json.dumps({"figures": {"track/a": Figure("track/a", 30.0, "us").to_dict()}}))
    assert tool.main(["what=track", f"compare={old}"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].split()[0::5] == ["track/a", "3.00x"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["what=everything"], "what: got 'everything'"),
        (["compare=nowhere.json"], "compare: got 'nowhere.json'"),
        (["steps=3"], "steps: got 3"),
        (["height=0"], "height: got 0"),
        (["speed=1"], "speed"),
        (["what=video", "source=clip.mp4"], "source: got 'clip.mp4' without a detector"),
        pytest.param(["device=cuda"], "device: got 'cuda'", marks=no_gpu),
    ],
)
def test_mistake_is_told_in_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert tool.main(arguments) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


@pytest.mark.parametrize(
    "text",
    [
        '{"figures": {"track/a": {"value": 1.0, "un',
        '[{"figures": 1}]',
        '{"figures": [1]}',
        '{"figures": {}}',
        '{"figures": {"track/a": 5}}',
        '{"figures": {"track/a": {"unit": "us"}}}',
        '{"figures": {"track/a": {"value": null, "unit": "us"}}}',
        '{"figures": {"track/a": {"value": NaN, "unit": "us"}}}',
        '{"figures": {"train/a": {"value": 1.0, "unit": "us"}}}',
    ],
)
def test_file_that_cannot_be_compared_with_is_told_before_anything_is_measured(
    text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("mot_reid.benchmark.suite.measure", lambda settings: pytest.fail("measured"))
    (tmp_path / "old.json").write_text(text)
    assert tool.main(["what=track", f"compare={tmp_path / 'old.json'}"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"compare: got '{tmp_path / 'old.json'}'") and error.count("\n") == 1


def test_file_that_cannot_be_written_is_told_before_anything_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").write_text("")
    assert tool.main(["what=track", f"json={tmp_path / 'taken' / 'speed.json'}"]) == 2
    assert "json" in capsys.readouterr().err


@pytest.mark.slow
def test_association_is_measured_in_a_process_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "speed.json"
    command = [sys.executable, str(ROOT / "tools" / "benchmark.py"), "what=track", f"json={file}"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=True)
    figures = json.loads(file.read_text())["figures"]
    assert set(figures) == {f"track/bytetrack_{people}" for people in (10, 50, 100, 500)} | {"track/peak_memory"}
    assert all(f"\n{name} " in done.stdout for name in figures)
    assert figures["track/bytetrack_500"]["value"] > figures["track/bytetrack_10"]["value"] > 0
