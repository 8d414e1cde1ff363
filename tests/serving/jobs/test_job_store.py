"""The table of jobs: states, the order of the queue, and what a restart finds."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mot_reid.serving.jobs.job_store import JobStore, StoredJob
from mot_reid.serving.jobs.local import local_store
from mot_reid.serving.jobs.shared import SharedStore
from mot_reid.serving.refusal import Refusal

SUMMARY = {"frames": 5, "tracks": 2}


Open = Callable[[], JobStore]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "jobs.sqlite"


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def opened(request: pytest.FixtureRequest, file: Path) -> Iterator[Open]:
    """Opens the same table of jobs, as another server does after the last one died."""
    stores: list[JobStore] = []
    address = None if request.param == "SQLite" else request.getfixturevalue("postgres").database()

    def start() -> JobStore:
        stores.append(local_store(file) if address is None else SharedStore(address, lost_seconds=0))
        return stores[-1]

    yield start
    for store in stores:
        store.close()


@pytest.fixture
def store(opened: Open) -> JobStore:
    return opened()


def claimed(store: JobStore) -> StoredJob:
    job = store.claim()
    assert job is not None
    return job


def add(store: JobStore, *ids: str, most: int = 100) -> list[bool]:
    return [store.add(id, preset="sort", visualize=False, frames=None, most_queued=most) for id in ids]


def states(store: JobStore) -> dict[str, str]:
    return {job.id: job.state for job in store.newest(most=100)}


def test_jobs_are_begun_in_the_order_they_came(store: JobStore) -> None:
    add(store, "b", "a", "c")
    assert [job.id for job in iter(store.claim, None)] == ["b", "a", "c"]
    assert [job.id for job in store.newest(most=2)] == ["c", "a"]
    assert [job.id for job in store.newest(most=2, skip=2)] == ["b"]


def test_queue_has_an_end(store: JobStore) -> None:
    assert add(store, "a", "b", "c", most=2) == [True, True, False]
    store.claim()
    assert add(store, "d", most=2) == [True]
    assert states(store) == {"a": "running", "b": "queued", "d": "queued"}


def test_job_ends_once(store: JobStore) -> None:
    add(store, "a", "b", "c")
    a, b, c = claimed(store), claimed(store), claimed(store)
    assert store.finish(a, SUMMARY) and store.fail(b, "why") and store.cancel("c")
    assert not store.finish(b, SUMMARY) and not store.fail(a, "no") and not store.cancel("a")
    assert not store.finish(c, SUMMARY) and not store.progress(c, 1, 2)
    done, failed = store.get("a"), store.get("b")
    assert done is not None and (done.result, done.frames_done, done.frames, done.error) == (SUMMARY, 5, 5, None)
    assert failed is not None and (failed.state, failed.error, failed.result) == ("failed", "why", None)
    assert store.counts() == {"queued": 0, "running": 0, "done": 1, "failed": 1, "cancelled": 1}


def test_restart_queues_what_ran_and_gives_up_what_ran_twice(store: JobStore, opened: Open) -> None:
    add(store, "twice", "once", "waits")
    store.claim()
    assert opened().recover(2) == (1, 0)
    store.claim(), store.claim()
    again = opened()
    assert again.recover(2) == (1, 1)
    assert states(again) == {"twice": "failed", "once": "queued", "waits": "queued"}
    job = again.get("twice")
    assert job is not None and job.error == "job: the server stopped each of the 2 times it worked on this"


def test_job_put_back_has_not_been_begun(store: JobStore) -> None:
    add(store, "a", "b")
    job = claimed(store)
    assert store.progress(job, 3, 5)
    store.put_back(job)
    waits = store.get("a")
    assert waits is not None and (waits.state, waits.attempts, waits.frames_done) == ("queued", 0, 0)
    assert claimed(store).id == "a"


def test_claim_that_was_given_to_another_notes_nothing(store: JobStore, opened: Open) -> None:
    """A server that was taken for dead comes back while another one does its job."""
    add(store, "a")
    late, other = claimed(store), opened()
    assert other.recover(9) == (1, 0)
    now = claimed(other)
    assert (late.id, late.attempts, now.id, now.attempts) == ("a", 1, "a", 2)
    assert not store.progress(late, 1, 5) and not store.fail(late, "no") and not store.finish(late, SUMMARY)
    store.put_back(late)
    assert states(store) == {"a": "running"}
    assert other.finish(now, SUMMARY) and not store.finish(late, SUMMARY)
    assert states(store) == {"a": "done"}


def test_jobs_that_were_cancelled_or_deleted_are_not_begun(store: JobStore) -> None:
    add(store, "a", "b", "c")
    assert store.cancel("a") and store.delete("b") and not store.delete("b")
    assert [job.id for job in iter(store.claim, None)] == ["c"] and states(store) == {"a": "cancelled", "c": "running"}
    assert store.delete("c") and store.recover(9) == (0, 0)


def test_old_jobs_are_those_that_ended_long_ago(store: JobStore) -> None:
    add(store, "ended", "runs", "waits")
    store.finish(claimed(store), SUMMARY)
    store.claim()
    assert store.expired(-1) == ["ended"] and store.expired(60) == []


def test_no_job_is_begun_twice_by_many_threads(store: JobStore) -> None:
    ids = [f"job{n}" for n in range(60)]
    add(store, *ids)
    begun: list[str] = []

    def work() -> None:
        begun.extend(job.id for job in iter(store.claim, None))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(begun) == sorted(ids)


# What goes wrong


def test_list_of_the_first_version_is_read(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    local_store(path).close()
    with sqlite3.connect(path) as database:
        database.execute("ALTER TABLE jobs DROP COLUMN listed")
        database.execute("PRAGMA application_id = 0")
        database.execute("PRAGMA user_version = 0")
        values = "('a', 'queued', 'sort', 1, 0)"
        database.execute(f"INSERT INTO jobs (id, state, preset, visualize, created) VALUES {values}")
    database.close()
    job = local_store(path).claim()
    assert job is not None and (job.id, job.visualize, job.listed) == ("a", True, True)


def test_jobs_that_are_not_listed_are_done_all_the_same(store: JobStore) -> None:
    add(store, "a")
    store.add("b", preset="sort", visualize=True, frames=None, most_queued=9, listed=False)
    assert [job.id for job in store.newest(most=9)] == ["a"]
    assert [job.id for job in iter(store.claim, None)] == ["a", "b"] and store.get("b") is not None


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (
            lambda path: path.write_bytes(b"no database" * 400),
            r"\(file is not a database\).*move it away",
        ),
        (lambda path: _set(path, "user_version = 99"), "version 99 is from a newer mot_reid.*move it away"),
        (lambda path: _set(path, "application_id = 7"), "of application 7.*move it away"),
        (lambda path: path.mkdir(), "unable to open database file.*move it away"),
    ],
    ids=["damaged", "newer", "of another program", "a folder"],
)
def test_list_that_cannot_be_used_is_one_sentence(tmp_path: Path, made: Callable[[Path], None], sentence: str) -> None:
    made(tmp_path / "jobs.sqlite")
    with pytest.raises(ValueError, match=rf"^jobs: got jobs\.sqlite .*{sentence}$"):
        local_store(tmp_path / "jobs.sqlite")


def _set(path: Path, pragma: str) -> None:
    local_store(path).close()
    with sqlite3.connect(path) as database:
        database.execute(f"PRAGMA {pragma}")
    database.close()


@pytest.mark.parametrize(("state", "kind"), [("full", "disk_full"), ("locked", "busy")])
def test_list_that_cannot_be_written_is_a_sentence_until_it_can(file: Path, state: str, kind: str) -> None:
    store = local_store(file)
    add(store, "a")
    database, other = store._database.connection, sqlite3.connect(file, isolation_level=None)
    if state == "full":
        pages = database.execute("PRAGMA page_count").fetchone()[0]
        database.execute(f"PRAGMA max_page_count = {pages}")
    else:
        database.execute("PRAGMA busy_timeout = 1")
        other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(Refusal) as caught:
        store.add("b", preset="x" * 100_000, visualize=False, frames=None, most_queued=9)
    assert caught.value.kind == kind
    database.execute("PRAGMA max_page_count = 100000")
    other.close()
    add(store, "b")
    assert set(states(store)) == {"a", "b"}
