"""A run logs to a real tracking server of MLflow, and is read back over HTTP.

`MOT_REID_TEST_MLFLOW` names the program `mlflow` of an environment of its own; without it, the one on the path is used.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mot_reid.training.fit import fit
from tests.helpers.runs import small_config

PROGRAM = os.environ.get("MOT_REID_TEST_MLFLOW") or shutil.which("mlflow")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PROGRAM is None, reason="the server of MLflow is not installed: pip install mlflow"),
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    pytest.importorskip("mlflow", reason="the client of MLflow is not installed: pip install 'mot-reid[mlflow]'")
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    command = [str(PROGRAM), "server", "--host=127.0.0.1", f"--port={port}", "--workers=1",
               f"--backend-store-uri=sqlite:///{folder / 'mlflow.db'}",
               f"--artifacts-destination={folder / 'artifacts'}"]  # fmt: skip
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            for _ in range(600):
                assert process.poll() is None, (folder / "log").read_text()
                try:
                    if client.get("/health").status_code == 200:
                        break
                except httpx.TransportError:
                    pass
                time.sleep(1)
            yield client
    finally:
        process.terminate()
        process.wait(60)


def asked(server: httpx.Client, path: str, **body: Any) -> Any:
    answer = server.post(f"/api/2.0/mlflow/{path}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_run_is_read_back_from_the_server(server: httpx.Client, people: Path, tmp_path: Path) -> None:
    settings = ("logger=mlflow", f"logger.uri={server.base_url}", "logger.project=ours", "run.name=mine")
    quick = ("trainer.max_epochs=1", "data.validation=0.2", "trainer.log_every_n_steps=1")
    config = small_config(people, tmp_path / "run", *quick, *settings)
    result = fit(config)
    found = server.get("/api/2.0/mlflow/experiments/get-by-name", params={"experiment_name": "ours"}).json()
    (run,) = asked(server, "runs/search", experiment_ids=[found["experiment"]["experiment_id"]])["runs"]
    metrics = {one["key"]: one["value"] for one in run["data"]["metrics"]}
    parameters = {one["key"]: one["value"] for one in run["data"]["params"]}
    assert (run["info"]["run_name"], run["info"]["status"]) == ("mine", "FINISHED")
    assert {"train/loss", "val/mAP"} <= set(metrics)
    assert {name: metrics[name] for name in result.scores} == pytest.approx(result.scores, abs=1e-6)
    assert parameters["optim/lr"] == str(config.optim.lr)
