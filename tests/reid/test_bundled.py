"""The bundled models: small, sound, of use, and honest about where they come from."""

from __future__ import annotations

import numpy as np
import pytest

from mot_reid.data.synthetic_dataset import draw_crop, random_camera
from mot_reid.data.synthetic_people import random_person
from mot_reid.reid import bundled, checkpoint
from mot_reid.reid.embedder import Embedder
from mot_reid.settings.load import ROOT

LARGER = {"mobilenetv2_cameras": 5_000_000, "mobilenetv2_market1501": 5_000_000, "person_small": 1_100_000}
"""The most bytes of those that may have more than a million."""
NAMES = sorted(path.stem for path in bundled.WEIGHTS.glob("*.safetensors"))


def drawn(persons: int, crops: int) -> list[np.ndarray]:
    """Crops of drawn persons, `crops` of each in a row."""
    rng = np.random.default_rng(0)
    camera, people = random_camera(rng), [random_person(rng) for _ in range(persons)]
    return [draw_crop(person, camera, rng) for person in people for _ in range(crops)]


def test_promised_models_are_there() -> None:
    promised = {"mobilenetv2_cameras", "mobilenetv2_market1501", "osnet_x0_25_cameras", "osnet_x0_25_market1501"}
    assert promised | {"mobilenetv2_short_cameras", "osnet_x0_25_taught", "person_small"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_bundled_model_is_small_calibrated_and_named_in_the_notice(name: str) -> None:
    path = checkpoint.find(name)
    assert path.stat().st_size < LARGER.get(name, 1_000_000)
    embedder = Embedder(name, device="cpu")
    assert embedder.threshold is not None and 0 < embedder.threshold < 1
    assert embedder.metadata["calibration"]["identities"] >= 38
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    assert path.name in notice and "research use only" in embedder.metadata["licence"]


@pytest.mark.parametrize("name", NAMES)
def test_bundled_model_tells_drawn_persons_apart(name: str) -> None:
    """The nearest other crop shows the same person ten times as often as by chance, one in sixty."""
    crops = drawn(40, 3)
    embedding = Embedder(name, device="cpu").embed(crops, color="rgb")
    similarity = embedding @ embedding.T
    np.fill_diagonal(similarity, -2)
    nearest = similarity.argmax(1)
    assert (nearest // 3 == np.arange(len(crops)) // 3).mean() > 10 / 60


def test_person_small_names_its_teacher_and_has_no_constant_numbers() -> None:
    embedder = Embedder("person_small", device="cpu")
    teacher = embedder.metadata["provenance"]["teacher"]
    assert teacher["file"] == "person-reidentification-retail-0277.xml"
    assert "Open Model Zoo" in embedder.metadata["licence"] and "not published" in embedder.metadata["licence"]
    spread = embedder.embed(drawn(60, 1), color="rgb").std(axis=0)
    assert len(spread) == 128 and spread.min() > 0.1 * np.median(spread)


@pytest.mark.parametrize(
    "name", ["mobilenetv2_cameras", "mobilenetv2_short_cameras", "osnet_x0_25_cameras", "person_small"]
)
def test_model_for_other_cameras_does_not_see_their_colours(name: str) -> None:
    crops = drawn(40, 1)
    tinted = [np.round(crop * [0.7, 0.85, 1.0]).astype(np.uint8) for crop in crops]
    embedder, plain = Embedder(name, device="cpu"), Embedder("osnet_x0_25_market1501", device="cpu")
    own, other = ((one.embed(crops, color="rgb") * one.embed(tinted, color="rgb")).sum(1) for one in (embedder, plain))
    assert own.min() > 0.95
    assert np.median(other) < 0.9
