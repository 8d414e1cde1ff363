"""Damaged checkpoints are refused, whichever bit is wrong."""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mot_reid.reid import checkpoint
from mot_reid.reid.checksums import seal, seal_holds
from mot_reid.reid.pretrained import read_state_dict
from mot_reid.training.checkpoint_io import AtomicCheckpointIO, read

GENERATOR = torch.Generator().manual_seed(0)
CONTENT: dict[str, Any] = {
    "state_dict": {"network.weight": torch.randn(200, 100, generator=GENERATOR)},
    "optimizer_states": [{"state": {0: {"exp_avg": torch.randn(200, 100, generator=GENERATOR)}}}],
    "loops": {"fit_loop": {"ready": 3}},
    "global_step": 7,
}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    AtomicCheckpointIO().save_checkpoint(CONTENT, tmp_path / "last.ckpt")
    return tmp_path / "last.ckpt"


def flipped(whole: bytes, bit: int) -> bytes:
    damaged = bytearray(whole)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


def test_no_flip_of_a_bit_is_accepted(saved: Path) -> None:
    """60 flips anywhere, 16 in the checksum itself and its surroundings."""
    whole = saved.read_bytes()
    bits = np.random.default_rng(0).integers(8 * len(whole), size=60).tolist()
    bits += [8 * len(whole) - 1 - 41 * k for k in range(16)]
    for bit in bits:
        saved.write_bytes(flipped(whole, bit))
        with pytest.raises(
            ValueError, match=r"ckpt: got '.*last\.ckpt', which is damaged: .*; expected the file as it"
        ):
            read(saved)
    saved.write_bytes(whole)
    assert torch.equal(read(saved)["state_dict"]["network.weight"], CONTENT["state_dict"]["network.weight"])


@pytest.mark.parametrize(
    ("reader", "refused"),
    [
        (checkpoint.load, r"'.*last\.ckpt': damaged: its content does not match its checksum; get the file again"),
        (read_state_dict, r"model\.weights: '.*last\.ckpt' cannot be read as weights \(damaged: its content does not"),
    ],
)
def test_damaged_checkpoint_is_no_model_and_no_weights_either(
    reader: Callable[[Path], Any], refused: str, saved: Path
) -> None:
    whole = saved.read_bytes()
    place = whole.index(CONTENT["state_dict"]["network.weight"].numpy().tobytes())
    saved.write_bytes(flipped(whole, 8 * (place + 1003)))
    with pytest.raises(ValueError, match=refused):
        reader(saved)


def test_checksum_is_inside_and_others_can_read_the_file(saved: Path) -> None:
    assert seal_holds(saved) is True
    assert zipfile.ZipFile(saved).testzip() is None
    assert torch.load(saved, weights_only=True, mmap=True)["global_step"] == 7
    assert read(saved).keys() == CONTENT.keys()


def test_file_without_a_checksum_is_read_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As Lightning itself writes it."""
    torch.save(CONTENT, tmp_path / "other.ckpt")
    assert seal_holds(tmp_path / "other.ckpt") is None
    with caplog.at_level(logging.WARNING):
        assert read(tmp_path / "other.ckpt")["global_step"] == 7
    assert "other.ckpt' has no checksum" in caplog.text


def test_file_that_lost_its_checksum_is_refused(saved: Path) -> None:
    """Written anew by a tool that drops the comment of the zip file, as a transfer might."""
    whole = saved.read_bytes()
    end = whole.rindex(b"PK\x05\x06")
    saved.write_bytes(whole[: end + 20] + b"\0\0")
    assert seal_holds(saved) is None
    with pytest.raises(ValueError, match="which is damaged"):
        read(saved)


def test_only_the_end_of_a_zip_file_is_sealed(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(100))
    with pytest.raises(ValueError, match="has no end of a zip file"):
        seal(tmp_path / "file")
