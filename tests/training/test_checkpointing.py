"""Checkpoints are whole or absent; only those that training can go on from are taken."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from mot_reid.training.checkpoint_io import AtomicCheckpointIO
from mot_reid.training.checkpointing import SaveOnInterrupt, listening
from mot_reid.training.resuming import read_resumable

STATE = {"network.weight": torch.ones(2, 3)}
WHOLE = {"state_dict": STATE, "loops": {}, "optimizer_states": [], "global_step": 7}


class Killed(BaseException):
    """What a test raises where a process would die."""


def test_checkpoint_is_written_and_read_back(tmp_path: Path) -> None:
    AtomicCheckpointIO().save_checkpoint(WHOLE, tmp_path / "new" / "last.ckpt")
    loaded = torch.load(tmp_path / "new" / "last.ckpt", weights_only=True)
    assert loaded["global_step"] == 7 and torch.equal(loaded["state_dict"]["network.weight"], torch.ones(2, 3))
    assert os.listdir(tmp_path / "new") == ["last.ckpt"]


def half_written(content: Any, file: Any) -> None:
    file.write(b"half of it")
    raise Killed


def killed_replace(*arguments: Any) -> None:
    raise Killed


@pytest.mark.parametrize(("name", "failure"), [("torch.save", half_written), ("os.replace", killed_replace)])
@pytest.mark.parametrize("earlier", [True, False])
def test_killed_save_leaves_what_was_there(
    name: str, failure: Any, earlier: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "last.ckpt"
    if earlier:
        AtomicCheckpointIO().save_checkpoint(WHOLE, path)
    before = path.read_bytes() if earlier else None
    monkeypatch.setattr(name, failure)
    with pytest.raises(Killed):
        AtomicCheckpointIO().save_checkpoint({**WHOLE, "global_step": 8}, path)
    assert os.listdir(tmp_path) == (["last.ckpt"] if earlier else [])
    assert (path.read_bytes() if earlier else None) == before


def test_process_that_dies_while_saving_leaves_no_checkpoint_by_that_name(tmp_path: Path) -> None:
    """With no chance to clean up, as after SIGKILL: whatever lies there has another name."""
    child = os.fork()
    if not child:
        torch.save = lambda content, file: (file.write(b"half"), file.flush(), os._exit(9))
        AtomicCheckpointIO().save_checkpoint(WHOLE, tmp_path / "last.ckpt")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    (left,) = os.listdir(tmp_path)
    assert left.startswith(".last.") and left.endswith(".part.ckpt")


# Which checkpoints are taken


def test_step_of_a_checkpoint_is_read(tmp_path: Path) -> None:
    AtomicCheckpointIO().save_checkpoint(WHOLE, tmp_path / "last.ckpt")
    assert read_resumable(tmp_path / "last.ckpt", STATE) == 7


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 half a zip file"])
def test_unreadable_checkpoint_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "last.ckpt").write_bytes(content)
    with pytest.raises(ValueError, match=r"ckpt: got '.*last\.ckpt', which cannot be read; expected"):
        read_resumable(tmp_path / "last.ckpt", STATE)


def test_cut_checkpoint_is_refused(tmp_path: Path) -> None:
    AtomicCheckpointIO().save_checkpoint(WHOLE, tmp_path / "last.ckpt")
    whole = (tmp_path / "last.ckpt").read_bytes()
    (tmp_path / "last.ckpt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="cannot be read"):
        read_resumable(tmp_path / "last.ckpt", STATE)


def test_checkpoint_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "attacked"),)

    torch.save({**WHOLE, "extra": Attack()}, tmp_path / "last.ckpt")
    with pytest.raises(ValueError, match="cannot be read"):
        read_resumable(tmp_path / "last.ckpt", STATE)
    assert not (tmp_path / "attacked").exists()


@pytest.mark.parametrize("content", [STATE, [1, 2], {"state_dict": STATE, "global_step": 7}])
def test_weights_alone_are_no_checkpoint_of_a_run(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "weights.pt")
    with pytest.raises(ValueError, match="which is no checkpoint of a run"):
        read_resumable(tmp_path / "weights.pt", STATE)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"network.weight": torch.ones(2, 4)}, r"'network\.weight' is \(2, 3\); expected \(2, 4\)"),
        ({**STATE, "network.bias": torch.ones(2)}, r"'network\.bias' is missing; expected \(2,\)"),
        ({}, r"'network\.weight' is \(2, 3\); expected none"),
    ],
)
def test_checkpoint_of_another_network_is_refused(state: dict[str, Any], said: str, tmp_path: Path) -> None:
    AtomicCheckpointIO().save_checkpoint(WHOLE, tmp_path / "last.ckpt")
    with pytest.raises(ValueError, match=said):
        read_resumable(tmp_path / "last.ckpt", state)


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [("optim", "lr", 1e-3), ("optim", "name", "sgd"), ("optim", "betas", (0.9, 0.99)), ("model", "width", 32)],
)
def test_setting_that_a_resumed_run_cannot_change_is_refused(
    section: str, name: str, value: Any, tmp_path: Path
) -> None:
    config = {
        "optim": {"name": "adam", "lr": 3e-4, "betas": (0.9, 0.999)}, "model": {"height": 128, "width": 64},
    }  # fmt: skip
    told = {"mot_reid": {"provenance": {"config": config}}}
    AtomicCheckpointIO().save_checkpoint({**WHOLE, **told}, tmp_path / "last.ckpt")
    same = {**config, "optim": {**config["optim"], "betas": [0.9, 0.999]}}
    assert read_resumable(tmp_path / "last.ckpt", STATE, config=same) == 7
    changed = {**config, section: {**config[section], name: value}}
    with pytest.raises(
        ValueError, match=rf"ckpt: got {section}\.{name}=.*, with which a resumed run goes on; leave it"
    ):
        read_resumable(tmp_path / "last.ckpt", STATE, config=changed)


# Signals


def test_lightnings_exit_after_ctrl_c_is_an_interrupt_again() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), listening():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise SystemExit(1)
    assert signal.getsignal(signal.SIGINT) is before


def test_ignored_signals_stay_ignored(tmp_path: Path) -> None:
    """A run in the background of a script is not stopped by the Ctrl-C of what runs in front."""
    callback, trainer = SaveOnInterrupt(tmp_path / "last.ckpt"), SimpleNamespace(world_size=1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    callback.on_train_start(trainer, None)  # type: ignore[arg-type]
    try:
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGTERM) == callback._ask
    finally:
        callback.on_train_end(trainer, None)  # type: ignore[arg-type]
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_other_errors_pass_through_listening() -> None:
    with pytest.raises(ZeroDivisionError), listening():
        raise ZeroDivisionError


def test_other_threads_leave_signals_alone(tmp_path: Path) -> None:
    """Python handles signals in the main thread only, and refuses handlers from others."""
    before = signal.getsignal(signal.SIGINT)
    failures: list[BaseException] = []

    def start() -> None:
        try:
            SaveOnInterrupt(tmp_path / "last.ckpt").on_train_start(None, None)  # type: ignore[arg-type]
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert failures == [] and signal.getsignal(signal.SIGINT) is before
