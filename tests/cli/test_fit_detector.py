"""The command line of tools/fit_detector.py."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

from mot_reid.detection import finetune
from mot_reid.detection.finetune import FineTuneResult

tool: Any = importlib.import_module("mot_reid.cli.fit_detector")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the training is asked for; it ends after two epochs."""
    found: list[dict[str, Any]] = []

    def fake(data: str, folder: Path, **options: Any) -> FineTuneResult:
        found.append({"data": data, "folder": folder, **options})
        for epoch in (1, 2):
            options["on_epoch"](epoch, {"val/map": epoch / 10})
        return FineTuneResult(folder / "weights" / "best.pt", {"val/map": 0.2, "val/map50": 0.5}, 2)

    monkeypatch.setenv("YOLO_AUTOINSTALL", "false")
    monkeypatch.setattr(finetune, "fine_tune", fake)
    return found


def test_run_reports_its_scores_and_logs_its_epochs(
    calls: list[dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tool.main([f"run.dir={tmp_path}/run", "trainer.max_epochs=5", f"json={tmp_path}/a.json"]) == 0
    assert "map          20.0%" in capsys.readouterr().out
    assert json.loads((tmp_path / "a.json").read_text())["map50"] == 0.5
    rows = (tmp_path / "run" / "metrics.csv").read_text().splitlines()
    assert rows == ["step,val/map", "1,0.1", "2,0.2"]
    assert (calls[0]["epochs"], calls[0]["weights"], calls[0]["share"]) == (5, "yolov8s.pt", 1.0)
    assert (tmp_path / "run" / "config.yaml").is_file()


def test_dry_run_is_one_epoch_of_little(calls: list[dict[str, Any]], tmp_path: Path) -> None:
    assert tool.main([f"run.dir={tmp_path}", "trainer.fast_dev_run=true"]) == 0
    assert (calls[0]["epochs"], calls[0]["share"]) == (1, 0.01)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("trainer.epochs=3", "command line: no key 'trainer.epochs'"),
        ("optim.lr=0", "command line: optim.lr: got 0.0; expected a number above 0"),
        ("ckpt=best", "command line: ckpt: got 'best'; expected one of last"),
        ("ckpt=last", "without weights/last.pt; expected the folder of an interrupted run"),
        ("data.root=nowhere", "data: got 'nowhere' without images/train; expected a folder made by"),
    ],
)
def test_mistake_is_one_line_and_exit_code_two(
    argument: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tool.main([f"run.dir={tmp_path / 'run'}", argument]) == 2
    problem = capsys.readouterr().err
    assert message in problem and problem.count("\n") == 1
