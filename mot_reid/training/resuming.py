"""From which checkpoint a run goes on, and whether it can."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from mot_reid.training.checkpoint_io import read

_KEPT = (
    "optim.name", "optim.lr", "optim.weight_decay", "optim.no_decay_norm_and_bias", "optim.bias_lr_factor",
    "optim.betas", "optim.amsgrad", "optim.momentum", "optim.nesterov", "model.height", "model.width",
)  # fmt: skip
"""Settings that a resumed run cannot change: those of the optimiser are part of its state."""


def find_checkpoint(folder: Path, resume: str | None) -> str | None:
    """Returns the path of the checkpoint to go on from; None where the run starts anew.

    Args:
        folder: The run's own.
        resume: A path; "last" for the latest checkpoint of the folder, which must be there; "auto" for the same if it
            is there; None for none.

    Raises:
        FileNotFoundError: There is no such checkpoint.
    """
    last = folder / "checkpoints" / "last.ckpt"
    if resume is None or (resume == "auto" and not last.is_file()):
        return None
    path = last if resume in ("last", "auto") else Path(resume)
    if not path.is_file():
        raise FileNotFoundError(
            f"ckpt: got '{resume}', but there is no '{path}'; check run.dir, leave ckpt out, or set ckpt=auto, which "
            "starts a new run if there is no checkpoint"
        )
    return str(path)


def read_resumable(path: str | Path, state: Mapping[str, Tensor], *, config: Mapping[str, Any] | None = None) -> int:
    """Returns the step that a checkpoint was written at, or refuses it where training cannot go on from it.

    Args:
        path: A checkpoint that Lightning wrote.
        state: The tensors it must hold, by name.
        config: Of the run that goes on, section by section; None does not compare it with that of the checkpoint.

    Raises:
        ValueError: It cannot be read, is no checkpoint of a run, or one of another network, size or optimiser.
    """
    content = read(path)
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
