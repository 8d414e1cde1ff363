"""Commands that stand in the text of a page, and those of the experiments, can be typed as they are written."""

from __future__ import annotations

import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest

from mot_reid.cli.main import COMMANDS, module_of
from mot_reid.settings.load import ROOT
from tests.helpers.commands import called, check, check_script, commands, read_keys, usage

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES += sorted((ROOT / "experiments").glob("*.md"))
SCRIPTS = sorted((ROOT / "experiments").glob("*.py"))
_FENCED = re.compile(r"^```(\w*)\n([\s\S]*?)^```$", re.MULTILINE)
_INLINE = re.compile(r"`((?:python|mot-reid) [^`]+)`")
_STANDS_FOR = re.compile(r"[A-Z]+|\.\.\.|.*=[A-Z]+")
"""Words in place of which a person writes something, such as NAME and ckpt=PATH."""


def written(path: Path) -> list[list[str]]:
    """The commands in the sentences of a page, as words."""
    text = _FENCED.sub("", path.read_text(encoding="utf-8"))
    return [shlex.split(" ".join(found.split())) for found in _INLINE.findall(text)]


def test_commands_are_found_in_the_text() -> None:
    assert ["mot-reid", "track", "link=true"] in written(ROOT / "docs" / "linking.md")
    assert sum(len(written(path)) for path in PAGES) > 60


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_command_in_the_text_has_keys_that_are_there(path: Path) -> None:
    for words in written(path):
        name, arguments = called(words)
        if name is None:
            check(words)
        if name in (None, "COMMAND"):
            continue
        assert name.replace("_", "-") in COMMANDS, " ".join(words)
        rest = [word for word in arguments if not word.startswith("--") and not _STANDS_FOR.fullmatch(word)]
        import_module(module_of(name.replace("_", "-"))).COMMAND.values(rest)


@pytest.mark.parametrize("path", [page for page in PAGES if page.parent.name == "experiments"], ids=lambda p: p.name)
def test_command_of_an_experiment_is_what_its_script_takes(path: Path) -> None:
    blocks = "".join(block for _, block in _FENCED.findall(path.read_text(encoding="utf-8")))
    for words in commands("\n".join(line for line in blocks.splitlines() if line.startswith(("python ", "mot-reid ")))):
        check(words)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_usage_of_a_script_names_the_keys_that_it_reads(path: Path) -> None:
    assert set(usage(path)[1]) == read_keys(path) != set()


def test_wrong_arguments_of_a_script_are_found() -> None:
    script = ROOT / "experiments" / "linking.py"
    check_script(script, ["data/market1501", "split=test"])
    for wrong in (["data", "splitt=test"], ["data", "split=tset"], ["data", "more", "split=test"]):
        with pytest.raises(AssertionError, match=r"linking\.py"):
            check_script(script, wrong)
