"""People in images, as a worker embeds them with the model that travels with the package."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mot_reid.data.synthetic_clip import walkers
from mot_reid.reid.bundled import WEIGHTS
from mot_reid.reid.checkpoint import describe
from mot_reid.reid.embedder import Embedder
from mot_reid.serving.refusal import Refusal
from mot_reid.serving.worker.models import Models, digest
from mot_reid.settings.load import load_settings
from mot_reid.settings.serving import ServeSettings
from mot_reid.settings.tracking import TrackSettings

LIMITS = load_settings(ServeSettings, [], base="serve").limits
MODEL = "osnet_x0_25_market1501"
CLIP = walkers(frames=30, people=4)


def box(number: int, person: int) -> np.ndarray:
    """Where a person is in a frame, along pixels."""
    found = (CLIP.truth.frame == number) & (CLIP.truth.track_id == person)
    return np.clip(CLIP.truth.xyxy[found][0], 0, 480).round()


def picture(folder: Path, number: int, person: int | None = None) -> str:
    """Writes a frame, or a person cut out of it, and returns the path."""
    x1, y1, x2, y2 = (0, 0, 480, 270) if person is None else box(number, person).astype(int)
    path = folder / f"{number}-{person}.png"
    Image.fromarray(CLIP.images[number - 1][y1:y2, x1:x2, ::-1]).save(path)
    return str(path)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    boxes = tmp_path_factory.mktemp("det") / "det.txt"
    found = CLIP.detections[0]
    boxes.write_text(
        "\n".join(f"1,-1,{a},{b},{c - a},{d - b},{score}" for (a, b, c, d), score in zip(found.xyxy, found.score))
    )
    tracking = load_settings(TrackSettings, [f"detector.public={boxes}", f"reid={MODEL}", "device=cpu"], base="track")
    return Models(tracking, LIMITS)


def test_a_model_is_one_under_its_checkpoint_and_its_onnx_twin_but_not_in_8_bits() -> None:
    weights = WEIGHTS / "osnet_x0_25_cameras.safetensors"
    of_torch, of_onnx = describe(weights), Embedder(weights.with_suffix(".onnx"), device="cpu").metadata
    assert digest(str(weights), of_torch) == digest("osnet_x0_25_cameras", of_onnx)
    eight = {**of_onnx, "provenance": {**of_onnx["provenance"], "int8": {"pictures": 64}}}
    assert digest("osnet_x0_25_cameras", eight) != digest("osnet_x0_25_cameras", of_onnx)
    assert digest("osnet_x0_25_taught", describe(WEIGHTS / "osnet_x0_25_taught.safetensors")) != digest("", of_onnx)


def test_a_network_of_others_is_told_by_its_file(tmp_path: Path) -> None:
    (tmp_path / "theirs.onnx").write_bytes(b"one")
    metadata: dict[str, Any] = {"provenance": {}}
    assert digest(str(tmp_path / "theirs.onnx"), metadata) == hashlib.sha256(b"one").hexdigest()[:16]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["actions=true", "actions.classifier=gone.safetensors"], "actions.classifier: got 'gone.safetensors'"),
        (["actions.classifier=gone.safetensors"], "actions.classifier: got 'gone.safetensors' without actions=true"),
        (["zones=gone.json"], "zones: got 'gone.json'"),
        (["reid=gone.safetensors"], "reid: got 'gone.safetensors'"),
    ],
)
def test_what_cannot_be_used_is_refused_when_the_server_starts(words: list[str], message: str, tmp_path: Path) -> None:
    (tmp_path / "det.txt").write_text("1,-1,10,10,20,40,0.9\n")
    settings = load_settings(TrackSettings, [f"detector.public={tmp_path / 'det.txt'}", *words], base="track")
    with pytest.raises((OSError, ValueError), match=message):
        Models(settings, LIMITS)


def cosine(a: list[float], b: list[float]) -> float:
    return float(np.dot(a, b))


def test_people_are_told_apart_by_the_threshold(models: Models, tmp_path: Path) -> None:
    paths = [picture(tmp_path, number, person) for number, person in ((1, 1), (8, 1), (8, 2))]
    seen = models.embed_people(paths, "whole")
    ada, again, stranger = seen["embedding"]
    assert seen["threshold"] == Embedder(MODEL, device="cpu").threshold
    assert cosine(ada, again) >= seen["threshold"] > cosine(ada, stranger)
    assert seen["xyxy"] == [None, None, None]


def test_box_in_a_scene_is_the_crop_of_it(models: Models, tmp_path: Path) -> None:
    crop = models.embed_people([picture(tmp_path, 1, 1)], "whole")
    scene = models.embed_people([picture(tmp_path, 1)], box(1, 1).tolist())
    assert cosine(crop["embedding"][0], scene["embedding"][0]) == pytest.approx(1, abs=1e-4)
    assert scene["xyxy"] == [box(1, 1).tolist()] and scene["model"] == crop["model"]


def test_largest_person_is_the_largest_sure_detection(models: Models, tmp_path: Path) -> None:
    sure = CLIP.detections[0][CLIP.detections[0].score >= 0.4]
    sizes = (sure.xyxy[:, 2] - sure.xyxy[:, 0]) * (sure.xyxy[:, 3] - sure.xyxy[:, 1])
    found = models.embed_people([picture(tmp_path, 1)], "largest")["xyxy"]
    assert found[0] == pytest.approx(sure.xyxy[np.argmax(sizes)], abs=0.01)


def test_scene_without_people_is_a_sentence(models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unsure = CLIP.detections[0].replace(score=np.full(len(CLIP.detections[0]), 0.39))
    monkeypatch.setattr(models, "_detect", lambda image, number: unsure)
    with pytest.raises(Refusal, match="image: nobody was found in it"):
        models.embed_people([picture(tmp_path, 1)], "largest")


@pytest.mark.parametrize("where", [[10, 10, 5, 20], [500, 10, 520, 40], [10, -50, 20, 0], [0, 0, 0.5, 1], [np.nan] * 4])
def test_box_that_is_none_is_refused(models: Models, tmp_path: Path, where: list[float]) -> None:
    with pytest.raises(Refusal, match=r"box: got .* in an image of 480 x 270 pixels"):
        models.embed_people([picture(tmp_path, 1)], where)
