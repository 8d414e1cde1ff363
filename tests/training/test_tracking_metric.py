"""The score of tracking at validation, on a drawn street."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch
from lightning import Trainer
from PIL import Image

from mot_reid.data.motchallenge import write_detections, write_ground_truth
from mot_reid.data.synthetic_clip import Clip, walkers
from mot_reid.metrics.mot import evaluate_mot
from mot_reid.reid.embedder import Embedder
from mot_reid.structures import TrackTable
from mot_reid.tracking.tracker import Tracker
from mot_reid.training.averaging import EMA
from mot_reid.training.builders import build_module, build_preprocess
from mot_reid.training.fit import FitResult, fit
from mot_reid.training.tracking_metric import TrackingMetric, _Weights
from tests.helpers.runs import small_config

SCALE = 0.5
"""Of the pictures to the coordinates in the files."""


@pytest.fixture(scope="session")
def clip() -> Clip:
    return walkers(frames=40, people=5, width=240, height=136)


@pytest.fixture(scope="session")
def street(clip: Clip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `frames/`, det.txt and gt.txt, in twice the pixels of the frames."""
    root = tmp_path_factory.mktemp("street")
    (root / "frames").mkdir()
    for number, image in enumerate(clip.images, start=1):
        Image.fromarray(image[..., ::-1]).save(root / "frames" / f"{number:06d}.png")
    rows = [(number, found) for number, found in enumerate(clip.detections, start=1)]
    detections = TrackTable.concatenate(
        [TrackTable([n] * len(d), [0] * len(d), d.xyxy / SCALE, d.score) for n, d in rows]
    )
    write_detections(root / "det.txt", detections)
    truth = clip.truth.replace(xyxy=clip.truth.xyxy / SCALE, class_id=[1] * len(clip.truth))
    write_ground_truth(root / "gt.txt", truth)
    return root


def arguments(street: Path) -> dict[str, str]:
    return {
        "tracking_metric.video": str(street / "frames"),
        "tracking_metric.detections": str(street / "det.txt"),
        "tracking_metric.ground_truth": str(street / "gt.txt"),
        "tracking_metric.scale": str(SCALE),
        "data.validation": "0.4",
        "trainer.max_epochs": "2",
        "run.score_test": "false",
        "run.false_match_rate": "0.02",
    }


def run(people: Path, folder: Path, values: dict[str, str]) -> FitResult:
    return fit(small_config(people, folder, *(f"{key}={value}" for key, value in values.items())))


def logged(result: FitResult, name: str, *, epochs: int) -> dict[int, float]:
    """A score by epoch, of the validations while training."""
    with (result.folder / "metrics.csv").open(newline="") as file:
        found = {int(row["epoch"]): float(row[name]) for row in csv.DictReader(file) if row.get(name)}
    return {epoch: value for epoch, value in found.items() if epoch < epochs}


@pytest.fixture(scope="module")
def finished(people: Path, street: Path, tmp_path_factory: pytest.TempPathFactory) -> FitResult:
    """Four epochs, scored in every second, with averaged weights; the best by IDF1 was exported."""
    more = {
        "trainer.max_epochs": "4",
        "trainer.check_val_every_n_epoch": "2",
        "tracking_metric.every_n_epochs": "2",
        "run.monitor": "val/idf1",
        "optim.ema": "0.5",
    }
    return run(people, tmp_path_factory.mktemp("runs") / "run", arguments(street) | more)


def test_score_is_that_of_the_exported_model(finished: FitResult, clip: Clip, street: Path) -> None:
    """The same boxes through `Tracker(reid=<exported file>)`. Fails when: the weights are not the averaged ones,
    colours or boxes are off, the gate is not the calibrated one, or frames and detections are shifted.
    """
    embedder = Embedder(finished.model, device="cpu")
    tracker = Tracker("bytetrack_reid", reid=embedder, frame_rate=30.0)
    found = [tracker.update(boxes, image) for image, boxes in zip(clip.images, clip.detections)]
    scores = evaluate_mot(clip.truth, TrackTable.from_frames(found), benchmark="MOT15").combined
    assert embedder.threshold is not None
    assert finished.scores["val/idf1"] == pytest.approx(scores.identity.idf1, abs=1e-3)
    assert finished.scores["val/hota"] == pytest.approx(float(scores.hota.hota.mean()), abs=2e-3)
    assert 0.3 < scores.identity.idf1 < 1


def test_boxes_are_embedded_by_the_averaged_weights(people: Path, tmp_path: Path, clip: Clip) -> None:
    config = small_config(people, tmp_path / "run", "optim.ema=0.5")
    preprocess = build_preprocess(config)
    module = build_module(config, preprocess, classes=4).eval()
    module.trainer = Trainer(accelerator="cpu", logger=False, enable_progress_bar=False)
    module.average.ema = EMA(module.network, decay=0.5)
    image, boxes = clip.images[0], clip.detections[0].xyxy
    with torch.inference_mode():
        expected = module.network(preprocess.crops(image, boxes, color="bgr")).numpy()
    for parameter in module.network.parameters():
        torch.nn.init.normal_(parameter)
    found = _Weights(module, None)(image, boxes)
    assert found == pytest.approx(expected, abs=1e-5)


def test_tracking_is_logged_beside_retrieval(finished: FitResult) -> None:
    for name in ("val/idf1", "val/hota", "val/mAP"):
        assert list(logged(finished, name, epochs=4)) == [1, 3], name


def test_the_monitored_score_chooses_the_model(finished: FitResult) -> None:
    best = torch.load(finished.folder / "checkpoints" / "best.ckpt", weights_only=True)
    scores = logged(finished, "val/idf1", epochs=4)
    assert best["callbacks"]["KeepCheckpoints"]["score"] == pytest.approx(max(scores.values()))
    assert finished.exported is not None and scores[finished.exported.epoch - 1] == max(scores.values())


def test_validations_between_are_left_out(people: Path, street: Path, tmp_path: Path) -> None:
    values = arguments(street) | {"tracking_metric.every_n_epochs": "2", "trainer.max_epochs": "3"}
    result = run(people, tmp_path / "run", values)
    assert list(logged(result, "val/idf1", epochs=3)) == [1, 2]  # and the last
    assert list(logged(result, "val/mAP", epochs=3)) == [0, 1, 2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tracking_metric.detections": "null"}, "tracking_metric.detections: got null; expected a file"),
        ({"tracking_metric.ground_truth": "gone.txt"}, "'gone.txt': no such file"),
        ({"tracking_metric.video": "gone.avi"}, "video: got 'gone.avi'; expected an existing file"),
        ({"tracking_metric.scale": "2"}, "boxes outside of the 240x136 picture; .* check tracking_metric.scale"),
        ({"data.validation": "0"}, "got no validation to track it in; set data.validation"),
        ({"tracking_metric.video": "null", "run.monitor": "val/idf1"}, "run.monitor: got 'val/idf1'; expected"),
        ({"tracking_metric.every_n_epochs": "2", "run.monitor": "val/hota"}, "every_n_epochs: got 2; expected a div"),
    ],
)
def test_mistakes_are_told_before_training(
    people: Path, street: Path, tmp_path: Path, change: dict[str, str], message: str
) -> None:
    with pytest.raises((FileNotFoundError, ValueError), match=message):
        run(people, tmp_path / "run", arguments(street) | change)
    assert not (tmp_path / "run").exists()


def test_files_of_a_longer_video_are_refused(street: Path, tmp_path: Path) -> None:
    text = (street / "gt.txt").read_text()
    (tmp_path / "gt.txt").write_text(text + "41,1,10,10,20,20,1,1,1\n")
    with pytest.raises(ValueError, match="with frame 41; expected at most 40, the length of the video"):
        TrackingMetric(
            street / "frames",
            detections=street / "det.txt",
            ground_truth=tmp_path / "gt.txt",
            scale=SCALE,
            preset="botsort",
        )


@pytest.mark.data
def test_a_real_video_fits_its_files_at_its_scale(real_data: Path) -> None:
    sequence = real_data / "MOT15" / "train" / "PETS09-S2L1"
    metric = TrackingMetric(
        real_data / "video" / "pets09-s2l1.avi",
        detections=sequence / "det" / "yolov8n.txt",
        ground_truth=sequence / "gt" / "gt.txt",
        scale=0.625,
        preset="botsort",
    )
    assert (metric.length, len(metric.detections)) == (795, 795)


def test_wandb_gets_a_timeline_of_the_last_validation(
    people: Path, street: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    run(people, tmp_path / "run", arguments(street) | {"logger": "wandb", "trainer.max_epochs": "1"})
    (picture,) = (tmp_path / "run" / "wandb").rglob("media/images/tracking_timeline*.png")
    with Image.open(picture) as image:
        assert len(image.convert("RGB").getcolors(1 << 24) or ()) > 5 and image.width > 500
