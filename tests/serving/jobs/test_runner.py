"""The queue is worked off, also where nothing can be written down for a while."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mot_reid.serving.jobs import runner as runner_module
from mot_reid.serving.jobs.job_store import JobStore, StoredJob
from mot_reid.serving.jobs.local import local_store
from mot_reid.serving.jobs.runner import Runner
from mot_reid.serving.prometheus import Metrics
from mot_reid.serving.worker.pool import Worker
from mot_reid.settings.load import load_settings
from mot_reid.settings.serving import ServeSettings
from tests.helpers import fake_worker

LIMITS = load_settings(ServeSettings, [], base="serve").limits


@dataclass
class Queue:
    """Two jobs that wait, and what works on them."""

    store: JobStore
    runner: Runner
    worker: Worker
    path: Path

    def job(self, id: str) -> StoredJob:
        found = self.store.get(id)
        assert found is not None
        return found

    def becomes(self, true: Callable[[], bool]) -> bool:
        end = time.monotonic() + 60
        while not true() and time.monotonic() < end:
            time.sleep(0.01)
        return true()


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Queue]:
    for name in ("_IDLE_SECONDS", "_FIRST_PAUSE_SECONDS", "_NOTE_SECONDS"):
        monkeypatch.setattr(runner_module, name, 0.02)
    store, worker = local_store(tmp_path / "jobs.sqlite"), Worker("fake", fake_worker.serve, ())
    store._database.connection.execute("PRAGMA busy_timeout = 1")
    for id in ("ada", "bob"):
        (tmp_path / "jobs" / id).mkdir(parents=True)
        (tmp_path / "jobs" / id / "upload").write_bytes(b"video")
        store.add(id, preset="sort", visualize=False, frames=5, most_queued=9)
    runner = Runner(store, [worker], folder=tmp_path / "jobs", limits=LIMITS, metrics=Metrics())
    yield Queue(store, runner, worker, tmp_path)
    runner.stop(30)
    store.close()


@pytest.mark.parametrize("when", ["before the first", "while one runs"])
def test_jobs_end_with_their_own_results_when_the_database_was_locked_for_a_while(queue: Queue, when: str) -> None:
    """Nothing is lost, nobody gets another's answer, and the problem is told for as long as it lasts."""
    other = sqlite3.connect(queue.path / "jobs.sqlite", isolation_level=None)
    if when == "while one runs":
        queue.runner.start()
        assert queue.becomes(lambda: queue.job("ada").state == "running")
    other.execute("BEGIN IMMEDIATE")
    if when == "before the first":
        queue.runner.start()
    assert queue.becomes(lambda: queue.runner.problem == "jobs: others are using it; try again soon")
    other.execute("ROLLBACK")
    other.close()
    assert queue.becomes(lambda: queue.job("bob").state == "done")
    for id in ("ada", "bob"):
        job = queue.job(id)
        assert job.result == {"frames": 5, "source": str(queue.path / "jobs" / id / "upload")} and job.attempts == 1
        folder = queue.path / "jobs" / id
        assert queue.becomes(lambda folder=folder: not list(folder.iterdir()))  # the upload goes a little later
    assert queue.runner.problem is None


def test_job_that_ended_while_nothing_could_be_written_is_done_again_by_the_next_server(queue: Queue) -> None:
    queue.runner.start()
    assert queue.becomes(lambda: queue.job("ada").state == "running")
    other = sqlite3.connect(queue.path / "jobs.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert queue.becomes(lambda: queue.runner.problem is not None)
    queue.runner.stop(0)
    other.execute("ROLLBACK")
    other.close()
    assert queue.job("ada").state == "running" and (queue.path / "jobs" / "ada" / "upload").is_file()
    assert queue.store.recover(2) == (1, 0)


def test_fault_of_the_program_fails_its_job_and_not_the_next(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    worker, real = queue.worker, queue.worker.do

    def faulty(task: str, source: str, *payload: Any, **options: Any) -> Any:
        if "ada" in source:
            raise KeyError("a fault")
        return real(task, source, *payload, **options)

    monkeypatch.setattr(worker, "do", faulty)
    queue.runner.start()
    assert queue.becomes(lambda: queue.job("bob").state == "done")
    failed = queue.job("ada")
    assert (failed.state, failed.error) == ("failed", "job: the server failed at this; its log has the reason")
