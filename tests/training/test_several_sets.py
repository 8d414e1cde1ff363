"""A run on two data sets: its batches, its validation, going on after a stop, and what the model says of itself."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from mot_reid.data import synthetic_dataset
from mot_reid.reid.checkpoint import describe
from mot_reid.training.fit import fit
from tests.helpers.runs import keep_diary, small_config
from tests.training.test_fit import ctrl_c


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("others") / "people"
    return synthetic_dataset.generate(
        root, identities=5, test_identities=2, cameras=2, images_per_camera=3, seed=9, progress=False
    )


def test_stopped_and_resumed_run_of_two_data_sets_equals_the_uninterrupted_one(
    people: Path, others: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    roots = ("data=auto", f"data.root=[{people},{others}]", "data.share=[3,1]")
    arguments = (*roots, "trainer.max_epochs=2", "data.validation=0.2", "run.false_match_rate=0.2")
    diary = keep_diary(monkeypatch)
    with caplog.at_level(logging.INFO):
        whole = fit(small_config(people, tmp_path / "whole", *arguments))
    steps = list(diary.steps)
    diary.steps.clear()
    config = small_config(people, tmp_path / "run", *arguments)
    with monkeypatch.context() as patch:
        ctrl_c(patch, "training_step", epoch=1, batch=2)
        assert fit(config).interrupted
    resumed = fit(config, resume="last")
    assert diary.steps == steps
    assert resumed.scores == whole.scores and set(whole.scores) >= {"val/mAP"} and "test/mAP" not in whole.scores
    assert "2 data sets, at most 3, 1 persons of each in a batch" in caplog.text
    assert "scored one by one: mot-reid evaluate checkpoint=" in caplog.text
    assert whole.model is not None
    provenance = describe(whole.model)["provenance"]
    assert provenance["config"]["data"]["root"] == [str(people), str(others)]
    assert provenance["dataset"] == "synthetic"


def test_resumed_run_refuses_data_sets_in_another_order(people: Path, others: Path, tmp_path: Path) -> None:
    """The persons would be other classes."""

    def arguments(*roots: Path) -> tuple[str, ...]:
        return ("data=auto", f"data.root=[{','.join(map(str, roots))}]", "trainer.max_epochs=1")

    fit(small_config(people, tmp_path / "run", *arguments(people, others)))
    with pytest.raises(ValueError, match="trained on other crops"):
        fit(small_config(people, tmp_path / "run", *arguments(others, people)), resume="last")
