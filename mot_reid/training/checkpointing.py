"""Checkpoints of a run in progress: whole or not at all, and one more when a person stops the run."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.fabric.plugins import TorchCheckpointIO
from torch import Tensor

_KEPT = (
    "optim.name", "optim.lr", "optim.weight_decay", "optim.no_decay_norm_and_bias", "optim.bias_lr_factor",
    "optim.betas", "optim.amsgrad", "optim.momentum", "optim.nesterov", "model.height", "model.width",
)  # fmt: skip
"""Settings that a resumed run cannot change: those of the optimiser are part of its state."""
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(Exception):
    """A run was asked to stop, and did so between two batches."""


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its place and moves it there, so that a killed run leaves no half of one."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Saves a checkpoint under its final name only once it is complete on disk."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            with partial.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)

    def load_checkpoint(
        self, path: str | Path, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Loads a checkpoint without running code, whatever the release of Lightning asks for."""
        loaded: dict[str, Any] = torch.load(path, map_location=map_location or "cpu", weights_only=True)
        return loaded


class SaveOnInterrupt(Callback):
    """Ends a run between two batches, saved, when a person (Ctrl-C) or the system (SIGTERM) asks it to stop.

    So the weights are never those of half a step, and a resumed run repeats the one that was not stopped bit for bit.
    Between two epochs nothing is saved, since the epoch's own checkpoint is there already. A second Ctrl-C stops at
    once and leaves the last good checkpoint, as any failure does.
    """

    def __init__(self, path: Path) -> None:
        """Keeps where to save."""
        self.path = path
        self._asked = False
        self._handlers: dict[signal.Signals, Any] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Listens to the signals that are not ignored, as Ctrl-C is in a script's background, in the main thread."""
        self._asked = False
        if threading.current_thread() is threading.main_thread():
            heard = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
            self._handlers = {number: signal.signal(number, self._ask) for number in heard}

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stops between two epochs."""
        if self._agreed(trainer):
            raise Interrupted

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Stops between two batches, those that share an optimiser step aside."""
        if batch_idx == 0 or batch_idx % trainer.accumulate_grad_batches or not self._agreed(trainer):
            return
        progress = trainer.fit_loop.epoch_loop.batch_progress
        for counts in (progress.total, progress.current):  # the batch at hand is for the next run
            counts.reset_on_restart()
        trainer.save_checkpoint(self.path)
        raise Interrupted

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leaves the signals to others again; stops if asked to after the last batch."""
        self._restore()
        if self._agreed(trainer):
            raise Interrupted

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leaves the signals to others again."""
        self._restore()

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        if int(os.environ.get("LOCAL_RANK", "0")) == 0:
            os.write(2, b"\nstopping after this batch; once more to stop at once, unsaved\n")  # no print in a handler

    def _agreed(self, trainer: Trainer) -> bool:
        """Whether any process was asked: all of them stop at the same batch."""
        if trainer.world_size == 1:
            return self._asked
        return bool(trainer.strategy.reduce_boolean_decision(self._asked, all=False))

    def _restore(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}


@contextmanager
def listening() -> Iterator[None]:
    """Turns the exit that Lightning makes of a Ctrl-C back into KeyboardInterrupt, and listens to Ctrl-C as before."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as error:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from error


def read_resumable(path: str | Path, state: Mapping[str, Tensor], *, config: Mapping[str, Any] | None = None) -> int:
    """Returns the step that a checkpoint was written at, or refuses it where training cannot go on from it.

    Args:
        path: A checkpoint that Lightning wrote.
        state: The tensors it must hold, by name.
        config: Of the run that goes on, section by section; None does not compare it with that of the checkpoint.

    Raises:
        ValueError: It cannot be read, is no checkpoint of a run, or one of another network, size or optimiser.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception:  # whatever a broken file makes the unpickler raise
        raise ValueError(f"ckpt: got '{path}', which cannot be read; expected a checkpoint of a run") from None
    if not isinstance(content, dict) or not {"state_dict", "loops", "optimizer_states", "global_step"} <= set(content):
        raise ValueError(f"ckpt: got '{path}', which is no checkpoint of a run; expected one of its checkpoints/")
    stored = {name: tuple(value.shape) for name, value in content["state_dict"].items()}
    wanted = {name: tuple(value.shape) for name, value in state.items()}
    wrong = [name for name in {**wanted, **stored} if stored.get(name) != wanted.get(name)]
    if wrong:
        raise ValueError(
            f"ckpt: got '{path}', whose '{wrong[0]}' is {stored.get(wrong[0], 'missing')}; expected "
            f"{wanted.get(wrong[0], 'none')} (first of {len(wrong)}); resume with the settings of the interrupted run"
        )
    before = content.get("mot_reid", {}).get("provenance", {}).get("config", {})
    for section, name in (key.split(".") for key in _KEPT):
        then, now = before.get(section, {}), (config or {}).get(section, {})
        if name in then and name in now and _plain(then[name]) != _plain(now[name]):
            raise ValueError(
                f"ckpt: got {section}.{name}={now[name]}, while '{path}' has {then[name]}, with which a resumed run "
                "goes on; leave it as it was, or start a new run with model.weights"
            )
    return int(content["global_step"])


def _plain(value: Any) -> Any:
    """Returns a value as a checkpoint may hold it: a tuple comes back as a list."""
    return list(value) if isinstance(value, tuple) else value
