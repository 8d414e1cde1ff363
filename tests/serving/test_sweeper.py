"""What sweeps goes on, whatever the last time came to."""

from __future__ import annotations

import sqlite3
import threading

import pytest

from mot_reid.serving.refusal import Refusal
from mot_reid.serving.sweeper import Sweeper


@pytest.mark.parametrize("error", [Refusal("busy", "jobs: others are using it"), sqlite3.OperationalError("disk I/O")])
def test_failure_of_one_task_keeps_neither_the_other_nor_the_next_time_away(error: Exception) -> None:
    """Of six times the first four fail; all six sweep the galleries, and the last two count."""
    swept, errors, done = [], [error] * 4, threading.Event()

    def jobs() -> None:
        if errors:
            raise errors.pop()
        done.set()

    sweeper = Sweeper({"jobs": jobs, "galleries": lambda: swept.append(1)}, pause_seconds=0.01)
    made = sweeper.succeeded
    sweeper.start()
    assert done.wait(30)
    sweeper.stop()
    assert len(swept) >= 5 and sweeper.succeeded > made and sweeper.problem is None


def test_three_failures_in_a_row_are_told() -> None:
    def full() -> None:
        raise Refusal("disk_full", "storage: the disk is full")

    sweeper = Sweeper({"jobs": full}, pause_seconds=60)
    problems, made = [], sweeper.succeeded
    for _ in range(3):
        sweeper.sweep()
        problems.append(sweeper.problem)
    assert problems[:2] == [None, None] and sweeper.succeeded == made
    assert problems[2] == "server: old files and people are not removed (storage: the disk is full)"
