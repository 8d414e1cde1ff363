"""What the service asks of a database, whether it is a file of this server or shared by several."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol


class Rows(Protocol):
    """The rows of a database, inside a transaction."""

    def execute(self, statement: str, values: Sequence[Any] = (), /) -> Any:
        """Returns a cursor, with `fetchone`, `fetchall` and `rowcount`.

        Args:
            statement: in the SQL that SQLite and PostgreSQL share, with ? for each value.
            values: for the question marks.
        """


class Database(Protocol):
    """Transactions that end whole. Safe to call from any thread."""

    def reading(self) -> AbstractContextManager[Rows]:
        """A transaction that sees one state of the rows."""

    def writing(self) -> AbstractContextManager[Rows]:
        """A transaction in which nobody else writes: no thread, no process, no other machine."""

    def close(self) -> None:
        """Ends the connection."""
