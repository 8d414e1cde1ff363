"""SQLite files of the service: opened, brought to the version of this program, and their errors as sentences."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from mot_reid.serving.refusal import Refusal

Step = Callable[[sqlite3.Connection], None]
"""Brings a file from one version to the next, inside a transaction."""

_APPLICATION = int.from_bytes(b"motr", "big")
_FULL = 13  # SQLITE_FULL
_IN_USE = (5, 6)  # SQLITE_BUSY, SQLITE_LOCKED


class SqliteDatabase:
    """Transactions on a SQLite file. One at a time in this process, one writer of all processes.

    Args:
        path, what, pragmas, steps, timeout: as in `open_file`.

    Raises:
        ValueError: as `open_file`.
    """

    def __init__(self, path: Path, *, what: str, pragmas: Sequence[str], steps: Sequence[Step], timeout: float) -> None:
        self._what, self._lock = what, threading.Lock()
        self.connection = open_file(path, what=what, pragmas=pragmas, steps=steps, timeout=timeout)

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self.connection.close()

    @contextmanager
    def alone(self) -> Iterator[sqlite3.Connection]:
        """The connection outside of any transaction, for this thread alone.

        Raises:
            Refusal: somebody else uses the file for too long, or the disk is full or fails.
        """
        with self._lock, refusing(self._what):
            yield self.connection

    def reading(self) -> AbstractContextManager[sqlite3.Connection]:
        """A transaction that sees one state of the rows, whoever writes meanwhile.

        Raises:
            Refusal: as `alone`.
        """
        return self._transaction("BEGIN")

    def writing(self) -> AbstractContextManager[sqlite3.Connection]:
        """A transaction in which no other thread or process writes.

        Raises:
            Refusal: as `alone`.
        """
        return self._transaction("BEGIN IMMEDIATE")

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        with self.alone() as rows:
            try:
                rows.execute(begin)
                yield rows
                rows.execute("COMMIT")
            finally:
                if rows.in_transaction:
                    rows.execute("ROLLBACK")


def open_file(
    path: Path, *, what: str, pragmas: Sequence[str], steps: Sequence[Step], timeout: float
) -> sqlite3.Connection:
    """Returns a connection to a file of the newest version, made or brought to it where needed.

    Args:
        path: of the file.
        what: the first word of a refusal, such as "jobs".
        pragmas: settings of SQLite, such as "synchronous=FULL".
        steps: the first one makes the tables, each further one brings a file to the next version.
        timeout: seconds to wait for another program that uses the file.

    Raises:
        ValueError: the file is damaged, in use, not ours, or written by a newer program.
    """
    rows = None
    try:
        rows = sqlite3.connect(path, timeout=timeout, check_same_thread=False, isolation_level=None)
        for pragma in pragmas:
            rows.execute(f"PRAGMA {pragma}")
        _upgrade(rows, steps)
    except (sqlite3.DatabaseError, _Unknown) as error:
        if rows is not None:
            rows.close()
        remedy = "stop the program that uses it" if _is_in_use(error) else "move it away"
        raise ValueError(
            f"{what}: got {path.name} that cannot be used ({error}); expected a database of this server; {remedy}"
        ) from None
    return rows


@contextmanager
def refusing(what: str) -> Iterator[None]:
    """Turns what SQLite says of a file in use, a full disk or a damaged file into a sentence.

    Args:
        what: the first word of the sentence, such as "jobs".

    Raises:
        Refusal: SQLite raised an error.
    """
    try:
        yield
    except sqlite3.DatabaseError as error:
        if _code(error) == _FULL or "full" in str(error):
            raise Refusal(
                "disk_full", "storage: the disk of the server is full; delete jobs, or try again later"
            ) from error
        if _is_in_use(error):
            raise Refusal("busy", f"{what}: others are using it; try again soon", retry_seconds=5) from error
        raise Refusal("internal", f"{what}: the database could not be used; the log has the reason") from error


class _Unknown(Exception):
    """The file is of a program or version that is not known here."""


def _upgrade(rows: sqlite3.Connection, steps: Sequence[Step]) -> None:
    if _known_version(rows, steps) == len(steps):
        return
    rows.execute("BEGIN IMMEDIATE")
    try:
        version = _known_version(rows, steps)  # another process may have done it meanwhile
        for step in steps[version:]:
            step(rows)
        rows.execute(f"PRAGMA application_id = {_APPLICATION}")
        rows.execute(f"PRAGMA user_version = {len(steps)}")
        rows.execute("COMMIT")
    finally:
        if rows.in_transaction:
            rows.execute("ROLLBACK")


def _known_version(rows: sqlite3.Connection, steps: Sequence[Step]) -> int:
    version = _version(rows)
    if version > len(steps):
        raise _Unknown(f"its version {version} is from a newer mot_reid; this one reads versions up to {len(steps)}")
    return version


def _version(rows: sqlite3.Connection) -> int:
    """Returns how many steps a file has been through; files with tables but without our mark are of the first."""
    application = _number(rows, "application_id")
    if application == _APPLICATION:
        return _number(rows, "user_version")
    if application:
        raise _Unknown(f"it is of application {application}")
    return 1 if rows.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] else 0


def _number(rows: sqlite3.Connection, pragma: str) -> int:
    return int(rows.execute(f"PRAGMA {pragma}").fetchone()[0])


def _code(error: BaseException) -> int | None:
    return error.sqlite_errorcode & 0xFF if hasattr(error, "sqlite_errorcode") else None


def _is_in_use(error: BaseException) -> bool:
    return _code(error) in _IN_USE or "locked" in str(error)
