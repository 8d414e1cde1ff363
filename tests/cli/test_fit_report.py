"""What `tools/fit.py` says at the end of a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from mot_reid.cli.fit import _report
from mot_reid.training.fit import FitResult


def test_run_without_scores_says_why_and_prints_no_empty_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _report(FitResult(tmp_path, model=tmp_path / "model.safetensors"))
    said = capsys.readouterr().out
    assert "no scores, no threshold" in said and "data.validation" in said
    assert "Rank-1" not in said


def test_run_that_was_only_tried_out_says_nothing_of_scores(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _report(FitResult(tmp_path))
    assert "scores" not in capsys.readouterr().out


def test_run_with_scores_prints_their_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _report(FitResult(tmp_path, scores={"val/mAP": 0.5, "val/rank1": 0.25}))
    said = capsys.readouterr().out
    assert "Rank-1" in said and "50.0" in said and "25.0" in said
    assert "no scores" not in said
