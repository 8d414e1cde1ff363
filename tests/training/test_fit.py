"""Whole runs, of seconds: what they write, how they stop and go on."""

from __future__ import annotations

import csv
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning import seed_everything

from mot_reid.data.identities import IdentityTable
from mot_reid.data.images import decode
from mot_reid.metrics.retrieval import RetrievalResult, evaluate_retrieval
from mot_reid.reid import checkpoint
from mot_reid.reid.network import ReIDNetwork
from mot_reid.reid.preprocess import Preprocess
from mot_reid.settings.load import load_config
from mot_reid.training import fit as fit_module
from mot_reid.training.augment import BatchAugment
from mot_reid.training.builders import build_data, build_module, build_preprocess, read_sources
from mot_reid.training.fit import FitResult, fit
from mot_reid.training.module import ReIDModule
from tests.helpers.runs import Diary, keep_diary, small_config

pytestmark = pytest.mark.filterwarnings("ignore")

FULL = (
    "data.validation=0.2",
    "optim.ema=0.9",
    "optim.schedule=cosine",
    "optim.per=step",
    "optim.warmup_epochs=1",
    "loss.centre=5e-4",
    "augment.erase=0.5",
    "augment.mixstyle=0.5",
    "augment.calm_share=0.5",
)
"""What has a state or a phase: averaged weights, Adam's moments, a schedule per step, centres, augmentation."""


def load(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = torch.load(path, weights_only=True)
    return loaded


def equal(a: Any, b: Any) -> bool:
    """Whether nested values are the same, tensors bit for bit."""
    if isinstance(a, torch.Tensor):
        return bool(isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b))
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(equal, a, b))
    return bool(a == b)


STATE = ("state_dict", "ema_state_dict", "ema_updates", "optimizer_states", "lr_schedulers", "epoch", "global_step")


@pytest.fixture(scope="module")
def whole(people: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[FitResult, Diary]:
    """A run of four epochs that nothing stopped, and what happened in it."""
    with pytest.MonkeyPatch.context() as patch:
        diary = keep_diary(patch)
        return fit(small_config(people, tmp_path_factory.mktemp("whole") / "run", *FULL)), diary


@pytest.fixture(scope="module")
def short(people: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of one epoch."""
    config = small_config(
        people, tmp_path_factory.mktemp("short") / "run", "trainer.max_epochs=1", "run.score_test=false"
    )
    return fit(config).folder


@pytest.fixture
def begun(short: Path, tmp_path: Path) -> Path:
    """A copy of that folder, to go on from or to begin again in."""
    return shutil.copytree(short, tmp_path / "run")


def ctrl_c(monkeypatch: pytest.MonkeyPatch, method: str, *, epoch: int, batch: int = 0) -> None:
    """Sends SIGINT to this process in the middle of a method of the module, once."""
    original: Callable[..., Any] = getattr(ReIDModule, method)
    sent: list[bool] = []

    def interrupted(self: ReIDModule, *arguments: Any) -> Any:
        at_batch = len(arguments) < 2 or arguments[1] == batch
        if self.current_epoch == epoch and at_batch and self.trainer.state.fn == "fit" and not sent:
            sent.append(True)
            signal.raise_signal(signal.SIGINT)
        return original(self, *arguments)

    monkeypatch.setattr(ReIDModule, method, interrupted)


STOPS = {
    "in the middle of an epoch": ("training_step", 1, 1),
    "in the first batch": ("training_step", 0, 0),
    "in the last batch of an epoch": ("training_step", 1, 3),
    "in a validation": ("validation_step", 1, 0),
}


@pytest.mark.parametrize("where", STOPS)
def test_stopped_and_resumed_run_equals_the_uninterrupted_one(
    where: str, whole: tuple[FitResult, Diary], people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    method, epoch, batch = STOPS[where]
    diary = keep_diary(monkeypatch)
    config = small_config(people, tmp_path / "run", *FULL)
    with monkeypatch.context() as patch:
        ctrl_c(patch, method, epoch=epoch, batch=batch)
        stopped = fit(config)
    assert stopped.interrupted and stopped.model is None
    before = len(diary.steps)
    assert 0 < before < len(whole[1].steps)
    resumed = fit(config, resume="last")
    assert diary == whole[1]
    one, other = (load(result.folder / "checkpoints" / "last.ckpt") for result in (whole[0], resumed))
    assert [key for key in STATE if not equal(one[key], other[key])] == []
    assert resumed.scores == whole[0].scores


def test_stopped_run_loses_no_accumulated_gradient(
    people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked to stop in the first of two batches that share a step, it stops after the second."""
    settings = (*FULL, "trainer.accumulate_grad_batches=2", "trainer.max_epochs=2", "run.score_test=false")
    whole = fit(small_config(people, tmp_path / "whole", *settings))
    config = small_config(people, tmp_path / "run", *settings)
    with monkeypatch.context() as patch:
        ctrl_c(patch, "training_step", epoch=1, batch=0)
        assert fit(config).interrupted
    assert load(tmp_path / "run" / "checkpoints" / "last.ckpt")["global_step"] == 3
    resumed = fit(config, resume="last")
    one, other = (load(result.folder / "checkpoints" / "last.ckpt") for result in (whole, resumed))
    assert [key for key in STATE if not equal(one[key], other[key])] == []


def test_resumed_run_keeps_its_curves(
    whole: tuple[FitResult, Diary], people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small_config(people, tmp_path / "run", *FULL, "trainer.log_every_n_steps=1")
    with monkeypatch.context() as patch:
        ctrl_c(patch, "training_step", epoch=1, batch=1)
        fit(config)
    fit(config, resume="last")
    rows = curves(tmp_path / "run")
    assert [int(step) for step, row in rows if "train/loss" in row] == list(range(16))
    assert [int(step) for step, row in rows if "val/mAP" in row] == [3, 7, 11, 15, 16]  # the last one is of the best


def curves(folder: Path) -> list[tuple[float, dict[str, float]]]:
    with (folder / "metrics.csv").open(newline="") as file:
        rows = [{name: float(text) for name, text in row.items() if text} for row in csv.DictReader(file)]
    return [(row["step"], row) for row in rows]


def test_run_that_had_finished_exports_the_same_model_when_resumed(people: Path, tmp_path: Path) -> None:
    """Nothing is left to train, and the averaged weights are scored all the same."""
    config = small_config(people, tmp_path / "run", "optim.ema=0.9", "trainer.max_epochs=2")
    first = fit(config)
    assert first.model is not None
    exported = checkpoint.load(first.model).network.state_dict()
    again = fit(config, resume="last")
    assert again.model is not None
    assert equal(dict(exported), dict(checkpoint.load(again.model).network.state_dict()))
    assert again.scores == first.scores


def test_second_ctrl_c_stops_at_once_and_leaves_the_last_checkpoint(
    people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        ctrl_c(patch, "training_step", epoch=1, batch=2)
        ctrl_c(patch, "training_step", epoch=1, batch=2)
        result = fit(small_config(people, tmp_path / "run"))
    assert result.interrupted
    assert load(tmp_path / "run" / "checkpoints" / "last.ckpt")["global_step"] == 5
    assert signal.getsignal(signal.SIGINT) is handler


def test_sigterm_stops_between_two_batches(people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handler = signal.getsignal(signal.SIGTERM)
    original = ReIDModule.training_step

    def terminated(self: ReIDModule, batch: Any, batch_idx: int) -> torch.Tensor:
        if self.global_step == 2:
            signal.raise_signal(signal.SIGTERM)
        return original(self, batch, batch_idx)

    monkeypatch.setattr(ReIDModule, "training_step", terminated)
    assert fit(small_config(people, tmp_path / "run")).interrupted
    assert load(tmp_path / "run" / "checkpoints" / "last.ckpt")["global_step"] == 3
    assert signal.getsignal(signal.SIGTERM) is handler


def test_loss_that_is_not_finite_stops_the_run_with_step_term_and_images(
    people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = ReIDModule.training_step
    seen: list[Any] = []

    def broken(self: ReIDModule, batch: Any, batch_idx: int) -> torch.Tensor:
        seen.append(batch.row)
        if self.global_step == 7:
            batch = batch._replace(image=batch.image * torch.nan)
        return original(self, batch, batch_idx)

    monkeypatch.setattr(ReIDModule, "training_step", broken)
    config = small_config(people, tmp_path / "run")
    with pytest.raises(FloatingPointError, match=r"got cross_entropy=nan, triplet=nan in step 7, epoch 1;") as error:
        fit(config)
    train = read_sources(config)[0].splits.train
    assert all(str(path) in str(error.value) for path in train.path[seen[-1].numpy()])
    assert sum(str(path) in str(error.value) for path in train.path) == 8
    assert load(tmp_path / "run" / "checkpoints" / "last.ckpt")["global_step"] == 5
    assert not (tmp_path / "run" / "model.safetensors").exists()


# What is exported


def exported_module(monkeypatch: pytest.MonkeyPatch) -> list[ReIDModule]:
    """The module of every run, as it was when its model was written."""
    found: list[ReIDModule] = []
    original = fit_module._export

    def export(config: Any, module: ReIDModule, *arguments: Any, **named: Any) -> None:
        found.append(module)
        original(config, module, *arguments, **named)

    monkeypatch.setattr(fit_module, "_export", export)
    return found


def crops(table: IdentityTable) -> torch.Tensor:
    return torch.stack([torch.from_numpy(decode(path)).permute(2, 0, 1) for path in table.path])


@pytest.mark.parametrize("settings", [(), ("optim.ema=0.9",), FULL], ids=["plain", "averaged", "chosen"])
def test_exported_model_gives_the_embeddings_of_the_module(
    settings: tuple[str, ...], people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules = exported_module(monkeypatch)
    config = small_config(people, tmp_path / "run", *settings, "trainer.max_epochs=2")
    result = fit(config)
    assert result.model is not None
    artifact, module = checkpoint.load(result.model), modules[0].eval()
    images = crops(read_sources(config)[0].splits.query)
    with torch.inference_mode():
        assert torch.equal(artifact.network(artifact.preprocess(images)), module.embed(module.preprocess(images)))


def test_last_averaged_weights_are_exported_without_validation_persons(people: Path, tmp_path: Path) -> None:
    result = fit(small_config(people, tmp_path / "run", "optim.ema=0.9", "trainer.max_epochs=2"))
    assert result.model is not None
    assert not (result.folder / "checkpoints" / "best.ckpt").exists()
    averaged = load(result.folder / "checkpoints" / "last.ckpt")["ema_state_dict"]
    exported = checkpoint.load(result.model).network.state_dict()
    assert all(torch.equal(exported[name], averaged[name]) for name in exported)


def make_up_scores(monkeypatch: pytest.MonkeyPatch, *scores: float) -> None:
    """Gives the validations of the test their mAP, in order."""
    made_up = iter(scores)

    def compute(self: Any) -> dict[str, float]:
        self.embedding = np.zeros((len(self.query) + len(self.gallery), 2), dtype=np.float32)
        return {"mAP": next(made_up), **dict.fromkeys(("rank1", "rank5", "rank10", "mINP"), 0.5)}

    monkeypatch.setattr("mot_reid.training.validation.RetrievalMetric.compute", compute)


CHOOSING = ("data.validation=0.2", "run.score_test=false")


def assert_exported(result: FitResult, name: str) -> None:
    """The model holds the weights of that checkpoint, and of no other."""
    assert result.model is not None
    exported = checkpoint.load(result.model).network.state_dict()
    for other in ("best", "last"):
        state = load(result.folder / "checkpoints" / f"{other}.ckpt")["state_dict"]
        same = all(torch.equal(exported[key], state[f"network.{key}"]) for key in exported)
        assert same is (other == name), other


def test_best_weights_are_exported_with_validation_persons(
    people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Validation scores are made up, so that the second of three epochs is the best one."""
    make_up_scores(monkeypatch, 0.2, 0.6, 0.4, 0.6)
    result = fit(small_config(people, tmp_path / "run", *CHOOSING, "trainer.max_epochs=3"))
    best, last = (load(result.folder / "checkpoints" / f"{name}.ckpt") for name in ("best", "last"))
    assert (best["epoch"], last["epoch"]) == (1, 2)
    assert_exported(result, "best")


@pytest.mark.parametrize("every", [1, 2])
def test_resumed_run_remembers_the_best_of_before(
    every: int, people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0.50 after the second epoch, 0.40 after the resume: the second is exported."""
    make_up_scores(monkeypatch, *([0.3] if every == 1 else []), 0.5, 0.5, 0.4, 0.5)
    settings = (*CHOOSING, f"trainer.check_val_every_n_epoch={every}")
    fit(small_config(people, tmp_path / "run", *settings, "trainer.max_epochs=2"))
    last = load(tmp_path / "run" / "checkpoints" / "last.ckpt")
    assert last["callbacks"]["KeepCheckpoints"] == {"score": 0.5, "epoch": 2, "step": 8}
    result = fit(small_config(people, tmp_path / "run", *settings, "trainer.max_epochs=3"), resume="last")
    assert load(tmp_path / "run" / "checkpoints" / "best.ckpt")["epoch"] == 1
    assert_exported(result, "best")
    assert result.exported is not None and (result.exported.epoch, result.exported.epochs) == (2, 3)


@pytest.mark.parametrize(
    ("settings", "scores", "epoch", "step"),
    [
        (("trainer.check_val_every_n_epoch=2",), (0.4, 0.6, 0.6), 3, 12),
        (("trainer.check_val_every_n_epoch=2",), (0.6, 0.4, 0.6), 2, 8),
        (("trainer.check_val_every_n_epoch=10",), (0.4, 0.4), 3, 12),
        (("trainer.check_val_every_n_epoch=10", "trainer.max_epochs=null", "trainer.max_steps=6"), (0.4, 0.4), 2, 6),
        (("trainer.check_val_every_n_epoch=1", "trainer.max_steps=6"), (0.4, 0.6, 0.6), 2, 6),
    ],
)
def test_last_epoch_is_validated_and_can_be_chosen(
    settings: tuple[str, ...],
    scores: tuple[float, ...],
    epoch: int,
    step: int,
    people: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However the run ends; four steps in an epoch, three epochs where nothing else is set."""
    make_up_scores(monkeypatch, *scores)
    result = fit(small_config(people, tmp_path / "run", *CHOOSING, "trainer.max_epochs=3", *settings))
    assert result.model is not None and result.exported is not None
    assert (result.exported.epoch, result.exported.step) == (epoch, step)
    assert load(tmp_path / "run" / "checkpoints" / "best.ckpt")["global_step"] == step
    told = checkpoint.describe(result.model)["provenance"]["exported"]
    reason = f"the best of the validated epochs by val/mAP, {max(scores):.4f}"
    assert told == {"epoch": epoch, "step": step, "epochs": result.exported.epochs, "reason": reason}
    said = (tmp_path / "run" / "fit.log").read_text()
    assert f"exported: epoch {epoch} of {result.exported.epochs}, {reason}" in said


def test_run_without_held_out_persons_says_so(people: Path, tmp_path: Path) -> None:
    result = fit(small_config(people, tmp_path / "run", "trainer.max_epochs=1", "run.score_test=false"))
    assert str(result.exported) == "epoch 1 of 1, the last: nobody was held out to choose by"
    said = (tmp_path / "run" / "fit.log").read_text()
    assert "trainer.check_val_every_n_epoch=1 does nothing" in said
    assert "no calibrated threshold: nobody was held out to find it on; train with data.validation=0.1" in said


def test_best_of_another_folder_is_forgotten_aloud(
    people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Resumed into a new folder, where there is no file of the best: the export is of an epoch that is there."""
    make_up_scores(monkeypatch, 0.5, 0.5, 0.4, 0.4, 0.4)
    fit(small_config(people, tmp_path / "run", *CHOOSING, "trainer.max_epochs=1"))
    last = str(tmp_path / "run" / "checkpoints" / "last.ckpt")
    result = fit(small_config(people, tmp_path / "other", *CHOOSING, "trainer.max_epochs=2"), resume=last)
    assert "does not hold epoch 1, the best so far" in caplog.text
    assert result.exported is not None and result.exported.epoch == 2
    finished = fit(small_config(people, tmp_path / "third", *CHOOSING, "trainer.max_epochs=1"), resume=last)
    assert str(finished.exported) == "epoch 1 of 1, the last: no validated epoch was kept"


def test_run_goes_on_from_its_best_checkpoint_as_it_went_on_before(
    whole: tuple[FitResult, Diary], people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was saved before the epoch was closed: nothing is trained twice."""
    first = fit(small_config(people, tmp_path / "run", *FULL, "trainer.max_epochs=2"))
    best = first.folder / "checkpoints" / "best.ckpt"
    epoch = load(best)["epoch"]
    diary = keep_diary(monkeypatch)
    fit(small_config(people, tmp_path / "run", *FULL), resume=str(best))
    assert [step[:4] for step in diary.steps] == [step[:4] for step in whole[1].steps if step[0] > epoch]


# Slurm


@pytest.fixture
def slurm(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch job of one task."""
    for name, value in {
        "JOB_ID": "123", "JOB_NAME": "train", "NTASKS": "1", "PROCID": "0", "LOCALID": "0", "NODEID": "0",
    }.items():  # fmt: skip
        monkeypatch.setenv(f"SLURM_{name}", value)


def test_run_that_slurm_warns_is_saved_between_two_batches_and_goes_on(
    slurm: None, whole: tuple[FitResult, Diary], people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same command again: no checkpoint of Lightning's own is written, or loaded when the best was chosen."""
    original, sent = ReIDModule.training_step, []

    def warned(self: ReIDModule, batch: Any, batch_idx: int) -> torch.Tensor:
        if self.global_step == 6 and not sent:
            sent.extend([signal.SIGUSR1, signal.SIGTERM])
            for number in sent:
                signal.raise_signal(number)
        return original(self, batch, batch_idx)

    config = small_config(people, tmp_path / "run", *FULL)
    with monkeypatch.context() as patch:
        patch.setattr(ReIDModule, "training_step", warned)
        assert fit(config, resume="auto").interrupted
    assert load(tmp_path / "run" / "checkpoints" / "last.ckpt")["global_step"] == 7
    assert list((tmp_path / "run").glob("*.ckpt")) == []
    result = fit(config, resume="auto")
    assert result.scores == whole[0].scores and result.exported == whole[0].exported
    assert result.model is not None and whole[0].model is not None
    one, other = (checkpoint.load(model).network.state_dict() for model in (result.model, whole[0].model))
    assert equal(dict(one), dict(other))


def score(
    network: ReIDNetwork, preprocess: Preprocess, query: IdentityTable, gallery: IdentityTable
) -> RetrievalResult:
    """From the files alone: the images as read, the network as it is, the metric as defined."""
    with torch.inference_mode():
        asked, answers = (network.eval()(preprocess(crops(table))).numpy() for table in (query, gallery))
    return evaluate_retrieval(
        asked,
        answers,
        query_person_id=query.person_id,
        gallery_person_id=gallery.person_id,
        query_camera_id=query.camera_id,
        gallery_camera_id=gallery.camera_id,
    )


def test_scores_are_those_of_the_exported_model(whole: tuple[FitResult, Diary]) -> None:
    result = whole[0]
    assert result.model is not None
    artifact = checkpoint.load(result.model)
    config = load_config([f"experiment={result.folder / 'config.yaml'}"])
    splits = read_sources(config)[0].splits
    data = build_data(config, [splits], build_preprocess(config))
    assert data.validation is not None
    for stage, tables in {"test": (splits.query, splits.gallery), "val": data.validation}.items():
        found = score(artifact.network, artifact.preprocess, *tables)
        assert result.scores[f"{stage}/mAP"] == pytest.approx(found.mean_ap, abs=1e-6)
        assert result.scores[f"{stage}/rank1"] == pytest.approx(found.rank(1), abs=1e-6)
        assert result.scores[f"{stage}/mINP"] == pytest.approx(found.mean_inp, abs=1e-6)


def test_model_that_began_with_another_says_so(whole: tuple[FitResult, Diary], people: Path, tmp_path: Path) -> None:
    """From a checkpoint of a run, whose averaged weights are taken."""
    first = whole[0].folder / "checkpoints" / "last.ckpt"
    config = small_config(people, tmp_path / "run", f"model.weights={first}", "trainer.max_epochs=1", "optim.ema=null")
    told = checkpoint.describe(fit(config).model or Path())
    assert told["provenance"]["dataset"] == "synthetic"
    initial = told["provenance"]["initial"]
    assert (initial["name"], initial["dataset"], initial["experiment"]) == ("last.ckpt", "synthetic", "quickstart")
    assert told["licence"] == "Apache-2.0: trained on synthetic people"


def test_provenance_tells_how_the_model_came_about(whole: tuple[FitResult, Diary]) -> None:
    assert whole[0].model is not None
    told = checkpoint.describe(whole[0].model)
    assert told["licence"].startswith("Apache-2.0")
    provenance = told["provenance"]
    assert (provenance["experiment"], provenance["dataset"], provenance["seed"]) == ("quickstart", "synthetic", 0)
    assert provenance["config"]["optim"]["ema"] == 0.9
    assert provenance["scores"] == whole[0].scores
    assert set(provenance["versions"]) == {"mot_reid", "torch", "lightning", "timm"}


def test_scores_are_logged_under_the_names_people_sweep_for(whole: tuple[FitResult, Diary]) -> None:
    names = {name for _, row in curves(whole[0].folder) for name in row}
    measures = ("mAP", "rank1", "rank5", "rank10", "mINP")
    assert {f"{stage}/{measure}" for stage in ("val", "test") for measure in measures} <= names
    assert {"train/loss", "train/cross_entropy", "train/triplet", "train/centre", "train/images_per_second"} <= names


# The folder of a run


def test_untrained_scores_are_those_of_the_first_weights(people: Path, tmp_path: Path) -> None:
    config = small_config(people, tmp_path / "run", "trainer.max_epochs=1", "run.score_untrained=true", "run.seed=3")
    result = fit(config)
    seed_everything(3, verbose=False)
    preprocess = build_preprocess(config)
    network = build_module(config, preprocess, classes=10).network
    splits = read_sources(config)[0].splits
    found = score(network, preprocess, splits.query, splits.gallery)
    assert result.untrained["test/mAP"] == pytest.approx(found.mean_ap, abs=1e-6)
    assert result.untrained["test/rank1"] == pytest.approx(found.rank(1), abs=1e-6)
    assert result.untrained["test/mAP"] != result.scores["test/mAP"]


def test_earlier_run_in_the_folder_moves_aside(begun: Path, people: Path, tmp_path: Path) -> None:
    first = (begun / "model.safetensors").read_bytes()
    fit(small_config(people, begun, "trainer.max_epochs=1", "run.score_test=false", "run.seed=1"))
    assert (tmp_path / "run~1" / "model.safetensors").read_bytes() == first
    assert load_config([f"experiment={tmp_path / 'run~1' / 'config.yaml'}"]).run.seed == 0
    assert load_config([f"experiment={tmp_path / 'run' / 'config.yaml'}"]).run.seed == 1


def test_run_that_cannot_begin_gives_the_earlier_one_its_place_back(begun: Path, people: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in sorted((tmp_path / "run").rglob("*"))}
    with pytest.raises(ValueError, match="trainer: `devices` selected with `CPUAccelerator`"):
        fit(small_config(people, tmp_path / "run", "trainer.devices=abc"))
    assert {path: path.stat().st_mtime_ns for path in sorted((tmp_path / "run").rglob("*"))} == before
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize("setting", ["optim.lr=1e-5", "optim.weight_decay=0.3", "optim=sgd"])
def test_resumed_run_refuses_an_optimiser_it_would_not_have(begun: Path, people: Path, setting: str) -> None:
    with pytest.raises(ValueError, match=r"ckpt: got optim\.(name|lr|weight_decay)="):
        fit(small_config(people, begun, setting), resume="last")


def test_resumed_run_refuses_other_people_of_the_same_number(begun: Path, tmp_path: Path) -> None:
    other = small_config(tmp_path / "others", begun, "trainer.max_epochs=2", "synthetic.seed=1")
    with pytest.raises(ValueError, match=r"trained on other crops than those of '.*others'; expected the same"):
        fit(other, resume="last")


@pytest.mark.parametrize(
    ("settings", "refused"),
    [
        (("data.identities=1",), "data.identities: got 1; expected 2 or more, since loss.triplet compares"),
        (("data.images=1",), "data.images: got 1; expected 2 or more, since loss.triplet compares"),
        (("data.images=1", "loss.triplet=0", "loss.circle=1"), "or set loss.circle=0"),
    ],
)
def test_batch_in_which_a_loss_compares_nobody_is_refused_at_the_start(
    settings: tuple[str, ...], refused: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=refused):
        fit(small_config(tmp_path / "people", tmp_path / "run", *settings))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "refused"),
    [
        (("distill.teacher=gone.safetensors", "distill.cosine=1"), "distill.teacher: got 'gone.safetensors'"),
        (("model.weights=gone.safetensors",), "model.weights: got 'gone.safetensors'"),
        (("data=folders", "data.root=gone", "data.validation=0.2"), "'gone'"),
        (("run.callbacks=[gone.Callback]",), "run.callbacks: got 'gone.Callback'"),
        (("trainer.devices=abc",), "trainer: `devices` selected with `CPUAccelerator`"),
    ],
)
def test_refused_run_leaves_no_folder_behind(
    settings: tuple[str, ...], refused: str, people: Path, tmp_path: Path
) -> None:
    with pytest.raises((OSError, ValueError, ImportError), match=refused):
        fit(small_config(people, tmp_path / "runs" / "first", *settings))
    assert list(tmp_path.iterdir()) == []


def test_start_with_images_of_which_nothing_is_left_is_refused_at_the_start(tmp_path: Path) -> None:
    settings = ("model.height=64", "model.width=32", "progressive.share=0.5", "progressive.scale=0.45")
    with pytest.raises(ValueError, match=r"progressive\.scale: got 0\.45, images of 29x14; expected 16 pixels or more"):
        fit(small_config(tmp_path / "people", tmp_path / "run", *settings))
    assert list(tmp_path.iterdir()) == []


def test_dry_run_trains_scores_and_writes_nothing(people: Path, tmp_path: Path) -> None:
    result = fit(small_config(people, tmp_path / "run", "trainer.fast_dev_run=true", "data.validation=0.2"))
    assert result.model is None and not result.interrupted
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["config.yaml", "fit.log"]


@pytest.mark.parametrize(("share", "calm"), [(0.0, 0), (0.25, 1), (0.5, 2), (1.0, 4)])
def test_last_share_of_the_epochs_is_calm(
    share: float, calm: int, people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of four epochs of five batches, the last ones erase nothing."""
    seen: list[float] = []
    original = BatchAugment.erase

    def noting(self: BatchAugment, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        seen.append(self.erase_probability)
        return original(self, images, generator)

    monkeypatch.setattr(BatchAugment, "erase", noting)
    settings = ("augment.erase=0.5", f"augment.calm_share={share}", "run.score_test=false")
    fit(small_config(people, tmp_path / "run", *settings))
    assert seen == [0.5] * 5 * (4 - calm) + [0.0] * 5 * calm


def test_styles_are_not_mixed_in_calm_epochs(people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of four epochs of five batches, the first two mix after both stages; the model has nothing of it."""
    epochs: list[int] = []

    def noting(x: torch.Tensor, order: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        epochs.append(len(x))
        return x

    monkeypatch.setattr("mot_reid.training.mixstyle.mix_styles", noting)
    settings = ("augment.mixstyle=1", "augment.calm_share=0.5", "run.score_test=false")
    result = fit(small_config(people, tmp_path / "run", *settings))
    assert len(epochs) == 2 * 5 * 2
    assert result.model is not None and checkpoint.load(result.model).network is not None
