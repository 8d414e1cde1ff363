"""The galleries of several servers, in PostgreSQL: the same rows as in the file of one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from mot_reid.serving.database import Rows
from mot_reid.serving.postgres import PostgresDatabase, PostgresRows

# Names are sorted by their bytes, as SQLite does, whatever language the database is set to.
_TABLES = (
    'CREATE TABLE galleries (name TEXT COLLATE "C" PRIMARY KEY, model TEXT NOT NULL, dimension INTEGER NOT NULL)',
    "CREATE TABLE persons (number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id TEXT UNIQUE NOT NULL, "
    'gallery TEXT COLLATE "C" NOT NULL REFERENCES galleries (name) ON DELETE CASCADE, name TEXT COLLATE "C" NOT NULL, '
    "crops INTEGER NOT NULL, enrolled DOUBLE PRECISION NOT NULL, seen DOUBLE PRECISION NOT NULL, "
    "embedding BYTEA NOT NULL, UNIQUE (gallery, name))",
    "CREATE TABLE gallery_changes (count BIGINT NOT NULL, pending BIGINT NOT NULL)",
    "INSERT INTO gallery_changes VALUES (0, 0)",
)


class SharedGalleryDatabase:
    """Galleries, persons and their embeddings as rows. One transaction at a time in this process, one writer of all.

    Args:
        address: of the database.

    Raises:
        ValueError: the database cannot be used, or a newer program wrote to it.
    """

    def __init__(self, address: str) -> None:
        self._database = PostgresDatabase(address, part="galleries", steps=(_make_tables,))

    def close(self) -> None:
        """Ends the connection."""
        self._database.close()

    def reading(self) -> AbstractContextManager[Rows]:
        """A transaction that sees one state of the rows, whoever writes meanwhile.

        Raises:
            Refusal: the database cannot be reached.
        """
        return self._database.reading()

    def version(self, rows: Rows) -> int:
        """Returns a number that changes with every change; to be called in a transaction."""
        return int(rows.execute("SELECT count FROM gallery_changes").fetchone()[0])

    @contextmanager
    def writing(self, *, forgetting: bool = False) -> Iterator[Rows]:
        """A transaction in which no other thread or server writes.

        Args:
            forgetting: whether it takes something away for which `wipe` is to be called afterwards.

        Raises:
            Refusal: the database cannot be reached, or its disk is full.
        """
        with self._database.writing() as rows:
            yield rows
            rows.execute("UPDATE gallery_changes SET count = count + 1, pending = pending + ?", (int(forgetting),))

    def wipe(self) -> None:
        """Writes the table of persons anew if something was taken away since the last time.

        The database's own log and its backups keep what they have for as long as they are kept.

        Raises:
            Refusal: the database cannot be reached, or others use the table for too long.
        """
        with self._database.alone() as rows:
            taken_away = rows.execute("SELECT pending FROM gallery_changes").fetchone()[0]
            if not taken_away:
                return
            rows.execute("VACUUM FULL persons")
        with self._database.writing() as rows:  # unless another server has taken something away meanwhile
            rows.execute("UPDATE gallery_changes SET pending = 0 WHERE pending = ?", (taken_away,))


def _make_tables(rows: PostgresRows) -> None:
    for statement in _TABLES:
        rows.execute(statement)
