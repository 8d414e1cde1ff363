"""What is the same in every command: typed keys, help, one line for a mistake, an exit code."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from mot_reid import environment
from mot_reid.extras import explained
from mot_reid.files import check_writable
from mot_reid.settings.help import describe_keys, json_schema
from mot_reid.settings.load import COMMAND_LINE, ConfigError, draft_settings, load_settings
from mot_reid.settings.sources import parse_arguments

_T = TypeVar("_T")
Given = Mapping[str, str]
"""What was given on the command line, by key."""
Judge = Callable[[Exception], tuple[str, int] | None]
"""What is said of an error, and the exit code; None for a fault of the program, which shows where it happened."""

_HELP, _SCHEMA = ("--help", "-h"), "--schema"


def mistake(error: Exception) -> tuple[str, int] | None:
    """Returns one line and exit code 2 for what a person can put right."""
    if isinstance(error, (OSError, ValueError, ImportError)):
        return " ".join(str(error).split()), 2
    return None


def bad_data(error: Exception) -> tuple[str, int] | None:
    """Returns exit code 2 for wrong arguments, and 1 for bad data, with a line for each bad file."""
    if isinstance(error, ConfigError) or not isinstance(error, (OSError, ValueError)):
        return mistake(error)
    return str(error), 1


@dataclass(frozen=True)
class Command(Generic[_T]):
    """A command of `mot-reid`: what it takes, and what its help says.

    Attributes:
        name: the word after `mot-reid`; the values of its keys are in `configs/<name>.yaml`, with `_` for `-`.
        settings: the tree of its keys.
        usage: the arguments that matter most.
        about: what it does, one paragraph.
        examples: arguments to copy; at least one.
        exits: what its exit codes mean, but for that of an interrupt.
    """

    name: str
    settings: type[_T]
    usage: str
    about: str
    examples: tuple[str, ...]
    exits: str = "0 done, 2 a mistake in the arguments or the files"

    @property
    def base(self) -> str:
        """The file in `configs/` that holds the values, without its ending."""
        return self.name.replace("-", "_")

    def load(self, argv: Sequence[str]) -> _T:
        """Returns the settings that a command line gives.

        Args:
            argv: `key=value` or `--key=value`, without the program.

        Raises:
            ConfigError: a key is unknown or missing, or a value is not as it should be.
        """
        return load_settings(self.settings, argv, base=self.base)

    def values(self, argv: Sequence[str]) -> dict[str, Any]:
        """Returns the value that each key has with these arguments, without those that are still missing.

        Args:
            argv: as in `load`.
        """
        return draft_settings(self.settings, argv, base=self.base).values()

    def keys_help(self, argv: Sequence[str]) -> str:
        """Returns the help text of the keys, with the values they have with these arguments.

        Args:
            argv: as in `load`.
        """
        return "Keys, with their current values:\n" + describe_keys(self.settings, self.values(argv))

    def schema(self, argv: Sequence[str]) -> dict[str, Any]:
        """Returns the JSON Schema of a file for `config=`.

        Args:
            argv: as in `load`.
        """
        return json_schema(self.settings, self.values(argv), title=f"mot-reid {self.name}")

    def help(self, argv: Sequence[str]) -> str:
        """Returns the text of `--help`.

        Args:
            argv: as in `load`.
        """
        examples = "\n".join(f"  mot-reid {self.name} {example}".rstrip() for example in self.examples)
        return (
            f"usage: mot-reid {self.name} {self.usage}\n\n{self.about.strip()}\n\nExamples:\n{examples}\n\n"
            f"Exit code: {self.exits}, 130 interrupted.\n"
            "--schema prints the keys as JSON Schema, for editors.\n\n" + self.keys_help(argv)
        )

    def run(
        self,
        work: Callable[[_T, Given], int | None],
        argv: Sequence[str],
        *,
        judge: Judge = mistake,
        interrupted: str = "interrupted",
    ) -> int:
        """Does the work of the command; returns the exit code.

        Args:
            work: called with the settings and with what was given; it returns the exit code, None being 0.
            argv: the arguments, without the program.
            judge: tells mistakes from faults of the program.
            interrupted: what is said after Ctrl-C.
        """
        environment.prepare()
        logging.basicConfig(level=logging.INFO, format="%(message)s")
        try:
            rest = [word for word in argv if word not in (*_HELP, _SCHEMA)]
            if any(word in argv for word in _HELP):
                return self._print_help(rest)
            if _SCHEMA in argv:
                print(json.dumps(self.schema(rest), indent=2))
                return 0
            return work(self.load(rest), parse_arguments(rest)) or 0
        except KeyboardInterrupt:
            print(interrupted, file=sys.stderr)
            return 130
        except Exception as error:
            if (sentence := explained(error, self.name)) is not error:
                print(sentence, file=sys.stderr)
                return 2
            judged = judge(error)
            if judged is None:
                raise
            if judged[0]:
                print(judged[0], file=sys.stderr)
            return judged[1]

    def _print_help(self, argv: Sequence[str]) -> int:
        """Prints the help, also when the other arguments are wrong, whose mistake is then the last line."""
        try:
            print(self.help(argv))
            return 0
        except ConfigError as error:
            print(self.help([]))
            print(error, file=sys.stderr)
            return 2


def called_as(name: str) -> str:
    """Returns how a command was called, so that a message can offer the next call to copy.

    Args:
        name: of the command.
    """
    program = Path(sys.argv[0])
    if program.suffix == ".py" and program.parent.name == "tools":
        return f"python {program}"
    return f"python -m mot_reid {name}" if program.parts[-2:] == ("mot_reid", "__main__.py") else f"mot-reid {name}"


def check_output(key: str, path: str | None) -> None:
    """Refuses a file that could not be written in the end, before any work is done.

    Args:
        key: names the file.
        path: of the file; None is not written.

    Raises:
        OSError: nothing can be written there.
    """
    if path is not None:
        check_writable(path, key)


def check_source(source: str, output: str, *, made: str) -> tuple[Path, Path]:
    """Returns both paths; the source may be gone where the output was made before.

    Args:
        source: what is prepared.
        output: the folder to make.
        made: name of a file that lies in a finished output.

    Raises:
        ConfigError: there is no source.
    """
    if not Path(source).exists() and not (Path(output) / made).is_file():
        raise ConfigError(
            f"{COMMAND_LINE}: source: got '{source}'; expected an existing archive or folder; check the path"
        )
    return Path(source), Path(output)
