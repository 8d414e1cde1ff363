"""Servers that share a PostgreSQL and a folder: any of them answers, none of them is needed."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.postgres import PASSWORD, USER, Postgres
from tests.helpers.replicas import Replicas, count_ends, ends_of, kill_one
from tests.helpers.server import Scene, draw_scene, mot_of_tool

pytestmark = pytest.mark.slow


@pytest.fixture
def database(postgres: Postgres) -> str:
    return postgres.database()


@pytest.fixture
def replicas(database: str, tmp_path: Path, scene: Scene) -> Iterator[Replicas]:
    running = Replicas(tmp_path, database, *scene.arguments)
    yield running
    running.stop()
    for log in tmp_path.glob("*.log"):
        assert PASSWORD not in log.read_text() and "s3cret" not in log.read_text() and USER not in log.read_text()


def test_no_job_is_lost_or_done_twice_when_a_server_is_killed(
    replicas: Replicas, database: str, tmp_path: Path
) -> None:
    found = kill_one(replicas, database, clients=20, jobs=3, video=draw_scene(tmp_path, frames=20).video)
    print(found)
    assert found.accepted == 80 and found.states == {"done": 80}
    assert found.ends == {1: found.stored} and 80 <= found.stored <= 100  # a client asks again whose answer was lost
    assert found.files == 1 and found.left == 0 and set(found.attempts) == {1, 2}
    assert set(found.refused) <= {0}  # only the killed one gave no answer
    before = found.done_by["two, before it was killed"]
    assert found.done_by["one"] > 0 and found.done_by["two"] > before >= 3  # it joined again


def test_any_server_answers_for_any_job(
    replicas: Replicas, scene: Scene, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    one, two = replicas.servers.values()
    id = one.upload(scene.video, visualize="true")["id"]
    done = two.ended(id)
    assert done["state"] == "done" and done == one.client.get(f"/api/jobs/{id}").json()
    for server in (one, two):
        assert server.client.get(f"/api/jobs/{id}/mot").content == mot_of_tool(scene, tmp_path, "reid=null")
        assert len(server.client.get(f"/api/jobs/{id}/video").content) > 1000
    long = draw_scene(tmp_path_factory.mktemp("long"), repeat=25).video
    running = [one.upload(long, visualize="true")["id"] for _ in range(2)]
    for id_ in running:
        two.running(id_)
    assert two.client.post(f"/api/jobs/{running[0]}/cancel").json()["state"] == "cancelled"
    assert two.client.delete(f"/api/jobs/{running[1]}").status_code == 204
    assert one.client.get(f"/api/jobs/{running[1]}").status_code == 404
    assert one.client.delete(f"/api/jobs/{id}").status_code == 204
    again = two.upload(scene.video)["id"]  # both have given up what they worked on
    assert one.ended(again)["attempts"] == 1
    left = {f"jobs/{again}", f"jobs/{again}/tracks.txt"}
    end = time.monotonic() + 60
    while time.monotonic() < end and {path for path in one.files() if path.startswith("jobs/")} != left:
        time.sleep(0.2)
    assert {path for path in one.files() if path.startswith("jobs/")} == left


def test_database_that_goes_away_is_a_503_and_nothing_is_lost(
    replicas: Replicas, postgres: Postgres, scene: Scene, tmp_path: Path
) -> None:
    one, two = replicas.servers.values()
    long = draw_scene(tmp_path, repeat=25).video
    ids = [one.upload(long)["id"] for _ in range(3)]
    two.running(ids[0])
    postgres.stop()
    try:
        for path in ("/api/jobs", f"/api/jobs/{ids[0]}", "/api/galleries"):
            answer = two.client.get(path)
            assert answer.status_code == 503 and answer.json()["kind"] == "busy" and "retry-after" in answer.headers
            assert answer.json()["error"].endswith(": the database cannot be reached; try again soon")
        with scene.video.open("rb") as file:
            assert one.client.post("/api/inference/video", files={"file": file}).status_code == 503
        end = time.monotonic() + 60
        while one.client.get("/ready").status_code == 200 and time.monotonic() < end:
            time.sleep(0.2)
        assert one.client.get("/ready").json()["error"] == "jobs: the database cannot be reached; try again soon"
        assert one.client.get("/health").status_code == 200
        time.sleep(25)  # longer than the time after which a silent server is taken for dead
    finally:
        postgres.start()
    for id in ids:
        job = one.ended(id)
        assert (job["state"], job["attempts"]) == ("done", 1)  # nobody was taken for dead
    for server in (one, two):
        server.wait_ready()


def test_server_that_was_asleep_does_not_end_its_job_a_second_time(
    replicas: Replicas, database: str, tmp_path: Path
) -> None:
    """It stands still for longer than others wait for a sign of life, and wakes up while the job is done again."""
    count_ends(database)
    long = draw_scene(tmp_path, repeat=10).video
    id = replicas.servers["one"].upload(long)["id"]
    replicas.servers["one"].running(id)
    sleeper, other = replicas.servers.values()
    if id not in "".join(line for line in sleeper.log.read_text().splitlines() if '"job begins"' in line):
        sleeper, other = other, sleeper
    sleeper.process.send_signal(signal.SIGSTOP)
    end = time.monotonic() + 300
    while (job := other.client.get(f"/api/jobs/{id}").json())["attempts"] < 2 and time.monotonic() < end:
        time.sleep(0.2)
    assert job["attempts"] == 2
    other.running(id)
    sleeper.process.send_signal(signal.SIGCONT)
    done = other.ended(id)
    assert (done["state"], done["attempts"]) == ("done", 2) and ends_of(database) == {id: 1}
    again = sleeper.upload(long)["id"]  # it goes on as a new worker
    assert sleeper.ended(again)["state"] == "done" and ends_of(database) == {id: 1, again: 1}
    mots = {server.client.get(f"/api/jobs/{name}/mot").content for server in (sleeper, other) for name in (id, again)}
    assert len(mots) == 1
