"""What a run says, kept in a file of its folder."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_EVERYTHING = logging.getLogger("mot_reid")
_FILE_ONLY = logging.getLogger("mot_reid.training.run_log.file")


@contextmanager
def written_to(path: Path, *, going_on: bool) -> Iterator[None]:
    """Writes all messages of the package to a file, and those of `note`, until the block ends.

    Args:
        path: The file; its folder is there.
        going_on: Whether lines are added to those of the run that is resumed.
    """
    file = logging.FileHandler(path, mode="a" if going_on else "w", encoding="utf-8", delay=True)
    file.setFormatter(logging.Formatter("%(asctime)s  %(message)s", datefmt="%Y-%m-%d %H:%M:%S"))
    level, passed_on = _EVERYTHING.level, _FILE_ONLY.propagate
    _EVERYTHING.addHandler(file)
    _FILE_ONLY.addHandler(file)
    _FILE_ONLY.propagate = False
    if not _EVERYTHING.isEnabledFor(logging.INFO):
        _EVERYTHING.setLevel(logging.INFO)
    try:
        yield
    finally:
        for logger in (_EVERYTHING, _FILE_ONLY):
            logger.removeHandler(file)
        _EVERYTHING.setLevel(level)
        _FILE_ONLY.propagate = passed_on
        file.close()


def note(line: str) -> None:
    """Writes a line to the file alone, not to the screen."""
    _FILE_ONLY.info(line)
