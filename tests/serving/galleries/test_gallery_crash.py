"""Galleries under processes that are killed at any line, or that write beside each other."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest

from mot_reid.serving.galleries.gallery import Galleries
from tests.serving.galleries.test_gallery import LIMITS, X, Z, at, enrol, search

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")


def _dies_at_line(number: int, folder: Path, act: Callable[[Galleries], object]) -> bool:
    """Whether a process that opens the folder and acts is killed at that line of the package; False if it ends."""
    child = os.fork()
    if child == 0:
        lines = 0

        def trace(frame: FrameType, event: str, argument: object) -> object:
            nonlocal lines
            if "/mot_reid/serving/" not in frame.f_code.co_filename:
                return None
            lines += event == "line"
            if lines == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return trace

        opened = Galleries(folder, LIMITS)
        sys.settrace(trace)
        act(opened)
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("act", ["enrol", "delete", "rename", "delete gallery"])
def test_process_that_is_killed_at_every_third_line_leaves_the_state_before_or_after(tmp_path: Path, act: str) -> None:
    """Ada as she was or as she should be, and nothing of her once she is gone."""
    secret = at(0.123)
    acts: dict[str, Callable[[Galleries], object]] = {
        "enrol": lambda galleries: enrol(galleries, "Ada", Z),
        "delete": lambda galleries: galleries.delete_person("staff", galleries.persons("staff")[0].id),
        "rename": lambda galleries: galleries.rename("staff", galleries.persons("staff")[0].id, "Eve"),
        "delete gallery": lambda galleries: galleries.delete_gallery("staff"),
    }
    before, after = {
        "enrol": ([("Ada", 1)], [("Ada", 2)]),
        "delete": ([("Ada", 1)], []),
        "rename": ([("Ada", 1)], [("Eve", 1)]),
        "delete gallery": ([("Ada", 1)], None),
    }[act]
    found = []
    for number in range(1, 600, 3):
        folder = tmp_path / str(number)
        made = Galleries(folder, LIMITS)
        enrol(made, "Ada", secret)
        made.close()
        killed = _dies_at_line(number, folder, acts[act])
        again = Galleries(folder, LIMITS)
        people = None
        if "staff" in again.names():
            people = [(person.name, person.crops) for person in again.persons("staff")]
            assert search(again, secret).matches == () or search(again, secret).matches[0].similarity > 0.99
        assert people in (before, after)
        everything = b"".join(path.read_bytes() for path in folder.iterdir())
        assert (b"Ada" in everything) == any(name == "Ada" for name, _ in people or ())
        assert (secret.tobytes() in everything) == bool(people)
        again.close()
        found.append(people)
        if not killed:
            break
    assert found[0] == before and found[-1] == after and len(found) > 8


def test_processes_lose_nobody(tmp_path: Path) -> None:
    def work(number: int) -> None:
        opened = Galleries(tmp_path / "g", LIMITS)
        for step in range(8):
            enrol(opened, f"{number}-{step}", at(0.1 * number))
            opened.delete_person("staff", enrol(opened, f"{number} gone", Z))
            search(opened, X)

    children = []
    for number in range(3):
        children.append(os.fork())
        if children[-1] == 0:
            try:
                work(number)
            finally:
                os._exit(0)
    for child in children:
        os.waitpid(child, 0)
    galleries = Galleries(tmp_path / "g", LIMITS)
    assert sorted(person.name for person in galleries.persons("staff")) == [
        f"{n}-{s}" for n in range(3) for s in range(8)
    ]
    galleries.close()
