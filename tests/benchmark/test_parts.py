"""What the parts measure, with a clock that always says two seconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mot_reid.benchmark import association, embed, retrieval, train, video
from mot_reid.benchmark.results import Figure
from mot_reid.reid.embedder import Embedder
from mot_reid.settings.tracker_parameters import TRACKING_MODEL
from mot_reid.training.dataset import Batch


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    """Small tensors gain nothing from a second thread, and the machine may be busy."""
    torch.set_num_threads(1)


def two_seconds(function: Callable[[], Any], **_: object) -> float:
    function()
    return 2.0


def test_association_is_told_per_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(association, "median_seconds", two_seconds)
    monkeypatch.setattr(association, "_CROWDS", (3,))
    monkeypatch.setattr(association, "_FRAMES", 5)
    assert list(association.measure("sort")) == [
        Figure("track/sort_3", 4e5, "us", 5e5, "a plain NumPy round"),
        Figure("track/numpy_call", 2e3, "us"),
    ]


def test_crowd_walks_and_is_seen_most_of_the_time() -> None:
    frames = association._crowd(200)
    assert len(frames) == association._FRAMES
    assert 0.93 < np.mean([len(boxes) for boxes in frames]) / 200 < 0.97
    assert all((boxes[:, 2:4] > boxes[:, :2]).all() and (boxes[:, 4] <= 1).all() for boxes in frames)


def test_retrieval_is_measured_beside_its_matrix_product(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieval, "median_seconds", two_seconds)
    for name, value in (("_QUERIES", 20), ("_GALLERY", 90), ("_PERSONS", 5), ("_GALLERIES", (50,)), ("_ASKED", 3)):
        monkeypatch.setattr(retrieval, name, value)
    monkeypatch.setattr(retrieval, "_has_faiss", lambda: False)
    found = {figure.name: (figure.value, figure.bound) for figure in retrieval.measure()}
    assert found == {"retrieval/market1501": (2000.0, 2000.0), "retrieval/search_numpy_50": (2000.0, 2000.0)}


def test_floor_of_embedding_grows_with_the_people(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when: the arithmetic counted is not that of one crop."""
    monkeypatch.setattr(embed, "median_seconds", two_seconds)
    monkeypatch.setattr(embed, "matmul_peak", lambda *_: 1e9)
    monkeypatch.setattr(embed, "at_hand", lambda path: [])
    found = list(embed.measure("osnet_x0_25_market1501", device="cpu"))
    floors = [figure.bound for figure in found if figure.bound is not None]
    # OSNet x0.25's published 82.3 million multiply-adds at 256x128, a quarter of the pixels, two operations each
    assert floors[0] == pytest.approx(1e3 * 2 * 82.3e6 / 4 / 1e9, rel=0.05)
    np.testing.assert_allclose(np.array(floors) / floors[0], [1, 8, 20, 32])


def test_onnx_file_is_measured_as_onnx_without_a_floor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").touch()
    monkeypatch.setattr(embed, "median_seconds", two_seconds)
    monkeypatch.setattr(embed, "Embedder", lambda *_, **__: lambda frame, boxes: None)
    found = list(embed.measure(str(tmp_path / "model.onnx"), device="cpu"))
    assert found == [Figure(f"embed/onnx_{people}", 2000.0, "ms") for people in (1, 8, 20, 32)]


def test_each_runtime_at_hand_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when: a runtime is left out, or another one is measured under its name."""
    opened: list[str] = []

    def open_as(model: str, *, device: str, runtime: str = "torch") -> Any:
        opened.append(runtime)
        return Embedder(model, device=device)

    monkeypatch.setattr(embed, "median_seconds", two_seconds)
    monkeypatch.setattr(embed, "matmul_peak", lambda *_: 1e9)
    monkeypatch.setattr(embed, "_PEOPLE", (1,))
    monkeypatch.setattr(embed, "at_hand", lambda path: ["onnx", "openvino"])
    monkeypatch.setattr(embed, "Embedder", open_as)
    names = [figure.name for figure in embed.measure("osnet_x0_25_market1501", device="cpu")]
    assert names == ["embed/torch_1", "embed/onnx_1", "embed/openvino_1"]
    assert opened == ["torch", "onnx", "openvino"]


def test_video_is_measured_with_each_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when: the runtime of a row is not the one that its run was given."""
    monkeypatch.setattr(video, "at_hand", lambda path: ["onnx"])
    taken = {"auto": 3.0, "torch": 5.0, "onnx": 4.0}
    monkeypatch.setattr(
        video, "_milliseconds", lambda settings, job: taken[settings.runtime] if job.reid is not None else 1.0
    )
    found = {
        figure.name: figure.value for figure in video.measure(source=None, weights=None, reid=TRACKING_MODEL, frames=5)
    }
    assert found == {
        "video/bytetrack": 1.0,
        "video/bytetrack_reid": 3.0,
        "video/bytetrack_reid_torch": 5.0,
        "video/bytetrack_reid_onnx": 4.0,
    }


@pytest.fixture(scope="module")
def fitted() -> tuple[list[Figure], list[Batch]]:
    """The figures of a short training of a small network on few crops, and the batches it trained on."""
    seen: list[Batch] = []
    step = train.ReIDModule.training_step

    def noted(module: train.ReIDModule, batch: Batch, batch_idx: int) -> torch.Tensor:
        seen.append(batch)
        return step(module, batch, batch_idx)

    keys = [
        "experiment=osnet_x0_25_market_cpu",
        "model.height=32",
        "model.width=16",
        "data.identities=2",
        "trainer.precision=32-true",
        "engine.threads=1",
        "engine.keep_memory=false",
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train.ReIDModule, "training_step", noted)
        patch.setattr(train, "median_seconds", two_seconds)
        patch.setattr(train, "matmul_peak", lambda *_: 1e9)
        patch.setattr(train, "bandwidth", lambda *_: 1e9)
        patch.setattr(train, "_BATCHES", (8, 16))
        return list(train.measure(keys, steps=20, device="cpu")), seen


def test_training_alternates_between_fetched_batches_and_one_prepared(fitted: tuple[list[Figure], list[Batch]]) -> None:
    seen = fitted[1]
    assert len(seen) == 40
    for fetched, prepared in zip(seen[::2], seen[1::2]):
        assert prepared.image is fetched.image
    assert all(not torch.equal(one.image, next.image) for one, next in zip(seen[::2], seen[2::2]))


def test_training_is_told_beside_its_bounds(fitted: tuple[list[Figure], list[Batch]]) -> None:
    found = {figure.name: figure for figure in fitted[0]}
    real, fixed, bare = (found[f"train/{name}"] for name in ("step", "step_fixed", "step_bare"))
    assert real.bound == fixed.value and fixed.bound == bare.value == 2000.0
    assert found["train/images"].value == pytest.approx(1e3 * 8 / real.value)
    assert found["train/images_by_8"].value == 4.0
    assert bare.bound is not None and bare.bound > 0
