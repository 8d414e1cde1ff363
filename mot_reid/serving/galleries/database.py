"""The SQLite file of the galleries: transactions that end whole, and pages that keep nothing of what was deleted."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from mot_reid.serving.database import Rows
from mot_reid.serving.sqlite import SqliteDatabase

_BUSY_SECONDS = 30.0
# No log keeps what is deleted: the rollback journal goes with its transaction, and temporary tables are in memory.
_PRAGMAS = ("journal_mode=DELETE", "secure_delete=ON", "synchronous=FULL", "foreign_keys=ON", "temp_store=MEMORY")
_FIRST_TABLES = (
    "CREATE TABLE galleries (name TEXT PRIMARY KEY, model TEXT NOT NULL, dimension INTEGER NOT NULL) STRICT",
    "CREATE TABLE persons (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, "
    "gallery TEXT NOT NULL REFERENCES galleries (name) ON DELETE CASCADE, name TEXT NOT NULL, "
    "crops INTEGER NOT NULL, file TEXT NOT NULL, enrolled REAL NOT NULL, seen REAL NOT NULL, "
    "UNIQUE (gallery, name)) STRICT",
)


class GalleryDatabase:
    """Galleries, persons and their embeddings as rows. One transaction at a time in this process, one writer of all.

    Args:
        path: of the file, made where it is missing.
        read_embedding: returns the stored bytes of a file of embeddings, by its name. Files lay next to the database
            in its first version; they are read once, and no longer needed when this is constructed.

    Raises:
        ValueError: the file is damaged, in use, not ours, or written by a newer program.
    """

    def __init__(self, path: Path, read_embedding: Callable[[str], bytes]) -> None:
        def take_files_in(rows: sqlite3.Connection) -> None:
            rows.execute("ALTER TABLE persons ADD COLUMN embedding BLOB NOT NULL DEFAULT x''")
            for number, file in rows.execute("SELECT number, file FROM persons").fetchall():
                rows.execute("UPDATE persons SET embedding = ? WHERE number = ?", (read_embedding(file), number))
            rows.execute("ALTER TABLE persons DROP COLUMN file")
            rows.execute("CREATE TABLE wiping (pending INTEGER NOT NULL) STRICT")
            rows.execute("INSERT INTO wiping VALUES (1)")

        self._file = SqliteDatabase(
            path, what="galleries", pragmas=_PRAGMAS, steps=(_make_tables, take_files_in), timeout=_BUSY_SECONDS
        )

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def reading(self) -> AbstractContextManager[Rows]:
        """A transaction that sees one state of the rows, whoever writes meanwhile.

        Raises:
            Refusal: somebody writes for too long, or the disk fails.
        """
        return self._file.reading()

    def version(self, rows: Rows) -> int:
        """Returns a number that changes with what others write; to be called in a transaction."""
        return int(rows.execute("PRAGMA data_version").fetchone()[0])

    @contextmanager
    def writing(self, *, forgetting: bool = False) -> Iterator[Rows]:
        """A transaction in which no other thread or process writes.

        Args:
            forgetting: whether it takes something away for which `wipe` is to be called afterwards; should the process
                die before, the next start calls it.

        Raises:
            Refusal: somebody else uses the file for too long, or the disk is full or fails.
        """
        with self._file.writing() as rows:
            yield rows
            if forgetting:
                rows.execute("UPDATE wiping SET pending = pending + 1")

    def wipe(self) -> None:
        """Writes the file anew if something was taken away since the last time.

        SQLite overwrites the rows that are deleted, but not the copies that are left when rows move between pages.

        Raises:
            Refusal: somebody else uses the file for too long, or the disk is full or fails.
        """
        with self._file.alone() as rows:
            taken_away = _pending(rows)
            if not taken_away:
                return
            rows.execute("VACUUM")
        with self._file.writing() as rows:  # unless another process has taken something away meanwhile
            rows.execute("UPDATE wiping SET pending = 0 WHERE pending = ?", (taken_away,))


def _make_tables(rows: sqlite3.Connection) -> None:
    for statement in _FIRST_TABLES:
        rows.execute(statement)


def _pending(rows: sqlite3.Connection) -> int:
    return int(rows.execute("SELECT pending FROM wiping").fetchone()[0])
