"""Folders that appear whole or not at all, and archives taken apart safely."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import uuid4

from mot_reid.files import write_text, writing

METADATA = "metadata.json"


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
    """Take chosen files out of a ZIP archive.

    Args:
        archive: The ZIP file.
        folder: Where to.
        place: Where below `folder` an entry goes, given its path in the archive; None leaves it out.
        progress: Show a progress bar.

    Returns:
        The damaged entries that could not be read, each with the reason; all others are on disk.

    Raises:
        ValueError: The file is no ZIP archive, is encrypted, or has an entry that would land outside of `folder`.
    """
    from tqdm import tqdm

    try:
        opened = zipfile.ZipFile(archive)
    except (zipfile.BadZipFile, OSError) as error:
        raise ValueError(f"archive: got '{archive}' ({error}); expected a whole ZIP file; download it again") from None
    damaged = []
    with opened:
        chosen = []
        for entry in opened.infolist():
            path = PurePosixPath(entry.filename.replace("\\", "/"))
            if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
                raise ValueError(
                    f"archive '{archive}': got the entry '{entry.filename}'; expected paths inside the archive; "
                    "do not use an archive that writes elsewhere"
                )
            target = None if entry.is_dir() else place(path)
            if target is not None:
                chosen.append((entry, Path(folder) / target))
        hidden = None if progress else True  # None: shown on a terminal
        for entry, path_on_disk in tqdm(chosen, "unpacking", unit="file", disable=hidden, leave=False):
            path_on_disk.parent.mkdir(parents=True, exist_ok=True)
            try:
                path_on_disk.write_bytes(opened.read(entry))
            except (zipfile.BadZipFile, zlib.error, EOFError) as error:
                damaged.append((entry.filename, str(error)))
            except RuntimeError as error:
                raise ValueError(
                    f"archive '{archive}': got {error}; expected no password; unpack it yourself"
                ) from None
    return damaged


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
            f"output: got '{output}', which holds something else; expected a new folder or one prepared before; "
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
    write_text(Path(folder) / METADATA, json.dumps(dict(metadata), indent=2) + "\n")


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
    """One number for the names of files and their CRC-32 each, whatever the order."""
    return f"{zlib.crc32(json.dumps(dict(contents), sort_keys=True).encode()):08x}"
