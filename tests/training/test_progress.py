"""The line of an epoch."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest

from mot_reid.training import progress
from mot_reid.training.fit import fit
from tests.helpers.runs import small_config

pytestmark = pytest.mark.filterwarnings("ignore")


def test_every_epoch_is_told_in_a_line_with_its_validation(
    people: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = small_config(
        people, tmp_path / "run", "trainer.max_epochs=3", "trainer.check_val_every_n_epoch=2", "data.validation=0.2"
    )
    with caplog.at_level(logging.INFO, logger=progress.__name__):
        result = fit(config)
    lines = [record.getMessage() for record in caplog.records if record.name == progress.__name__]
    shape = r"epoch   {}/3   loss \d+\.\d{{3}}   \d+ images/s"
    assert len(lines) == 3
    assert re.fullmatch(shape.format(1), lines[0])
    assert re.fullmatch(shape.format(2) + r"   validation   mAP \d+\.\d   Rank-1 \d+\.\d", lines[1])
    assert re.fullmatch(shape.format(3), lines[2])
    assert f"mAP {100 * result.scores['val/mAP']:.1f}" in lines[1]  # the best is the only one


def test_bars_are_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert progress.bars_can_be_seen()
    monkeypatch.setattr("sys.stdout.isatty", lambda: False, raising=False)
    monkeypatch.delitem(progress.sys.modules, "ipykernel", raising=False)
    assert not progress.bars_can_be_seen()


def test_bars_leave_the_lines_on_a_terminal(
    people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("mot_reid.training.builders.bars_can_be_seen", lambda: True)
    fit(small_config(people, tmp_path / "run", "trainer.max_epochs=2", "run.score_test=false"))
    shown = capsys.readouterr().out
    assert re.search(r"epoch 1: +100%.* 5/5 .*loss=\d", shown)
    assert "train/loss" not in shown and "v_num" not in shown
    assert len(re.findall(r"epoch   [12]/2   loss", shown)) == 2
