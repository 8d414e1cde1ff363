"""The process that trains: its messages, its freed memory, and whether it is the first of several."""

from __future__ import annotations

import ctypes
import logging
import os
import platform
import warnings

_WARNINGS = (
    "You have overridden `on_after_batch_transfer`",
    ".*LeafSpec",
    "Experiment logs directory",
    "Total length of `list`",
    "The number of training batches .* is smaller than the logging interval",
    "You're resuming from a checkpoint that ended before the epoch ended",
    ".*does not have many workers",
    "It is recommended to use .*sync_dist=True",
    "Checkpoint directory .* exists and is not empty",
)
"""How they begin."""
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Names of mallopt's settings in glibc's malloc.h."""
_KEPT, _LARGEST = 2**31 - 1, 2**30


def quieten() -> None:
    """Leaves the run's own messages alone on the screen, for the whole process."""
    import lightning  # noqa: F401 - sets the levels of its logs itself when it is imported

    for message in _WARNINGS:
        warnings.filterwarnings("ignore", message=message)
    for name in ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in ("mlflow", "alembic", "lightning.pytorch.loggers"):
        logging.getLogger(name).setLevel(logging.ERROR)


def keep_freed_memory() -> bool:
    """Has glibc keep freed memory for the process; returns whether it does, which only glibc can.

    By default a training step on a CPU gives thousands of pages back to the system, and the next has them zeroed again:
    a tenth of the step of a small network. In return the process holds its largest size until it ends.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_TRIM_THRESHOLD, _KEPT) and mallopt(_MMAP_THRESHOLD, _LARGEST))


def is_first_process() -> bool:
    """Whether this is the one process of a run that writes files; known from the environment before a Trainer exists.

    Lightning, torchrun and Slurm number the processes they start, from 0.
    """
    numbers = ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")
    return all(os.environ.get(name, "0") == "0" for name in numbers)
