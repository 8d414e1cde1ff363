"""Files that appear whole or not at all, locks, and one sentence where a place cannot be written to."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

_PARTIAL = re.compile(r"\..+\.(\d+)\.part(\.[^.]*)?")
"""The names that `whole` gives, with the number of the process."""


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Turns the system's word that a place cannot be written to into one sentence that names it.

    Args:
        path: What is being written.

    Raises:
        OSError: The block failed; errors that are sentences already pass as they are.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(
            f"output: got '{path}' ({_reason(error)}); expected a place that can be written to; choose another"
        ) from None


@contextmanager
def given_by(key: str, *, instead_of: str = "checkpoint") -> Iterator[None]:
    """Names the key by which a file was given in what is said against the file; other refusals pass as they are.

    Args:
        key: What the person wrote, such as "reid".
        instead_of: What the block calls the file where it does not know the key.

    Raises:
        OSError, ValueError, ImportError: The block refused the file, or something else.
    """
    try:
        yield
    except (OSError, ValueError, ImportError) as error:
        told = str(error)
        file = told.removeprefix(f"{instead_of}: ")
        if len(error.args) != 1 or (file == told and not told.startswith("'")):
            raise
        raise type(error)(f"{key}: {file}") from error


def check_writable(path: str | Path, what: str) -> None:
    """Refuses a place that could not be written to in the end, before any work is done; makes its folder.

    Args:
        path: Of a file.
        what: The key that names it.

    Raises:
        OSError: Nothing can be written there.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(f"{what}: got '{path}' ({_reason(error)}); expected a folder to write to") from None
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise OSError(f"{what}: got '{path}', which cannot be written; choose another place")


@contextmanager
def whole(path: str | Path) -> Iterator[Path]:
    """A file to write, which takes the name `path` when the block ends, and vanishes when the block fails.

    Its folder is made where it is missing; its ending is that of `path`.

    Args:
        path: The final name.

    Raises:
        OSError: It cannot be written; what was there is as it was.
    """
    path = Path(path)
    partial = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield partial
            os.replace(partial, path)
    finally:
        with suppress(OSError):
            partial.unlink()


def remove_partial(folder: str | Path) -> None:
    """Deletes the files that killed processes had begun to write with `whole`; leaves those of living processes.

    Args:
        folder: Where to look; not in the folders inside it.
    """
    for path in Path(folder).glob(".*.part*"):
        found = _PARTIAL.fullmatch(path.name)
        if found and not _lives(int(found[1])):
            path.unlink(missing_ok=True)


@contextmanager
def locked(path: str | Path) -> Iterator[None]:
    """Holds a lock that one process has at a time, until the block ends or the process dies, by a kill too.

    Args:
        path: The file that is locked; it is there as long as the lock is held.

    Raises:
        BlockingIOError: Another process, or another block of this one, holds the lock.
    """
    path = Path(path)
    while True:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("a+b")
        try:
            _lock(file)
            if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
                break
        except BaseException:
            file.close()
            raise
        file.close()  # deleted by its last owner between opening and locking
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()
        file.close()


def write_text(path: str | Path, text: str) -> Path:
    """Writes a text, whole or not at all; returns its path."""
    with whole(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")
    return Path(path)


def read_json(path: str | Path) -> Any:
    """Returns the content of a JSON file, in which every name stands once.

    Args:
        path: Of the file.

    Raises:
        ValueError: It is no JSON, or an object has a name twice, of which only the last value would count.
        OSError: It cannot be read.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"), object_pairs_hook=_once)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def write_json(path: str | Path, content: object) -> Path:
    """Writes JSON for people to read too, whole or not at all; returns its path."""
    return write_text(path, json.dumps(content, indent=2) + "\n")


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"'{next(name for name in names if names.count(name) > 1)}' stands in it twice")
    return content


def _lock(file: BinaryIO) -> None:
    """Locks an open file; raises BlockingIOError where it is locked."""
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            raise BlockingIOError from None
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _lives(process: int) -> bool:
    """Whether a process other than this one exists under a number; assumed where it cannot be asked."""
    if process == os.getpid():
        return False
    if sys.platform == "win32":  # where asking would end it
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _reason(error: OSError) -> str:
    """The system's word for it; a file where a folder is to be made is named as such."""
    return "Not a directory" if isinstance(error, FileExistsError) else str(error.strerror)
