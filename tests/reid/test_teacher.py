"""Teachers: ours say what the embedder says, those of others what their own runtime says of prepared pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from mot_reid.reid.embedder import Embedder
from mot_reid.reid.preprocess import Preprocess
from mot_reid.reid.teacher import Teacher

BUNDLED = "osnet_x0_25_market1501"
BYTES = Preprocess(height=8, width=4, mean=(0, 0, 0), std=(1 / 255,) * 3, color="bgr")


def pictures(count: int = 3, height: int = 8, width: int = 4) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, (count, 3, height, width), generator=generator, dtype=torch.uint8)


class Plain(nn.Module):
    """A network whose embedding is known: the mean of each third of the pixels' rows, a channel each."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images[:, :, :4].mean((2, 3)) + 2 * images[:, :, 4:].mean((2, 3))


def by_hand(images: torch.Tensor) -> np.ndarray:
    """What `Plain` gives of BGR bytes, to unit length."""
    bgr = images.flip(1).double()
    rows = bgr[:, :, :4].mean((2, 3)) + 2 * bgr[:, :, 4:].mean((2, 3))
    return (rows / rows.norm(dim=1, keepdim=True)).numpy()


def test_teacher_of_ours_says_what_the_embedder_says() -> None:
    images = pictures(3, 128, 64)
    expected = Embedder(BUNDLED, device="cpu").embed(list(images.permute(0, 2, 3, 1).numpy()), color="rgb")
    np.testing.assert_allclose(Teacher(BUNDLED)(images).numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("batch", [1, None])
def test_onnx_of_others_sees_bytes_in_its_own_order(batch: int | None, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    path = tmp_path / "plain.onnx"
    shapes = None if batch else {"images": {0: "batch"}}
    torch.onnx.export(
        Plain(), (torch.zeros(1, 3, 8, 4),), path, input_names=["images"], dynamic_axes=shapes, dynamo=False
    )
    found = Teacher(path, preprocess=BYTES)(pictures())
    np.testing.assert_allclose(found.numpy(), by_hand(pictures()), atol=1e-6)


def test_openvino_of_others_sees_bytes_in_its_own_order(tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino")
    model = openvino.convert_model(Plain(), example_input=torch.zeros(1, 3, 8, 4), input=[1, 3, 8, 4])
    path = tmp_path / "plain.xml"
    openvino.save_model(model, path, compress_to_fp16=False)
    found = Teacher(path, preprocess=BYTES)(pictures())
    np.testing.assert_allclose(found.numpy(), by_hand(pictures()), atol=1e-5)


def test_network_of_others_without_preprocessing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.xml").write_text("<net/>")
    with pytest.raises(
        ValueError, match=r"distill.teacher: got '.*other.xml', which does not describe its preprocessing; set"
    ):
        Teacher(tmp_path / "other.xml")


def test_preprocessing_for_a_network_of_ours_is_refused() -> None:
    with pytest.raises(ValueError, match=r"distill.teacher_size: got \(8, 4\) for .*, which carries its own"):
        Teacher(BUNDLED, preprocess=BYTES)


def test_broken_network_of_others_is_one_sentence(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    (tmp_path / "broken.xml").write_text("<net/>")
    with pytest.raises(ValueError, match=r"broken.xml' cannot be opened for images of \(8, 4\); expected"):
        Teacher(tmp_path / "broken.xml", preprocess=BYTES)


def test_missing_teacher_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"got '.*nowhere.onnx'"):
        Teacher(tmp_path / "nowhere.onnx", preprocess=BYTES)
