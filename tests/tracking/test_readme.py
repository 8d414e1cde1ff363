"""The tracking example of the README runs as printed."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"


def tracking_blocks() -> list[str]:
    """Python blocks that make a tracker and feed it boxes written in the block itself."""
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    return [block for block in blocks if "Tracker(" in block and "update([[" in block]


def test_tracking_example_is_five_lines_and_prints_one_identity():
    if not README.exists() or not tracking_blocks():
        pytest.skip("README.md has no tracking example yet")
    block = tracking_blocks()[0]
    assert len([line for line in block.splitlines() if line.strip()]) <= 5
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block, str(README), "exec"), {})
    assert printed.getvalue().startswith("[1]")
