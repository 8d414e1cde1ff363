"""The checkpoint: what comes back, what is refused, and in which words."""

from __future__ import annotations

import json
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from mot_reid.reid import bundled, checkpoint
from mot_reid.reid.checkpoint import CheckpointError
from mot_reid.reid.checksums import signed
from mot_reid.reid.network import ReIDNetwork
from mot_reid.reid.preprocess import Preprocess

CALIBRATION = {"threshold": 0.6, "false_match_rate": 1e-3, "true_match_rate": 0.9, "roc": [[0.1, 0.2]], "identities": 9}
PREPROCESS = Preprocess(64, 32)


@pytest.fixture(scope="module")
def network() -> ReIDNetwork:
    torch.manual_seed(0)
    return ReIDNetwork(
        "osnet_x0_25", weights="none", image_size=PREPROCESS.size, num_classes=5, embedding_dim=16
    ).eval()


@pytest.fixture(scope="module")
def saved(network: ReIDNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoint") / "model.safetensors"
    _save(path, network)
    return path


def _save(path: Path, network: ReIDNetwork, **choices: Any) -> None:
    choices = {"calibration": CALIBRATION, **choices}
    checkpoint.save(path, network, PREPROCESS, provenance={"seed": np.int64(3)}, licence="research only", **choices)


def _images() -> torch.Tensor:
    return torch.randn(3, 3, 64, 32, generator=torch.Generator().manual_seed(1))


def _split(path: Path) -> tuple[dict[str, Any], bytes]:
    """The header and the tensors' bytes of a safetensors file."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def _join(path: Path, header: dict[str, Any], data: bytes) -> Path:
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def _edited(saved: Path, path: Path, edit: Callable[[dict[str, Any]], None], *, sign: bool) -> Path:
    """A copy whose JSON was edited, with or without a checksum made to fit."""
    header, data = _split(saved)
    content = json.loads(header["__metadata__"]["mot_reid"])
    edit(content)
    header["__metadata__"]["mot_reid"] = signed(content) if sign else json.dumps(content)
    return _join(path, header, data)


def test_load_gives_the_network_that_was_saved(network: ReIDNetwork, saved: Path) -> None:
    artifact = checkpoint.load(saved)
    with torch.inference_mode():
        assert torch.equal(artifact.network(_images()), network(_images()))
    assert not artifact.network.training


def test_load_gives_preprocessing_calibration_provenance_and_licence(saved: Path) -> None:
    artifact = checkpoint.load(saved)
    assert artifact.preprocess == PREPROCESS
    assert artifact.calibration == CALIBRATION
    assert artifact.provenance == {"seed": 3}
    assert artifact.licence == "research only"


def test_save_leaves_the_classifier_out(network: ReIDNetwork, saved: Path) -> None:
    names = {name for name in network.state_dict() if not name.startswith("classifier.")}
    assert set(load_file(saved)) == names | {"probe.image", "probe.embedding"}


@pytest.mark.parametrize(
    "choices",
    [
        {"backbone": "resnet18", "pooling": "gem", "last_stride": 2, "embedding": "before_neck"},
        {"backbone": "vit_tiny_patch16_224", "pooling": "token", "neck": "none"},
    ],
)
def test_round_trip_keeps_every_choice(choices: dict[str, Any], tmp_path: Path) -> None:
    network = ReIDNetwork(**choices, weights="none", image_size=PREPROCESS.size).eval()
    _save(tmp_path / "model.safetensors", network)
    artifact = checkpoint.load(tmp_path / "model.safetensors")
    assert artifact.network.config == network.config
    assert artifact.metadata["embedding"]["taken"] == choices.get("embedding", "after_neck")
    with torch.inference_mode():
        assert torch.equal(artifact.network(_images()), network(_images()))


def test_half_precision_is_smaller_and_nearly_the_same(network: ReIDNetwork, saved: Path, tmp_path: Path) -> None:
    path = tmp_path / "half.safetensors"
    _save(path, network, dtype="float16")
    artifact, stored = checkpoint.load(path), load_file(path)
    assert stored["backbone.stem.0.conv.weight"].dtype == torch.float16
    assert stored["neck.running_var"].dtype == torch.float32
    assert path.stat().st_size < 0.75 * saved.stat().st_size
    assert all(parameter.dtype == torch.float32 for parameter in artifact.network.parameters())
    with torch.inference_mode():
        cosine = (artifact.network(_images()) * network(_images())).sum(dim=1)
    assert cosine.min() > 0.9999


def test_saving_twice_gives_the_same_bytes(network: ReIDNetwork, saved: Path, tmp_path: Path) -> None:
    artifact = checkpoint.load(saved)
    _save(tmp_path / "again.safetensors", artifact.network)
    assert (tmp_path / "again.safetensors").read_bytes() == saved.read_bytes()


def test_save_takes_a_network_in_training_mode_and_channels_last(
    network: ReIDNetwork, saved: Path, tmp_path: Path
) -> None:
    turned = ReIDNetwork("osnet_x0_25", weights="none", num_classes=5, embedding_dim=16)
    turned.load_state_dict(network.state_dict())
    turned = turned.to(memory_format=torch.channels_last).train()
    _save(tmp_path / "turned.safetensors", turned)
    assert (tmp_path / "turned.safetensors").read_bytes() == saved.read_bytes()
    assert turned.training


def test_save_replaces_the_file_and_leaves_no_other(network: ReIDNetwork, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_text("old")
    _save(path, network)
    checkpoint.load(path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_save_keeps_the_old_file_when_writing_fails(
    network: ReIDNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "model.safetensors"
    path.write_text("old")

    def full(*arguments: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(checkpoint.os, step, full)
    with pytest.raises(OSError, match="No space left"):
        _save(path, network)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_save_refuses_weights_that_are_not_finite(tmp_path: Path) -> None:
    broken = ReIDNetwork("osnet_x0_25", weights="none")
    torch.nn.init.constant_(broken.neck.weight, float("nan"))
    with pytest.raises(ValueError, match=r"'neck\.weight': holds values that are not finite"):
        _save(tmp_path / "model.safetensors", broken)


@pytest.mark.parametrize("wrong", [float("nan"), object()])
def test_save_refuses_what_json_cannot_hold(network: ReIDNetwork, tmp_path: Path, wrong: object) -> None:
    with pytest.raises(ValueError, match="metadata: cannot be written as JSON"):
        _save(tmp_path / "model.safetensors", network, calibration={"threshold": wrong})


def test_save_refuses_an_unknown_type(network: ReIDNetwork, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="dtype: got 'int8'; expected 'float32' or 'float16'"):
        _save(tmp_path / "model.safetensors", network, dtype="int8")


def test_describe_tells_what_load_tells(saved: Path) -> None:
    assert checkpoint.describe(saved) == checkpoint.load(saved).metadata


def test_describe_has_the_documented_fields(saved: Path) -> None:
    described = checkpoint.describe(saved)
    assert described["format"] == "mot_reid.reid"
    assert described["format_version"] == 1
    assert described["network"]["backbone"] == "osnet_x0_25"
    assert described["network"]["embedding_dim"] == 16
    assert described["embedding"] == {"taken": "after_neck", "unit_length": True, "metric": "cosine"}


def test_describe_reads_the_header_only(saved: Path, tmp_path: Path) -> None:
    """A file whose tensors are all garbage is described, and not loaded."""
    header, data = _split(saved)
    path = _join(tmp_path / "garbage.safetensors", header, b"\xff" * len(data))
    assert checkpoint.describe(path) == checkpoint.describe(saved)
    with pytest.raises(CheckpointError, match="the weights do not match their checksum"):
        checkpoint.load(path)


def test_newer_format_is_refused_with_both_versions(saved: Path, tmp_path: Path) -> None:
    path = _edited(saved, tmp_path / "a.safetensors", lambda content: content.update(format_version=2), sign=True)
    with pytest.raises(CheckpointError, match="written in format version 2; this mot_reid reads up to 1; upgrade it"):
        checkpoint.load(path)


def test_changed_description_is_refused(saved: Path, tmp_path: Path) -> None:
    def raise_threshold(content: dict[str, Any]) -> None:
        content["calibration"]["threshold"] = 0.61

    path = _edited(saved, tmp_path / "a.safetensors", raise_threshold, sign=False)
    with pytest.raises(CheckpointError, match="its description does not match its checksum"):
        checkpoint.describe(path)


@pytest.mark.parametrize("key", ["preprocess", "calibration"])
def test_missing_field_is_refused(saved: Path, tmp_path: Path, key: str) -> None:
    path = _edited(saved, tmp_path / "a.safetensors", lambda content: content.pop(key), sign=True)
    with pytest.raises(CheckpointError, match="its description does not match its checksum"):
        checkpoint.describe(path)


def test_description_of_another_network_is_refused(saved: Path, tmp_path: Path) -> None:
    path = _edited(
        saved, tmp_path / "a.safetensors", lambda content: content["network"].update(projection=False), sign=True
    )
    with pytest.raises(CheckpointError, match=r"do not fit each other \(.*projection"):
        checkpoint.load(path)


def test_preprocessing_that_gives_other_embeddings_fails_the_probe(saved: Path, tmp_path: Path) -> None:
    """Weights and description pass their checksums; only the self-test can tell."""
    path = _edited(
        saved, tmp_path / "a.safetensors", lambda content: content["preprocess"].update(color="bgr"), sign=True
    )
    with pytest.raises(CheckpointError, match="the probe's embedding has cosine"):
        checkpoint.load(path)


@pytest.mark.parametrize("change", ["missing", "extra"])
def test_other_tensors_are_refused_even_with_fitting_checksums(saved: Path, tmp_path: Path, change: str) -> None:
    tensors = load_file(saved)
    if change == "missing":
        del tensors["neck.weight"]
    else:
        tensors["extra"] = torch.zeros(1)
    checkpoint.write(tmp_path / "a.safetensors", tensors, checkpoint.describe(saved))
    with pytest.raises(CheckpointError, match=r"do not fit each other \(.*(neck\.weight|extra)"):
        checkpoint.load(tmp_path / "a.safetensors")


def test_missing_probe_is_refused(saved: Path, tmp_path: Path) -> None:
    tensors = {name: tensor for name, tensor in load_file(saved).items() if not name.startswith("probe.")}
    checkpoint.write(tmp_path / "a.safetensors", tensors, checkpoint.describe(saved))
    with pytest.raises(CheckpointError, match="the probe is missing"):
        checkpoint.load(tmp_path / "a.safetensors")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"checkpoint: got '.*nowhere\.safetensors'; expected an existing file"):
        checkpoint.load(tmp_path / "nowhere.safetensors")


@pytest.mark.parametrize(
    "content", [b"", b"short", b"\x89PNG\r\n\x1a\n" + bytes(100), pickle.dumps({"a": 1}) * 9, bytes(2000)]
)
def test_foreign_bytes_are_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "foreign.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="not a safetensors file") as caught:
        checkpoint.load(path)
    assert "\n" not in str(caught.value)


def test_safetensors_of_somebody_else_is_refused(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(3)}, tmp_path / "other.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="not a checkpoint of mot_reid"):
        checkpoint.load(tmp_path / "other.safetensors")


def test_truncated_file_is_refused_with_both_lengths(saved: Path, tmp_path: Path) -> None:
    content = saved.read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(content[:-100])
    with pytest.raises(CheckpointError, match=f"{len(content) - 100} bytes long; expected {len(content)}"):
        checkpoint.describe(tmp_path / "cut.safetensors")


def _corrupted(content: bytes, number: int) -> bytes:
    """A file spoiled in one of many ways: a flipped bit, a cut, a changed or removed byte of the header."""
    rng = np.random.default_rng(number)
    (length,) = struct.unpack("<Q", content[:8])
    spoiled = bytearray(content)
    kind = number % 5
    if kind == 0:
        spoiled[rng.integers(8 + length, len(content))] ^= 1 << rng.integers(8)
    elif kind == 1:
        spoiled[rng.integers(0, 8 + length)] ^= 1 << rng.integers(8)
    elif kind == 2:
        del spoiled[rng.integers(0, len(content)) :]
    elif kind == 3:
        at = rng.integers(8, 8 + length)
        spoiled[at] = (spoiled[at] + rng.integers(1, 256)) % 256
    else:
        del spoiled[rng.integers(8, 8 + length)]
        spoiled[:8] = struct.pack("<Q", length - 1)
    return bytes(spoiled)


def test_two_hundred_corrupted_files_are_all_refused_with_one_line(saved: Path, tmp_path: Path) -> None:
    """Caught: either checksum left out, the length unchecked, any exception of a library let through."""
    content = saved.read_bytes()
    path = tmp_path / "spoiled.safetensors"
    accepted = []
    for number in range(200):
        path.write_bytes(_corrupted(content, number))
        try:
            checkpoint.load(path)
        except CheckpointError as error:
            assert "\n" not in str(error)
        else:
            accepted.append(number)
    assert accepted == []


def _lightning(network: ReIDNetwork, **parts: Any) -> dict[str, Any]:
    described = checkpoint.metadata(network, PREPROCESS, provenance={}, licence="research only")
    state = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    return {"mot_reid": described, "state_dict": {**state, "loss.centers": torch.zeros(2)}, "epoch": 3, **parts}


def test_lightning_checkpoint_gives_its_network(network: ReIDNetwork, tmp_path: Path) -> None:
    torch.save(_lightning(network), tmp_path / "last.ckpt")
    artifact = checkpoint.load(tmp_path / "last.ckpt")
    with torch.inference_mode():
        assert torch.equal(artifact.network(_images()), network(_images()))
    assert artifact.preprocess == PREPROCESS


def test_lightning_checkpoint_gives_its_averaged_weights_first(network: ReIDNetwork, tmp_path: Path) -> None:
    averaged = {name: tensor * 0.5 for name, tensor in network.state_dict().items()}
    torch.save(_lightning(network, ema_state_dict=averaged), tmp_path / "last.ckpt")
    artifact = checkpoint.from_lightning(tmp_path / "last.ckpt")
    assert torch.equal(artifact.network.neck.weight, network.neck.weight * 0.5)


def test_lightning_checkpoint_can_be_exported(network: ReIDNetwork, tmp_path: Path) -> None:
    torch.save(_lightning(network), tmp_path / "last.ckpt")
    artifact = checkpoint.load(tmp_path / "last.ckpt")
    _save(tmp_path / "model.safetensors", artifact.network)
    assert checkpoint.load(tmp_path / "model.safetensors").network.config == network.config


def _without_weight(content: dict[str, Any]) -> None:
    del content["state_dict"]["network.neck.weight"]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda content: content.pop("mot_reid"), "not a checkpoint of mot_reid"),
        (lambda content: content.update(state_dict=None), "is not as mot_reid writes it"),
        (lambda content: content.update(mot_reid=3), "is not as mot_reid writes it"),
        (lambda content: content["mot_reid"].update(format_version=9), "format version 9"),
        (lambda content: content.update(hyper_parameters=Path("x")), "without running code"),
        (_without_weight, r"do not fit each other \(.*neck\.weight"),
    ],
)
def test_lightning_checkpoint_that_is_not_ours_is_refused(
    network: ReIDNetwork, tmp_path: Path, spoil: Callable[[dict[str, Any]], None], message: str
) -> None:
    content = _lightning(network)
    spoil(content)
    torch.save(content, tmp_path / "last.ckpt")
    with pytest.raises(CheckpointError, match=message):
        checkpoint.load(tmp_path / "last.ckpt")


def test_find_takes_a_path_or_the_name_of_a_model_in_the_box(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundled, "WEIGHTS", tmp_path)
    inside = tmp_path / "osnet_x0_25_market1501.safetensors"
    inside.write_bytes(b"")
    assert checkpoint.find("osnet_x0_25_market1501") == inside
    assert checkpoint.find(saved) == saved
    with pytest.raises(FileNotFoundError, match=r"bundled models: .*; did you mean 'osnet_x0_25_market1501'"):
        checkpoint.find("osnet_x025_market1501")


def test_find_says_so_when_the_box_is_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundled, "WEIGHTS", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"got 'osnet'; .* a bundled model \(there is none\)"):
        checkpoint.find("osnet")
