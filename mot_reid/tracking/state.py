"""A tracker's state as plain arrays by name, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mot_reid.tracking.appearance import Gallery, Memory
from mot_reid.tracking.camera import CameraMotion
from mot_reid.tracking.store import Store

FORMAT_VERSION = 1
_GALLERY = ("mean", "exemplars", "kept", "updated")
_MEMORY = ("track_id", "class_id", "left")


def pack(
    preset: str, scalars: Mapping[str, float], store: Store, *, gallery: Gallery, memory: Memory, camera: CameraMotion
) -> dict[str, NDArray[Any]]:
    """Returns copies of everything, each an array without objects."""
    state: dict[str, NDArray[Any]] = {"format_version": np.array(FORMAT_VERSION), "preset": np.array(preset)}
    state |= {name: np.array(value) for name, value in scalars.items()}
    state |= {f"tracks.{name}": value for name, value in store.arrays().items()}
    state |= {f"appearance.{name}": getattr(gallery, name).copy() for name in _GALLERY}
    state |= {f"memory.{name}": getattr(memory, name).copy() for name in _MEMORY}
    state |= {f"memory.appearance.{name}": getattr(memory.gallery, name).copy() for name in _GALLERY}
    if camera.previous is not None:
        state["camera.previous"] = camera.previous.copy()
    return state


def unpack(
    state: Mapping[str, Any], preset: str, store: Store, *, gallery: Gallery, memory: Memory, camera: CameraMotion
) -> dict[str, Any]:
    """Fills freshly made parts from `state` and returns its numbers.

    Raises:
        ValueError: if the state is of a newer format or another preset, or something is missing.
    """
    version = int(_entry(state, "format_version"))
    if version != FORMAT_VERSION:
        raise ValueError(f"tracker state: got format {version}; expected {FORMAT_VERSION}, which this version reads")
    if str(_entry(state, "preset")) != preset:
        raise ValueError(f"tracker state: got preset '{_entry(state, 'preset')}'; expected '{preset}'")
    store.restore({name: _entry(state, f"tracks.{name}") for name in store.names})
    _fill(gallery, state, "appearance.", names=_GALLERY)
    _fill(memory, state, "memory.", names=_MEMORY)
    _fill(memory.gallery, state, "memory.appearance.", names=_GALLERY)
    for name, found, expected in (
        ("appearance", len(gallery), len(store)),
        ("memory", len(memory.gallery), len(memory)),
    ):
        if found != expected:
            raise ValueError(f"tracker state, '{name}': got {found} rows; expected {expected}")
    if "camera.previous" in state:
        camera.previous = np.array(state["camera.previous"], np.uint8)
    return {name: _entry(state, name) for name in ("frame", "clock", "next_id", "seconds")}


def _fill(part: Any, state: Mapping[str, Any], prefix: str, *, names: tuple[str, ...]) -> None:
    for name in names:
        old, value = getattr(part, name), _entry(state, prefix + name)
        if (
            value.ndim != old.ndim
            or value.dtype != old.dtype
            or (name == "exemplars" and value.shape[1] != old.shape[1])
        ):
            raise ValueError(
                f"tracker state, '{prefix}{name}': got {value.dtype} of shape {value.shape}; "
                f"expected {old.dtype} of {old.ndim} dimensions"
            )
        setattr(part, name, np.array(value))


def _entry(state: Mapping[str, Any], name: str) -> NDArray[Any]:
    if name not in state:
        raise ValueError(f"tracker state: no entry '{name}'; expected what state_dict() returned")
    return np.asarray(state[name])
