"""What a run leaves with each logger, read back from disk by the service's own code."""

from __future__ import annotations

import json
import shlex
import socket
import struct
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from mot_reid.cli import sweep_winner
from mot_reid.settings.load import load_config
from mot_reid.training import loggers as loggers_module
from mot_reid.training.fit import fit
from mot_reid.training.loggers import build_loggers, close_loggers
from tests.helpers.runs import small_config

pytestmark = pytest.mark.filterwarnings("ignore")

QUICK = ("trainer.max_epochs=1", "data.validation=0.2", "trainer.log_every_n_steps=1")
NAMES = {"train/loss", "val/mAP", "val/rank1", "test/mAP", "test/rank1", "lr-Adam/pg1"}


@pytest.fixture
def no_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine on which nobody ever logged in to W&B."""
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL", "WANDB_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HOME", str(tmp_path))


def records(folder: Path) -> list[Any]:
    """Everything in the one offline run below `folder`.

    The file is a LevelDB log after a header of 7 bytes: blocks of 32 KiB hold pieces of records, each piece after its
    checksum, length and kind (1 whole, 2 first, 3 middle, 4 last); a piece's header is never cut.
    """
    from wandb.proto.wandb_internal_pb2 import Record

    (path,) = folder.rglob("*.wandb")
    data, place, pieces, found = path.read_bytes(), 7, b"", []
    while place + 7 <= len(data):
        if (left := 32768 - place % 32768) < 7:
            place += left
            continue
        _, length, kind = struct.unpack("<IHB", data[place : place + 7])
        pieces += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):
            found.append(Record.FromString(pieces))
            pieces = b""
    return found


def finished_records(folder: Path) -> list[Any]:
    """The same once W&B's own process has written all it was handed, which `finish` does not wait for."""
    deadline = time.monotonic() + 60
    found = records(folder)
    while not any(record.HasField("exit") for record in found):
        assert time.monotonic() < deadline, "the run was never finished"
        time.sleep(0.1)
        found = records(folder)
    return found


def test_wandb_run_without_a_key_is_offline_and_can_be_read_back(
    no_key: None, people: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """With TensorBoard at the same time; the run has its model as an artifact, pictures and a summary."""
    told = ("logger.group=study", "logger.tags=[small,quick]", "logger.notes=a try", "logger.name=[wandb,tensorboard]")
    config = small_config(
        people, tmp_path / "run", *QUICK, "logger=wandb", "run.name=mine", "logger.project=ours", *told,
        "run.score_untrained=true",
    )  # fmt: skip
    result = fit(config)
    found = finished_records(tmp_path / "run")
    logged: dict[str, float] = {}
    for record in found:
        for item in record.history.item:
            logged["/".join(item.nested_key) or item.key] = json.loads(item.value_json)
    assert logged.keys() >= NAMES
    for name, value in result.scores.items():
        assert logged[name] == pytest.approx(value, abs=1e-7), name
    runs = [record.run for record in found if record.run.run_id]
    assert (runs[0].display_name, runs[0].project) == ("mine", "ours")
    assert (runs[0].run_group, list(runs[0].tags), runs[0].notes) == ("study", ["small", "quick"], "a try")
    assert any((tmp_path / "run" / "tensorboard").iterdir())
    assert logged["untrained/mAP"] == pytest.approx(result.untrained["test/mAP"], abs=1e-7)
    summary = {item.key: item.value_json for record in found for item in record.summary.update}
    assert json.loads(summary["exported/epoch"]) == 1 and json.loads(summary["test/mAP"]) == result.scores["test/mAP"]
    (artifact,) = [record.artifact for record in found if record.artifact.name]
    assert (artifact.name, artifact.type, sorted(artifact.aliases)) == ("mine", "model", ["best", "latest"])
    assert json.loads(artifact.metadata)["provenance"]["seed"] == config.run.seed
    (entry,) = artifact.manifest.contents
    assert entry.path == "model.safetensors" and entry.size == result.model.stat().st_size
    pictures = [path.name for path in (tmp_path / "run" / "wandb").rglob("media/images/*.png")]
    assert {name.partition("_")[0] for name in pictures} == {"curves", "rank"} and len(pictures) > 1
    settings = {item.key: item.value_json for record in found for item in record.run.config.update}
    settings |= {item.key: item.value_json for record in found for item in record.config.update}
    assert json.loads(settings["optim"])["lr"] == config.optim.lr
    assert "wandb sync" not in capfd.readouterr().out


def test_next_run_of_the_process_is_a_run_of_its_own(no_key: None, people: Path, tmp_path: Path) -> None:
    import wandb

    names = []
    for folder in ("one", "other"):
        loggers = build_loggers(small_config(people, tmp_path / folder, "logger=wandb"), tmp_path / folder)
        names.append(loggers[1].version)
        close_loggers(loggers)
        assert wandb.run is None
    assert names[0] != names[1]


@pytest.mark.parametrize("place", ["environment", "netrc"])
def test_wandb_key_is_found_where_wandb_looks(
    place: str, no_key: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not loggers_module._has_wandb_key()
    if place == "environment":
        monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    else:
        (tmp_path / "netrc").write_text(f"machine api.wandb.ai\n  login user\n  password {'0' * 40}\n")
        (tmp_path / "netrc").chmod(0o600)
        (tmp_path / ".netrc").write_bytes((tmp_path / "netrc").read_bytes())
        (tmp_path / ".netrc").chmod(0o600)
    assert loggers_module._has_wandb_key()


def test_tensorboard_events_can_be_read_back(people: Path, tmp_path: Path) -> None:
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    result = fit(small_config(people, tmp_path / "run", *QUICK, "logger=tensorboard"))
    events = event_accumulator.EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    assert set(events.Tags()["scalars"]) >= NAMES
    for name, value in result.scores.items():
        assert events.Scalars(name)[-1].value == pytest.approx(value, abs=1e-6), name


@pytest.mark.slow
def test_mlflow_run_can_be_read_back(people: Path, tmp_path: Path) -> None:
    for package in ("mlflow", "sqlalchemy", "alembic"):
        pytest.importorskip(package)
    from mlflow.tracking import MlflowClient

    config = small_config(people, tmp_path / "run", *QUICK, "logger=mlflow", "run.name=mine", "logger.project=ours")
    result = fit(config)
    client = MlflowClient(f"sqlite:///{tmp_path / 'run' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("ours")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.run_name == "mine" and run.info.status == "FINISHED"
    assert run.data.params["optim/lr"] == str(config.optim.lr)
    for name, value in result.scores.items():
        assert run.data.metrics[name] == pytest.approx(value, abs=1e-6), name


@pytest.mark.parametrize(
    ("logger", "package", "hint"),
    [
        ("mlflow", "mlflow", r'pip install "mot-reid\[mlflow\]"'),
        ("mlflow", "sqlalchemy", r'pip install "mot-reid\[mlflow\]"'),
        ("tensorboard", "tensorboard", "pip install tensorboard"),
    ],
)
def test_missing_package_is_named_with_what_to_install(
    logger: str, package: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = loggers_module.find_spec
    monkeypatch.setattr(loggers_module, "find_spec", lambda name: None if name == package else original(name) or True)
    with pytest.raises(ModuleNotFoundError, match=f"logger: '{package}' is not installed; {hint}"):
        build_loggers(small_config(tmp_path, tmp_path / "run", f"logger={logger}"), tmp_path / "run")


def test_mlflow_server_that_does_not_answer_is_refused_at_once(tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    with socket.socket() as taken:  # bound and not listening: connections are refused
        taken.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ConnectionError, match=rf"logger.uri: got '{uri}' \(.*\); expected a server that answers"):
            build_loggers(small_config(tmp_path, tmp_path / "run", "logger=mlflow", f"logger.uri={uri}"), tmp_path)


def test_csv_is_always_there_and_alone_by_default(tmp_path: Path) -> None:
    loggers = build_loggers(small_config(tmp_path, tmp_path / "run"), tmp_path / "run")
    assert [type(logger).__name__ for logger in loggers] == ["CSVLogger"]


def test_dry_run_opens_no_service(tmp_path: Path) -> None:
    config = small_config(tmp_path, tmp_path / "run", "logger=wandb", "trainer.fast_dev_run=true")
    assert len(build_loggers(config, tmp_path / "run")) == 1


def test_curves_of_a_resumed_run_lose_what_came_after_the_checkpoint(tmp_path: Path) -> None:
    first = build_loggers(small_config(tmp_path, tmp_path), tmp_path)[0]
    for step in range(6):
        first.log_metrics({"train/loss": torch.tensor(float(step))}, step=step)
    second = build_loggers(small_config(tmp_path, tmp_path), tmp_path, resumed_step=4)[0]
    second.log_metrics({"train/loss": 40.0}, step=4)
    lines = (tmp_path / "metrics.csv").read_text().split()
    assert lines == ["step,train/loss", "0,0.0", "1,1.0", "2,2.0", "3,3.0", "4,40.0"]


@pytest.mark.slow
def test_sweep_of_four_trials_is_read_back_and_its_winner_is_trained_and_tested(
    no_key: None, people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Four offline runs as W&B's agent starts them, the winner by their own curves, and its command as printed."""
    for number, rate in enumerate(("1e-5", "1e-3", "3e-3", "1e-2")):
        monkeypatch.setenv("WANDB_RUN_ID", f"trial{number}")
        folder = tmp_path / f"trial{number}"
        swept = ("logger=wandb", "run.score_test=false", f"run.name=quickstart-trial{number}", f"optim.lr={rate}")
        fit(small_config(people, folder, *QUICK, *swept, "trainer.max_epochs=2"))
    monkeypatch.delenv("WANDB_RUN_ID")
    best: dict[str, float] = {}
    for number in range(4):
        history = [item for record in finished_records(tmp_path / f"trial{number}") for item in record.history.item]
        values = [float(item.value_json) for item in history if "/".join(item.nested_key or [item.key]) == "val/mAP"]
        best[f"trial{number}"] = max(values)
    assert sweep_winner.main([f"runs={tmp_path}/trial*", f"json={tmp_path / 'sweep.json'}"]) == 0
    kept = json.loads((tmp_path / "sweep.json").read_text())
    assert {Path(run["folder"]).name: run["score"] for run in kept["runs"]} == pytest.approx(best, abs=1e-6)
    assert Path(kept["runs"][0]["folder"]).name == max(best, key=lambda name: best[name])
    words = shlex.split(kept["command"])[2:]
    retrained = fit(load_config([*words, f"run.dir={tmp_path / 'winner'}", "trainer.enable_progress_bar=false"]))
    assert "test/mAP" in retrained.scores
    with capsys.disabled():
        print(f"\n{kept['command']}\nvalidation {best}, test of the winner {retrained.scores['test/mAP']:.3f}")
