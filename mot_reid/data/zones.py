"""Zones and lines of a scene, from a JSON file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mot_reid.files import read_json

_EXAMPLE = '{"zones": {"door": [[0, 0], [80, 0], [80, 60]]}, "lines": {"gate": [[0, 90], [80, 90]]}}'


@dataclass(frozen=True, slots=True)
class Scene:
    """Places in a video's picture, in pixels.

    Attributes:
        zones: Corners of each zone, by name.
        lines: Two points of each line, by name.
    """

    zones: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, Any] = field(default_factory=dict)


def read_scene(path: str | Path) -> Scene:
    """Returns the zones and lines of a JSON file, which has both, or one of them, by name.

    Args:
        path: Of the file.

    Raises:
        FileNotFoundError: It is missing.
        ValueError: It is no JSON, has a name twice or an empty one, or has something else in it.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"zones: got '{path}'; expected an existing JSON file; check the path")
    try:
        content = read_json(path)
    except ValueError as error:
        raise ValueError(f"zones: got '{path}' ({error}); expected JSON such as {_EXAMPLE}") from None
    whole = isinstance(content, dict) and set(content) <= {"zones", "lines"}
    if not whole or not all(isinstance(part, dict) for part in content.values()):
        raise ValueError(f"zones: got something else in '{path}'; expected JSON such as {_EXAMPLE}")
    if any("" in part for part in content.values()):
        raise ValueError(f"zones: got an empty name in '{path}'; expected a name for each zone and line; give it one")
    return Scene(**content)
