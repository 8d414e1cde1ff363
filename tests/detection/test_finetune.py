"""Fine-tuning: the data file, what is passed on, what is refused, and a small real training."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from PIL import Image

from mot_reid.data.synthetic_clip import walkers
from mot_reid.detection import finetune, yolo
from mot_reid.detection.finetune import completed_epochs, fine_tune, write_data_file


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Drawn frames with labels, in the layout of a prepared MOT17."""
    width, height = 160, 96
    clip = walkers(frames=8, width=width, height=height)
    root = tmp_path / "it's: data"
    for split, numbers in (("train", range(6)), ("val", range(6, 8))):
        for part in ("images", "labels"):
            (root / part / split).mkdir(parents=True)
        for number in numbers:
            Image.fromarray(clip.images[number][..., ::-1]).save(root / "images" / split / f"{number}.jpg")
            boxes = clip.truth[clip.truth.frame == number + 1].xyxy.clip(0, [width, height, width, height])
            lines = [
                f"0 {(x1 + x2) / 2 / width} {(y1 + y2) / 2 / height} {(x2 - x1) / width} {(y2 - y1) / height}\n"
                for x1, y1, x2, y2 in boxes
            ]
            (root / "labels" / split / f"{number}.txt").write_text("".join(lines))
    return root


class FakeModel:
    """Ultralytics' model: two epochs, and a last score that is no epoch."""

    def __init__(self, epoch: int = 0) -> None:
        self.ckpt = {"epoch": epoch}
        self.hooks: dict[str, Any] = {}
        self.options: dict[str, Any] = {}

    def add_callback(self, name: str, hook: Any) -> None:
        self.hooks[name] = hook

    def train(self, *, trainer: type, **options: Any) -> None:
        self.options = options
        state = SimpleNamespace(epoch=0, tloss=1, metrics={}, best="best.pt")
        state.label_loss_items = lambda loss, prefix: {f"{prefix}/box_loss": 2.0}
        for epoch in range(2):
            state.epoch, state.metrics = epoch, {"metrics/mAP50(B)": epoch / 4, "val/box_loss": float("nan")}
            self.hooks["on_train_epoch_end"](state)
            self.hooks["on_fit_epoch_end"](state)
        state.metrics = {"metrics/mAP50(B)": 0.25, "metrics/mAP50-95(B)": 0.125, "fitness": 0.5}
        self.hooks["on_fit_epoch_end"](state)
        self.trainer = state


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> FakeModel:
    found = FakeModel()
    monkeypatch.setattr(yolo, "open_ultralytics", lambda weights: found)
    monkeypatch.setattr(finetune, "_trainer", lambda: object)
    return found


def test_data_file_leads_to_the_frames(data: Path, tmp_path: Path) -> None:
    found = yaml.safe_load(write_data_file(data, tmp_path / "run" / "data.yaml").read_text())
    assert found == {"path": str(data), "train": "images/train", "val": "images/val", "names": {0: "person"}}


def test_folder_without_frames_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"without images/train; expected a folder made by mot-reid prepare-mot17"
    ):
        write_data_file(tmp_path, tmp_path / "data.yaml")


def test_epochs_are_told_under_our_names_and_the_last_score_is_no_epoch(
    data: Path, tmp_path: Path, model: FakeModel
) -> None:
    told: list[tuple[int, dict[str, float]]] = []
    result = fine_tune(data, tmp_path / "run", on_epoch=lambda epoch, scores: told.append((epoch, scores)))
    assert told == [
        (1, {"train/box_loss": 2.0, "val/map50": 0.0}),
        (2, {"train/box_loss": 2.0, "val/map50": 0.25}),
    ]
    assert result.scores == {"val/map50": 0.25, "val/map": 0.125}
    assert (str(result.weights), result.epochs) == ("best.pt", 2)


def test_settings_reach_ultralytics_under_its_names(data: Path, tmp_path: Path, model: FakeModel) -> None:
    fine_tune(data, tmp_path / "run", epochs=7, image_size=96, batch_size=3, optimizer="SGD", lr=0.1, seed=5)
    wanted = {"epochs": 7, "imgsz": 96, "batch": 3, "optimizer": "SGD", "lr0": 0.1, "seed": 5, "name": "run"}
    assert {name: model.options[name] for name in wanted} == wanted
    assert model.options["data"] == str(tmp_path / "run" / "data.yaml")


def _interrupted(folder: Path) -> Path:
    (folder / "weights").mkdir(parents=True)
    (folder / "weights" / "last.pt").touch()
    (folder / "results.csv").write_text("epoch,time\n1,2\n2,4\n")
    return folder


def test_resumption_leaves_the_settings_to_the_run(data: Path, tmp_path: Path, model: FakeModel) -> None:
    fine_tune(data, _interrupted(tmp_path / "run"), epochs=9, resume=True)
    assert model.options == {"resume": True}


def test_completed_epochs_are_counted(tmp_path: Path) -> None:
    assert completed_epochs(_interrupted(tmp_path / "run")) == 2


def test_nothing_to_resume_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"without weights/last\.pt; expected the folder of an interrupted run"):
        fine_tune(data, tmp_path / "run", resume=True)


def test_complete_run_is_not_resumed(data: Path, tmp_path: Path, model: FakeModel) -> None:
    model.ckpt = {"epoch": -1}
    with pytest.raises(ValueError, match="which is complete; expected an interrupted run"):
        fine_tune(data, _interrupted(tmp_path / "run"), resume=True)


def test_learning_rate_needs_an_optimizer(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"lr: got 0\.1 with optimizer 'auto'"):
        fine_tune(data, tmp_path / "run", lr=0.1)


@pytest.mark.slow
def test_network_is_trained_interrupted_and_resumed(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "YOLO_VERBOSE", "false")
    monkeypatch.chdir(tmp_path)
    told: list[int] = []

    def stop(epoch: int, scores: dict[str, float]) -> None:
        told.append(epoch)
        if epoch == 2:
            raise KeyboardInterrupt

    options: dict[str, Any] = {"image_size": 96, "batch_size": 4, "workers": 0, "device": "cpu"}
    with pytest.raises(KeyboardInterrupt):
        fine_tune(data, tmp_path / "run", weights="yolov8n.yaml", epochs=3, on_epoch=stop, **options)
    result = fine_tune(data, tmp_path / "run", resume=True, on_epoch=lambda epoch, scores: told.append(epoch))
    assert told[-1] == result.epochs == 3
    assert set(result.scores) == {"val/map", "val/map50", "val/precision", "val/recall"}
    detector = yolo.YoloDetector(result.weights, device="cpu")
    assert len(detector(walkers(frames=1).images[0])) >= 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["it's: data", "run"]
