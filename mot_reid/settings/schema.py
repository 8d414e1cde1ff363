"""The language that settings are written in: a tree of dataclasses whose fields say type, rule and meaning.

```python
@dataclass(frozen=True, kw_only=True)
class Draw:
    scores: Annotated[bool, "write the detector's score at each box"]
    trail_seconds: Annotated[float, Positive, "length of a trail in seconds"]
```

A tree holds no values: those are in `configs/`. A key is a field by its path, such as `draw.trail_seconds`.
"""

from __future__ import annotations

import math
import types
from dataclasses import dataclass, is_dataclass
from typing import Annotated, Any, Union, cast, get_args, get_origin, get_type_hints

from mot_reid.names import did_you_mean


@dataclass(frozen=True)
class OneOf:
    """The names a string key may hold, or each element of a list of strings."""

    names: tuple[str, ...]

    def refuse(self, value: object) -> str | None:
        """Returns what was expected instead of `value`, or None where `value` is allowed."""
        given = value if isinstance(value, tuple) else (value,)
        wrong = next((name for name in given if name not in self.names), None)
        return None if wrong is None else f"one of {', '.join(self.names)}{did_you_mean(str(wrong), self.names)}"

    @property
    def choices(self) -> str:
        """The names, for a help text."""
        return " | ".join(self.names)


@dataclass(frozen=True)
class Between:
    """The range of a number, or of each number of a list.

    Attributes:
        low: the least value.
        high: the greatest value.
        above: whether `low` itself is left out.
        below: whether `high` itself is left out.
    """

    low: float
    high: float = float("inf")
    above: bool = False
    below: bool = False

    def refuse(self, value: object) -> str | None:
        """Returns what was expected instead of `value`, or None where `value` is allowed."""
        numbers = value if isinstance(value, tuple) else (value,)
        if all(self._holds(number) for number in numbers):
            return None
        low = f"a number above {self.low:g}" if self.above else f"a number of at least {self.low:g}"
        high = "" if self.high == float("inf") else f" and {'below' if self.below else 'at most'} {self.high:g}"
        return low + high

    @property
    def choices(self) -> str:
        """The range, for a help text."""
        if self.high == float("inf"):
            return f"above {self.low:g}" if self.above else f"{self.low:g} or more"
        return f"{'above ' * self.above}{self.low:g} to {'below ' * self.below}{self.high:g}"

    def _holds(self, number: float) -> bool:
        inside = math.isfinite(number) and self.low <= number <= self.high
        return inside and not (self.above and number == self.low) and not (self.below and number == self.high)


Positive = Between(0, above=True)
Weight = Between(0)
Share = Between(0, 1)
Count = Between(1)


@dataclass(frozen=True)
class Form:
    """How the command line may write a key, and how it is shown, apart from the usual way.

    Attributes:
        commas: whether a list may be written as `a,b`; otherwise as `[a, b]` only.
        stands_for_section: whether `section=value` sets this key of the section.
        secret: whether its value is shown nowhere.
    """

    commas: bool = False
    stands_for_section: bool = False
    secret: bool = False


COMMAS = Form(commas=True)
SECRET = Form(secret=True)
SHORT = Form(stands_for_section=True)


@dataclass(frozen=True)
class Key:
    """What a tree says of one key.

    Attributes:
        hint: its type.
        rules: what its value must satisfy.
        meaning: one line for people.
        form: how the command line may write it, and how it is shown.
    """

    hint: Any
    rules: tuple[OneOf | Between, ...]
    meaning: str
    form: Form = Form()

    @property
    def optional(self) -> bool:
        """Whether null is a value."""
        return self.hint is Any or type(None) in get_args(self.hint)

    @property
    def plain(self) -> Any:
        """The type without null, where only one is left."""
        kinds = [part for part in get_args(self.hint) if part is not type(None)]
        return kinds[0] if get_origin(self.hint) in (Union, types.UnionType) and len(kinds) == 1 else self.hint

    @property
    def type_name(self) -> str:
        """The type in the words of a YAML file."""
        return type_name(self.hint)

    def refuse(self, value: object) -> str | None:
        """Returns what was expected instead of `value`, of the right type, or None where `value` is allowed."""
        if value is None and self.optional:
            return None
        if value == "":
            return f"a {self.type_name}"
        sizes = get_args(self.plain) if get_origin(self.plain) is tuple else (Ellipsis,)
        if sizes[-1] is not Ellipsis and not (isinstance(value, tuple) and len(value) == len(sizes)):
            return self.type_name  # OmegaConf before 2.4 does not count
        return next((expected for rule in self.rules if (expected := rule.refuse(value))), None)


def schema(cls: type) -> dict[str, Key]:
    """Returns every key there is, as `section.key` (`key` where it lies in no section), in the order of the fields.

    Args:
        cls: a dataclass of sections, themselves dataclasses, and of single keys. Fields without a meaning of their own
            have that of the class attribute `meaning`.
    """
    found = {}
    for name, hint in get_type_hints(cls, include_extras=True).items():
        if is_dataclass(hint):
            found.update({f"{name}.{key}": spec for key, spec in schema(cast(type, hint)).items()})
            continue
        notes = getattr(hint, "__metadata__", ())
        rules = tuple(note for note in notes if isinstance(note, (OneOf, Between)))
        meaning = next((note for note in notes if isinstance(note, str)), getattr(cls, "meaning", ""))
        form = next((note for note in notes if isinstance(note, Form)), Form())
        found[name] = Key(get_args(hint)[0] if notes else hint, rules, meaning, form)
    return found


def sections(cls: type) -> list[tuple[str, type]]:
    """Returns the sections of a tree by name, in order.

    Args:
        cls: as in `schema`.
    """
    return [(name, cast(type, hint)) for name, hint in get_type_hints(cls).items() if is_dataclass(hint)]


def computed(cls: type) -> dict[str, str]:
    """Returns what follows from other keys and is not set itself, as `section.name`, with what it says of itself.

    Args:
        cls: as in `schema`.
    """
    return {
        f"{name}.{key}": (value.__doc__ or "").strip()
        for name, section in sections(cls)
        for key, value in vars(section).items()
        if isinstance(value, property)
    }


def type_name(hint: Any) -> str:
    """Returns a type in the words of a YAML file.

    Args:
        hint: a type such as `float`, `int | None` or `tuple[float, float]`.
    """
    if hint is Any:
        return "any value"
    if get_origin(hint) is Annotated:
        return type_name(get_args(hint)[0])
    if get_origin(hint) in (Union, types.UnionType):
        parts = get_args(hint)
        return " or ".join("null" if part is type(None) else type_name(part) for part in parts)
    if get_origin(hint) is tuple:
        element, last = get_args(hint)[0], get_args(hint)[-1]
        return f"a list of {'' if last is Ellipsis else f'{len(get_args(hint))} '}{type_name(element)}s"
    return {str: "string", bool: "true or false"}.get(hint, hint.__name__)
