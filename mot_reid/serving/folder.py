"""The folder of a service: one server at a time, names that nobody can guess, and how much is in it."""

from __future__ import annotations

import secrets
import string
from contextlib import suppress
from pathlib import Path
from typing import IO

_ID_LETTERS = 24
_MARK = "database"


class FolderLock:
    """Holds a folder for one server: two on one folder would both take up the jobs of the other.

    Args:
        folder: made where it is missing.

    Raises:
        OSError: the folder cannot be written to, or another server holds it.
    """

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file: IO[str] = (folder / "lock").open("w")
        except OSError as error:
            raise OSError(f"folder: got '{folder}' ({error.strerror}); expected a folder to write to") from None
        try:
            import fcntl
        except ImportError:  # Windows
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise OSError(
                f"folder: got '{folder}', which another server works in; stop it, or choose another folder"
            ) from None

    def release(self) -> None:
        """Lets another server have the folder."""
        self._file.close()


def check_owner(folder: Path, database: str | None) -> None:
    """Refuses a folder whose files belong to jobs that are listed elsewhere: they would be swept as nobody's.

    Args:
        folder: of the service.
        database: what names the database that lists the jobs, written down at first; None for the file in the folder.

    Raises:
        OSError: the folder is of servers with another list of jobs.
    """
    mark, alone = folder / _MARK, database is None
    if not alone and not mark.exists() and not (folder / "jobs.sqlite").exists():
        with suppress(FileExistsError), mark.open("x") as file:  # another server does the same
            file.write(str(database))
    owner = mark.read_text().strip() if mark.exists() else None
    if owner == database and (alone or not (folder / "jobs.sqlite").exists()):
        return
    others = "a server without database=" if owner is None else "servers with " + ("a" if alone else "another")
    raise OSError(
        f"folder: got '{folder}', which holds the jobs of {others}{'' if owner is None else ' database='}; expected a "
        "folder of its own for each list of jobs; choose another one"
    )


def random_id() -> str:
    """Returns letters that nobody can guess; no digits, which some decoders take for a pattern of file names."""
    return "".join(secrets.choice(string.ascii_lowercase) for _ in range(_ID_LETTERS))


def size_of(folder: Path) -> int:
    """Returns the bytes of all files in a folder and the folders in it."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:  # removed meanwhile
            continue
    return total
