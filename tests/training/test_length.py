"""The length of a run, in epochs."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from lightning.pytorch.callbacks import Timer

from mot_reid.training.fit import fit
from mot_reid.training.length import run_epochs
from tests.helpers.runs import keep_diary, small_config

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize(
    ("max_epochs", "max_steps", "epochs"),
    [(4, -1, 4), (None, 20, 4), (-1, 20, 4), (-1, 7, 1.4), (3, 20, 3), (9, 20, 4), (0, -1, 0), (-1, -1, math.inf)],
)
def test_run_is_as_long_as_the_first_of_its_ends(max_epochs: int | None, max_steps: int, epochs: float) -> None:
    assert run_epochs(max_epochs=max_epochs, max_steps=max_steps, steps_per_epoch=5) == epochs


@pytest.mark.parametrize("no_limit", ["null", "-1"])
def test_rate_falls_over_the_steps_that_are_taken(
    no_limit: str, people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A straight line over 8 steps: 8/8, 7/8, .. 1/8 of the rate. As one epoch of 5 it would be 0 after the fifth."""
    diary = keep_diary(monkeypatch)
    settings = (f"trainer.max_epochs={no_limit}", "trainer.max_steps=8", "optim.schedule=linear", "optim.per=step")
    fit(small_config(people, tmp_path / "run", *settings, "optim.warmup_epochs=0", "run.score_test=false"))
    rates = [step[4] for step in diary.steps]
    assert rates == pytest.approx([1e-2 * (8 - step) / 8 for step in range(8)])


@pytest.mark.parametrize(
    ("settings", "refused"),
    [
        (
            ["trainer.max_epochs=null"],
            r"trainer\.max_epochs: got null, while trainer\.max_steps and .* set no end",
        ),
        (["trainer.max_epochs=-1"], r"optim\.schedule: got 'cosine', which needs the length of the run"),
        (["trainer.max_epochs=null", "trainer.max_time=00:00:01:00"], r"set it, or optim\.schedule=constant"),
        (
            ["trainer.max_epochs=-1", "optim.schedule=constant", "progressive.share=0.5"],
            r"progressive\.share: got 0\.5, which needs the length",
        ),
        (
            ["trainer.max_epochs=-1", "optim.schedule=constant", "augment.calm_share=0.2"],
            r"augment\.calm_share: got 0\.2, which needs the length .* set it, or augment\.calm_share=0",
        ),
    ],
)
def test_run_without_the_length_that_is_needed_is_refused(settings: list[str], refused: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=refused):
        fit(small_config(tmp_path / "people", tmp_path / "run", *settings))
    assert list(tmp_path.iterdir()) == []


def test_run_that_only_time_ends_is_validated_at_its_end(
    people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A minute is over in the sixth step, the second of the second epoch."""
    diary = keep_diary(monkeypatch)
    monkeypatch.setattr(Timer, "time_elapsed", lambda *arguments: 61.0 if len(diary.steps) == 6 else 0.0)
    settings = ("trainer.max_epochs=-1", "trainer.max_time=00:00:01:00", "optim.schedule=constant")
    more = ("data.validation=0.2", "trainer.check_val_every_n_epoch=10", "run.score_test=false")
    result = fit(small_config(people, tmp_path / "run", *settings, *more))
    assert diary.validations == [1]
    assert result.exported is not None and (result.exported.epoch, result.exported.step) == (2, 6)
    assert result.exported.reason.startswith("the best of the validated epochs by val/mAP")
