"""Folders that appear whole or not at all, and archives taken apart safely."""

from __future__ import annotations

import json
import lzma
import os
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import uuid4

from mot_reid.files import write_json, writing

METADATA = "metadata.json"

_ENTRY_BYTES = 500_000_000
_PIECE_BYTES = 1 << 20


@contextmanager
def new_folder(root: str | Path) -> Iterator[Path]:
    """A folder to fill, which takes the name `root` when the block ends, and vanishes when the block fails.

    What `root` holds already is replaced then; the caller decides beforehand whether it may be.

    Args:
        root: The final name; the working folder is its sibling, so that the move is one step.

    Raises:
        OSError: The folder cannot be made or moved; `root` is as it was.
    """
    root = Path(root)
    part = root.with_name(f".{root.name}.{uuid4().hex}.part")
    old = part.with_suffix(".old")
    with writing(root):
        root.parent.mkdir(parents=True, exist_ok=True)
        part.mkdir()
    try:
        yield part
        if root.exists():
            os.replace(root, old)
        try:
            os.replace(part, root)
        except OSError:
            if old.exists() and not root.exists():
                os.replace(old, root)
            raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def unpack(
    archive: str | Path,
    folder: str | Path,
    *,
    place: Callable[[PurePosixPath], PurePosixPath | None],
    progress: bool = True,
) -> list[tuple[str, str]]:
    """Take chosen files out of a ZIP archive, each in small pieces.

    Args:
        archive: The ZIP file.
        folder: Where to.
        place: Where below `folder` an entry goes, given its path in the archive; None leaves it out.
        progress: Show a progress bar.

    Returns:
        The damaged entries that could not be read, each with the reason; all others are on disk.

    Raises:
        ValueError: The file is no ZIP archive, is encrypted, has an entry that would land outside of `folder`, two
            different entries for one file, or more bytes than the disk has room for.
    """
    from tqdm import tqdm

    try:
        opened = zipfile.ZipFile(archive)
    except (zipfile.BadZipFile, OSError) as error:
        raise ValueError(f"archive: got '{archive}' ({error}); expected a whole ZIP file; download it again") from None
    damaged = []
    with opened:
        chosen = _choose(opened, archive, place)
        _check_room(sum(entry.file_size for entry in chosen.values()), archive, folder)
        hidden = None if progress else True  # None: shown on a terminal
        for target, entry in tqdm(chosen.items(), "unpacking", unit="file", disable=hidden, leave=False):
            reason = _extract(opened, entry, Path(folder) / target, archive)
            if reason is not None:
                damaged.append((entry.filename, reason))
    return damaged


def _choose(
    opened: zipfile.ZipFile, archive: str | Path, place: Callable[[PurePosixPath], PurePosixPath | None]
) -> dict[PurePosixPath, zipfile.ZipInfo]:
    """The entry for each file that is made."""
    chosen: dict[PurePosixPath, zipfile.ZipInfo] = {}
    for entry in opened.infolist():
        path = PurePosixPath(entry.filename.replace("\\", "/"))
        if not path.parts:  # the folder itself, "."
            continue
        if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
            raise ValueError(
                f"archive '{archive}': got the entry '{entry.filename}'; expected paths inside the archive; "
                "do not use an archive that writes elsewhere"
            )
        target = None if entry.is_dir() else place(path)
        if target is None:
            continue
        known = chosen.setdefault(target, entry)
        if (known.CRC, known.file_size) != (entry.CRC, entry.file_size):
            raise ValueError(
                f"archive '{archive}': got '{known.filename}' and '{entry.filename}', which differ, for the one file "
                f"'{target}'; expected each file once; download the archive again"
            )
    return chosen


def _check_room(needed: int, archive: str | Path, folder: str | Path) -> None:
    there = next(path for path in (Path(folder), *Path(folder).resolve().parents) if path.exists())
    free = shutil.disk_usage(there).free
    if needed > free:
        raise ValueError(
            f"archive '{archive}': got {needed:,} bytes of files; expected at most the {free:,} bytes that are free at "
            f"'{there}'; make room, or choose another output"
        )


def _extract(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path, archive: str | Path) -> str | None:
    """Write one entry to disk; returns why it could not be read, None where it could."""
    if entry.file_size > _ENTRY_BYTES:
        return f"got {entry.file_size:,} bytes; expected at most {_ENTRY_BYTES:,}"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        pieces = _pieces(opened, entry)
        while True:
            try:
                piece = next(pieces, b"")
            except NotImplementedError as error:
                reason = f"{error}; expected one of the usual compressions; unpack the archive yourself"
                break
            except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError) as error:
                reason = str(error) or type(error).__name__
                break
            except RuntimeError as error:
                raise ValueError(
                    f"archive '{archive}': got {error}; expected no password; unpack it yourself"
                ) from None
            if not piece:
                return None
            file.write(piece)
    path.unlink()
    return reason


def _pieces(opened: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    with opened.open(entry) as stream:
        while piece := stream.read(_PIECE_BYTES):
            yield piece


def find_prepared(output: str | Path, *, kind: str, version: int, settings: Mapping[str, Any]) -> dict[str, Any] | None:
    """The metadata.json of a folder prepared before, or None for a folder that is still to be made.

    Args:
        output: The folder.
        kind: What `format` in its metadata must say.
        version: What `format_version` must say.
        settings: What `settings` must say.

    Raises:
        ValueError: The folder holds something else, or was prepared with other settings.
    """
    output = Path(output)
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return None
    try:
        metadata = json.loads((output / METADATA).read_text(encoding="utf-8"))
        known = metadata["format"] == kind and metadata["format_version"] == version
    except (OSError, ValueError, KeyError, TypeError):
        known = False
    if not known:
        raise ValueError(
            f"output: got '{output}', which has other content; expected a new folder or one prepared before; "
            "choose another"
        )
    if metadata["settings"] != settings:
        raise ValueError(
            f"output: got '{output}', prepared with {metadata['settings']}; expected {dict(settings)}; "
            "remove the folder or choose another"
        )
    return dict(metadata)


def write_metadata(folder: str | Path, metadata: Mapping[str, Any]) -> None:
    """Writes metadata.json, which makes a folder one that `find_prepared` knows."""
    write_json(Path(folder) / METADATA, dict(metadata))


def refuse_bad_files(bad: Sequence[tuple[str, str]], what: str, *, rule: str) -> None:
    """Raises ValueError where files are bad: a sentence, and a line for each of them.

    Args:
        bad: Each file and the reason.
        what: What they belong to, and where it is.
        rule: What holds of good ones.
    """
    if bad:
        lines = "".join(f"\n  {name}: {reason}" for name, reason in bad)
        raise ValueError(
            f"{what}: got {len(bad)} bad file(s); expected {rule}; "
            f"replace them and run again; nothing was written{lines}"
        )


def refuse_changes(output: Path, metadata: Mapping[str, Any], now: str, *, note: str = "") -> None:
    """Raises ValueError where a folder prepared before has changed since.

    Args:
        output: The folder.
        metadata: What it says of itself.
        now: The checksum it has.
        note: A further word on what is there now.
    """
    if now != metadata["checksum"]:
        raise ValueError(
            f"output: got '{output}' with files changed, added or lost since it was prepared{note}; "
            "remove the folder and run again"
        )


def relative(path: str | Path, root: Path) -> str:
    """The path of a file below a folder, the same on every system."""
    return Path(path).relative_to(root).as_posix()


def checksum(contents: Mapping[str, int]) -> str:
    """One number for the names of files and their CRC-32 each, in any order."""
    return f"{zlib.crc32(json.dumps(dict(contents), sort_keys=True).encode()):08x}"
