"""What dies, and what is left of it: jobs, their files, the server."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import psutil
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from tests.helpers.server import Scene, Server, draw_scene, mot_of_tool
from tests.serving.conftest import SMALL

LONG = ("limits.frames=100000", "limits.upload_bytes=100000000", "reid=null")


@pytest.fixture(scope="module")
def long_scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A video that takes some seconds."""
    return draw_scene(tmp_path_factory.mktemp("long"), repeat=25)


def start(folder: Path, scene: Scene, *arguments: str) -> Server:
    given = (*scene.arguments, *SMALL, *LONG, *arguments)
    return Server(folder / "served", *{text.partition("=")[0]: text for text in given}.values())


def test_process_that_dies_takes_its_job_and_nothing_else(long_scene: Scene, scene: Scene, tmp_path: Path) -> None:
    with start(tmp_path, long_scene) as server:
        first = server.upload(long_scene.video, visualize="true")["id"]
        second = server.upload(scene.video)["id"]
        server.running(first)
        psutil.Process(server.workers()["jobs-1"]).kill()
        failed = server.ended(first)
        assert failed["state"] == "failed" and failed["error"].startswith("job: its process died")
        assert server.ended(second)["state"] == "done"
        assert {path for path in server.files() if "/" in path and first in path} == set()


@pytest.mark.slow
def test_running_and_waiting_jobs_can_be_cancelled_or_deleted(long_scene: Scene, tmp_path: Path) -> None:
    with start(tmp_path, long_scene) as server:
        before = server.files()
        ids = [server.upload(long_scene.video, visualize="true")["id"] for _ in range(4)]
        server.running(ids[0])
        assert server.client.post(f"/api/jobs/{ids[0]}/cancel").json()["state"] == "cancelled"
        assert server.client.post(f"/api/jobs/{ids[2]}/cancel").json()["state"] == "cancelled"
        server.running(ids[1])
        assert server.client.delete(f"/api/jobs/{ids[1]}").status_code == 204
        server.running(ids[3])
        assert [job["id"] for job in server.client.get("/api/jobs?state=cancelled").json()["jobs"]] == [ids[2], ids[0]]
        assert server.client.delete(f"/api/jobs/{ids[3]}").status_code == 204
        for _ in range(100):
            if server.files() == before:
                break
            time.sleep(0.1)
        assert server.files() == before


@pytest.mark.slow
def test_job_beyond_its_time_fails(long_scene: Scene, tmp_path: Path) -> None:
    with start(tmp_path, long_scene, "limits.job_seconds=0.5") as server:
        failed = server.ended(server.upload(long_scene.video, visualize="true")["id"])
        assert (failed["state"], failed["error"]) == ("failed", "job: it took more than 0.5 seconds")


@pytest.mark.slow
def test_server_that_is_killed_goes_on_where_it_was(long_scene: Scene, tmp_path: Path) -> None:
    """The second death under the same job is the job's end; what waited is done."""
    server = start(tmp_path, long_scene)
    first = server.upload(long_scene.video, visualize="true")["id"]
    second = server.upload(long_scene.video)["id"]
    server.running(first)
    family = server.family()
    server.kill()
    assert psutil.wait_procs(family, timeout=30)[1] == []
    server = start(tmp_path, long_scene)
    assert server.running(first)["attempts"] == 2
    server.kill()
    with start(tmp_path, long_scene) as server:
        failed = server.ended(first)
        assert failed["error"] == "job: the server stopped each of the 2 times it worked on this"
        assert server.ended(second)["state"] == "done"
        mot = server.client.get(f"/api/jobs/{second}/mot").content
        assert mot == mot_of_tool(long_scene, tmp_path)
        assert {path for path in server.files() if path.startswith("jobs/")} == {
            f"jobs/{second}", f"jobs/{second}/tracks.txt",
        }  # fmt: skip


@pytest.mark.slow
def test_server_that_is_stopped_puts_its_job_back(long_scene: Scene, tmp_path: Path) -> None:
    server = start(tmp_path, long_scene, "limits.shutdown_seconds=0.1")
    id = server.upload(long_scene.video, visualize="true")["id"]
    server.running(id)
    family = server.family()
    server.stop()
    assert server.process.returncode == 0 and psutil.wait_procs(family, timeout=30)[1] == []
    with start(tmp_path, long_scene) as server:
        job = server.ended(id)
        assert (job["state"], job["attempts"], job["progress"]["frames_done"]) == ("done", 1, 1500)


@pytest.mark.slow
def test_server_that_is_stopped_lets_its_job_end(scene: Scene, tmp_path: Path) -> None:
    server = start(tmp_path, scene)
    id = server.upload(scene.video, visualize="true")["id"]
    server.stop()
    with start(tmp_path, scene) as server:
        assert server.client.get(f"/api/jobs/{id}").json()["attempts"] == 1
        assert server.ended(id)["state"] == "done"


@pytest.mark.slow
def test_second_server_may_not_have_the_folder(scene: Scene, tmp_path: Path) -> None:
    with start(tmp_path, scene), pytest.raises(AssertionError, match="another server works in"):
        start(tmp_path, scene)


@pytest.mark.slow
def test_queue_that_is_full_refuses_and_keeps_no_file(long_scene: Scene, tmp_path: Path) -> None:
    with start(tmp_path, long_scene, "limits.queue=1") as server:
        server.running(server.upload(long_scene.video, visualize="true")["id"])
        server.upload(long_scene.video)
        before = server.files()
        with long_scene.video.open("rb") as file:
            answer = server.client.post("/api/inference/video", files={"file": file})
        assert answer.status_code == 503 and answer.headers["retry-after"] == "60"
        assert answer.json()["kind"] == "busy" and server.files() == before


@pytest.mark.slow
def test_full_storage_refuses(scene: Scene, tmp_path: Path) -> None:
    with start(tmp_path, scene, "limits.stored_bytes=1000") as server:
        with scene.video.open("rb") as file:
            answer = server.client.post("/api/inference/video", files={"file": file})
        assert answer.status_code == 507 and answer.json()["kind"] == "disk_full"
        assert not [path for path in server.files() if path.startswith(("jobs/", "uploads/"))]


@pytest.mark.slow
def test_old_jobs_are_forgotten_at_the_start(scene: Scene, tmp_path: Path) -> None:
    with start(tmp_path, scene) as server:
        server.ended(server.upload(scene.video)["id"])
    with start(tmp_path, scene, "limits.stored_days=0.0000001") as server:
        assert server.client.get("/api/jobs").json() == {"jobs": []}
        assert not [path for path in server.files() if path.startswith("jobs/")]


@pytest.mark.slow
def test_models_that_cannot_be_loaded_are_told_and_jobs_wait(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    weights = f"detector.weights={tmp_path / 'bad' / 'none.onnx'}"
    with Server(tmp_path / "served", weights, "reid=null", "limits.free_bytes=0", ready=False) as server:
        for _ in range(300):
            answer = server.client.get("/ready")
            if "not there" in answer.text:
                break
            time.sleep(0.1)
        assert answer.status_code == 503 and str(tmp_path) not in answer.text
        assert "expected an .onnx file" in answer.json()["error"]
        assert server.client.get("/health").status_code == 200
        image = server.client.post("/api/inference/image", files={"file": b"\xff\xd8\xff" + b"0" * 100})
        assert image.status_code == 503
        id = server.upload(scene.video)["id"]
        assert server.client.get(f"/api/jobs/{id}").json()["state"] == "queued"


# Who may ask


def attack_across_sites(server: Server) -> None:
    """What a page of another site, or by another name, can have a browser do that knows the password: nothing."""
    known = {"auth": httpx.BasicAuth("me", "open sesame")}
    foreign = ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"})
    id, gallery = "a" * 24, "/api/galleries/staff"
    unsafe = (
        ("POST", "/api/inference/video"), ("POST", f"/api/jobs/{id}/cancel"), ("DELETE", f"/api/jobs/{id}"),
        ("POST", f"{gallery}/persons"), ("DELETE", gallery), ("PATCH", f"{gallery}/persons/{id}"),
    )  # fmt: skip
    answers = [server.client.request(*call, headers=headers, **known) for call in unsafe for headers in foreign]
    assert [answer.status_code for answer in answers] == [403] * 18
    assert {answer.json()["error"] for answer in answers} == {
        "origin: pages of other sites may not call this server; allow them with cors="
    }
    own = server.client.request("DELETE", gallery, headers={"Sec-Fetch-Site": "same-origin"}, **known)
    assert own.status_code == 404  # there is none of that name
    rebound = {"Host": "evil.example", "X-API-Key": "open sesame"}
    for path in ("/api/jobs", "/metrics", "/docs", "/openapi.json"):
        assert server.client.get(path, headers=rebound).status_code == 403
    live = f"{server.url.replace('http', 'ws')}/api/live"
    with (
        pytest.raises(InvalidStatus) as caught,
        connect(live, additional_headers={"X-API-Key": "open sesame"}, origin=Origin("https://evil.example")),
    ):
        pass
    assert caught.value.response.status_code == 403


def test_server_with_a_key_asks_for_it(scene: Scene, tmp_path: Path) -> None:
    with start(tmp_path, scene, "api_key=open sesame", "cors=[https://page.example]") as server:
        assert server.client.get("/health").status_code == 200
        for path in ("/api/jobs", "/metrics", "/docs", "/openapi.json", "/nothing"):
            answer = server.client.get(path)
            assert answer.status_code == 401 and answer.json()["kind"] == "unauthorized"
        for headers in ({"X-API-Key": "open sesame"}, {"Authorization": "Bearer open sesame"}):
            assert server.client.get("/api/jobs", headers=headers).status_code == 200
        assert server.client.get("/api/jobs", auth=httpx.BasicAuth("me", "open sesame")).status_code == 200
        for headers in ({"X-API-Key": "open"}, {"Authorization": "Basic %%"}, {"Authorization": "Bearer"}):
            assert server.client.get("/api/jobs", headers=headers).status_code == 401
        live = f"{server.url.replace('http', 'ws')}/api/live"
        with pytest.raises(InvalidStatus) as caught, connect(live):
            pass
        assert caught.value.response.status_code == 401
        with connect(live, additional_headers={"X-API-Key": "open sesame"}) as socket:
            socket.ping().wait(10)
        attack_across_sites(server)
        page = {"Origin": "https://page.example"}
        allowed = "access-control-allow-origin"
        assert server.client.get("/api/jobs", headers=page).headers[allowed] == "https://page.example"
        assert allowed not in server.client.get("/api/jobs", headers={"Origin": "https://evil.example"}).headers
        asked = server.client.options("/api/jobs", headers=page | {"Access-Control-Request-Method": "GET"})
        assert asked.status_code == 200


@pytest.mark.slow
def test_client_that_asks_too_often_is_told_to_wait(scene: Scene, tmp_path: Path) -> None:
    with start(tmp_path, scene, "limits.requests_per_minute=5") as server:
        answers = [server.client.get("/api/jobs") for _ in range(6)]
        assert [answer.status_code for answer in answers] == [200] * 5 + [429]
        assert answers[-1].json()["kind"] == "too_many_requests" and int(answers[-1].headers["retry-after"]) >= 1
        assert server.client.get("/health").status_code == server.client.get("/metrics").status_code == 200
