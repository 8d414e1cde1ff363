"""Worker processes: what they answer, and what is told when they die."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from mot_reid.serving.refusal import Refusal
from mot_reid.serving.worker.pool import Worker, WorkerLost
from mot_reid.settings.load import ROOT
from tests.helpers import fake_worker


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    worker = Worker("fake", fake_worker.serve, ())
    yield worker
    worker.close()


def test_task_is_done_in_another_process(worker: Worker) -> None:
    assert worker.do("echo", 1, "b", seconds=60) == [1, "b"]
    assert worker.pid not in (None, os.getpid()) and worker.facts == {"n": 1} and worker.problem is None


def test_progress_is_told_in_order(worker: Worker) -> None:
    told: list[int] = []
    assert worker.do("count", 5, seconds=60, progress=told.append) == 5
    assert told == [0, 1, 2, 3, 4]


def test_answer_of_a_request_that_was_left_goes_to_nobody_else(worker: Worker) -> None:
    """As after a write of the database that failed: of 20 requests after it, none gets the answer 5 of the first."""
    pid = worker.pid

    def full(told: Any) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        worker.do("count", 5, seconds=60, progress=full)
    assert [worker.do("echo", number, seconds=60) for number in range(20)] == [[number] for number in range(20)]
    assert worker.pid != pid


@pytest.mark.parametrize("answer", ["no JSON", "[1]", "7", '[0, "done", "an answer of before"]', "[" * 5000])
def test_process_whose_answer_makes_no_sense_is_ended(worker: Worker, answer: str) -> None:
    worker.do("echo", seconds=60)
    pid = worker.pid
    with pytest.raises(WorkerLost, match=r"is invalid|answered another request"):
        worker.do("garble", answer, seconds=60)
    assert worker.do("echo", 4, seconds=60) == [4] and worker.pid != pid


def test_refusal_of_a_task_arrives(worker: Worker) -> None:
    with pytest.raises(Refusal, match="file: no") as caught:
        worker.do("refuse", seconds=60)
    assert caught.value.kind == "unsupported"


def test_failure_is_told_without_its_details(worker: Worker, caplog: pytest.LogCaptureFixture) -> None:
    pid = worker.pid
    with pytest.raises(Refusal) as caught:
        worker.do("fail", seconds=60)
    assert caught.value.kind == "internal" and "secret" not in caught.value.sentence
    assert "KeyError" in caplog.records[-1].__dict__["error"] and "/home" not in caplog.records[-1].__dict__["error"]
    assert worker.do("echo", seconds=60) == [] and worker.pid == pid


def test_death_is_told_and_the_next_task_has_a_new_process(worker: Worker) -> None:
    pid = worker.pid
    with pytest.raises(WorkerLost, match="its process died"):
        worker.do("die", seconds=60)
    assert worker.do("echo", 2, seconds=60) == [2] and worker.pid != pid


def test_task_that_takes_too_long_is_ended(worker: Worker) -> None:
    worker.do("echo", seconds=60)
    pid = worker.pid
    with pytest.raises(WorkerLost, match=r"more than 0\.3 seconds"):
        worker.do("sleep", 60, seconds=0.3)
    assert pid is not None and not psutil.pid_exists(pid)


def test_task_can_be_ended_from_another_thread(worker: Worker) -> None:
    worker.do("echo", seconds=60)
    threading.Timer(0.3, worker.kill).start()
    with pytest.raises(WorkerLost):
        worker.do("sleep", 60, seconds=60)


def test_second_task_waits_for_its_turn_or_is_refused(worker: Worker) -> None:
    worker.do("echo", seconds=60)
    thread = threading.Thread(target=worker.do, args=("sleep", 0.6), kwargs={"seconds": 60})
    thread.start()
    time.sleep(0.1)
    with pytest.raises(Refusal, match="busy"):
        worker.do("echo", seconds=60, wait_seconds=0.05)
    assert worker.do("echo", 3, seconds=60, wait_seconds=30) == [3]
    thread.join()


def test_process_that_cannot_get_ready_says_why() -> None:
    worker = Worker("broken", fake_worker.serve, ("no weights in /opt/models/yolo.pt",))
    for _ in range(2):  # the second time without a process: it is too early to try again
        with pytest.raises(Refusal, match="server: no weights in a file") as caught:
            worker.do("echo", seconds=60)
        assert caught.value.kind == "busy"
    assert worker.facts is None and worker.problem == "server: no weights in a file"
    worker.close()


def test_task_that_takes_too_much_memory_is_told_and_the_process_goes_on() -> None:
    """Of a worker that may have 600 MB: 50 MB are given, 2 GB are not, and neither are they to the next."""
    worker = Worker("bounded", fake_worker.serve, (None, 600_000_000))
    assert worker.do("take", 50_000_000, seconds=60) == 50_000_000
    pid = worker.pid
    for _ in range(2):
        with pytest.raises(Refusal, match="memory: this took more of it than a worker may have") as caught:
            worker.do("take", 2_000_000_000, seconds=60)
        assert caught.value.kind == "invalid"
    assert worker.do("take", 50_000_000, seconds=60) == 50_000_000 and worker.pid == pid
    worker.close()


def test_process_ends_when_the_server_is_killed() -> None:
    """Also in the middle of a task, in which it does not look at the pipe."""
    code = (
        "import threading, time\n"
        "from mot_reid.serving.worker.pool import Worker\n"
        "from tests.helpers import fake_worker\n"
        "worker = Worker('fake', fake_worker.serve, ())\n"
        "worker.prepare()\n"
        "threading.Thread(target=worker.do, args=('sleep', 600), kwargs={'seconds': 600}, daemon=True).start()\n"
        "print(worker.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    server = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    process = psutil.Process(int(server.stdout.readline()))
    server.kill()
    server.wait(30)
    assert process.wait(30) is not None or not process.is_running()
