"""A tracker's state as plain arrays by name, and back: everything is checked before anything is taken."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mot_reid.settings.tracker_parameters import PARAMETERS
from mot_reid.tracking.appearance import AppearanceState
from mot_reid.tracking.memory import Embeddings
from mot_reid.tracking.parameters import value_of
from mot_reid.tracking.presets import Preset
from mot_reid.tracking.store import Store

FORMAT_VERSION = 1
NUMBERS = ("frame_rate", "frame", "clock", "next_id", "seconds")
"""The numbers of a state; `seconds` is NaN where frames come without times."""
_HEADER = ("format_version", "preset", "parameters")
_KINDS = "fiubU"
"""NumPy's letters of the types that a state holds: numbers, booleans and text, never objects."""


class Part(Protocol):
    """A part of a tracker that can be written down."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Returns a copy of everything by name."""

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Takes what `arrays` returned; raises ValueError if it does not fit."""


def pack(preset: Preset, numbers: Mapping[str, float], parts: Mapping[str, Part]) -> dict[str, NDArray[Any]]:
    """Returns everything as arrays without objects, `<part>/<name>` for those of the parts."""
    state: dict[str, NDArray[Any]] = {
        "format_version": np.array(FORMAT_VERSION),
        "preset": np.array(preset.name),
        "parameters": np.array(json.dumps(_parameters(preset))),
    }
    state |= {name: np.array(value) for name, value in numbers.items()}
    for prefix, part in parts.items():
        state |= {f"{prefix}/{name}": value for name, value in part.arrays().items()}
    return state


def unpack(state: Any, preset: Preset, parts: Mapping[str, Part]) -> dict[str, float]:
    """Fills freshly made parts from a state and returns its numbers.

    Args:
        state: what `pack` returned, or the same read from an npz file.
        preset: that of the tracker.
        parts: parts of a tracker that has seen nothing.

    Raises:
        ValueError: if the state is of another format, preset or parameters, something in it is missing, left over or
            of another shape or type, or no tracker could have come to it.
    """
    arrays = _arrays(state)
    _check_header(arrays, preset)
    numbers = _numbers(arrays)
    known = {*_HEADER, *NUMBERS}
    for prefix, part in parts.items():
        given = {name.partition("/")[2]: value for name, value in arrays.items() if name.startswith(f"{prefix}/")}
        part.restore(given)
        known |= {f"{prefix}/{name}" for name in part.arrays()}
    for name in arrays:
        if name not in known:
            raise _refused(f"got an entry '{name}', which this tracker does not have; load it into one like its own")
    return numbers


def check_tracks(store: Store, appearance: AppearanceState | None, numbers: Mapping[str, float]) -> None:
    """Refuses tracks that no tracker could have: a number that is not finite, a time to come, an identity given twice.

    Args:
        store: the tracks, as `unpack` filled them.
        appearance: what is known of their appearance; None without.
        numbers: those that `unpack` returned.

    Raises:
        ValueError: if there is such a track.
    """
    clock, next_id = numbers["clock"], numbers["next_id"]
    for name in ("filter", "score", "born", "seen", "last", "direction", "frozen", "corners", "hidden_at"):
        if name in store.names:
            _require(bool(np.isfinite(getattr(store, name)).all()), f"tracks/{name}", "finite numbers")
    for name in ("observed", "recent", "corner_boxes", "past"):
        if name in store.names:
            _require(not np.isinf(getattr(store, name)).any(), f"tracks/{name}", "boxes, or NaN where none was seen")
    for name in ("score", "score_before"):
        score = getattr(store, name) if name in store.names else store.score
        _require(bool(((score >= 0) & (score <= 1)).all()), f"tracks/{name}", "scores from 0 to 1")
    for name in ("track_id", "class_id", "hits", "missed", *(("hidden",) if "hidden" in store.names else ())):
        _require(bool((getattr(store, name) >= 0).all()), f"tracks/{name}", "0 or more")
    _require(bool(((store.born <= store.seen) & (store.seen <= clock)).all()), "tracks/seen", "times from birth to now")
    identities = [store.track_id[store.track_id > 0]]
    if "hidden_at" in store.names:
        _require(bool((store.hidden_at <= clock).all()), "tracks/hidden_at", "times in the past")
    if appearance is not None:
        memory = appearance.memory
        identities.append(memory.track_id)
        _check_memory(appearance, len(store), clock)
    together = np.concatenate(identities)
    _require(len(np.unique(together)) == len(together), "track_id", "each identity once")
    _require(
        bool((together >= 1).all() and (together < next_id).all()), "track_id", f"identities from 1 to {next_id - 1:g}"
    )


def _check_memory(appearance: AppearanceState, tracks: int, clock: float) -> None:
    memory = appearance.memory
    count = len(memory.track_id)
    _check_embeddings(appearance.embeddings, tracks, "appearance/embeddings")
    _check_embeddings(memory.embeddings, count, "appearance/memory.embeddings")
    sizes = {part.dimension for part in (appearance.embeddings, memory.embeddings) if part.dimension}
    _require(len(sizes) < 2, "appearance/embeddings", "embeddings of one size")
    _require(memory.last.shape == (4, count), "appearance/memory.last", f"{count} boxes")
    _require(len(memory.class_id) == len(memory.left) == count, "appearance/memory.left", f"{count} people")
    _require(bool(np.isfinite(memory.last).all()), "appearance/memory.last", "finite numbers")
    _require(bool((memory.class_id >= 0).all()), "appearance/memory.class_id", "0 or more")
    _require(
        bool((np.isfinite(memory.left) & (memory.left <= clock)).all()), "appearance/memory.left", "times in the past"
    )
    counts = appearance.impostors.counts
    _require(bool((np.isfinite(counts) & (counts >= 0)).all()), "appearance/impostors.counts", "0 or more")
    _require(not np.isnan(appearance.edges.xyxy).any(), "appearance/edges.xyxy", "the edges of the picture")


def _check_embeddings(kept: Embeddings, count: int, name: str) -> None:
    _require(
        len(kept.mean) == len(kept.exemplars) == len(kept.kept) == len(kept.updated) == count, name, f"{count} rows"
    )
    _require(kept.exemplars.shape[2] == kept.dimension, f"{name}.exemplars", f"embeddings of {kept.dimension} numbers")
    for part in ("mean", "exemplars") if kept.dimension else ():
        length = np.linalg.norm(getattr(kept, part).astype(np.float64), axis=-1)
        _require(bool((np.isnan(length) | (abs(length - 1) < 1e-3)).all()), f"{name}.{part}", "vectors of unit length")
    _require(bool((kept.kept >= 0).all()), f"{name}.kept", "0 or more")
    _require(not (np.isnan(kept.updated) | np.isposinf(kept.updated)).any(), f"{name}.updated", "times in the past")


def _arrays(state: Any) -> dict[str, NDArray[Any]]:
    """Returns the entries as arrays."""
    if not hasattr(state, "keys") or not hasattr(state, "__getitem__"):
        raise _refused(f"got {type(state).__name__}; expected what state_dict() returned")
    arrays = {}
    for name in state:
        try:
            value = np.asarray(state[name])
        except ValueError as error:  # a list of lists of different length, or an object in an npz file
            raise _refused(f"'{name}' cannot be read ({error}); expected what state_dict() returned") from None
        if not isinstance(name, str) or value.dtype.kind not in _KINDS:
            raise _refused(f"got '{name}' of type {value.dtype}; expected what state_dict() returned")
        arrays[name] = value
    return arrays


def _check_header(arrays: Mapping[str, NDArray[Any]], preset: Preset) -> None:
    version, found = str(_single(arrays, "format_version")), str(_single(arrays, "preset"))
    if version != str(FORMAT_VERSION):
        raise _refused(f"got format {version}; expected {FORMAT_VERSION}, which this version reads")
    if found != preset.name:
        raise _refused(f"got preset '{found}'; expected '{preset.name}', that of this tracker")
    text = str(_single(arrays, "parameters"))
    try:
        theirs = dict(json.loads(text))
    except (ValueError, TypeError):
        raise _refused(f"got parameters {text[:80]!r}; expected what state_dict() returned") from None
    for name, ours in _parameters(preset).items():
        if theirs.get(name) != ours:
            raise _refused(f"got {name} {theirs.get(name)}; expected {ours}, that of this tracker")


def _numbers(arrays: Mapping[str, NDArray[Any]]) -> dict[str, float]:
    numbers = {}
    for name in NUMBERS:
        value = _single(arrays, name)
        if value.dtype.kind not in "fiu":
            raise _refused(f"got {name} {value}; expected a number")
        numbers[name] = float(value)
    whole = {"frame": 0, "next_id": 1}
    for name, number in numbers.items():
        fine = np.isfinite(number) and number >= whole.get(name, 0.0) and (name not in whole or number % 1 == 0)
        if not fine and not (name == "seconds" and not np.isinf(number)):
            raise _refused(f"got {name} {number:g}; expected a {'whole ' if name in whole else ''}number")
    return numbers


def _single(arrays: Mapping[str, NDArray[Any]], name: str) -> NDArray[Any]:
    if name not in arrays:
        raise _refused(f"no entry '{name}'; expected what state_dict() returned")
    if arrays[name].size != 1:
        raise _refused(f"got {name} of shape {arrays[name].shape}; expected a single value")
    return arrays[name].reshape(())


def _parameters(preset: Preset) -> dict[str, Any]:
    """Returns the parameters that what is remembered depends on."""
    found = {name: value_of(preset, parameter) for name, parameter in PARAMETERS.items()}
    return found | {"bands": "published" if preset.shares is None else "adaptive"}


def _require(fine: bool, name: str, expected: str) -> None:
    if not fine:
        raise _refused(f"'{name}': got impossible values; expected {expected}")


def _refused(text: str) -> ValueError:
    return ValueError(f"tracker state: {text}")
