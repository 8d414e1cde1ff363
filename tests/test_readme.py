"""What the README says is true: its Python runs, its commands and tools exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mot_reid.cli.main import COMMANDS
from mot_reid.settings.load import experiment_names
from tests.helpers.commands import check, commands

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=[block.splitlines()[0] for block in BLOCKS])
def test_python_block_runs(block: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(block, "README.md", "exec"), {})
    assert capsys.readouterr().out


def test_table_lists_every_command() -> None:
    assert re.findall(r"^\| `mot-reid ([\w-]+)` \|", README, flags=re.MULTILINE) == list(COMMANDS)


def test_commands_are_what_the_command_line_takes() -> None:
    for block in re.findall(r"```bash\n(.*?)```", README, flags=re.DOTALL):
        for words in commands(block):
            check(words)


def test_commands_name_tools_and_experiments_that_exist() -> None:
    for tool in re.findall(r"python (tools/\w+\.py)", README):
        assert (ROOT / tool).is_file(), tool
    assert set(re.findall(r"experiment=(\w+)", README)) - {"NAME"} <= set(experiment_names())


def test_test_command_stands_alone_in_a_line_for_ci() -> None:
    assert re.findall(r"^pip install -e \"\.\[test\]\" && pytest$", README, flags=re.MULTILINE)
