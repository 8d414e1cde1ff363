"""The Embedder against the network and preprocessing it wraps."""

from __future__ import annotations

from pathlib import Path
from threading import Event, Thread, current_thread

import numpy as np
import pytest
import torch

from mot_reid.reid import bundled, checkpoint
from mot_reid.reid.embedder import Embedder
from mot_reid.reid.inference import InferenceNetwork
from mot_reid.reid.network import ReIDNetwork
from mot_reid.reid.preprocess import Preprocess
from mot_reid.reid.torch_backend import _one_thread

BOXES = np.array([[0, 0, 40, 90], [30.4, 10, 70, 80], [-20, 5, 15, 60], [100, 20, 300, 300], [500, 0, 540, 90]], float)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    network = ReIDNetwork("osnet_x0_25", weights="none", embedding_dim=16)
    with torch.no_grad():
        for _ in range(3):  # gives the normalisations statistics of their own
            network(torch.randn(8, 3, 64, 32))
    path = tmp_path_factory.mktemp("embedder") / "model.safetensors"
    checkpoint.save(
        path, network, Preprocess(64, 32), provenance={}, licence="none", calibration={"threshold": 0.5, "roc": []}
    )
    return path


@pytest.fixture(scope="module")
def embedder(path: Path) -> Embedder:
    return Embedder(path, device="cpu")


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    coarse = np.random.default_rng(0).integers(0, 256, (10, 12, 3), dtype=np.uint8)
    return coarse.repeat(10, axis=0).repeat(10, axis=1)


def test_call_gives_what_network_and_preprocessing_give(embedder: Embedder, path: Path, image: np.ndarray) -> None:
    artifact = checkpoint.load(path)
    with torch.inference_mode():
        expected = artifact.network(artifact.preprocess.crops(image, BOXES)).numpy()
    np.testing.assert_allclose(embedder(image, BOXES, color="rgb"), expected, atol=1e-5)


def test_call_gives_one_unit_float32_row_per_box(embedder: Embedder, image: np.ndarray) -> None:
    found = embedder(image, BOXES)
    assert found.shape == (5, 16)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)


def test_few_crops_of_a_small_network_stay_in_the_thread_that_asks(
    embedder: Embedder, image: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads, forward = [], embedder._backend._forward
    monkeypatch.setattr(
        embedder._backend, "_forward", lambda batch: threads.append(torch.get_num_threads()) or forward(batch)
    )
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        for count in (4, 5):
            embedder(image, BOXES[:count])
        assert threads == [1, 3] and torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_few_crops_in_two_threads_at_once_leave_the_threads_of_later_ones_alone(
    embedder: Embedder, image: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward, inside, go_on, born = embedder._backend._forward, Event(), Event(), []

    def waits_in_the_second(batch: torch.Tensor) -> torch.Tensor:
        if current_thread() is second:
            inside.set()
            go_on.wait(60)
        return forward(batch)

    monkeypatch.setattr(embedder._backend, "_forward", waits_in_the_second)
    second = Thread(target=embedder, args=(image, BOXES[:1]))
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with _one_thread():
            second.start()
            assert inside.wait(60)
        go_on.set()
        second.join()
        third = Thread(target=lambda: born.append(torch.get_num_threads()))
        third.start()
        third.join()
        assert born == [3]
    finally:
        go_on.set()
        torch.set_num_threads(before)


def test_call_takes_bgr_unless_told_otherwise(embedder: Embedder, image: np.ndarray) -> None:
    bgr, rgb = embedder(image[:, :, ::-1], BOXES), embedder(image, BOXES, color="rgb")
    np.testing.assert_array_equal(bgr, rgb)
    assert np.abs(embedder(image, BOXES) - rgb).max() > 0.01


def test_call_is_the_same_in_batches_of_any_size(path: Path, embedder: Embedder, image: np.ndarray) -> None:
    np.testing.assert_allclose(
        Embedder(path, device="cpu", batch_size=2)(image, BOXES), embedder(image, BOXES), atol=1e-5
    )


def test_many_is_the_call_on_each_image(path: Path, embedder: Embedder, image: np.ndarray) -> None:
    images, boxes = [image, image[::-1].copy(), image[:60]], [BOXES, np.zeros((0, 4)), BOXES[1:3]]
    for opened in (embedder, Embedder(path, device="cpu", batch_size=3)):
        found = opened.many(images, boxes, color="rgb")
        assert [part.shape for part in found] == [(5, 16), (0, 16), (2, 16)]
        for part, picture, asked in zip(found, images, boxes):
            np.testing.assert_allclose(part, embedder(picture, asked, color="rgb"), atol=1e-5)


def test_many_gives_no_rows_where_no_image_has_boxes(embedder: Embedder, image: np.ndarray) -> None:
    assert [part.shape for part in embedder.many([image, image], [[], np.zeros((0, 4))])] == [(0, 16), (0, 16)]


def test_many_refuses_images_and_boxes_of_different_number(embedder: Embedder, image: np.ndarray) -> None:
    with pytest.raises(ValueError, match="images"):
        embedder.many([image, image], [BOXES])
    with pytest.raises(ValueError, match="images"):
        embedder.many([], [])


def test_call_permutes_with_its_boxes(embedder: Embedder, image: np.ndarray) -> None:
    np.testing.assert_allclose(embedder(image, BOXES[::-1]), embedder(image, BOXES)[::-1], atol=1e-5)


@pytest.mark.parametrize("boxes", [np.zeros((0, 4)), np.zeros(0), []])
def test_call_gives_no_rows_for_no_boxes(embedder: Embedder, image: np.ndarray, boxes: np.ndarray) -> None:
    found = embedder(image, boxes)
    assert found.shape == (0, 16)
    assert found.dtype == np.float32


def test_call_leaves_the_image_as_it_was(embedder: Embedder, image: np.ndarray) -> None:
    before = image.copy()
    embedder(image, BOXES)
    assert np.array_equal(image, before)


def test_call_refuses_an_unknown_colour_even_without_boxes(embedder: Embedder, image: np.ndarray) -> None:
    with pytest.raises(ValueError, match="color: got 'gray'"):
        embedder(image, np.zeros((0, 4)), color="gray")


def test_embed_is_the_call_on_whole_images(embedder: Embedder, image: np.ndarray) -> None:
    crops = [image[:90, :40], image[10:80, 30:70]]
    np.testing.assert_allclose(embedder.embed(crops), embedder(image, BOXES[:2]), atol=1e-5)


def test_embed_takes_crops_of_one_size_as_one_array(embedder: Embedder, image: np.ndarray) -> None:
    crops = np.stack([image[:50, :20], image[50:, :20]])
    one_by_one = embedder.embed([*crops, image[:30, :30]])[:2]  # another size among them: none are resized together
    np.testing.assert_allclose(embedder.embed(crops), one_by_one, atol=1e-5)


def test_embed_gives_no_rows_for_no_crops(embedder: Embedder) -> None:
    assert embedder.embed([]).shape == (0, 16)


def test_call_refuses_an_image_that_was_not_loaded(embedder: Embedder) -> None:
    with pytest.raises(ValueError, match="image: got NoneType; expected an array"):
        embedder(None, np.array([[0, 0, 5, 5]]))  # type: ignore[arg-type]


@pytest.mark.filterwarnings("error")
def test_images_may_be_read_only(embedder: Embedder, image: np.ndarray) -> None:
    frozen = image.copy()
    frozen.flags.writeable = False
    assert np.array_equal(embedder(frozen, np.array([[0, 0, 120, 100]])), embedder.embed([frozen]))


@pytest.mark.parametrize("crop", [None, 3, [[[0, 0, 0]]]])
def test_embed_refuses_a_crop_that_was_not_loaded(embedder: Embedder, image: np.ndarray, crop: object) -> None:
    with pytest.raises(ValueError, match=r"crops: got (NoneType|int|list) in row 1; expected an image file"):
        embedder.embed([image, crop])  # type: ignore[list-item]


@pytest.mark.parametrize("crop", [np.zeros((0, 4, 3), np.uint8), np.zeros((4, 4)), np.zeros((4, 4, 3), np.float32)])
def test_embed_refuses_what_is_no_crop(embedder: Embedder, crop: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"crops: got .* in row 0; expected uint8 \(h, w, 3\)"):
        embedder.embed([crop])


def test_threshold_is_the_calibrated_one(embedder: Embedder) -> None:
    assert embedder.threshold == 0.5


def test_same_compares_with_the_threshold(embedder: Embedder) -> None:
    rows = np.array([[1, 0], [0.5, 0.75**0.5], [0, 1]])
    assert embedder.same(rows[0], rows).tolist() == [True, True, False]
    assert embedder.same(rows, rows[[0, 2, 0]], threshold=0.8).tolist() == [True, True, False]
    assert bool(embedder.same(rows[0], rows[2])) is False


def test_same_needs_a_threshold(path: Path, tmp_path: Path) -> None:
    artifact = checkpoint.load(path)
    checkpoint.save(tmp_path / "a.safetensors", artifact.network, artifact.preprocess, provenance={}, licence="none")
    plain = Embedder(tmp_path / "a.safetensors", device="cpu")
    assert plain.threshold is None
    with pytest.raises(ValueError, match="threshold: got None, and the model has no calibrated one"):
        plain.same(np.ones(2), np.ones(2))


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_gives_nearly_the_same_in_float32(
    path: Path, embedder: Embedder, image: np.ndarray, precision: str
) -> None:
    found = Embedder(path, device="cpu", precision=precision)(image, BOXES)
    assert found.dtype == np.float32
    assert (found * embedder(image, BOXES)).sum(axis=1).min() > 0.99


def test_inference_network_keeps_batch_statistics_in_float32_and_the_network_as_it_was() -> None:
    network = ReIDNetwork("resnet18", weights="none")
    half = InferenceNetwork(network, dtype=torch.float16)
    assert half.network.backbone.bn1.weight.dtype == torch.float32
    assert half.network.backbone.conv1.weight.dtype == torch.float16
    assert half.network.neck.weight.dtype == torch.float32
    assert all(parameter.dtype == torch.float32 for parameter in network.parameters())
    assert network.backbone.conv1.weight.requires_grad


def test_name_opens_the_model_in_the_box(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundled, "WEIGHTS", path.parent)
    assert Embedder("model", device="cpu").embedding_dim == 16


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"device": "gpu"}, "device: got 'gpu'; expected 'auto', 'cpu', 'cuda'"),
        ({"precision": "half"}, "precision: got 'half'; expected 'auto', 'float32', 'bfloat16', 'float16'"),
        ({"batch_size": 0}, "batch_size: got 0; expected at least 1"),
    ],
)
def test_embedder_refuses_unknown_choices(path: Path, choices: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Embedder(path, **choices)


@pytest.mark.gpu
def test_gpu_gives_nearly_the_embeddings_of_the_cpu(path: Path, embedder: Embedder, image: np.ndarray) -> None:
    found = Embedder(path, device="cuda")(image, BOXES)
    assert (found * embedder(image, BOXES)).sum(axis=1).min() > 0.99


def test_files_pillow_images_and_arrays_of_one_picture_embed_alike(
    embedder: Embedder, image: np.ndarray, tmp_path: Path
) -> None:
    from PIL import Image

    path = tmp_path / "crop.png"
    Image.fromarray(image).save(path)
    expected = embedder(image, np.array([[0, 0, 120, 100]]), color="rgb")
    mixed = embedder.embed([path, str(path), Image.fromarray(image), image[:, :, ::-1]])
    np.testing.assert_allclose(mixed, expected.repeat(4, axis=0), atol=1e-5)
    for alone in (path, str(path), Image.fromarray(image), Image.open(path), image[:, :, ::-1]):
        found = embedder.embed(alone)
        assert found.shape == (1, 16)
        np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(embedder.embed(image, color="rgb"), expected, atol=1e-5)


def test_pillow_image_is_embedded_upright_and_in_colour(embedder: Embedder, image: np.ndarray) -> None:
    from PIL import Image

    turned = Image.fromarray(np.rot90(image).copy())  # a camera held sideways says so in its file
    turned.getexif()[0x0112] = 6  # "turn me by 90 degrees clockwise"
    np.testing.assert_allclose(embedder.embed(turned), embedder.embed(image, color="rgb"), atol=1e-5)
    see_through = Image.fromarray(image).convert("RGBA")
    np.testing.assert_allclose(embedder.embed(see_through), embedder.embed(image, color="rgb"), atol=1e-5)


def test_file_that_is_no_picture_is_named(embedder: Embedder, image: np.ndarray, tmp_path: Path) -> None:
    (tmp_path / "notes.jpg").write_text("no image")
    with pytest.raises(ValueError, match=r"image: got '.*notes.jpg' \(no image format recognised\)"):
        embedder.embed([image, tmp_path / "notes.jpg"])
    with pytest.raises(FileNotFoundError, match=r"image: got 'gone.jpg'; expected an existing file"):
        embedder.embed("gone.jpg")
