"""Networks of others with a JSON file embed as their own runtime does on pixels prepared by hand."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mot_reid.reid.embedder import Embedder
from tests.reid.test_teacher import Plain, by_hand, pictures

BYTES: dict[str, Any] = {"height": 8, "width": 4, "mean": [0, 0, 0], "std": [1 / 255] * 3, "color": "bgr"}
IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "color": "rgb"}


@pytest.fixture
def onnx(tmp_path: Path) -> Path:
    pytest.importorskip("onnxruntime")
    path = tmp_path / "plain.onnx"
    dynamic = {"images": {0: "batch"}}
    torch.onnx.export(
        Plain(), (torch.zeros(1, 3, 8, 4),), path, input_names=["images"], dynamic_axes=dynamic, dynamo=False
    )
    return path


def test_onnx_of_others_is_an_embedder(onnx: Path) -> None:
    said = {**BYTES, "threshold": 0.7, "licence": "MIT"}
    onnx.with_suffix(".json").write_text(json.dumps(said))
    embedder = Embedder(onnx, device="cpu")
    found = embedder.embed(pictures().permute(0, 2, 3, 1).numpy(), color="rgb")
    np.testing.assert_allclose(found, by_hand(pictures()), atol=1e-6)
    assert (embedder.embedding_dim, embedder.threshold, embedder.metadata["licence"]) == (3, 0.7, "MIT")


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "got list; expected height, width, mean, std, color"),
        (json.dumps({**BYTES, "size": 3}), r"got \['color', 'height', 'mean', 'size', 'std', 'width'\]; expected"),
        (json.dumps({"height": 8}), r"got \['height'\]; expected height, width, mean, std, color"),
        (json.dumps({**BYTES, "color": "gray"}), "color: got 'gray'; expected 'rgb' or 'bgr'"),
    ],
)
def test_json_that_is_not_as_it_should_be_is_named(onnx: Path, said: str, message: str) -> None:
    onnx.with_suffix(".json").write_text(said)
    with pytest.raises(ValueError, match=f"plain.json': {message}"):
        Embedder(onnx, device="cpu")


def test_network_without_its_json_is_refused_with_an_example(tmp_path: Path) -> None:
    (tmp_path / "other.xml").write_text("<net/>")
    with pytest.raises(FileNotFoundError, match=r"other.xml' without its preprocessing; expected it in '.*other.json'"):
        Embedder(tmp_path / "other.xml", device="cpu")


def real(real_data: Path, name: str, tmp_path: Path, said: dict[str, Any]) -> Path:
    """A copy of a network that lies next to the real data, with its JSON."""
    source = real_data.parent / "models" / name
    if not source.is_file():
        pytest.skip(f"real data: no {name} beside it")
    for path in source.parent.glob(f"{source.stem}.*"):
        shutil.copyfile(path, tmp_path / path.name)
    copied = tmp_path / source.name
    copied.with_suffix(".json").write_text(json.dumps({"height": 256, "width": 128, **said}))
    return copied


def crops() -> np.ndarray:
    """Three RGB pictures of the size of the networks' input, so that nothing is resized."""
    coarse = np.random.default_rng(0).integers(0, 256, (3, 16, 8, 3), dtype=np.uint8)
    return coarse.repeat(16, axis=1).repeat(16, axis=2)


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.data
@pytest.mark.parametrize("number", ["0277", "0288"])
def test_open_model_zoo_network_embeds_as_openvino_does(real_data: Path, number: str, tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino")
    said = {"mean": [0, 0, 0], "std": [1 / 255] * 3, "color": "bgr"}
    path = real(real_data, f"reid_omz/person-reidentification-retail-{number}.xml", tmp_path, said)
    compiled = openvino.Core().compile_model(path, "CPU")
    bgr = crops()[..., ::-1].transpose(0, 3, 1, 2).astype(np.float32)
    expected = unit(np.concatenate([compiled(one[None])[0].copy() for one in bgr]))
    found = Embedder(path, device="cpu").embed(crops(), color="rgb")
    assert found.shape == (3, 256)
    assert (found * expected).sum(axis=1).min() > 0.9999


@pytest.mark.data
def test_osnet_of_torchreid_embeds_as_onnx_runtime_does(real_data: Path, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    path = real(real_data, "osnet_x0_25_msmt17.onnx", tmp_path, IMAGENET)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    inputs = (crops() / 255 - IMAGENET["mean"]) / IMAGENET["std"]
    inputs = inputs.transpose(0, 3, 1, 2).astype(np.float32)
    name = session.get_inputs()[0].name
    expected = unit(np.concatenate([session.run(None, {name: one[None]})[0] for one in inputs]))
    found = Embedder(path, device="cpu").embed(crops(), color="rgb")
    assert found.shape == (3, 512)
    assert (found * expected).sum(axis=1).min() > 0.9999
