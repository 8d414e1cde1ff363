"""Commands that are called in the process of a test."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

Call = Callable[..., tuple[int, str, str]]


def caller(main: Callable[[Sequence[str]], int], capsys: pytest.CaptureFixture[str]) -> Call:
    """Returns what calls a command with its arguments and returns exit code, standard output and standard error."""

    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call
