"""Crops made by NumPy are those that torch makes, and networks in files are run without torch."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from mot_reid.reid import array_crops, bundled, checkpoint
from mot_reid.reid.embedder import Embedder
from mot_reid.reid.preprocess import Preprocess
from mot_reid.settings.load import ROOT

BOXES = np.array([[0, 0, 90, 140], [3, 5, 20, 33], [10, 4, 74, 132], [-5, 60, 30, 200], [400, 0, 500, 90]], float)


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (140, 90, 3), dtype=np.uint8)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("given", "taken"), [("rgb", "rgb"), ("bgr", "rgb"), ("rgb", "bgr")])
def test_crops_are_those_of_torch(image: np.ndarray, interpolation: str, given: str, taken: str) -> None:
    """Boxes that shrink, grow, do both, keep their size, are cut by the border, and lie outside."""
    preprocess = Preprocess(128, 64, interpolation=interpolation, color=taken)
    expected = preprocess.crops(image, BOXES, color=given).numpy()
    found = array_crops.crops(preprocess, image, BOXES, color=given)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-3)  # a grey level is 0.017


def test_whole_pictures_are_prepared_as_by_torch(image: np.ndarray) -> None:
    preprocess = Preprocess(64, 32)
    pictures = [image, image[:50, :70]]
    expected = torch.cat([preprocess(torch.from_numpy(one.copy()).permute(2, 0, 1)[None]) for one in pictures])
    np.testing.assert_allclose(array_crops.prepare(preprocess, pictures), expected.numpy(), atol=1e-3)


def test_no_boxes_give_no_crops(image: np.ndarray) -> None:
    assert array_crops.crops(Preprocess(8, 4), image, np.zeros((0, 4))).shape == (0, 3, 8, 4)


def test_bundled_twin_gives_the_embeddings_of_its_weights() -> None:
    pytest.importorskip("onnxruntime")
    twins = sorted(path.stem for path in bundled.WEIGHTS.glob("*.onnx"))
    assert twins == ["mobilenetv2_short_cameras", "osnet_x0_25_cameras"]
    crops = np.random.default_rng(0).integers(0, 256, (8, 16, 8, 3), dtype=np.uint8).repeat(9, 1).repeat(9, 2)
    for name in twins:
        files = [bundled.WEIGHTS / f"{name}{end}" for end in (".safetensors", ".onnx")]
        weights, twin = (Embedder(file, device="cpu") for file in files)
        assert (weights.embed(crops) * twin.embed(crops)).sum(axis=1).min() > 0.9999, name
        assert twin.metadata == checkpoint.describe(checkpoint.find(name))


def without_torch(code: str) -> subprocess.CompletedProcess[str]:
    """Runs code where `import torch` fails as if it were not installed."""
    blocked = f"import sys\nsys.modules['torch'] = None\n{code}"
    return subprocess.run([sys.executable, "-c", blocked], capture_output=True, text=True, cwd=ROOT, check=False)


def test_bundled_model_embeds_without_torch() -> None:
    pytest.importorskip("onnxruntime")
    done = without_torch(
        "import numpy as np\nfrom mot_reid import Embedder\n"
        "embedder = Embedder('osnet_x0_25_cameras')\n"
        "print(embedder(np.zeros((90, 40, 3), np.uint8), [[0, 0, 40, 90.0]]).shape, embedder.device)"
    )
    assert (done.stdout, done.stderr) == ("(1, 128) cpu\n", "")


def test_model_that_needs_torch_says_so() -> None:
    done = without_torch("from mot_reid import Embedder\nEmbedder('person_small')")
    assert done.stderr.splitlines()[-1] == (
        "ImportError: checkpoint: 'person_small' needs PyTorch, which is not installed; "
        'pip install "mot-reid[reid]", take mobilenetv2_short_cameras or osnet_x0_25_cameras, which does without, or '
        "make an ONNX file of it where PyTorch is: mot-reid export checkpoint=person_small format=onnx"
    )
