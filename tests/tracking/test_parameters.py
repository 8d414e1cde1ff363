"""The table of tracker parameters, and all that is derived from it: checks, signature, command line, tuner, guide."""

from __future__ import annotations

import inspect
import re

import numpy as np
import pytest

from mot_reid import Tracker
from mot_reid.settings.load import ROOT
from mot_reid.settings.tracker_parameters import (
    IN_PLAIN_WORDS,
    NEED_EMBEDDINGS,
    PARAMETERS,
    PRESET_NAMES,
    USE_EMBEDDINGS,
    TrackerParameters,
    default_preset,
)
from mot_reid.settings.tracking import TrackerSettings
from mot_reid.tracking.parameters import fits, table_of_defaults, tuned, value_of
from mot_reid.tracking.presets import BYTETRACK, OCSORT, PRESETS

# ---- the table and what repeats it ---------------------------------------------------------------------------------


def test_names_of_presets_are_those_of_the_values():
    assert tuple(PRESETS) == PRESET_NAMES
    assert set(IN_PLAIN_WORDS) == set(PRESETS)
    assert {name for name, preset in PRESETS.items() if preset.appearance} == set(USE_EMBEDDINGS)
    assert set(NEED_EMBEDDINGS) <= set(USE_EMBEDDINGS)


def test_default_preset_uses_the_model_that_is_given():
    assert (default_preset(None), default_preset("model.safetensors")) == ("bytetrack", "bytetrack_reid")


def test_signature_spells_out_the_table():
    signature = inspect.signature(Tracker)
    spelled = {name: value for name, value in signature.parameters.items() if name in PARAMETERS}
    assert list(signature.parameters) == ["preset", "reid", "frame_rate", "appearance", "bands", "camera",
                                          "explain",
                                          *[name for name in PARAMETERS if name != "camera"], "misspelt"]  # fmt: skip
    assert {parameter.default for parameter in spelled.values()} == {None}
    hints = {name: field.type for name, field in TrackerParameters.__dataclass_fields__.items()}
    for name in spelled.keys() - {"camera"}:
        assert f"Annotated[{spelled[name].annotation}, " in hints[name]


def test_docstring_of_tracker_says_what_the_table_says():
    text = " ".join(inspect.cleandoc(Tracker.__doc__ or "").split())
    assert [name for name, row in PARAMETERS.items() if f" {name}: {row.key.meaning}. " not in text] == []
    assert [name for name in PRESETS if f"`{name}`" not in text] == []


def test_command_line_has_every_parameter_of_tracker():
    parameters = set(inspect.signature(Tracker).parameters)
    keys = set(TrackerSettings.__dataclass_fields__)
    assert set(PARAMETERS) <= keys
    assert keys - parameters == set()
    assert parameters - keys == {"reid", "explain", "misspelt"}


@pytest.mark.parametrize("name", PARAMETERS)
def test_place_of_a_parameter_is_the_one_that_changes(name):
    """Fails when a path of the table leads to another value, or setting one parameter changes anything else."""
    row = PARAMETERS[name]
    preset = next(preset for preset in reversed(PRESETS.values()) if fits(preset, row))
    camera = "none" if preset.camera == "ecc" else "ecc"
    value = {"camera": camera, "confirm_hits": 4, "max_missed": 7}.get(name, 0.55)
    changed = Tracker(preset, **{name: value} | ({"birth": preset.life.birth} if name == "high" else {})).preset
    assert value_of(changed, row) == value
    before, after = repr(preset), repr(changed)
    assert before != after
    assert after.replace(f"={value!r}", "=?", 1).count(repr(value)) <= before.count(repr(value))


def test_parameters_that_a_preset_has_no_use_for_are_empty_in_the_guide():
    """By hand: SORT and OC-SORT have one band, no duplicates and no appearance."""
    rows = {row.split(" | ")[0].strip("| `"): row.strip("| ").split(" | ") for row in table_of_defaults().splitlines()}
    assert rows["high"][1:6] == ["no limit", "0.6", "0.6", "0.6", "0.6"]
    assert rows["max_missed"][1:6] == ["1", "60", "30", "30", "60"]
    assert [name for name, row in PARAMETERS.items() if not fits(OCSORT, row)] == [
        "low", "duplicate", "gate", "proximity", "max_lost_seconds"
    ]  # fmt: skip


def test_guide_shows_the_table_of_defaults():
    guide = (ROOT / "docs" / "tracking.md").read_text(encoding="utf-8")
    assert table_of_defaults() in guide, (
        "docs/tracking.md: paste what mot_reid.tracking.parameters.table_of_defaults() returns"
    )


def test_tuner_searches_what_has_a_value_in_the_preset():
    byte = ("high", "low", "birth", "limit", "confirm_hits", "max_missed", "duplicate")
    assert {name: tuned(preset) for name, preset in PRESETS.items()} == {
        "sort": ("limit", "confirm_hits", "max_missed"),
        "bytetrack": byte,
        "ocsort": ("high", "limit", "confirm_hits", "max_missed"),
        "botsort": (*byte, "gate", "proximity", "max_lost_seconds"),
        "bytetrack_reid": (*byte, "gate", "proximity", "max_lost_seconds"),
        "cbiou": byte[:-1],
        "deepocsort": ("high", "limit", "confirm_hits", "max_missed", "gate", "max_lost_seconds"),
        "tracktrack": (*byte[:-1], "gate", "max_lost_seconds"),
        "fasttrack": byte,
        "hybridsort": ("high", "low", "limit", "confirm_hits", "max_missed"),
        "strongsort": ("high", "limit", "confirm_hits", "max_missed", "gate", "max_lost_seconds"),
    }


def test_no_preset_name_is_written_where_it_could_be_derived():
    """A new preset is one value and one name; whoever lists presets by hand again is found here."""
    listed = re.compile(r"[\"'](sort|ocsort|botsort|bytetrack_reid)[\"']")
    allowed = {"settings/tracker_parameters.py", "tracking/presets.py"}
    found = {
        path.relative_to(ROOT / "mot_reid").as_posix()
        for path in (ROOT / "mot_reid").rglob("*.py")
        if listed.search(path.read_text(encoding="utf-8"))
    }
    assert found - allowed == set()


def test_repr_says_where_a_tracker_stands():
    tracker = Tracker("bytetrack", frame_rate=12.5)
    for rows in ([[0, 0, 40, 90, 0.9], [200, 0, 240, 90, 0.9]], [[0, 0, 40, 90, 0.9]]):
        tracker.update(np.array(rows, float))
    assert repr(tracker) == "Tracker('bytetrack', frame_rate=12.5): frame 2, 2 tracks (1 lost), 2 identities so far"


# ---- checks --------------------------------------------------------------------------------------------------------


def test_unknown_preset_is_refused_with_the_nearest_name():
    with pytest.raises(ValueError, match=r"preset: got 'bytetrak'; expected one of .*; did you mean 'bytetrack'"):
        Tracker("bytetrak")


def test_unknown_parameter_is_refused_with_the_nearest_name():
    with pytest.raises(TypeError, match=r"no parameter 'max_mised'; .*; did you mean 'max_missed'"):
        Tracker("bytetrack", max_mised=3)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"high": 1.5}, "high: got 1.5; expected a number of at least 0 and at most 1"),
        ({"birth": float("nan")}, "birth: got nan"),
        ({"max_missed": -1}, "max_missed: got -1"),
        ({"max_missed": float("nan")}, "max_missed: got nan; expected a whole number"),
        ({"max_lost_seconds": float("nan")}, "max_lost_seconds: got nan; expected a number of at least 0"),
        ({"high": "0.5"}, "high: got '0.5'; expected a number"),
        ({"high": True}, "high: got True; expected a number"),
        ({"confirm_hits": [1]}, r"confirm_hits: got \[1\]; expected a whole number"),
        ({"confirm_hits": 1.5}, "confirm_hits: got 1.5; expected a whole number"),
        ({"low": 0.7}, r"low: got 0.7; expected at most high \(0.6\)"),
        ({"frame_rate": 0}, "frame_rate: got 0"),
        ({"gate": 0.5}, "gate: preset 'bytetrack' does not use it; .* bytetrack_reid"),
        ({"max_lost_seconds": 3}, "max_lost_seconds: preset 'bytetrack' does not use it"),
        ({"camera": "flow"}, "camera: got 'flow'; expected one of none, sparse_flow, ecc"),
        ({"appearance": "never"}, "appearance: got 'never'"),
        ({"reid": lambda image, xyxy: xyxy}, "reid: preset 'bytetrack' does not use appearance"),
    ],
)
def test_parameters_refuse_what_makes_no_sense(parameters, message):
    with pytest.raises(ValueError, match=message):
        Tracker("bytetrack", **parameters)


def test_duplicate_has_no_place_in_sort():
    with pytest.raises(ValueError, match="duplicate: preset 'sort' does not use it"):
        Tracker("sort", duplicate=0.9)


@pytest.mark.parametrize("preset", [None, 5])
def test_preset_that_is_no_name_is_refused(preset):
    with pytest.raises(ValueError, match=r"preset: got (NoneType|int); expected a Preset or one of sort"):
        Tracker(preset)


def test_parameters_reach_the_preset():
    preset = Tracker("bytetrack", high=0.5, low=0.2, birth=0.8, limit=0.7, confirm_hits=2, max_missed=9).preset
    assert (preset.bands.high, preset.bands.low, preset.stages[0].limit) == (0.5, 0.2, 0.7)
    assert (preset.life.birth, preset.life.confirm_hits, preset.life.max_missed) == (0.8, 2, 9)
    assert PRESETS["bytetrack"] is BYTETRACK and BYTETRACK.bands.high == 0.6


def test_birth_follows_high_unless_given():
    assert Tracker("bytetrack", high=0.4).preset.life.birth == pytest.approx(0.5)
    assert Tracker("bytetrack", high=0.4, birth=0.45).preset.life.birth == 0.45
