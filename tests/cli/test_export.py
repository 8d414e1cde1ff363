"""`tools/export.py` from the command line to files that other runtimes open."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mot_reid.cli.export import main
from mot_reid.reid import checkpoint
from mot_reid.reid import export as exporters
from mot_reid.reid.embedder import Embedder
from mot_reid.reid.inference import InferenceNetwork
from mot_reid.reid.network import ReIDNetwork
from mot_reid.reid.preprocess import Preprocess
from mot_reid.reid.runtimes import Runtime


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    network = ReIDNetwork("resnet10t", weights="none", image_size=(32, 16))
    with torch.no_grad():  # a trained neck: one that is nearly the identity would hide what exporters get wrong
        for _ in range(3):
            network(torch.randn(8, 3, 32, 16))
        torch.nn.init.normal_(network.get_parameter("neck.weight"))
    path = tmp_path_factory.mktemp("export") / "model.safetensors"
    checkpoint.save(path, network, Preprocess(32, 16), provenance={"seed": 0}, licence="none")
    return path


@pytest.fixture(scope="module")
def exported(source: Path) -> Path:
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    assert main([f"checkpoint={source}", "--format=onnx"]) == 0
    return source.with_suffix(".onnx")


def test_onnx_gives_torchs_embeddings_at_every_batch_size(source: Path, exported: Path) -> None:
    rng = np.random.default_rng(0)
    network, onnx = Embedder(source, device="cpu"), Embedder(exported, device="cpu")
    for batch in (1, 3, 8):
        crops = rng.integers(0, 256, (batch, 32, 16, 3), dtype=np.uint8)
        assert (network.embed(crops) * onnx.embed(crops)).sum(axis=1).min() > 0.9999


def test_onnx_carries_the_same_json(source: Path, exported: Path) -> None:
    assert Embedder(exported, device="cpu").metadata == checkpoint.describe(source)


def test_onnx_keeps_its_own_precision(exported: Path) -> None:
    with pytest.raises(ValueError, match="precision: got 'float16'; expected 'auto', since an ONNX file has its own"):
        Embedder(exported, device="cpu", precision="float16")


def _with_property(exported: Path, path: Path, key: str, value: str) -> Path:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(str(exported))
    stored = {entry.key: entry.value for entry in model.metadata_props}
    onnx.helper.set_model_props(model, {**stored, key: value})
    onnx.save(model, str(path))
    return path


def test_onnx_that_fails_its_probe_is_refused(exported: Path, tmp_path: Path) -> None:
    path = _with_property(exported, tmp_path / "a.onnx", "mot_reid_probe", json.dumps([1.0] + [0.0] * 511))
    with pytest.raises(checkpoint.CheckpointError, match="its probe does not give the stored embedding"):
        Embedder(path, device="cpu")


@pytest.mark.parametrize("value", ["{}", "no json", ""])
def test_onnx_without_our_json_is_refused(exported: Path, tmp_path: Path, value: str) -> None:
    path = _with_property(exported, tmp_path / "a.onnx", "mot_reid", value)
    with pytest.raises(checkpoint.CheckpointError, match=r"a\.onnx"):
        Embedder(path, device="cpu")


def test_onnx_that_is_none_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    (tmp_path / "a.onnx").write_bytes(b"nothing")
    with pytest.raises(checkpoint.CheckpointError, match="cannot be opened by ONNX Runtime; get the file again"):
        Embedder(tmp_path / "a.onnx", device="cpu")


@pytest.mark.parametrize("batch", [1, 2, 17])
def test_agreement_is_required_at_each_batch_size(source: Path, batch: int) -> None:
    artifact = checkpoint.load(source)
    network = InferenceNetwork(artifact.network).eval()

    def wrong_at_one_size(images: torch.Tensor) -> np.ndarray:
        return network(images).numpy() if len(images) != batch else network(images.flip(1)).numpy()

    with pytest.raises(exporters.DisagreementError, match=f"to torch's at batch {batch}; expected above 0.9999"):
        exporters.require_agreement(artifact, wrong_at_one_size, Path("a.onnx"))


def test_file_that_disagrees_is_not_kept(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxscript")
    monkeypatch.setattr(exporters, "AGREEMENT", 1.1)
    monkeypatch.setattr(exporters, "_write_onnx", lambda artifact, path, half, quick: path.write_bytes(b""))
    network = InferenceNetwork(checkpoint.load(source).network).eval()
    runtime = Runtime(lambda images: network(torch.from_numpy(images)).numpy(), "cpu")
    monkeypatch.setattr(exporters, "open_own", lambda path: ({}, runtime))
    assert main([f"checkpoint={source}", "format=onnx", f"output={tmp_path / 'a.onnx'}"]) == 1
    assert list(tmp_path.iterdir()) == []


def test_half_safetensors_is_smaller_and_still_opens(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "half.safetensors"
    assert main([f"checkpoint={source}", "half=true", f"output={output}"]) == 0
    assert output.stat().st_size < 0.6 * source.stat().st_size
    assert checkpoint.load(output).provenance == {"seed": 0}


@pytest.mark.slow
@pytest.mark.parametrize("half", ["false", "true"])
def test_openvino_pair_is_written(source: Path, tmp_path: Path, half: str) -> None:
    openvino = pytest.importorskip("openvino")
    output = tmp_path / "model.xml"
    assert main([f"checkpoint={source}", "format=openvino", f"output={output}", f"half={half}"]) == 0
    assert sorted(file.name for file in tmp_path.iterdir()) == ["model.bin", "model.xml"]
    model = openvino.Core().read_model(str(output))
    assert json.loads(model.get_rt_info("mot_reid").value) == checkpoint.describe(source)


@pytest.mark.slow
def test_half_onnx_opens(source: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    output = tmp_path / "half.onnx"
    assert main([f"checkpoint={source}", "format=onnx", f"output={output}", "half=true"]) == 0
    assert Embedder(output, device="cpu").embedding_dim == 512


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "command line: checkpoint is missing; add checkpoint=VALUE (a model.safetensors"),
        (["checkpoint=nowhere"], "checkpoint: got 'nowhere'; expected an existing file"),
        (["checkpoint=x", "format=pickle"], "format: got 'pickle'; expected one of safetensors, onnx, openvino"),
        (["checkpoint=x", "half=maybe"], "half: got 'maybe'; expected true or false"),
        (["chekpoint=x"], "no key 'chekpoint'; did you mean 'checkpoint'?"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_two(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["output={}/m.onnx"], "expected a name ending in .safetensors; did you mean format=onnx?"),
        (["output={}/m.txt", "format=onnx"], "expected a name ending in .onnx\n"),
        (["output={}/d.safetensors"], "got the folder"),
    ],
)
def test_output_that_would_mislead_is_refused(
    source: Path, tmp_path: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "d.safetensors").mkdir()
    assert main([f"checkpoint={source}", *(argument.format(tmp_path) for argument in arguments)]) == 2
    assert said in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["d.safetensors"]


def test_folder_of_a_run_is_answered_with_the_model_in_it(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([f"checkpoint={source.parent}"]) == 2
    assert f"did you mean '{source}'?" in capsys.readouterr().err


# 8 bits


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("crops")
    rng = np.random.default_rng(0)
    for number in range(40):
        coarse = rng.integers(0, 256, (8, 4, 3), dtype=np.uint8).repeat(4, axis=0).repeat(4, axis=1)
        Image.fromarray(coarse).save(folder / f"{number}.png")
    return folder


@pytest.mark.parametrize("suffix", [".onnx", ".xml"])
def test_int8_file_is_smaller_works_in_whole_numbers_and_stays_close(
    source: Path, exported: Path, crops: Path, tmp_path: Path, suffix: str
) -> None:
    kind = {".onnx": "onnx", ".xml": "openvino"}[suffix]
    pytest.importorskip(kind)
    output = tmp_path / f"int8{suffix}"
    assert main([f"checkpoint={source}", f"format={kind}", f"int8={crops}", f"output={output}"]) == 0
    pictures = sorted(crops.glob("*.png"))
    embedder = Embedder(output, device="cpu")
    cosine = (embedder.embed(pictures) * Embedder(source, device="cpu").embed(pictures)).sum(axis=1)
    assert 0.95 < np.median(cosine) < 0.999999  # were it 1, nothing would be rounded
    assert embedder.metadata["provenance"]["int8"]["folder"] == crops.name
    weights = output if suffix == ".onnx" else output.with_suffix(".bin")
    assert weights.stat().st_size < 0.5 * exported.stat().st_size
    assert sorted(tmp_path.iterdir()) == sorted({output, weights})


def test_int8_file_that_is_too_far_off_is_not_kept(
    source: Path, crops: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxscript")
    monkeypatch.setattr(exporters, "INT8_AGREEMENT", 1.1)
    given = [f"checkpoint={source}", "format=onnx", f"int8={crops}", f"output={tmp_path / 'a.onnx'}"]
    assert main(given) == 1
    assert re.search(r"in 8 bits, embeddings of 8 pictures have a median cosine of 0.9", capsys.readouterr().err)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["int8=CROPS"], "with format=safetensors half=False; expected format=onnx or format=openvino, without half"),
        (["format=onnx", "half=true", "int8=CROPS"], "with format=onnx half=True; expected format=onnx or"),
        (["format=onnx", "int8=/nowhere"], "int8: got '/nowhere'; expected a folder with crops of people"),
        (["format=onnx", "int8=EMPTY"], "with 0 pictures; expected a folder with 32 or more crops of people"),
    ],
)
def test_int8_is_refused_where_it_is_not_to_be_had(
    source: Path, crops: Path, tmp_path: Path, given: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [word.replace("CROPS", str(crops)).replace("EMPTY", str(tmp_path)) for word in given]
    assert main([f"checkpoint={source}", *words]) == 2
    assert message in capsys.readouterr().err


def test_tensorrt_is_refused_in_a_sentence_where_it_is_not_installed(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    assert main([f"checkpoint={source}", "format=tensorrt", f"output={tmp_path / 'a.engine'}"]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "format: got tensorrt, but TensorRT is not installed; pip install tensorrt on a machine with an NVIDIA GPU, or "
        "take format=onnx"
    )
    assert list(tmp_path.iterdir()) == []
