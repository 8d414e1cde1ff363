"""A tracker's state as plain arrays by name, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

FORMAT_VERSION = 1


class Part(Protocol):
    """A part of a tracker that can be written down."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Returns a copy of everything by name."""

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Takes what `arrays` returned; raises ValueError if it does not fit."""


def pack(preset: str, numbers: Mapping[str, float], parts: Mapping[str, Part]) -> dict[str, NDArray[Any]]:
    """Returns everything as arrays without objects, `<part>/<name>` for those of the parts."""
    state: dict[str, NDArray[Any]] = {"format_version": np.array(FORMAT_VERSION), "preset": np.array(preset)}
    state |= {name: np.array(value) for name, value in numbers.items()}
    for prefix, part in parts.items():
        state |= {f"{prefix}/{name}": value for name, value in part.arrays().items()}
    return state


def unpack(
    state: Mapping[str, Any], preset: str, parts: Mapping[str, Part], *, numbers: tuple[str, ...]
) -> dict[str, float]:
    """Fills freshly made parts from `state` and returns its numbers.

    Raises:
        ValueError: if the state is of another format or another preset, or something is missing.
    """
    version = int(_entry(state, "format_version"))
    if version != FORMAT_VERSION:
        raise ValueError(f"tracker state: got format {version}; expected {FORMAT_VERSION}, which this version reads")
    found = str(_entry(state, "preset"))
    if found != preset:
        raise ValueError(f"tracker state: got preset '{found}'; expected '{preset}', that of this tracker")
    for prefix, part in parts.items():
        part.restore(
            {name.partition("/")[2]: np.asarray(state[name]) for name in state if name.startswith(f"{prefix}/")}
        )
    return {name: float(_entry(state, name)) for name in numbers}


def _entry(state: Mapping[str, Any], name: str) -> Any:
    if name not in state:
        raise ValueError(f"tracker state: no entry '{name}'; expected what state_dict() returned")
    return state[name]
