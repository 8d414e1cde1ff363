"""The image `lite`: built from the Dockerfile, started as its user on a root that it cannot write to, used, stopped.

`MOT_REID_TEST_IMAGES` names a folder in which base image, layers and downloads stay for the next run.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers import container
from tests.helpers.server import PATIENT, draw_scene, mot_of_tool

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(container.missing()), reason=str(container.missing()))]
NAME = "localhost/mot-reid:lite"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[container.Store]:
    kept = os.environ.get("MOT_REID_TEST_IMAGES")
    store = container.Store(Path(kept) if kept else tmp_path_factory.mktemp("images"))
    store.make_base()
    store.build("lite")
    yield store
    store.buildah("rm", "--all")
    if not kept:
        store.remove()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def ended(served: container.Container, id: str) -> dict[str, object]:
    for _ in range(1200):
        job: dict[str, object] = served.client.get(f"/api/jobs/{id}").json()
        if job["state"] not in ("queued", "running"):
            return job
        time.sleep(0.5)
    raise AssertionError(job)


def test_lite_image_serves_without_torch_and_stops_when_asked(store: container.Store, tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    scene = draw_scene(models)
    given = [f"detector.public=/models/{Path(scene.arguments[0].partition('=')[2]).name}", *PATIENT]
    served = container.Container(store, NAME, tmp_path, free_port(), given)
    try:
        seconds, size = served.wait_ready(), store.megabytes(served.root)
        status = Path(f"/proc/{served.process.pid}/status").read_text().splitlines()
        said = {line.split(":")[0]: line.split()[1:] for line in status if ":" in line}
        with scene.video.open("rb") as video:
            answer = served.client.post(
                "/api/inference/video", files={"file": video}, data={"preset": "bytetrack_reid"}
            )
        assert answer.status_code == 202, answer.text
        job = ended(served, answer.json()["id"])
        result = served.client.get(f"/api/jobs/{answer.json()['id']}/mot").content
    finally:
        code = served.stop()
    print(f"lite: {size:.0f} MB, ready after {seconds:.1f} s, exit code {code}")
    assert size < 900
    assert said["Uid"] == ["10001"] * 4 and said["NoNewPrivs"] == ["1"] and int(said["CapEff"][0], 16) == 0
    assert not list(served.root.glob("opt/venv/lib/python3*/site-packages/torch"))
    assert job["state"] == "done", job
    assert result == mot_of_tool(scene, tmp_path, "tracker.preset=bytetrack_reid", "reid=osnet_x0_25_cameras")
    assert code == 0, served.log.read_text()


def test_lite_image_lists_its_packages(store: container.Store) -> None:
    root = Path(store.buildah("mount", store.buildah("from", NAME)))
    listed = json.loads((root / "app/sbom.cdx.json").read_text(encoding="utf-8"))
    names = {one["purl"] for one in listed["components"]}
    pins = Path("docker/lite.txt").read_text(encoding="utf-8").splitlines()
    pinned = {f"pkg:pypi/{pin.lower().replace('==', '@')}" for pin in pins if not pin.startswith("#")}
    assert pinned <= names
    assert any(name.startswith("pkg:deb/debian/libc6@") for name in names)
