"""The files of checkpoints: whole or not at all when written, unharmed or refused when read."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from mot_reid.files import whole
from mot_reid.reid.checksums import SEALED, DamagedError, load_sealed, seal

log = logging.getLogger(__name__)


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint under another name and moves it into place, with a checksum that is verified when read."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Saves a checkpoint under its final name only once it is complete on disk."""
        with whole(path) as partial:
            with partial.open("wb") as file:
                torch.save({**checkpoint, SEALED: True}, file)
            seal(partial)
            with partial.open("rb+") as file:
                os.fsync(file.fileno())

    def load_checkpoint(
        self, path: str | Path, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Loads a checkpoint as `read` does, whatever the release of Lightning asks for."""
        content: dict[str, Any] = read(path, map_location=map_location)
        return content


def read(path: str | Path, *, map_location: Any | None = None) -> Any:
    """Returns the content of a checkpoint, without running code that is in it.

    Args:
        path: The file.
        map_location: Where its tensors go; None is the CPU.

    Raises:
        ValueError: It is damaged, or no file of torch.
    """
    try:
        content, verified = load_sealed(path, map_location=map_location)
    except DamagedError as error:
        raise ValueError(
            f"ckpt: got '{path}', which is {error}; expected the file as it was written; take another checkpoint of "
            "the run, or start it anew"
        ) from None
    except FileNotFoundError:
        raise
    except Exception:  # of the unpickler, for a broken file
        raise ValueError(f"ckpt: got '{path}', which cannot be read; expected a checkpoint of a run") from None
    if not verified:
        log.warning("ckpt: '%s' has no checksum, so it cannot be checked for damage", path)
    return content
