"""The SQLite file of the galleries: transactions that end whole, and pages that keep nothing of what was deleted."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mot_reid.serving.refusal import Refusal

_BUSY_SECONDS = 30.0
# No log keeps what is deleted: the rollback journal goes with its transaction, and temporary tables are in memory.
_PRAGMAS = ("journal_mode=DELETE", "secure_delete=ON", "synchronous=FULL", "foreign_keys=ON", "temp_store=MEMORY")
_TABLES = """
CREATE TABLE IF NOT EXISTS galleries (
    name TEXT PRIMARY KEY,
    model TEXT NOT NULL,
    dimension INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS persons (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT UNIQUE NOT NULL,
    gallery TEXT NOT NULL REFERENCES galleries (name) ON DELETE CASCADE,
    name TEXT NOT NULL,
    crops INTEGER NOT NULL,
    file TEXT NOT NULL,
    enrolled REAL NOT NULL,
    seen REAL NOT NULL,
    UNIQUE (gallery, name)
) STRICT;
"""


class GalleryDatabase:
    """Galleries and persons as rows. One transaction at a time in this process, one writer among all processes.

    Args:
        path: of the file, made where it is missing.

    Raises:
        ValueError: it is no database of ours.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._rows = sqlite3.connect(path, timeout=_BUSY_SECONDS, check_same_thread=False, isolation_level=None)
        try:
            for pragma in _PRAGMAS:
                self._rows.execute(f"PRAGMA {pragma}")
            self._rows.executescript(_TABLES)
        except sqlite3.DatabaseError as error:
            self._rows.close()
            raise ValueError(
                f"galleries: got {path.name} that cannot be used ({error}); expected a database of this server; "
                "move it away"
            ) from None

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._rows.close()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A transaction that sees one state of rows and files, whoever writes beside it.

        Raises:
            Refusal: somebody writes for too long, or the disk fails.
        """
        with self._transaction("BEGIN") as rows:
            yield rows

    @contextmanager
    def writing(self, *, forgetting: bool = False) -> Iterator[sqlite3.Connection]:
        """A transaction that no other thread or process writes beside.

        Args:
            forgetting: whether it takes something away for which `wipe` is to be called afterwards; should the process
                die before, the next start calls it.

        Raises:
            Refusal: somebody else uses the file for too long, or the disk is full or fails.
        """
        with self._transaction("BEGIN IMMEDIATE") as rows:
            yield rows
            if forgetting:
                rows.execute(f"PRAGMA user_version = {_version(rows) % 2**31 + 1}")

    def wipe(self) -> None:
        """Writes the file anew if something was taken away since the last time.

        SQLite overwrites the rows that are deleted, but not the copies that are left when rows move between pages.
        """
        with self._lock, _refusing():
            taken_away = _version(self._rows)
            if not taken_away:
                return
            self._rows.execute("VACUUM")
        with self._transaction("BEGIN IMMEDIATE") as rows:
            if _version(rows) == taken_away:  # else another process has taken something away meanwhile
                rows.execute("PRAGMA user_version = 0")

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        with self._lock, _refusing():
            try:
                self._rows.execute(begin)
                yield self._rows
                self._rows.execute("COMMIT")
            finally:
                if self._rows.in_transaction:
                    self._rows.execute("ROLLBACK")


@contextmanager
def _refusing() -> Iterator[None]:
    """Turns what SQLite says of a file in use or a failing disk into a sentence."""
    try:
        yield
    except sqlite3.OperationalError as error:
        code = error.sqlite_errorcode & 0xFF if hasattr(error, "sqlite_errorcode") else None
        if code == 13 or "full" in str(error):  # SQLITE_FULL
            raise Refusal(
                "disk_full", "storage: the disk of the server is full; delete jobs, or try again later"
            ) from error
        if code in (5, 6) or "locked" in str(error):  # SQLITE_BUSY, SQLITE_LOCKED
            raise Refusal("busy", "gallery: others are using it; try again soon", retry_seconds=5) from error
        raise Refusal("internal", "storage: the server could not write the file; its log has the reason") from error


def _version(rows: sqlite3.Connection) -> int:
    return int(rows.execute("PRAGMA user_version").fetchone()[0])
