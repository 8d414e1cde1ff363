"""A real Prometheus with the shipped configuration reads a real server; every panel of the dashboard has an answer."""

from __future__ import annotations

import json
import math
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from mot_reid.settings.load import ROOT
from tests.helpers.server import PATIENT, Server, draw_scene

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="Prometheus is not installed: Debian's prometheus"),
]
KEY = "secret"
SHIPPED = yaml.safe_load((ROOT / "docker/prometheus.yml").read_text(encoding="utf-8"))
DASHBOARD = json.loads((ROOT / "docker/grafana/dashboards/mot_reid.json").read_text(encoding="utf-8"))
EXPRESSIONS = sorted({target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]})


def configured(folder: Path, server: Server) -> Path:
    """The shipped configuration with the address and the key's file of this machine, read once a second."""
    (folder / "key").write_text(KEY)
    scrape = SHIPPED["scrape_configs"][0]
    scrape["static_configs"] = [{"targets": [server.url.removeprefix("http://")]}]
    scrape["authorization"]["credentials_file"] = str(folder / "key")
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump({**SHIPPED, "global": {"scrape_interval": "1s"}}))
    return path


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A Prometheus that has read a server with two jobs, a refused upload and an image."""
    folder = tmp_path_factory.mktemp("prometheus")
    scene = draw_scene(folder, frames=20)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"127.0.0.1:{listening.getsockname()[1]}"
    with Server(folder / "served", *scene.arguments, f"api_key={KEY}", "reid=null", *PATIENT, ready=False) as server:
        server.client.headers["X-API-Key"] = KEY
        server.wait_ready()
        command = ["prometheus", f"--config.file={configured(folder, server)}", f"--storage.tsdb.path={folder / 'db'}",
                   f"--web.listen-address={address}"]  # fmt: skip
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(command, stderr=log, stdout=log)
        try:
            with httpx.Client(base_url=f"http://{address}", timeout=60) as client:
                for _ in range(3):  # a rate needs a number before and one after
                    assert server.ended(server.upload(scene.video)["id"])["state"] == "done"
                    assert server.client.post("/api/inference/video", files={"file": b"none"}).status_code == 415
                    read = samples(client)
                    while samples(client) < read + 2:
                        assert process.poll() is None, (folder / "log").read_text()
                        time.sleep(1)
                yield client
        finally:
            process.terminate()
            process.wait(60)


def query(client: httpx.Client, expression: str) -> list[float]:
    answer = client.get("/api/v1/query", params={"query": expression})
    assert answer.status_code == 200, answer.text
    return [float(row["value"][1]) for row in answer.json()["data"]["result"]]


def samples(client: httpx.Client) -> float:
    """How often the server was read so far; nothing while Prometheus starts."""
    try:
        return sum(query(client, "count_over_time(mot_reid_queue_length[1h])"))
    except (httpx.TransportError, AssertionError):
        return 0


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_panel_has_an_answer(asked: httpx.Client, expression: str) -> None:
    found = query(asked, expression)
    assert found and any(math.isfinite(value) for value in found)


def test_server_is_up_and_its_frames_are_counted(asked: httpx.Client) -> None:
    assert query(asked, "up") == [1.0]
    assert query(asked, "mot_reid_frames_total") == [60.0]
    assert query(asked, 'mot_reid_jobs{state="done"}') == [3.0]


def test_shipped_configuration_is_one_that_prometheus_takes() -> None:
    path = ROOT / "docker/prometheus.yml"
    done = subprocess.run(["promtool", "check", "config", "--syntax-only", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
