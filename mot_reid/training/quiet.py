"""Other libraries' messages that tell a person nothing to act on."""

from __future__ import annotations

import logging
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


def quieten() -> None:
    """Leaves the run's own messages alone on the screen, for the whole process."""
    import lightning  # noqa: F401 - sets the levels of its logs itself when it is imported

    for message in _WARNINGS:
        warnings.filterwarnings("ignore", message=message)
    for name in ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in ("mlflow", "alembic", "lightning.pytorch.loggers"):
        logging.getLogger(name).setLevel(logging.ERROR)
