"""What is the same in every tool: help, one line for a mistake, an exit code, and checks of single arguments."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TypeVar, cast

from mot_reid.files import check_writable
from mot_reid.settings.load import COMMAND_LINE, ConfigError, parse_arguments
from mot_reid.settings.schema import did_you_mean

Name = TypeVar("Name", bound=str)
Judge = Callable[[Exception], tuple[str, int] | None]
"""What is said of an error, and the exit code; None where it is the program's and shows where it happened."""


def mistake(error: Exception) -> tuple[str, int] | None:
    """Returns one line and exit code 2 for what a person can put right."""
    if isinstance(error, (OSError, ValueError, ImportError)):
        return " ".join(str(error).split()), 2
    return None


def bad_data(error: Exception) -> tuple[str, int] | None:
    """Returns exit code 2 for wrong arguments, 1 for bad data, whose files are told line by line."""
    if isinstance(error, ConfigError) or not isinstance(error, (OSError, ValueError)):
        return mistake(error)
    return str(error), 1


def run(
    work: Callable[[Sequence[str]], int | None],
    argv: Sequence[str],
    *,
    usage: Callable[[], str],
    judge: Judge = mistake,
    interrupted: str = "interrupted",
) -> int:
    """Does a tool's work; returns the exit code.

    Args:
        work: Called with the arguments; what it returns is the exit code, None being 0.
        argv: The arguments, without the program.
        usage: Gives the text of `--help`.
        judge: Tells mistakes from faults of the program.
        interrupted: What is said after Ctrl-C.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        if "--help" in argv or "-h" in argv:
            print(usage())
            return 0
        return work(argv) or 0
    except KeyboardInterrupt:
        print(interrupted, file=sys.stderr)
        return 130
    except Exception as error:
        judged = judge(error)
        if judged is None:
            raise
        print(judged[0], file=sys.stderr)
        return judged[1]


class Arguments:
    """The arguments of a tool without a schema, each checked where it is asked for.

    Args:
        argv: `key=value` or `--key=value`.
        keys: Those the tool knows.

    Attributes:
        given: What was given, by key.

    Raises:
        ConfigError: A key is unknown or comes twice; likewise every method, where a value is not as it should be.
    """

    def __init__(self, argv: Sequence[str], keys: Collection[str]) -> None:
        self.given: Mapping[str, str] = parse_arguments(argv, allowed=keys)

    def __contains__(self, key: str) -> bool:
        return key in self.given

    def text(self, key: str) -> str | None:
        """Returns a text, None where it is not given."""
        return self.given.get(key)

    def required(self, key: str, expected: str) -> str:
        """Returns a text that must be given, such as `expected` says."""
        if not self.given.get(key):
            raise ConfigError(f"{COMMAND_LINE}: {key} is missing; expected {key}={expected}; see --help")
        return self.given[key]

    def source_and_output(self, *, made: str) -> tuple[Path, Path]:
        """Returns both paths; the source may be gone where the output holds the file `made` already."""
        source, output = (Path(self.required(key, "PATH")) for key in ("source", "output"))
        if not source.exists() and not (output / made).is_file():
            raise self._wrong("source", str(source), "an existing archive or folder; check the path")
        return source, output

    def output(self, key: str) -> str | None:
        """Returns the path of a file to write, None where it is not given; refused before any work if it cannot be."""
        if key in self.given:
            check_writable(self.given[key], key)
        return self.text(key)

    def names(self, key: str) -> list[str] | None:
        """Returns texts set apart by commas, None where they are not given."""
        return self.given[key].split(",") if key in self.given else None

    def choice(self, key: str, names: Sequence[Name], default: Name) -> Name:
        """Returns one of several names."""
        value = self.given.get(key, default)
        self.check(key, [value], names)
        return cast(Name, value)

    def check(self, key: str, values: Sequence[str], names: Sequence[str]) -> None:
        """Refuses values that are none of the names."""
        rule = " or ".join(names) if len(names) == 2 else f"one of {', '.join(names)}"
        for value in values:
            if value not in names:
                raise self._wrong(key, value, f"{rule}{did_you_mean(value, names)}")

    def switch(self, key: str, default: bool) -> bool:
        """Returns whether it is true, in any case of letters."""
        text = self.given.get(key, str(default))
        if text.lower() not in ("true", "false"):
            raise self._wrong(key, text, "true or false")
        return text.lower() == "true"

    def whole(self, key: str, default: int, *, low: int = 0) -> int:
        """Returns a whole number."""
        return self._whole(key, self.given.get(key, str(default)), low)

    def wholes(self, key: str, default: int) -> list[int]:
        """Returns whole numbers set apart by commas."""
        return [self._whole(key, text, 0) for text in self.given.get(key, str(default)).split(",")]

    def number(
        self, key: str, default: float, *, low: float = 0.0, high: float = float("inf"), below: float = float("inf")
    ) -> float:
        """Returns a finite number: `low <= number <= high`, and less than `below`."""
        text = self.given.get(key, str(default))
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not (low <= value <= high and value < below):
            ends = [f" to below {below:g}"] * (below < float("inf")) + [f" to {high:g}"] * (high < float("inf"))
            raise self._wrong(key, text, f"a number from {low:g}{''.join(ends)}")
        return value

    def _whole(self, key: str, text: str, low: int) -> int:
        if not text.isdecimal() or int(text) < low:
            raise self._wrong(key, text, f"a whole number from {low}")
        return int(text)

    def _wrong(self, key: str, value: str, rule: str) -> ConfigError:
        return ConfigError(f"{COMMAND_LINE}: {key}: got '{value}'; expected {rule}")
