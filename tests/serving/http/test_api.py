"""The HTTP interface, asked by a real client of a real server."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mot_reid.data.video import VideoReader
from mot_reid.pipeline.plan import Job
from mot_reid.pipeline.run import run
from mot_reid.settings.load import load_settings
from mot_reid.settings.tracking import TrackSettings
from tests.helpers.server import Scene, Server, mot_of_tool


def picture(width: int = 64, height: int = 128, *, format: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, format)
    return buffer.getvalue()


def refusal(answer: Any, status: int, kind: str) -> str:
    assert answer.status_code == status, answer.text
    told = answer.json()
    assert set(told) == {"error", "kind", "request_id"} and told["kind"] == kind
    assert told["request_id"] == answer.headers["x-request-id"]
    return str(told["error"])


# Videos


def test_uploaded_video_gives_the_file_of_the_tool(server: Server, scene: Scene, tmp_path: Path) -> None:
    job = server.upload(scene.video, preset="bytetrack", visualize="true")
    assert job["state"] in ("queued", "running") and job["result"] is None
    done = server.ended(job["id"])
    assert done["state"] == "done" and done["progress"] == {"frames_done": 60, "frames": 60}
    mot = server.client.get(done["result"]["mot_path"])
    assert mot.headers["content-disposition"].startswith("attachment")
    assert mot.content == mot_of_tool(scene, tmp_path, "tracker.preset=bytetrack") and mot.content.count(b"\n") > 100
    (tmp_path / "seen.mp4").write_bytes(server.client.get(done["result"]["output_video_path"]).content)
    with VideoReader(tmp_path / "seen.mp4") as reader:
        assert (len(list(reader)), reader.width, reader.height) == (60, 480, 270)


def test_preset_with_appearance_gives_the_file_of_the_same_work(server: Server, scene: Scene, tmp_path: Path) -> None:
    done = server.ended(server.upload(scene.video)["id"])
    assert done["preset"] == "bytetrack_reid"
    settings = load_settings(TrackSettings, [*scene.arguments, "reid=osnet_x0_25_cameras", "device=cpu"], base="track")
    results = tmp_path / "tracks.txt"
    run(settings, Job("walkers", str(scene.video), "bytetrack_reid", settings.reid, results=str(results)))
    assert server.client.get(f"/api/jobs/{done['id']}/mot").content == results.read_bytes()


def test_waiting_gives_the_result_at_once(server: Server, scene: Scene) -> None:
    with scene.video.open("rb") as file:
        answer = server.client.post(
            "/api/inference/video?wait=true", files={"file": file}, data={"preset": "sort", "visualize": "false"}
        )
    assert answer.status_code == 200, answer.text
    result = answer.json()
    assert result["total_frames"] == 60 and result["output_video_path"] is None and result["avg_fps"] > 0
    lengths = result["statistics"]["lengths"]
    assert len(lengths) == result["total_tracks"] > 3
    assert sum(lengths.values()) == result["statistics"]["boxes"]


def test_files_of_a_job_are_its_own_until_it_is_deleted(server: Server, scene: Scene) -> None:
    before = server.files()
    id = server.ended(server.upload(scene.video, preset="sort")["id"])["id"]
    assert server.files() - before == {f"jobs/{id}", f"jobs/{id}/tracks.txt"}  # the upload is gone
    assert server.client.get("/api/jobs?limit=1").json()["jobs"][0]["id"] == id
    assert "no annotated video was requested" in refusal(server.client.get(f"/api/jobs/{id}/video"), 404, "not_found")
    assert "expected one that is waiting" in refusal(server.client.post(f"/api/jobs/{id}/cancel"), 409, "conflict")
    assert server.client.delete(f"/api/jobs/{id}").status_code == 204
    assert server.files() == before
    refusal(server.client.get(f"/api/jobs/{id}"), 404, "not_found")
    refusal(server.client.delete(f"/api/jobs/{id}"), 404, "not_found")


def test_job_is_found_by_its_state(server: Server, scene: Scene) -> None:
    id = server.ended(server.upload(scene.video, preset="sort")["id"])["id"]
    assert id in [job["id"] for job in server.client.get("/api/jobs?state=done&limit=500").json()["jobs"]]
    assert id not in [job["id"] for job in server.client.get("/api/jobs?state=failed&limit=500").json()["jobs"]]


def test_part_of_a_result_video_can_be_asked_for(server: Server, scene: Scene) -> None:
    """As browsers do to seek."""
    id = server.ended(server.upload(scene.video, preset="sort", visualize="true")["id"])["id"]
    whole = server.client.get(f"/api/jobs/{id}/video").content
    part = server.client.get(f"/api/jobs/{id}/video", headers={"Range": "bytes=10-19"})
    assert part.status_code == 206 and part.content == whole[10:20]


# Images


def test_people_of_an_image_are_those_of_the_detector(server: Server, scene: Scene) -> None:
    """The detections of the scene's first frame stand in for a network."""
    answer = server.client.post("/api/inference/image", files={"file": picture(480, 270)}).json()
    rows = [line.split(",") for line in Path(scene.arguments[0].partition("=")[2]).read_text().splitlines()]
    expected = sorted(float(row[2]) for row in rows if row[0] == "1")
    assert sorted(found["xyxy"][0] for found in answer["detections"]) == pytest.approx(expected, abs=0.02)
    assert (answer["width"], answer["height"]) == (480, 270)


def test_annotated_image_has_the_size_of_the_image(server: Server) -> None:
    answer = server.client.post("/api/inference/image", files={"file": picture(480, 270)}, data={"visualize": "true"})
    assert answer.headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(answer.content)).size == (480, 270)


def test_embeddings_are_those_of_the_embedder(server: Server) -> None:
    from mot_reid.reid.embedder import Embedder

    image = picture(200, 200)
    pixels = np.asarray(Image.open(io.BytesIO(image)))
    embedder = Embedder("osnet_x0_25_cameras", device="cpu")
    answer = server.client.post("/api/embed", files=[("files", image), ("files", picture())]).json()
    assert answer["dimension"] == embedder.embedding_dim and answer["threshold"] == embedder.threshold
    assert np.allclose(answer["embeddings"][0], embedder.embed([pixels], color="rgb")[0], atol=1e-5)
    boxes = [[10, 20, 60, 180], [100, 20, 150, 180]]
    answer = server.client.post("/api/embed", files={"files": image}, data={"boxes": json.dumps(boxes)}).json()
    assert np.allclose(answer["embeddings"], embedder(pixels, np.array(boxes), color="rgb"), atol=1e-5)


@pytest.mark.parametrize(
    "boxes",
    ["x", "{}", "[1]", "[[1,2,3]]", "[[1,2,3,true]]", "[[1,2,3,1e999]]", "[[9,9,1,1]]", "[[-9,-9,-1,-1]]", "[" * 3000],
)
def test_boxes_that_are_none_are_refused(server: Server, boxes: str) -> None:
    answer = server.client.post("/api/embed", files={"files": picture()}, data={"boxes": boxes})
    assert re.match("box", refusal(answer, 422, "invalid"))


# The server itself


def test_status_tells_what_runs(server: Server) -> None:
    assert server.client.get("/health").json() == {"status": "ok"}
    assert server.client.head("/health").status_code == 200
    told = server.client.get("/ready").json()
    assert told["device"] == "cpu" and told["reid"] == "osnet_x0_25_cameras" and "numpy" in told["versions"]


def test_start_prints_the_address_of_the_page(server: Server) -> None:
    address = server.said.read_text().removeprefix("serving at ").strip()
    assert address == f"{server.url}/docs" and server.client.get(address).status_code == 200


def test_metrics_count_frames_and_requests(server: Server, scene: Scene) -> None:
    def number(name: str) -> float:
        found = re.search(rf"^{re.escape(name)} (\S+)$", server.client.get("/metrics").text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    route = 'mot_reid_request_seconds_count{method="GET",route="/api/jobs/{id}",status="404"}'
    frames, requests, jobs = number("mot_reid_frames_total"), number(route), number("mot_reid_job_seconds_count")
    server.ended(server.upload(scene.video, preset="sort")["id"])
    server.client.get(f"/api/jobs/{'x' * 24}")
    assert number("mot_reid_frames_total") == frames + 60
    assert number(route) == requests + 1
    assert number("mot_reid_job_seconds_count") == jobs + 1
    assert number('mot_reid_jobs{state="done"}') >= 1
    assert number("mot_reid_queue_length") == number("mot_reid_live_sessions") == 0


def test_answers_have_headers_that_keep_browsers_from_mischief(server: Server) -> None:
    headers = server.client.get("/api/jobs").headers
    assert headers["x-content-type-options"] == "nosniff" and headers["x-frame-options"] == "DENY"
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert "access-control-allow-origin" not in server.client.get("/health", headers={"Origin": "https://a.b"}).headers
    assert "server" not in headers


def test_request_id_of_the_client_is_kept_and_logged(server: Server) -> None:
    answer = server.client.get("/api/jobs", headers={"X-Request-ID": "my-request-1"})
    assert answer.headers["x-request-id"] == "my-request-1"
    assert server.logged("request_id", "my-request-1")
    assert server.client.get("/health", headers={"X-Request-ID": "a b"}).headers["x-request-id"] != "a b"


def test_log_has_no_path_of_the_machine(server: Server, scene: Scene) -> None:
    id = server.ended(server.upload(scene.video, preset="sort")["id"])["id"]
    server.client.get(f"/api/jobs/{id}", headers={"X-Request-ID": f"after-{id}"})
    assert server.logged("request_id", f"after-{id}")
    assert str(server.folder) not in server.log.read_text()


def test_every_route_is_documented_with_its_refusals(server: Server) -> None:
    paths = server.client.get("/openapi.json").json()["paths"]
    assert {"/health", "/ready", "/metrics", "/api/inference/video", "/api/jobs/{id}", "/api/embed"} <= set(paths)
    silent = [path for path, methods in paths.items() for told in methods.values() if not told.get("summary")]
    assert silent == []
    form = paths["/api/inference/video"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert set(form["properties"]) == {"file", "visualize", "preset", "site"} and form["required"] == ["file"]


def test_page_of_the_interface_tells_every_route_and_loads_nothing(server: Server) -> None:
    page = server.client.get("/docs")
    told = server.client.get("/openapi.json").json()["paths"]
    shown = re.findall(r'class="method">(\w+)</span> <code>([^<]+)</code>', page.text)
    routes = {(method.upper(), path) for path, methods in told.items() for method in methods}
    assert {route for route in shown if route[0] != "WebSocket"} == routes and len(routes) > 15
    assert not re.findall(r"<(script|link|img|iframe)|url\(|@import|src=", page.text)
    assert re.findall(r'href="([^"#]*)[#"]', page.text) == [""] * page.text.count('href="#') + ["/openapi.json"]
    assert page.headers["content-security-policy"].startswith("default-src 'none'; style-src 'unsafe-inline'")
    assert "curl --fail --form file=@FILE --form name=NAME http://SERVER/api/galleries/gallery/persons" in page.text
    assert server.client.get("/redoc").status_code == 404


def test_unknown_routes_and_methods_are_refused_in_the_same_shape(server: Server) -> None:
    refusal(server.client.get("/api/nothing"), 404, "not_found")
    refusal(server.client.put("/health"), 405, "method_not_allowed")
    assert server.client.get("/api/jobs?limit=0").json()["error"].startswith("limit: ")
    refusal(server.client.get("/api/jobs/../../etc/passwd"), 404, "not_found")
    refusal(server.client.get("/api/jobs/%2e%2e"), 422, "invalid")
