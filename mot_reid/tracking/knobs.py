"""From a preset's name and a few knobs to the frozen value that the engine runs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mot_reid.names import did_you_mean
from mot_reid.tracking.presets import PRESETS, Appearance, Bands, Preset

_UNIT = ("high", "low", "birth", "limit", "duplicate", "gate", "proximity")
_COUNTS = ("confirm_hits", "max_missed")


def find_preset(preset: str | Preset) -> Preset:
    """Returns the preset of a name.

    Raises:
        ValueError: if there is none; the nearest name is offered.
    """
    if isinstance(preset, Preset):
        return preset
    if not isinstance(preset, str):
        raise ValueError(f"preset: got {type(preset).__name__}; expected a Preset or one of {', '.join(PRESETS)}")
    if preset not in PRESETS:
        raise ValueError(f"preset: got '{preset}'; expected one of {', '.join(PRESETS)}{did_you_mean(preset, PRESETS)}")
    return PRESETS[preset]


def refuse_unknown(names: Any, known: Any) -> None:
    """Raises TypeError for the first of `names`, offering the nearest of `known`."""
    for name in names:
        raise TypeError(f"Tracker: no knob '{name}'; expected one of {', '.join(known)}{did_you_mean(name, known)}")


def with_knobs(preset: Preset, **knobs: Any) -> Preset:
    """Returns the preset with the knobs that are not `None` exchanged.

    Raises:
        ValueError: if a value is out of range, or the preset has no place for a knob.
    """
    given = {name: value for name, value in knobs.items() if value is not None}
    _check_ranges(given)
    life = {name: given[name] for name in ("birth", "confirm_hits", "max_missed", "duplicate") if name in given}
    high, low = given.get("high", preset.bands.high), given.get("low", preset.bands.low)
    if high is not None and low is not None and low > high:
        raise ValueError(f"low: got {low}; expected at most high ({high})")
    if "high" in given and "birth" not in given and preset.life.birth is not None and preset.bands.high is not None:
        # The original defines the score of a birth as a margin above `high`; keep the margin.
        life["birth"] = min(preset.life.birth - preset.bands.high + given["high"], 1.0)
    if "duplicate" in life and preset.life.duplicate is None:
        raise _no_place("duplicate", preset)
    stages = preset.stages
    if "limit" in given:
        stages = (replace(stages[0], limit=given["limit"]), *stages[1:])
    return replace(
        preset,
        bands=Bands(high, low),
        stages=stages,
        life=replace(preset.life, **life),
        appearance=_appearance(preset, given),
        camera=given.get("camera", preset.camera),
    )


def _appearance(preset: Preset, given: dict[str, Any]) -> Appearance | None:
    wanted = {name: given[name] for name in ("gate", "proximity", "max_lost_seconds") if name in given}
    if preset.appearance is None:
        for name in wanted:
            raise _no_place(name, preset)
        return None
    return replace(preset.appearance, **wanted)


def _check_ranges(given: dict[str, Any]) -> None:
    for name in _UNIT:
        if name in given and not 0 <= given[name] <= 1:
            raise ValueError(f"{name}: got {given[name]}; expected a number in [0, 1]")
    for name in _COUNTS:
        if name in given and not (given[name] >= 0 and given[name] % 1 == 0):
            raise ValueError(f"{name}: got {given[name]}; expected a whole number, 0 or more")
    if not given.get("max_lost_seconds", 0) >= 0:
        raise ValueError(f"max_lost_seconds: got {given['max_lost_seconds']}; expected 0 (off) or more")
    cameras = ("none", "sparse_flow", "ecc")
    if given.get("camera", "none") not in cameras:
        raise ValueError(f"camera: got '{given['camera']}'; expected one of {', '.join(cameras)}")


def _no_place(name: str, preset: Preset) -> ValueError:
    fitting = "bytetrack_reid or botsort" if name != "duplicate" else "bytetrack or botsort"
    return ValueError(f"{name}: preset '{preset.name}' has no use for it; expected no value; or take {fitting}")
