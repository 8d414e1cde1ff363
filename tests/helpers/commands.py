"""Command lines of guides and pipelines: taken apart, and checked against what they call without calling it."""

from __future__ import annotations

import ast
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

from mot_reid.settings.load import ROOT, load_config, load_settings, parse_arguments

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # comes with pytest there

Check = Callable[[Sequence[str]], Any]
OURS = ("configs/", "docker/", "docs/", "experiments/", "tests/", "tools/")
_ASSIGNMENT = re.compile(r"[A-Z_]+=.*")


def commands(script: str) -> Iterator[list[str]]:
    """Yields the commands of a shell script as words: without comments, assignments, and what joins commands."""
    for line in script.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|<>")
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, ";"]:
            if word and set(word) <= set(";&|"):
                while words and _ASSIGNMENT.fullmatch(words[0]):
                    words.pop(0)
                if words:
                    yield words
                words = []
            else:
                words.append(word)


def check(words: Sequence[str]) -> None:
    """Checks one command: a tool's arguments by its typed settings, our files and extras by their being there.

    Raises:
        ConfigError: an argument that the tool would refuse.
        AssertionError: a tool, file or extra that is not there.
    """
    if list(words[:1]) == ["python"] and words[1].startswith("tools/"):
        name = words[1].removeprefix("tools/").removesuffix(".py")
        assert name in CHECKS, f"{words[1]}: no such tool, or none that this table knows"
        if "--help" not in words:
            CHECKS[name](words[2:])
    if list(words[:2]) == ["python", "-c"]:
        assert missing_names(words[2]) == []
    for word in words:
        # A redirection or a container's address is no file of ours.
        if word.startswith(OURS) and "*" not in word:
            assert (ROOT / word).exists(), f"{word}: no such file"
    for word in words if words[0] == "pip" else ():
        for extra in re.findall(r"[\w,]+(?=\]$)", word):
            assert set(extra.split(",")) <= extras(), f"{word}: no such extra"


def missing_names(code: str) -> list[str]:
    """Returns the names of ours that code imports, or looks up in a module it imported, and that are not there."""
    tree, modules, missing = ast.parse(code), {}, []
    for node in (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)):
        if str(node.module).partition(".")[0] != "mot_reid":
            continue
        for alias in node.names:
            try:
                modules[alias.asname or alias.name] = _found(str(node.module), alias.name)
            except (ImportError, AttributeError):
                missing.append(f"{node.module}.{alias.name}")
    for node in (node for node in ast.walk(tree) if isinstance(node, ast.Attribute)):
        module = modules.get(node.value.id) if isinstance(node.value, ast.Name) else None
        if isinstance(module, ModuleType) and not hasattr(module, node.attr):
            missing.append(f"{module.__name__}.{node.attr}")
    return missing


def _found(module: str, name: str) -> Any:
    """Returns what `from module import name` gives."""
    home = import_module(module)
    return getattr(home, name) if hasattr(home, name) else import_module(f"{module}.{name}")


def extras() -> set[str]:
    """Returns the names of the package's optional dependencies."""
    return set(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"])


def _fit(argv: Sequence[str]) -> None:
    load_config(argv, tool_keys=("ckpt",))


def _fit_detector(argv: Sequence[str]) -> None:
    from mot_reid.cli.fit_detector import BASE, TOOL_KEYS
    from mot_reid.settings.detector import FitDetectorSettings

    load_settings(FitDetectorSettings, argv, base=BASE, tool_keys=TOOL_KEYS)


def _benchmark(argv: Sequence[str]) -> None:
    from mot_reid.settings.benchmark import BenchmarkSettings

    load_settings(BenchmarkSettings, argv, base="benchmark")


def _track(argv: Sequence[str]) -> None:
    from mot_reid.settings.tracking import TrackSettings

    load_settings(TrackSettings, argv, base="track")


def _serve(argv: Sequence[str]) -> None:
    import_module("mot_reid.cli.serve").load(argv)


def _known_keys(tool: str, *names: str) -> Check:
    """Returns the check of a tool that knows its keys by name."""

    def check_keys(argv: Sequence[str]) -> None:
        module = import_module(f"mot_reid.cli.{tool}")
        parse_arguments(argv, allowed=[key for name in names for key in getattr(module, name)])

    return check_keys


def _prepare_mot17(argv: Sequence[str]) -> None:
    from mot_reid.cli.prepare_mot17 import CROP_KEYS, LAYOUT_KEYS

    crops = "crops=true" in argv
    parse_arguments(argv, allowed=("source", "output", "crops", *(CROP_KEYS if crops else LAYOUT_KEYS)))


CHECKS: dict[str, Check] = {
    "benchmark": _benchmark,
    "evaluate": _known_keys("evaluate", "KEYS"),
    "evaluate_mot": _known_keys("evaluate_mot", "KEYS"),
    "export": _known_keys("export", "KEYS"),
    "fit": _fit,
    "fit_detector": _fit_detector,
    "prepare_market1501": _known_keys("prepare_market1501", "KEYS"),
    "prepare_mot17": _prepare_mot17,
    "serve": _serve,
    "track": _track,
    "tune_tracker": _known_keys("tune_tracker", "KEYS"),
}
"""How the arguments of each tool are checked, by its name."""
