"""Every block of the guides does what it shows: Python and shell blocks run, in order, in a folder of the page's own.

A comment before a block says what is special about it: `<!-- slow: reason -->` runs with `-m slow` only,
`<!-- not run: reason -->` never; both are checked all the same, down to every argument of a tool. By default commands
of ours are called in this process, which has its imports behind it; with `-m slow` the shell runs them.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import pytest
import torch

from mot_reid.settings.load import ROOT
from tests.helpers.commands import CHECKS, called, check, commands

PAGES = sorted((ROOT / "docs").glob("*.md"))
FENCE = re.compile(
    r"(?:^<!-- (?P<mark>[\w ]+): (?P<reason>.+) -->\n)?^```(?P<language>\w*)\n(?P<code>[\s\S]*?)^```$",
    re.MULTILINE,
)
MARKS = (None, "slow", "not run")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        page: Name of the file.
        line: Of its first line of code.
        language: "python", "bash" or another.
        code: Without the fences.
        mark: "slow", "not run" or None.
    """

    page: str
    line: int
    language: str
    code: str
    mark: str | None

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(path: Path) -> list[Block]:
    text = path.read_text(encoding="utf-8")
    return [
        Block(path.name, text[: m.start("code")].count("\n") + 1, m["language"], m["code"], m["mark"])
        for m in FENCE.finditer(text)
    ]


BLOCKS = [block for path in PAGES for block in blocks(path)]
PYTHON = [block for block in BLOCKS if block.language == "python"]
SHELL = [block for block in BLOCKS if block.language == "bash"]


def test_every_fence_is_found() -> None:
    """A comment that is no mark, or a fence inside of a list, would hide a block from the tests below."""
    fences = sum(len(re.findall(r"^\s*```\w+", path.read_text(encoding="utf-8"), re.MULTILINE)) for path in PAGES)
    assert len(BLOCKS) == fences > 20


def test_marks_are_known() -> None:
    assert [str(block) for block in BLOCKS if block.mark not in MARKS] == []


def test_arguments_of_every_tool_can_be_checked() -> None:
    assert set(CHECKS) == {path.stem for path in (ROOT / "tools").glob("*.py")}


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_python_compiles(block: Block) -> None:
    compile(block.code, str(block), "exec")


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_shell_parses(block: Block) -> None:
    done = subprocess.run(["bash", "-n"], input=block.code, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_arguments_are_what_the_tools_take(block: Block) -> None:
    for words in commands(block.code):
        check(words)


def run(block: Block, folder: Path, names: dict[str, object], *, shell: bool) -> None:
    """Runs one block in a folder, Python with the names of the blocks before it."""
    if block.language == "python":
        exec(compile(block.code, str(block), "exec"), names)
        return
    ours = [called(words) for words in commands(block.code)]
    if not shell and not set("$*>|") & set(block.code) and all(name for name, _ in ours):
        for name, arguments in ours:
            assert import_module(f"mot_reid.cli.{name}").main(list(arguments)) == 0, f"{block}: {name} {arguments}"
        return
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "TQDM_DISABLE": "1", "OMP_WAIT_POLICY": "passive"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.code],
        cwd=folder, capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"


def run_page(path: Path, folder: Path, marks: tuple[str | None, ...], *, shell: bool) -> None:
    for name in ("tools", "experiments", "configs"):
        (folder / name).symlink_to(ROOT / name)
    names: dict[str, object] = {"__name__": "docs"}
    for block in blocks(path):
        if block.language in ("python", "bash") and block.mark in marks:
            run(block, folder, names, shell=shell)


def pages(*marks: str | None) -> list[Path]:
    """The pages with a block to run that has one of the marks."""
    return [
        path
        for path in PAGES
        if any(block.language in ("python", "bash") and block.mark in marks for block in blocks(path))
    ]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", pages(None), ids=lambda path: path.stem)
def test_quick_blocks_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TQDM_DISABLE", "1")
    run_page(path, tmp_path, (None,), shell=False)


def needs_shell(path: Path) -> bool:
    """Whether a page has a block that the quick test leaves out, or does not run in a shell."""
    return any(block.mark == "slow" or (block.mark is None and block.language == "bash") for block in blocks(path))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", filter(needs_shell, PAGES), ids=lambda path: path.stem)
def test_all_blocks_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_page(path, tmp_path, (None, "slow"), shell=True)
