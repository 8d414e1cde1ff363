"""Checksums of metadata, tensors and whole files, by which a damaged checkpoint is recognised."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

if TYPE_CHECKING:  # checksums of texts need no torch
    from torch import Tensor

SEALED = "mot_reid_sealed"
"""Key that is set in a dict before it is sealed, so that one that lost its checksum is known as damaged."""
_SEAL = b"mot_reid sha256 "
_HEX = 64
_END = b"PK\x05\x06"
"""How the last record of a zip file begins, which is 22 bytes long and may be followed by a comment."""


class DamagedError(ValueError):
    """A file is not as it was written."""


def digest_tensors(tensors: Mapping[str, Tensor]) -> str:
    """Returns the SHA-256 of the names, types, shapes and bytes of all tensors."""
    import torch

    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def signed(content: Mapping[str, Any]) -> str:
    """Returns the JSON text of the content with its own checksum."""
    content = {key: value for key, value in content.items() if key != "metadata_sha256"}
    return canonical({**content, "metadata_sha256": sha256(canonical(content))})


def sha256(text: str) -> str:
    """Returns the SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def canonical(content: Mapping[str, Any]) -> str:
    """Returns the one JSON text of the content: sorted keys, no spaces, no NaN; NumPy values as numbers and lists."""
    try:
        return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False, default=_plain)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"metadata: cannot be written as JSON ({error}); expected numbers, text, lists, dicts"
        ) from error


def seal(path: str | Path) -> None:
    """Writes the SHA-256 of a zip file, such as `torch.save` makes, into the file itself.

    It becomes the comment of the zip file, which everything that reads zip files passes over.

    Args:
        path: A zip file without a comment.
    """
    with Path(path).open("r+b") as file:
        file.seek(-22, os.SEEK_END)
        end = file.read()
        if not end.startswith(_END):
            raise ValueError(f"checksum: got '{path}', which has no end of a zip file; expected one without a comment")
        file.seek(-2, os.SEEK_END)
        file.write((len(_SEAL) + _HEX).to_bytes(2, "little") + _SEAL)
        length = file.tell()
        file.seek(0)
        digest = _digest(file, length)
        file.seek(length)
        file.write(digest)


def seal_holds(path: str | Path) -> bool | None:
    """Returns whether a file is as it was when `seal` wrote its checksum; None where it has no checksum.

    Args:
        path: Any file.
    """
    with Path(path).open("rb") as file:
        length = file.seek(0, os.SEEK_END) - _HEX
        if length < len(_SEAL):
            return None
        file.seek(length - len(_SEAL))
        if file.read(len(_SEAL)) != _SEAL:
            return None
        stored = file.read()
        file.seek(0)
        return stored == _digest(file, length)


def load_sealed(path: str | Path, *, map_location: Any | None = None) -> tuple[Any, bool]:
    """Returns the content of a file of `torch.save`, and whether a checksum says that it is whole; runs no code of it.

    Args:
        path: A file that was sealed, or any other.
        map_location: Where its tensors go; None is the CPU.

    Raises:
        DamagedError: The file is not as it was when it was sealed.
        Exception: Whatever torch raises where it cannot read the file.
    """
    import torch

    holds = seal_holds(path)
    content = None if holds is False else torch.load(path, map_location=map_location or "cpu", weights_only=True)
    sealed = isinstance(content, dict) and content.pop(SEALED, False)
    if holds is False or (sealed and holds is None):
        raise DamagedError("damaged: its content does not match its checksum")
    return content, holds is True


def _digest(file: BinaryIO, length: int) -> bytes:
    """Returns the SHA-256 of the next bytes of a file as text."""
    digest = hashlib.sha256()
    while length > 0 and (part := file.read(min(length, 2**20))):
        digest.update(part)
        length -= len(part)
    return digest.hexdigest().encode()


def _plain(value: object) -> object:
    """Returns a NumPy array, a NumPy number or a path as JSON has it."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"got {type(value).__name__}")
