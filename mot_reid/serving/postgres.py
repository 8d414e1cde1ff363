"""A PostgreSQL database that several servers share: connections that come back, tables of the version of this program.

No message holds anything of the address: it may have a password in it, also where it is mistyped.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from mot_reid.extras import require
from mot_reid.serving.refusal import Refusal

if TYPE_CHECKING:
    import psycopg

log = logging.getLogger(__name__)

Step = Callable[["PostgresRows"], None]
"""Brings the tables from one version to the next, inside a transaction."""

_SCHEMA = "mot_reid"
_BUSY_SECONDS = 5.0
_AGAIN_SECONDS = 1.0
# A server that hangs, or whose network is gone, must not hold the others up.
_CONNECT: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "application_name": "mot_reid",
}
_SESSION = (
    f"SET search_path TO {_SCHEMA}",
    "SET statement_timeout = '60s'",
    "SET lock_timeout = '5s'",
    "SET idle_in_transaction_session_timeout = '15s'",
)
_REASONS = {
    "28": "the user or the password is wrong, or may not connect from here",
    "3D": "there is no database of this name; make it with createdb",
    "42501": "the user may make no schema in it; run CREATE SCHEMA mot_reid AUTHORIZATION for this user",
    "53": "it has no room or no connection left",
}
_UNREACHED = "no PostgreSQL answers at its host and port"


class PostgresRows:
    """The rows of a connection, inside a transaction."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection

    def execute(self, statement: str, values: Sequence[Any] = (), /) -> Any:
        """Returns a cursor. A ? stands for each value, as in SQLite."""
        return self.connection.execute(statement.replace("?", "%s").encode(), tuple(values) or None)

    def call(self, statement: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Returns the rows that a statement gives, each with its columns by name.

        Args:
            statement: with %(name)s for each value.
            values: by name.
        """
        from psycopg.rows import dict_row

        with self.connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(statement.encode(), values).fetchall()


class PostgresDatabase:
    """Transactions on a part of the tables. One at a time in this process, one writer of all servers.

    Args:
        address: such as postgresql://user@host/name.
        part: what the tables hold, such as "jobs": the first word of a refusal, and what has a version.
        steps: the first one makes the tables, each further one brings them to the next version.

    Raises:
        ValueError: the address is none, the database cannot be used, or a newer program wrote to it.
    """

    def __init__(self, address: str, *, part: str, steps: Sequence[Step]) -> None:
        self._address, self._part = address, part
        self._lock = threading.Lock()
        self._connection: psycopg.Connection[Any] | None = None
        self._not_before = 0.0
        self._connection = open_connection(address)
        try:
            with _sentences(), self._connection.transaction():
                _upgrade(PostgresRows(self._connection), part, steps)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Ends the connection."""
        with self._lock:
            self._disconnect()

    @contextmanager
    def alone(self) -> Iterator[PostgresRows]:
        """The connection outside of any transaction, for this thread alone.

        Raises:
            Refusal: the database cannot be reached or used, or its disk is full.
        """
        import psycopg

        if not self._lock.acquire(timeout=_BUSY_SECONDS):
            raise _busy(self._part)
        try:
            yield PostgresRows(self._connected())
        except psycopg.Error as error:
            raise self._refusal(error) from None
        finally:
            if self._connection is not None and self._connection.broken:
                self._disconnect()
            self._lock.release()

    @contextmanager
    def reading(self) -> Iterator[PostgresRows]:
        """A transaction that sees one state of the rows, whoever writes meanwhile.

        Raises:
            Refusal: as `alone`.
        """
        with self.alone() as rows, rows.connection.transaction():
            rows.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield rows

    @contextmanager
    def writing(self) -> Iterator[PostgresRows]:
        """A transaction in which no other thread or server writes to this part.

        Raises:
            Refusal: as `alone`.
        """
        with self.alone() as rows, rows.connection.transaction():
            _lock(rows, self._part)
            yield rows

    # ---- inside -------------------------------------------------------------------------------------------------

    def _connected(self) -> psycopg.Connection[Any]:
        """Returns a connection that answers: the one there is, or a new one in its place."""
        import psycopg

        if self._connection is not None:
            try:
                self._connection.execute("SELECT 1")
                return self._connection
            except psycopg.OperationalError:  # the database was restarted, say
                self._disconnect()
        if time.monotonic() < self._not_before:  # all who wait would wait for the same
            raise _busy(self._part)
        try:
            self._connection = open_connection(self._address)
        except ValueError as error:
            self._not_before = time.monotonic() + _AGAIN_SECONDS
            log.warning("database not reached", extra={"part": self._part, "reason": str(error)})
            raise _busy(self._part) from None
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            with suppress(Exception):  # it is gone already
                self._connection.close()
            self._connection = None

    def _refusal(self, error: psycopg.Error) -> Refusal:
        """Returns what is said to the client; the log gets the code, which names nobody."""
        import psycopg

        told = {"part": self._part, "error": type(error).__name__, "sqlstate": error.sqlstate}
        log.warning("database failed", extra=told)
        if error.sqlstate == "53100":
            return Refusal("disk_full", "storage: the disk of the database is full; delete jobs, or try again later")
        if isinstance(error, psycopg.OperationalError) or error.sqlstate == "25006":  # 25006: it became a standby
            return _busy(self._part)
        return Refusal("internal", f"{self._part}: the database could not be used; the log has the reason")


def open_connection(address: str) -> psycopg.Connection[Any]:
    """Returns a connection whose names are those of our schema.

    Args:
        address: such as postgresql://user@host/name.

    Raises:
        ValueError: the address is none, or the database cannot be reached.
        ImportError: the packages are not installed.
    """
    for package in ("psycopg", "procrastinate"):
        require(package, "database")
    import psycopg

    if not is_address(address):
        raise ValueError(
            "database: got text that is no address of PostgreSQL (not shown, as it may hold a password); expected "
            "postgresql://user@host/name; write special characters of a password as %40 for @, %2F for /"
        )
    with _sentences():
        connection = psycopg.connect(address, autocommit=True, **_CONNECT)
        try:
            for statement in _SESSION:
                connection.execute(statement)
        except BaseException:
            connection.close()
            raise
    return connection


def is_address(text: str) -> bool:
    """Whether a text is an address that PostgreSQL's library can read."""
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    if not text.startswith(("postgresql://", "postgres://")):
        return False
    try:
        conninfo_to_dict(text)
    except psycopg.Error:
        return False
    return True


@contextmanager
def _sentences() -> Iterator[None]:
    """Turns what PostgreSQL says while we connect into a sentence without anything of the address."""
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        raise ValueError(
            f"database: it cannot be used ({_reason(error)}); expected the address of a PostgreSQL that runs; check "
            "database= or MOT_REID_DATABASE"
        ) from None


def _reason(error: psycopg.Error) -> str:
    """Returns why a connection failed. Before there is one, the library gives the server's text and no code."""
    code = error.sqlstate or ""
    known = next((reason for start, reason in _REASONS.items() if code.startswith(start)), None)
    if known is not None:
        return known
    text = str(error)
    if "authentication" in text or "pg_hba" in text or "no password supplied" in text:
        return _REASONS["28"]
    if 'database "' in text and "does not exist" in text:
        return _REASONS["3D"]
    if 'role "' in text and "does not exist" in text:
        return _REASONS["28"]
    if "too many" in text or "remaining connection slots" in text:
        return _REASONS["53"]
    return f"{type(error).__name__} {code}" if code else _UNREACHED


def _busy(part: str) -> Refusal:
    return Refusal("busy", f"{part}: the database cannot be reached; try again soon", retry_seconds=5)


def _lock(rows: PostgresRows, part: str) -> None:
    """Waits until no other server writes to a part, for the length of the transaction."""
    rows.execute("SELECT pg_advisory_xact_lock(hashtext(?))", (f"{_SCHEMA}.{part}",))


def _upgrade(rows: PostgresRows, part: str, steps: Sequence[Step]) -> None:
    """Makes the tables or brings them to the newest version; of servers that start together, one does it."""
    rows.execute("SET LOCAL lock_timeout = '60s'")
    _lock(rows, "schema")
    if not rows.execute("SELECT 1 FROM pg_namespace WHERE nspname = ?", (_SCHEMA,)).fetchone():
        rows.execute(f"CREATE SCHEMA {_SCHEMA}")
    rows.execute("CREATE TABLE IF NOT EXISTS versions (part TEXT PRIMARY KEY, version INTEGER NOT NULL)")
    found = rows.execute("SELECT version FROM versions WHERE part = ?", (part,)).fetchone()
    version = found[0] if found else 0
    if version > len(steps):
        raise ValueError(
            f"database: the version {version} of its {part} is from a newer mot_reid; this one reads versions up to "
            f"{len(steps)}; update this server, or choose another database"
        )
    for step in steps[version:]:
        step(rows)
    rows.execute(
        "INSERT INTO versions VALUES (?, ?) ON CONFLICT (part) DO UPDATE SET version = excluded.version",
        (part, len(steps)),
    )
