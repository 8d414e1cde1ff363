"""The line of an epoch."""

from __future__ import annotations

import logging
import math
import re
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from mot_reid.training import progress
from mot_reid.training.bars import bars_can_be_seen
from mot_reid.training.fit import fit
from tests.helpers.runs import small_config

pytestmark = pytest.mark.filterwarnings("ignore")

START, DRAW = progress.Heartbeat.setup, progress.Curves.on_validation_end
"""Which the other tests of this folder do without."""


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
    left, scores = r"   .+ left", r"   validation   mAP (\d+\.\d)   Rank-1 \d+\.\d"
    assert len(lines) == 3
    assert re.fullmatch(shape.format(1) + left, lines[0])
    second = re.fullmatch(shape.format(2) + left + scores, lines[1])
    third = re.fullmatch(shape.format(3) + scores, lines[2])
    assert second and third
    assert f"{100 * result.scores['val/mAP']:.1f}" == max(second[1], third[1], key=float)


def test_bars_are_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert bars_can_be_seen()
    monkeypatch.setattr("sys.stdout.isatty", lambda: False, raising=False)
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    assert not bars_can_be_seen()


def test_bars_leave_the_lines_on_a_terminal(
    people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("mot_reid.training.builders.bars_can_be_seen", lambda: True)
    fit(small_config(people, tmp_path / "run", "trainer.max_epochs=2", "run.score_test=false"))
    shown = capsys.readouterr().out
    assert re.search(r"epoch 1: +100%.* 5/5 .*loss=\d", shown)
    assert "train/loss" not in shown and "v_num" not in shown
    assert len(re.findall(r"epoch   [12]/2   loss", shown)) == 2


# Between two epochs


def trainer_at(epoch: int, *, max_epochs: int = 4) -> Any:
    return SimpleNamespace(
        is_global_zero=True,
        fast_dev_run=False,
        progress_bar_callback=None,
        world_size=1,
        current_epoch=epoch,
        max_epochs=max_epochs,
        max_steps=-1,
        num_training_batches=5,
        accumulate_grad_batches=1,
        callbacks=[],
    )


def test_lines_come_while_a_batch_or_a_validation_takes_long(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing happens on the side of training while the lines are waited for."""
    told = threading.Semaphore(0)
    monkeypatch.setattr(progress.log, "info", lambda line: (lines.append(line), told.release()))
    lines: list[str] = []
    heartbeat, trainer = progress.Heartbeat(seconds=0.001), trainer_at(1)
    batch, outputs = SimpleNamespace(label=[0] * 8), {"loss": torch.tensor(2.5)}
    START(heartbeat, trainer, None, "fit")  # type: ignore[arg-type]
    try:
        heartbeat.on_train_batch_end(trainer, None, outputs, batch, 2)  # type: ignore[arg-type]
        assert all(told.acquire(timeout=60) for _ in range(3))
        heartbeat.on_validation_batch_start(trainer, None, batch, 1)  # type: ignore[arg-type]
        assert all(told.acquire(timeout=60) for _ in range(3))
    finally:
        heartbeat.teardown(trainer, None, "fit")  # type: ignore[arg-type]
    assert any(re.match(r"epoch   2/4   batch 3/5   loss 2\.500   \d+ images/s   .+ left$", line) for line in lines)
    assert any(line.startswith("epoch   2/4   validation, batch 2") for line in lines)


def test_time_left_is_that_of_the_batches_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four epochs of five batches, 10 seconds a batch; resumed in the second epoch, after its second batch."""
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr(progress.time, "perf_counter", lambda: float(next(clock)))
    countdown, trainer = progress.Countdown(), trainer_at(1)
    assert countdown.text() == ""
    countdown.count(trainer, 2)
    assert countdown.text() == "   2 min left"  # 12 batches
    for epoch, batch in [(1, 3), (1, 4), *((epoch, batch) for epoch in (2, 3) for batch in range(5))]:
        trainer.current_epoch = epoch
        countdown.count(trainer, batch)
        if (epoch, batch) == (3, 3):
            assert countdown.text() == "   10 s left"
    assert countdown.text() == ""


def test_run_without_a_known_end_tells_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    countdown = progress.Countdown()
    countdown.count(trainer_at(0, max_epochs=-1), 0)
    assert countdown._left == math.inf and countdown.text() == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3.4, "3 s"), (99, "99 s"), (100, "2 min"), (3570, "1 h 0 min"), (11100, "3 h 5 min")],
)
def test_time_is_told_as_people_say_it(seconds: float, text: str) -> None:
    assert progress.duration(seconds) == text


# What is in the folder


def test_log_begins_with_who_is_in_the_run_and_what_is_trained(
    people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the curves are drawn after the first of two validations. A resumed run adds its lines."""
    drawn: list[bool] = []
    monkeypatch.setattr(progress.Curves, "on_validation_end", DRAW)
    monkeypatch.setattr(
        progress.EpochReport,
        "on_train_epoch_end",
        lambda *arguments: drawn.append((tmp_path / "run" / "curves.png").exists()),
    )
    config = small_config(people, tmp_path / "run", "data.validation=0.2", "trainer.max_epochs=2")
    fit(config)
    assert drawn == [True, True]
    log = (tmp_path / "run" / "fit.log").read_text()
    for line in (
        "training    8 persons, 32 images, 2 cameras; 4 batches of 4 persons x 2 images in an epoch",
        "validation  2 persons, 8 images, 2 cameras",
        "test        3 persons, ",
        "network     test_efficientnet, 0.10 million parameters, images of 32x16",
        "device      CPU, 1 threads, precision 32-true",
        f"folder      {tmp_path / 'run'}",
    ):
        assert line in log
    fit(config, resume="last")
    assert (tmp_path / "run" / "fit.log").read_text().startswith(log)


@pytest.mark.parametrize(
    ("precision", "supported", "told"),
    [("bf16-mixed", False, True), ("bf16-mixed", True, False), ("32-true", False, False)],
)
def test_bfloat16_on_a_cpu_without_it_is_told_before_the_first_step(
    precision: str, supported: bool, told: bool, people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: supported)
    arguments = ("trainer.max_epochs=1", "run.score_test=false", f"trainer.precision={precision}")
    fit(small_config(people, tmp_path / "run", *arguments))
    log = (tmp_path / "run" / "fit.log").read_text()
    assert ("trainer.precision: bf16-mixed takes many times longer than 32-true on this CPU" in log) == told


def test_log_holds_the_lines_that_a_terminal_shows_above_its_bars(
    people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mot_reid.training.builders.bars_can_be_seen", lambda: True)
    fit(small_config(people, tmp_path / "run", "trainer.max_epochs=2", "run.score_test=false"))
    said = (tmp_path / "run" / "fit.log").read_text()
    assert len(re.findall(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  epoch   [12]/2   loss", said, re.M)) == 2
    assert "it/s" not in said
    assert not logging.getLogger("mot_reid").handlers
