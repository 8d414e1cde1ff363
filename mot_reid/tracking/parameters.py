"""From a preset's name and a few parameters to the frozen value that the engine runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from numbers import Real
from typing import Any, get_args

from mot_reid.names import did_you_mean
from mot_reid.settings.tracker_parameters import PARAMETERS, BandsMode, Parameter
from mot_reid.tracking.presets import PRESETS, Preset


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


def refuse_unknown(names: Iterable[str], known: Iterable[str]) -> None:
    """Raises TypeError for the first of `names`, offering the nearest of `known`."""
    known = tuple(known)
    for name in names:
        raise TypeError(
            f"Tracker: no parameter '{name}'; expected one of {', '.join(known)}{did_you_mean(name, known)}"
        )


def with_parameters(preset: Preset, **given: Any) -> Preset:
    """Returns the preset with the parameters that are not `None` exchanged.

    Raises:
        ValueError: if a value breaks its rule, or the preset has no use for a parameter.
    """
    values = {name: _checked(PARAMETERS[name], value) for name, value in given.items() if value is not None}
    changed = preset
    for name, value in values.items():
        if not fits(preset, PARAMETERS[name]):
            raise _no_use(name, preset)
        changed = _exchanged(changed, PARAMETERS[name].place.path.split("."), value)
    if changed.appearance is not None and changed.appearance != preset.appearance:
        changed = replace(changed, appearance=replace(changed.appearance, optional=False))
    high, low = changed.bands.high, changed.bands.low
    if high is not None and low is not None and low > high:
        raise ValueError(f"low: got {low}; expected at most high ({high})")
    if "high" in values and "birth" not in values and preset.life.birth is not None and preset.bands.high is not None:
        # The original defines the score of a birth as a margin above `high`; keep the margin.
        birth = min(preset.life.birth - preset.bands.high + values["high"], 1.0)
        changed = replace(changed, life=replace(changed.life, birth=birth))
    return changed


def with_bands(preset: Preset, bands: str | None, *, given: bool) -> Preset:
    """Returns the preset with `high` and `birth` following the detector's scores, or fixed.

    Args:
        preset: with its parameters exchanged.
        bands: `adaptive`, `published` (fixed), or `None`: as the preset has it, and fixed if a value is given.
        given: whether a value of `high` or `birth` is given.

    Raises:
        ValueError: if it is something else, or contradicts the preset or the values.
    """
    if bands not in (None, *get_args(BandsMode)):
        raise ValueError(f"bands: got '{bands}'; expected one of {', '.join(get_args(BandsMode))}")
    if bands == "adaptive" and preset.shares is None:
        fitting = " or ".join(other.name for other in PRESETS.values() if other.shares)
        raise ValueError(
            f"bands: preset '{preset.name}' has no adaptive bands; expected no value, or the preset {fitting}"
        )
    if bands == "adaptive" and given:
        raise ValueError("bands: got 'adaptive' together with a value of high or birth; expected one or the other")
    return replace(preset, shares=None) if given or bands == "published" else preset


def value_of(preset: Preset, parameter: Parameter) -> Any:
    """Returns what a preset has in the place of a parameter; `None` where the place or the value is absent."""
    value: Any = preset
    for step in parameter.place.path.split("."):
        value = value[int(step)] if step.isdecimal() else getattr(value, step, None)
    return value


def fits(preset: Preset, parameter: Parameter) -> bool:
    """Returns whether a preset has a use for a parameter."""
    if value_of(preset, parameter) is not None:
        return True
    part = parameter.place.path.partition(".")[0]
    return parameter.place.unset != "no use" and getattr(preset, part) is not None


def tuned(preset: Preset) -> tuple[str, ...]:
    """Returns the names of the parameters that are worth a search: those that have a value in the preset."""
    return tuple(
        name
        for name, parameter in PARAMETERS.items()
        if parameter.place.search is not None
        and fits(preset, parameter)
        and (value_of(preset, parameter) is not None or parameter.place.unset == "calibrated")
    )


def table_of_defaults() -> str:
    """Returns the guide's table in Markdown: each parameter with its value in each preset."""
    rows = [["parameter", *(f"`{name}`" for name in PRESETS)], ["---"] * (1 + len(PRESETS))]
    for name, parameter in PARAMETERS.items():
        rows.append([f"`{name}`", *(_shown(preset, parameter) for preset in PRESETS.values())])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _shown(preset: Preset, parameter: Parameter) -> str:
    value = value_of(preset, parameter)
    if value is not None:
        return f"{value:g}" if isinstance(value, float) else str(value)
    return parameter.place.unset if fits(preset, parameter) else ""


def _checked(parameter: Parameter, value: Any) -> Any:
    """Returns a value in the type of its parameter.

    Raises:
        ValueError: if it is of another type or breaks a rule.
    """
    key = parameter.key
    if "string" in key.type_name:
        expected = key.refuse(value) if isinstance(value, str) else key.refuse(type(value).__name__)
    elif not isinstance(value, Real) or isinstance(value, bool):
        expected = f"a {'whole ' if parameter.whole else ''}number"
    else:
        value = float(value)
        if parameter.whole and value % 1 != 0:
            expected = "a whole number, 0 or more"
        else:
            value = int(value) if parameter.whole else value
            expected = key.refuse(value)
    if expected is not None:
        shown = repr(value) if isinstance(value, str) else value
        raise ValueError(f"{parameter.name}: got {shown}; expected {expected}")
    return value


def _exchanged(owner: Any, path: list[str], value: Any) -> Any:
    """Returns a copy of a frozen value with another value at a path inside it."""
    if not path:
        return value
    first, rest = path[0], path[1:]
    if first.isdecimal():
        at = int(first)
        return (*owner[:at], _exchanged(owner[at], rest, value), *owner[at + 1 :])
    return replace(owner, **{first: _exchanged(getattr(owner, first), rest, value)})


def _no_use(name: str, preset: Preset) -> ValueError:
    fitting = " or ".join(other.name for other in PRESETS.values() if fits(other, PARAMETERS[name]))
    return ValueError(f"{name}: preset '{preset.name}' does not use it; leave it out, or choose the preset {fitting}")
