"""What goes wrong with a database that servers share, and what is said of it."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from mot_reid.cli import serve
from mot_reid.serving.galleries.shared import SharedGalleryDatabase
from mot_reid.serving.jobs.shared import SharedStore
from mot_reid.serving.postgres import PostgresDatabase
from mot_reid.serving.refusal import Refusal
from tests.helpers.postgres import PASSWORD, USER, Postgres


def opened(address: str) -> SharedStore:
    return SharedStore(address, lost_seconds=1000)


def add(store: SharedStore, id: str) -> bool:
    return store.add(id, preset="sort", visualize=False, frames=None, most_queued=99)


@pytest.fixture
def address(postgres: Postgres) -> str:
    return postgres.database()


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (lambda running: running.address("postgres", password="wrong" + PASSWORD), "the password is wrong"),
        (lambda running: running.address("nowhere"), "no database of this name; make it with createdb"),
        (lambda running: running.address("x").replace(f":{running.port}", ":1"), "no PostgreSQL answers"),
        # Not quoted as an address needs it: parts of the password come to be a host, a port or a name.
        (lambda running: f"postgresql://{USER}:s3cret@p@ss@127.0.0.1:{running.port}/x", "no PostgreSQL answers"),
        (lambda running: f"postgresql://{USER}:s3cret/p@ss@127.0.0.1/x", "no PostgreSQL answers|no address of"),
        (lambda running: f"postgresql://{USER}:s3cret p@ss@127.0.0.1/x?s3cret", "no address of PostgreSQL"),
        (lambda running: f"host=127.0.0.1 password={PASSWORD}", "no address of PostgreSQL"),
        (lambda running: f"mysql://{USER}:{PASSWORD}@127.0.0.1/x", "no address of PostgreSQL"),
    ],
)  # fmt: skip
def test_database_that_cannot_be_used_is_one_sentence_without_its_password(
    postgres: Postgres, wrong: Any, sentence: str, tmp_path: Path, capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """What the command prints, its log included; the address comes from the environment, as in a container."""
    monkeypatch.setenv("MOT_REID_DATABASE", wrong(postgres))
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        assert serve.main(["port=0", f"folder={tmp_path / 'served'}", "reid=null", "device=cpu"]) == 2
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    told = "".join(capfd.readouterr())
    last = told.strip().splitlines()[-1]
    assert last.startswith("database: ") and any(part in last for part in sentence.split("|")), told
    for secret in ("s3cret", "p@ss", "p%40ss", PASSWORD, quote(PASSWORD, safe=""), USER):
        assert secret not in told


def test_schema_of_a_newer_program_is_refused_and_left_alone(address: str) -> None:
    opened(address).close()
    database = PostgresDatabase(address, part="other", steps=())
    for part in ("jobs", "galleries"):
        with database.writing() as rows:
            rows.execute("INSERT INTO versions VALUES (?, 99) ON CONFLICT (part) DO UPDATE SET version = 99", (part,))
    for start in (opened, SharedGalleryDatabase):
        with pytest.raises(ValueError, match=r"^database: the version 99 of its (jobs|galleries) is from a newer"):
            start(address)
    with database.reading() as rows:
        assert rows.execute("SELECT count(*) FROM versions WHERE version = 99").fetchone() == (2,)
    database.close()


def test_servers_that_start_together_make_the_tables_once(address: str) -> None:
    stores: list[SharedStore] = []
    errors: list[Exception] = []
    ready = threading.Barrier(6)

    def start() -> None:
        ready.wait()
        try:
            stores.append(opened(address))
            SharedGalleryDatabase(address).close()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == [] and len(stores) == 6
    assert add(stores[0], "a") and [store.get("a") is not None for store in stores] == [True] * 6
    assert sum(store.claim() is not None for store in stores) == 1
    for store in stores:
        store.close()


def test_database_that_goes_away_is_a_refusal_until_it_is_back(postgres: Postgres, address: str) -> None:
    store = opened(address)
    assert add(store, "a")
    job = store.claim()
    assert job is not None
    postgres.stop()
    try:
        for call in (store.counts, store.claim, store.beat, lambda: store.finish(job, {"frames": 1})):
            with pytest.raises(Refusal) as caught:
                call()
            assert (caught.value.kind, caught.value.retry_seconds) == ("busy", 5)
            assert caught.value.sentence == "jobs: the database cannot be reached; try again soon"
            assert caught.value.__cause__ is None
    finally:
        postgres.start()
    store._database._not_before = 0.0  # type: ignore[attr-defined]  # a second has passed
    assert store.finish(job, {"frames": 1}) and store.counts()["done"] == 1
    store.close()


def test_connection_that_was_cut_is_made_again_without_a_word(address: str) -> None:
    store, other = opened(address), PostgresDatabase(address, part="other", steps=())
    add(store, "a")
    with other.writing() as rows:
        rows.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid != pg_backend_pid() "
                     "AND datname = current_database()")  # fmt: skip
    assert store.get("a") is not None
    store.close()
    other.close()


def test_server_that_hangs_in_a_transaction_holds_nobody_up_for_long(address: str) -> None:
    """It is refused by its lock first, and thrown out by the database in the end."""
    store, second = opened(address), opened(address)
    other = second._database
    assert isinstance(other, PostgresDatabase)
    with other.alone() as rows:
        for statement in ("SET lock_timeout = '50ms'", "SET idle_in_transaction_session_timeout = '300ms'"):
            rows.execute(statement)
    with store._database.alone() as rows:  # type: ignore[attr-defined]
        rows.execute("SET lock_timeout = '50ms'")
    hangs = other.writing()
    hangs.__enter__()
    with pytest.raises(Refusal, match="jobs: the database cannot be reached"):
        add(store, "a")
    with store._database.alone() as rows:  # type: ignore[attr-defined]
        rows.execute("SET lock_timeout = '20s'")
    assert add(store, "a")
    with pytest.raises(Refusal):
        hangs.__exit__(None, None, None)
    store.close()
    second.close()


def test_job_that_was_taken_without_knowing_is_done_again(address: str) -> None:
    """The commit of a claim may arrive though its answer does not: the job would be held by a server that lives."""
    store = opened(address)
    add(store, "a")
    assert store.claim() is not None
    assert store.recover(9) == (0, 0)
    store._queue.drop("a")
    assert store.recover(9) == (1, 0)
    again = store.claim()
    assert again is not None and again.attempts == 2 and store.recover(9) == (0, 0)
    store.close()


def test_jobs_of_a_server_that_shows_no_life_go_to_another(address: str) -> None:
    dead, lives = opened(address), opened(address)
    add(dead, "a")
    first = dead.claim()
    lives.beat()
    assert first is not None and lives.recover(9) == (0, 0) and lives.claim() is None
    with lives._database.writing() as rows:
        rows.execute("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '2000 seconds' "
                     "WHERE id = (SELECT worker_id FROM procrastinate_jobs)")  # fmt: skip
    assert lives.recover(9) == (1, 0)
    second = lives.claim()
    assert second is not None and lives.finish(second, {"frames": 1}) and not dead.finish(first, {"frames": 1})
    dead.beat()  # it was only asleep: a new worker
    add(dead, "b")
    assert dead.claim() is not None
    with lives._database.reading() as rows:
        assert rows.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (1,)
    dead.leave()
    assert lives.recover(9) == (1, 0)
    dead.close()
    lives.close()
