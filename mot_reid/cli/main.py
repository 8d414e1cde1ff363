"""The command `mot-reid`: finds the command that was asked for and runs it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from keyword import iskeyword

from mot_reid.names import did_you_mean
from mot_reid.version import __version__

COMMANDS = {
    "fit": "train a Re-ID model",
    "evaluate": "score a Re-ID model on any data set",
    "adapt": "find a Re-ID model's threshold on your own videos, without labels",
    "export": "write a Re-ID model as safetensors, ONNX or OpenVINO",
    "import": "take a Re-ID model of torchreid, fast-reid, BoxMOT or timm",
    "publish": "publish a Re-ID model on the Hugging Face Hub",
    "embed": "embed pictures of people",
    "search": "find a person among pictures",
    "track": "track people in videos",
    "link": "join the tracks of one person over several videos",
    "evaluate-mot": "score tracks by the rules of MOTChallenge",
    "convert": "take tracks to annotation tools and back, and to benchmarks",
    "compare": "compare trackers, Re-ID models and detectors on the same videos",
    "sweep-winner": "print the command that trains the best run of a sweep in full",
    "tune-tracker": "search the parameters of a tracker",
    "fit-detector": "fine-tune a YOLO detector on people",
    "prepare-market1501": "check and unpack Market-1501",
    "prepare-mot17": "check and lay out MOT17 and its kind, or cut Re-ID crops out of it",
    "benchmark": "measure speed next to what the machine can do",
    "serve": "serve tracking over HTTP",
}
"""What each command does, by its name; it is the `main` of the module that `module_of` names."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit code.

    Args:
        argv: the command and its arguments, without the program; None takes those of the process.
    """
    argv = sys.argv[1:] if argv is None else argv
    name, rest = (argv[0], argv[1:]) if argv else ("", [])
    if name in COMMANDS:
        code: int = import_module(module_of(name)).main(rest)
        return code
    if name in ("--help", "-h", "help"):
        print(describe())
        return 0
    if name == "--version":
        print(f"mot-reid {__version__}")
        return 0
    print(f"mot-reid: no command '{name}'{did_you_mean(name, COMMANDS)}" if name else describe(), file=sys.stderr)
    if name and not did_you_mean(name, COMMANDS):
        print(f"the commands are: {', '.join(COMMANDS)}", file=sys.stderr)
    return 2


def module_of(name: str) -> str:
    """Returns the module of a command: its name with `_` for `-`, and one more where it is a keyword of Python.

    Args:
        name: of the command.
    """
    stem = name.replace("-", "_")
    return f"mot_reid.cli.{stem}_" if iskeyword(stem) else f"mot_reid.cli.{stem}"


def describe() -> str:
    """Returns the help text: every command with what it does."""
    width = max(map(len, COMMANDS)) + 2
    lines = [f"  {name:<{width}}{summary}" for name, summary in COMMANDS.items()]
    return "\n".join(
        [
            "usage: mot-reid COMMAND [key=value ...]",
            "",
            "Train person re-identification models and track people with them.",
            "",
            *lines,
            "",
            "mot-reid COMMAND --help shows examples, and every key with its value.",
            "mot-reid --version prints the version.",
        ]
    )
