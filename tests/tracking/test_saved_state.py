"""States from elsewhere: a changed one is refused in a sentence, or a tracker goes on sensibly with it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from mot_reid import Tracker
from mot_reid.tracking.presets import PRESETS
from tests.helpers.boxes_world import walking_people

State = dict[str, Any]
VALUES = (np.nan, np.inf, -np.inf, -1, 0, 1, 2**40, 0.5, 1e300)


def trained(preset: str, **parameters: Any) -> Tracker:
    """A tracker after eight frames of people with faces."""
    tracker = Tracker(preset, **parameters)
    for frame in walking_people(3, frames=8, embedding=4):
        tracker.update(frame)
    return tracker


def refused(tracker: Tracker, state: Any) -> str | None:
    """The message that a state is refused with, after which the tracker is as before; None where it is taken."""
    before = tracker.state_dict()
    try:
        tracker.load_state_dict(state)
    except ValueError as error:
        for name, value in tracker.state_dict().items():
            np.testing.assert_array_equal(value, before[name])
        return str(error)
    return None


def mutated(state: State, rng: np.random.Generator) -> State:
    """A state in which one thing was changed: an entry, its shape, its type or some of its values."""
    changed = {name: value.copy() for name, value in state.items()}
    name = str(rng.choice(sorted(set(changed) - {"seconds"})))  # another time of the last frame is as good a state
    value = changed[name]
    kind = int(rng.integers(8))
    if kind == 0:
        del changed[name]
    elif kind == 1:
        changed[name] = value[..., :-1] if value.ndim else np.zeros(0)
    elif kind == 2:
        changed[name] = value.astype(rng.choice(["U3", "object"] + ["float32", "int32"] * (value.dtype.kind != "U")))
    elif kind == 3:
        changed[name] = np.stack([value, value])
    elif kind == 4:
        changed[f"{name}{rng.choice(['', 'x'])}/extra"] = value
    elif value.dtype.kind in "fiub" and value.size:
        flat = value.reshape(-1)
        with np.errstate(all="ignore"):
            flat[rng.integers(flat.size, size=rng.integers(1, 4))] = np.array(rng.choice(VALUES)).astype(value.dtype)
        changed[name] = flat.reshape(value.shape)
    else:
        changed[name] = np.array("what?")
    return changed


@pytest.mark.parametrize("preset", PRESETS)
def test_changed_state_is_refused_or_harmless(preset: str) -> None:
    """100 changes for each preset: a sentence and an unchanged tracker, or identities from 1, each once per frame."""
    state, rng = trained(preset).state_dict(), np.random.default_rng(7)
    later = walking_people(3, frames=14, embedding=4)[8:]
    taken = 0
    for _ in range(100):
        tracker = Tracker(preset)
        message = refused(tracker, mutated(state, rng))
        if message is not None:
            assert message.startswith("tracker state"), message
            continue
        taken += 1
        seen = set()
        for frame in later:
            tracks = tracker.update(frame)
            assert (tracks.track_id >= 1).all() and len(set(tracks.track_id.tolist())) == len(tracks)
            assert np.isfinite(tracks.xyxy).all()
            seen |= set(tracks.track_id.tolist())
        assert len(seen) <= tracker.state_dict()["next_id"] - 1
    assert taken < 50


@pytest.mark.parametrize(
    ("entry", "value", "message"),
    [
        ("tracks/track_id", 2, "each identity once"),
        ("next_id", 2, "identities from 1 to 1"),
        ("tracks/filter", np.nan, "finite numbers"),
        ("tracks/seen", 1e6, "times from birth to now"),
        ("tracks/score", 1.5, "scores from 0 to 1"),
        ("appearance/embeddings.mean", 3.0, "vectors of unit length"),
    ],
)
def test_values_that_no_tracker_comes_to_are_named(entry: str, value: float, message: str) -> None:
    state = trained("bytetrack_reid").state_dict()
    state[entry][...] = value
    found = refused(Tracker("bytetrack_reid"), state)
    assert found is not None and found.startswith("tracker state: ")
    assert message in found


def test_state_of_other_parameters_is_refused_with_both_values() -> None:
    state = trained("bytetrack", high=0.5, max_missed=10).state_dict()
    assert "got high 0.5; expected 0.4, that of this tracker" in str(refused(Tracker("bytetrack", high=0.4), state))
    assert refused(Tracker("bytetrack", high=0.5, max_missed=10), state) is None


@pytest.mark.parametrize("state", [None, 3, [], "state", {}, {"format_version": [[1, 2], [3]]}])
def test_what_is_no_state_is_refused(state: Any) -> None:
    assert str(refused(Tracker(), state)).startswith("tracker state: ")


def test_parameters_are_readable_text() -> None:
    text = str(Tracker("sort", limit=0.6).state_dict()["parameters"])
    assert json.loads(text)["limit"] == 0.6
