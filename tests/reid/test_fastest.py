"""Checkpoints in other runtimes: exported once, kept, and the fastest one taken."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mot_reid.data.synthetic_clip import walkers
from mot_reid.reid import checkpoint, export, fastest
from mot_reid.reid.embedder import Embedder
from mot_reid.tracking.tracker import Tracker

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
MODEL, TWIN = "osnet_x0_25_market1501", "osnet_x0_25_cameras"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(fastest.CACHE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_onnx_runtime_gives_the_embeddings_of_torch_and_exports_once(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (300, 200, 3), dtype=np.uint8)
    boxes = np.array([[10, 20, 90, 220], [100, 40, 190, 290.0]])
    found = Embedder(MODEL, device="cpu", runtime="onnx")(image, boxes)
    cosine = (found * Embedder(MODEL, device="cpu")(image, boxes)).sum(axis=1)
    assert (cosine > export.AGREEMENT).all()
    assert [path.suffix for path in cache.iterdir()] == [".onnx"]
    monkeypatch.setattr(export, "export_onnx", lambda *_, **__: pytest.fail("exported again"))
    np.testing.assert_array_equal(Embedder(MODEL, device="cpu", runtime="onnx")(image, boxes), found)


@pytest.mark.parametrize("runtime", ["auto", "onnx"])
def test_damaged_file_in_the_cache_is_exported_again(
    runtime: str, cache: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = tmp_path / "model.safetensors"
    shutil.copyfile(checkpoint.find(TWIN), model)
    target = fastest.exported(model, "onnx")
    target.write_bytes(target.read_bytes()[:1000])
    image, boxes = two_boxes()
    found = Embedder(model, device="cpu", runtime=runtime)(image, boxes)
    assert ((found * Embedder(model, device="cpu")(image, boxes)).sum(axis=1) > export.AGREEMENT).all()
    assert "in the cache cannot be used and is made again" in caplog.text
    caplog.clear()
    np.testing.assert_array_equal(Embedder(model, device="cpu", runtime=runtime)(image, boxes), found)
    assert not caplog.text and list(cache.iterdir()) == [target]


def test_other_weights_under_one_name_are_exported_again(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Path] = []

    def write(artifact: object, path: Path, *, quick: bool) -> None:
        path.write_bytes(b"an exported file")
        written.append(path)

    monkeypatch.setattr(export, "export_onnx", write)
    for name in (MODEL, MODEL, TWIN):
        shutil.copyfile(checkpoint.find(name), tmp_path / "model.safetensors")
        assert fastest.exported(tmp_path / "model.safetensors", "onnx") == written[-1]
    assert len(set(written)) == len(written) == 2 and {path.parent for path in written} == {cache}


def test_bundled_twin_is_taken_without_an_export(cache: Path) -> None:
    assert fastest.exported(checkpoint.find(TWIN), "onnx") == checkpoint.find(TWIN).with_suffix(".onnx")
    image, boxes = np.full((300, 200, 3), 90, np.uint8), np.array([[10, 20, 90, 220.0]])
    image[50:120, 20:70] = (20, 200, 90)
    first, second = (Embedder(TWIN, device="cpu", runtime=runtime)(image, boxes) for runtime in ("torch", "onnx"))
    assert float((first * second).sum()) > export.AGREEMENT and not cache.exists()


def test_fastest_takes_the_least_time_and_torch_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    times = {"torch": 3.0, "onnx": 1.0, "openvino": 2.0}
    backends = {name: SimpleNamespace(device="cpu", name=name) for name in times}
    monkeypatch.setattr(fastest, "at_hand", lambda path: ["onnx", "openvino"])
    monkeypatch.setattr(fastest, "exported", lambda path, runtime: runtime)
    monkeypatch.setattr(fastest, "FileBackend", lambda name, device: backends[name])
    monkeypatch.setattr(fastest, "_seconds", lambda backend: times[backend.name])
    chosen = fastest.fastest(Path("model"), backends["torch"], device="cpu")
    assert chosen is backends["onnx"]
    on_gpu = SimpleNamespace(device="cuda:0")
    assert fastest.fastest(Path("model"), on_gpu, device="cuda") is on_gpu


def two_boxes() -> tuple[np.ndarray, np.ndarray]:
    image = np.random.default_rng(0).integers(0, 256, (300, 200, 3), dtype=np.uint8)
    return image, np.array([[10, 20, 90, 220], [100, 40, 190, 290.0]])


def test_auto_is_the_same_runtime_every_time_and_agrees_with_torch(cache: Path) -> None:
    image, boxes = two_boxes()
    found = Embedder(TWIN, device="cpu", runtime="auto")(image, boxes)
    np.testing.assert_array_equal(found, Embedder(TWIN, device="cpu", runtime="onnx")(image, boxes))
    assert ((found * Embedder(TWIN, device="cpu")(image, boxes)).sum(axis=1) > export.AGREEMENT).all()
    assert not cache.exists()


def test_auto_is_torch_where_nothing_else_is_installed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(fastest, "find_spec", lambda name: name if name == "torch" else None)
    caplog.set_level("INFO", logger="mot_reid")
    image, boxes = two_boxes()
    found = Embedder(TWIN, device="cpu", runtime="auto")(image, boxes)
    np.testing.assert_array_equal(found, Embedder(TWIN, device="cpu")(image, boxes))
    assert [record.getMessage() for record in caplog.records] == [
        f'reid: torch runs {TWIN}.safetensors; pip install "mot-reid[onnx]" for a faster runtime on a CPU'
    ]


def test_auto_is_torch_where_the_export_fails(
    cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise export.DisagreementError("other embeddings")

    for name in ("export_onnx", "export_openvino"):
        monkeypatch.setattr(export, name, fail)
    image, boxes = two_boxes()
    found = Embedder(MODEL, device="cpu", runtime="auto")(image, boxes)
    np.testing.assert_array_equal(found, Embedder(MODEL, device="cpu")(image, boxes))
    assert "other embeddings" in caplog.text and not list(cache.iterdir())


@pytest.mark.parametrize("runtime", ["auto", "onnx"])
def test_cache_that_cannot_be_written_to_is_said_in_one_sentence(
    runtime: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(fastest.CACHE, str(tmp_path / "file"))
    with pytest.raises(OSError, match=r"MOT_REID_CACHE: got '.*' \(Not a directory\); expected a folder to write to"):
        Embedder(MODEL, device="cpu", runtime=runtime)


@pytest.mark.parametrize("runtime", ["auto", "onnx", "openvino"])
def test_file_of_another_kind_is_refused_before_an_export_is_announced(
    runtime: str, tmp_path: Path, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoint.write(tmp_path / "actions.safetensors", {}, {"format": "mot_reid.actions"})
    caplog.set_level("INFO", logger="mot_reid")
    with pytest.raises(checkpoint.CheckpointError, match="got an action classifier; expected a model that recognises"):
        Embedder(tmp_path / "actions.safetensors", device="cpu", runtime=runtime)
    assert not caplog.records and not list(cache.glob("*"))


def test_tracker_goes_on_with_another_runtime() -> None:
    """The tracks of the synthetic clip, and the state after half of it taken from torch to ONNX Runtime."""
    clip = walkers(frames=40)
    runtimes = [Embedder(TWIN, device="cpu", runtime=runtime) for runtime in ("torch", "onnx")]
    torch_s, other = (Tracker("bytetrack_reid", reid=one, appearance="always") for one in runtimes)
    moved = Tracker("bytetrack_reid", reid=runtimes[1], appearance="always")
    for number, (image, boxes) in enumerate(zip(clip.images, clip.detections)):
        if number == 20:
            moved.load_state_dict(torch_s.state_dict())
        expected = torch_s.update(boxes, image)
        for tracker in (other, *([moved] if number >= 20 else [])):
            found = tracker.update(boxes, image)
            np.testing.assert_array_equal(found.track_id, expected.track_id)
            np.testing.assert_allclose(found.xyxy, expected.xyxy)
    assert expected.track_id.size


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"runtime": "tensorflow"}, "runtime: got 'tensorflow'; expected one of torch, onnx, openvino, auto, fastest"),
        ({"runtime": "onnx", "precision": "float16"}, "precision: got 'float16' with runtime=onnx; expected 'auto'"),
    ],
)
def test_mistake_is_said(arguments: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Embedder(MODEL, **arguments)
