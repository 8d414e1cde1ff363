"""Several servers on one PostgreSQL and one folder, many clients, and one of the servers killed meanwhile.

`python -m tests.helpers.replicas CLIENTS JOBS` prints what came of it; JOBS is how many each client has done.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.helpers.postgres import Postgres
from tests.helpers.server import PATIENT, Scene, Server, draw_scene

_LOOK_SECONDS = 0.5
_DONE_BEFORE = 3
"""Jobs that the server does before it is killed."""
_LIMITS = (
    "reid=null",
    "limits.lost_seconds=20",
    "limits.requests_per_minute=1000000",
    "limits.uploads=100",
    "limits.client_uploads=100",
    "limits.queue=1000",
)
# Each end of a job, as the database itself sees it, whatever the servers say.
_COUNT_ENDS = b"""
    CREATE TABLE mot_reid.ends (id TEXT NOT NULL, state TEXT NOT NULL);
    CREATE FUNCTION mot_reid.note_end() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN INSERT INTO mot_reid.ends VALUES (NEW.id, NEW.state); RETURN NEW; END $$;
    CREATE TRIGGER ends AFTER UPDATE ON mot_reid.jobs FOR EACH ROW
        WHEN (NEW.state IN ('done', 'failed', 'cancelled') AND OLD.state <> NEW.state)
        EXECUTE FUNCTION mot_reid.note_end();
"""


@dataclass(frozen=True)
class Replicated:
    """What came of it.

    Attributes:
        accepted: the number of jobs that a server said it took.
        states: the number of them by the state they ended in, as whichever server says.
        stored: the number of jobs in the database: those, and any whose server was killed before it could say so.
        ends: the number of jobs by how often each ended, as the database counts.
        attempts: the number of jobs by how often each was begun.
        files: how many different MOT files there were.
        left: rows that are left in the queue.
        refused: the number of answers other than those expected, by status; 0 is no answer, from the killed one.
        done_by: the number of jobs that each server reports done, and of the killed one those before.
        seconds: of it all.
    """

    accepted: int
    states: Counter[str]
    stored: int
    ends: Counter[int]
    attempts: Counter[int]
    files: int
    left: int
    refused: Counter[int]
    done_by: dict[str, int]
    seconds: float


class Replicas:
    """Two servers on one database and one folder.

    Args:
        folder: for all that they write.
        database: its address.
        arguments: of the command line, for both.
    """

    def __init__(self, folder: Path, database: str, *arguments: str) -> None:
        self.folder, self._arguments = folder, (f"database={database}", *PATIENT, *_LIMITS, *arguments)
        self.servers: dict[str, Server] = {}
        for name in ("one", "two"):
            self.start(name, ready=False)
        for server in self.servers.values():
            server.wait_ready()

    def start(self, name: str, *, ready: bool = True) -> Server:
        """Starts one of them."""
        self.servers[name] = Server(self.folder / "served", *self._arguments, ready=ready, name=name)
        return self.servers[name]

    def stop(self) -> None:
        """Stops those that run."""
        for server in self.servers.values():
            if server.process.poll() is None:
                server.stop()

    def done_by(self) -> dict[str, int]:
        """Returns the number of jobs that the log of each reports done."""
        return {name: server.log.read_text().count('"job done"') for name, server in self.servers.items()}


class _Client:
    """Asks one server after the other, and the next one where one gives no answer."""

    def __init__(self, replicas: Replicas, number: int) -> None:
        self._replicas, self._turn = replicas, itertools.count(number)
        self.refused: Counter[int] = Counter()

    def ask(self, method: str, path: str, expected: int, **request: Any) -> httpx.Response:
        """Returns the first answer that is as expected."""
        while True:
            servers = list(self._replicas.servers.values())
            url = servers[next(self._turn) % len(servers)].url
            try:
                answer = httpx.request(method, url + path, timeout=120, **request)
            except httpx.TransportError:
                self.refused[0] += 1
            else:
                if answer.status_code == expected:
                    return answer
                self.refused[answer.status_code] += 1
            time.sleep(_LOOK_SECONDS)

    def job(self, video: bytes) -> tuple[str, str, bytes]:
        """Has a video tracked; returns the job's id, its last state and its MOT file."""
        id = self.ask("POST", "/api/inference/video", 202, files={"file": video}).json()["id"]
        while (job := self.ask("GET", f"/api/jobs/{id}", 200).json())["state"] in ("queued", "running"):
            time.sleep(_LOOK_SECONDS)
        return id, job["state"], self.ask("GET", f"/api/jobs/{id}/mot", 200).content


def count_ends(database: str) -> None:
    """Has the database count how often each job ends from now on."""
    import psycopg

    with psycopg.connect(database, autocommit=True) as rows:
        rows.execute(_COUNT_ENDS)


def ends_of(database: str) -> dict[str, int]:
    """Returns how often each job ended, by its id."""
    import psycopg

    with psycopg.connect(database) as rows:
        return dict(rows.execute("SELECT id, count(*) FROM mot_reid.ends GROUP BY id").fetchall())


def kill_one(replicas: Replicas, database: str, *, clients: int, jobs: int, video: Path) -> Replicated:
    """Has many clients upload and wait, kills one server while it works on a job, and starts it again.

    When both are there again, each client has one more job done.

    Args:
        replicas: that run.
        database: its address.
        clients: at the same time.
        jobs: that each has done, one after the other.
        video: of each job.
    """
    import psycopg

    count_ends(database)
    many = [_Client(replicas, number) for number in range(clients)]
    start, content = time.monotonic(), video.read_bytes()
    killed: dict[str, int] = {}
    killer = threading.Thread(target=_kill_and_start, args=(replicas, killed))
    killer.start()
    with ThreadPoolExecutor(clients) as pool:
        lists = list(pool.map(lambda one: [one.job(content) for _ in range(jobs)], many))
        killer.join()
        found = [row for of_one in lists for row in of_one] + list(pool.map(lambda one: one.job(content), many))
    ids, states, files = zip(*found)
    ends = Counter(ends_of(database).values())
    with psycopg.connect(database) as rows:
        attempts = dict(rows.execute("SELECT id, attempts FROM mot_reid.jobs").fetchall())
        left = rows.execute("SELECT count(*) FROM mot_reid.procrastinate_jobs").fetchone()
    assert left is not None and len(set(ids)) == len(ids)
    return Replicated(
        len(ids), Counter(states), len(attempts), ends, Counter(attempts.values()), len(set(files)), left[0],
        sum((one.refused for one in many), Counter()), {**replicas.done_by(), **killed}, time.monotonic() - start,
    )  # fmt: skip


def _kill_and_start(replicas: Replicas, killed: dict[str, int]) -> None:
    """Kills a server that works on a job, waits until the other one must have noticed, and starts it again."""
    victim = replicas.servers["two"]
    log, done = "", 0
    while done < _DONE_BEFORE or log.count('"job begins"') == done:
        time.sleep(0.02)
        log = victim.log.read_text()
        done = log.count('"job done"')
    victim.kill()
    killed["two, before it was killed"] = replicas.done_by()["two"]
    time.sleep(2)
    replicas.start("two")


def main(clients: int, jobs: int) -> None:
    """Prints what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        postgres = Postgres(Path(folder) / "cluster")
        scene: Scene = draw_scene(Path(folder), frames=20)
        database = postgres.database()
        replicas = Replicas(Path(folder), database, *scene.arguments)
        try:
            print(kill_one(replicas, database, clients=clients, jobs=jobs, video=scene.video))
        finally:
            replicas.stop()
            postgres.stop()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
