"""Command lines of guides and pipelines: taken apart, and checked against what they call without calling it."""

from __future__ import annotations

import ast
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from mot_reid.cli.main import COMMANDS, module_of
from mot_reid.settings.load import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # comes with pytest there

FLAGS = ("--help", "-h", "--schema")
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
    name, arguments = called(words[: words.index(">")] if ">" in words else words)
    if name is not None:
        assert name in CHECKS, f"{' '.join(words)}: no such command"
        CHECKS[name](arguments)
    if list(words[:2]) == ["python", "-c"]:
        assert missing_names(words[2]) == []
    if words[0] == "python" and words[1].startswith("experiments/"):
        check_script(ROOT / words[1], words[2:])
    if list(words[:2]) == ["python", "docs/peers/run.py"]:
        CHECKS["compare"](words[3:])
    if list(words[:2]) == ["python", "-m"] and words[2].startswith("tests."):
        assert (ROOT / f"{words[2].replace('.', '/')}.py").is_file(), f"{words[2]}: no such module"
    for word in words:
        # A redirection or a container's address is no file of ours.
        if word.startswith(OURS) and "*" not in word:
            assert (ROOT / word).exists(), f"{word}: no such file"
    for word in words if words[0] == "pip" else ():
        for extra in re.findall(r"[\w,]+(?=\]$)", word):
            assert set(extra.split(",")) <= extras(), f"{word}: no such extra"


def check_script(path: Path, arguments: Sequence[str]) -> None:
    """Checks the arguments of a script by the usage in its docstring.

    Raises:
        AssertionError: a key that it does not name, a value that is none of a|b, or another number of places.
    """
    places, keys = usage(path)
    given = [word.split("=", 1) for word in arguments if "=" in word]
    assert len(arguments) - len(given) in (0, places), f"{path.name}: got {arguments}; expected {places} places"
    for key, value in given:
        assert key in keys, f"{path.name}: no key '{key}'"
        assert "|" not in keys[key] or set(value.split("|")) <= set(keys[key].split("|")), f"{path.name}: {key}={value}"


def usage(path: Path) -> tuple[int, dict[str, str]]:
    """Returns how many places and which keys the docstring of a script names, the keys with what stands after them."""
    told = re.search(rf"python experiments/{path.name}(.*?)\n\n", str(ast.get_docstring(_parsed(path))), re.DOTALL)
    assert told is not None, f"{path.name}: its docstring has no usage"
    words = told[1].split()
    keys = dict(word.strip("[]").split("=", 1) for word in words if "=" in word)
    return len(words) - len(keys), keys


def read_keys(path: Path) -> set[str]:
    """Returns the keys that a script looks up in `given`: `given["x"]`, `given.get("x", ..)` and `"x" in given`."""
    found: set[object] = set()
    for node in ast.walk(_parsed(path)):
        if isinstance(node, ast.Subscript) and _is_given(node.value) and isinstance(node.slice, ast.Constant):
            found.add(node.slice.value)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _is_given(node.func.value):
            found |= {word.value for word in node.args[:1] if isinstance(word, ast.Constant)}
        if isinstance(node, ast.Compare) and _is_given(node.comparators[0]) and isinstance(node.left, ast.Constant):
            found.add(node.left.value)
    return {str(key) for key in found}


def _is_given(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "given"


def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def called(words: Sequence[str]) -> tuple[str | None, Sequence[str]]:
    """Returns the module of the command of ours that words call, None where they call another, and its arguments."""
    if list(words[:1]) == ["python"] and words[1].startswith("tools/"):
        return words[1].removeprefix("tools/").removesuffix(".py"), words[2:]
    if list(words[:3]) == ["python", "-m", "mot_reid"]:
        words = words[2:]
    elif list(words[:1]) != ["mot-reid"]:
        return None, []
    return (None, []) if len(words) < 2 or words[1].startswith("--") else (words[1].replace("-", "_"), words[2:])


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


def _load(name: str) -> Check:
    """Returns what checks the arguments of a command: the loading of its settings, or of its help."""

    def load(argv: Sequence[str]) -> None:
        command, rest = import_module(module_of(name)).COMMAND, [word for word in argv if word not in FLAGS]
        (command.load if rest == list(argv) else command.values)(rest)

    return load


CHECKS: dict[str, Check] = {name.replace("-", "_"): _load(name) for name in COMMANDS}
"""How the arguments of each command are checked, by the name of its module."""
