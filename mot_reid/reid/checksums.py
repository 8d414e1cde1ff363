"""Metadata and tensors as one text and one number, by which a damaged checkpoint is told from a whole one."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor


def digest_tensors(tensors: Mapping[str, Tensor]) -> str:
    """Returns the SHA-256 of the names, types, shapes and bytes of all tensors."""
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


def _plain(value: object) -> object:
    """Returns a NumPy array, a NumPy number or a path as JSON has it."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"got {type(value).__name__}")
