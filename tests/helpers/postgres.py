"""A real PostgreSQL for tests, with a password that has to be quoted in an address, and in no message."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

PASSWORD = "s3cret/p@ss#1"
USER = "keeper"
_SETTINGS = ("fsync=off", "full_page_writes=off", "listen_addresses=127.0.0.1", "max_connections=50",
             "unix_socket_directories=")  # fmt: skip


def missing() -> str | None:
    """Returns why there can be no PostgreSQL here; None where there can."""
    if _programs() is None:
        return "PostgreSQL is not installed: Debian's postgresql"
    absent = [name for name in ("psycopg", "procrastinate") if find_spec(name) is None]
    if absent:
        return f"not installed: {', '.join(absent)}; pip install 'mot-reid[replicas]'"
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        return "PostgreSQL does not run as root, and setpriv is not installed"
    return None


def _programs() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    named = shutil.which("initdb")
    return found[-1].parent if found else Path(named).parent if named else None


class Postgres:
    """A server with its data in a folder.

    Args:
        folder: made here; nobody else may read it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self._names = folder, itertools.count()
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self.port = listening.getsockname()[1]
        folder.mkdir()
        word = folder / "password"
        word.write_text(PASSWORD)
        self._as_user: list[str] = []
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
            shutil.chown(word, "postgres", "postgres")
            for parent in folder.parents:  # folders of pytest are for their owner alone
                if parent.stat().st_uid == 0 and parent.is_relative_to("/tmp") and parent != Path("/tmp"):
                    parent.chmod(parent.stat().st_mode | 0o011)
            self._as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        self._run("initdb", f"--pgdata={folder / 'data'}", f"--username={USER}", "--auth=scram-sha-256",
                  f"--pwfile={word}", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")  # fmt: skip
        self.start()

    def _command(self, program: str, arguments: Sequence[str]) -> list[str]:
        programs = _programs()
        assert programs is not None
        return [*self._as_user, str(programs / program), *arguments]

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(self._command(program, arguments), cwd="/", capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        """Starts it and returns when it answers."""
        options = [f"--{setting}" for setting in (*_SETTINGS, f"port={self.port}")]
        with (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen(
                self._command("postgres", ["-D", str(self.folder / "data"), *options]), cwd="/", stdout=log, stderr=log
            )
        end = time.monotonic() + 120
        while time.monotonic() < end:
            assert self.process.poll() is None, (self.folder / "log").read_text()
            ready = self._command("pg_isready", ["--host=127.0.0.1", f"--port={self.port}", "--quiet"])
            if subprocess.run(ready, cwd="/").returncode == 0:
                return
            time.sleep(0.2)
        raise AssertionError((self.folder / "log").read_text())

    def stop(self) -> None:
        """Stops it and throws all connections out, as for maintenance."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)

    def database(self) -> str:
        """Returns the address of a new database."""
        import psycopg

        name = f"people_{next(self._names)}"
        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.address(name)

    def address(self, name: str, *, password: str = PASSWORD) -> str:
        """Returns the address of a database.

        Args:
            name: of the database.
            password: of the only user.
        """
        return f"postgresql://{USER}:{quote(password, safe='')}@127.0.0.1:{self.port}/{name}"
