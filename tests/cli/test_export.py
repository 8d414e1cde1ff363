"""`tools/export.py` from the command line to files that other runtimes open."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mot_reid.cli.export import main
from mot_reid.reid import checkpoint
from mot_reid.reid import export as exporters
from mot_reid.reid.embedder import Embedder
from mot_reid.reid.inference import InferenceNetwork
from mot_reid.reid.network import ReIDNetwork
from mot_reid.reid.preprocess import Preprocess


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
    with pytest.raises(checkpoint.CheckpointError, match="ONNX Runtime cannot open it"):
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
    monkeypatch.setattr(exporters, "_write_onnx", lambda artifact, path, half: path.write_bytes(b""))
    monkeypatch.setattr(
        exporters, "open_onnx", lambda path: ({}, InferenceNetwork(checkpoint.load(source).network).eval())
    )
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
