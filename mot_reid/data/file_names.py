"""What the names of files say: their natural order, the numbers of frames, and which files a reader passes over."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from glob import escape, glob
from pathlib import Path
from typing import NamedTuple

_log = logging.getLogger(__name__)
_LARGEST_FRAME = 10_000_000
"""Larger numbers in names are dates or clock times: at 30 frames a second this is frame 92 of the fourth day."""
_SPREAD = 1000
_CLUTTER = frozenset({"thumbs.db", "desktop.ini"})
_SHOWN = 3


def natural(text: str) -> list[tuple[int, str]]:
    """Returns a sort key that puts "p2" before "p10"."""
    parts = re.findall(r"\d+|\D+", text)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def is_pattern(text: str) -> bool:
    """Whether a text may stand for the names of several files, such as `crops/*.jpg`."""
    return any(sign in text for sign in "*?[")


def matching(pattern: str) -> list[str]:
    """Returns the files that a pattern stands for, in natural order.

    The folders that exist are taken as they are, whatever brackets their names have.
    """
    parents = (parent for parent in Path(pattern).parents if parent.is_dir())
    parent = next(parents, None)
    if parent is not None:
        pattern = str(Path(escape(str(parent)), Path(pattern).relative_to(parent)))
    return sorted(glob(pattern), key=natural)


class FrameNumbers(NamedTuple):
    """Which frame each file of a folder is.

    Attributes:
        numbers: from 1, growing.
        doubt: why the files are counted although a name has a number, as a sentence; None where all is clear.
    """

    numbers: list[int]
    doubt: str | None


def frame_numbers(names: Sequence[str]) -> FrameNumbers:
    """Returns the frame numbers in the names of images, or counts the images where the names have none.

    Names agree where they differ in one number only, as `1.jpg`, `10.jpg` or `cam2_0001.png`, `cam2_0002.png`. If they
    begin with 0, every number is one more than in the name.

    Args:
        names: file names in natural order; their endings play no part.

    Raises:
        ValueError: two names have the same number.
    """
    stems = [Path(name).stem for name in names]
    counted = list(range(1, len(names) + 1))
    patterns = [re.sub(r"\d+", "#", stem) for stem in stems]
    usual = max(sorted(set(patterns)), key=patterns.count)
    odd = [stem for stem, pattern in zip(stems, patterns) if pattern != usual]
    if odd:
        numbered = any("#" in pattern for pattern in patterns)
        doubt = f"got '{odd[0]}' among names such as '{stems[patterns.index(usual)]}'"
        return FrameNumbers(counted, doubt if numbered else None)
    found = [[int(part) for part in re.findall(r"\d+", stem)] for stem in stems]
    for before, row, previous, name in zip(found, found[1:], names, names[1:]):
        if row and before == row:
            raise ValueError(f"got '{previous}' and '{name}', which are both number {row[-1]}")
    differing = [place for place, column in enumerate(zip(*found)) if len(set(column)) > 1]
    if len(names) == 1:
        differing = [0] if stems[0].isdecimal() else []
    if len(differing) != 1:
        several = f"names such as '{stems[0]}' and '{stems[-1]}' differ in several numbers"
        return FrameNumbers(counted, several if differing else None)
    numbers = [row[differing[0]] for row in found]
    shift = 1 if numbers[0] == 0 else 0
    numbers = [number + shift for number in numbers]
    if numbers[-1] > _LARGEST_FRAME or numbers[-1] - numbers[0] > _SPREAD * len(numbers):
        return FrameNumbers(counted, f"the number in '{stems[-1]}' is too large for a frame's")
    return FrameNumbers(numbers, None)


def visible(folder: Path) -> list[Path]:
    """Returns what a folder holds in natural order, without hidden files and those of a file manager."""
    entries = [path for path in folder.iterdir() if not path.name.startswith(".") and path.name.lower() not in _CLUTTER]
    return sorted(entries, key=lambda path: natural(path.name))


def warn_passed_over(what: str, files: Iterable[Path], root: Path, *, remedy: str) -> None:
    """Logs how many files a reader did not take and which; says nothing where there are none.

    Args:
        what: the reader's name, which begins the line.
        files: those that were passed over.
        root: the folder to which their names are relative.
        remedy: what to do about them.
    """
    names = [path.relative_to(root).as_posix() for path in files]
    if names:
        more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
        _log.warning(
            "%s: passed over %d file%s in '%s': %s%s; %s",
            what, len(names), "" if len(names) == 1 else "s", root, ", ".join(names[:_SHOWN]), more, remedy,
        )  # fmt: skip
