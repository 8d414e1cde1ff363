"""Many clients, and long sessions: short versions of tests/helpers/load.py and tests/helpers/soak.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.load import load
from tests.helpers.server import Scene, Server, draw_scene, mot_of_tool
from tests.helpers.soak import soak, soak_jobs


@pytest.mark.slow
def test_no_job_of_many_clients_is_lost(server: Server, scene: Scene) -> None:
    loaded = load(server, scene.video, clients=20)
    assert loaded.states == {"done": 20} and loaded.files == 1
    assert set(loaded.statuses) <= {200, 503}  # an image may be told to come again


@pytest.mark.slow
def test_memory_of_a_long_session_stays_as_it_is(tmp_path: Path) -> None:
    scene = draw_scene(tmp_path, frames=100, repeat=60)
    arguments = (*scene.arguments, "reid=null", "limits.live_frames_per_second=100000")
    with Server(tmp_path / "served", *arguments) as server:
        samples = list(soak(server, 6000, every=1000))
    assert samples[-1].tracks > 5 * samples[0].tracks > 0  # people came and went all the time
    for name in ("server", "calls-1"):
        assert samples[-1].megabytes[name] < samples[0].megabytes[name] + 5


@pytest.mark.slow
def test_memory_stays_as_it_is_over_many_jobs(tmp_path: Path) -> None:
    scene = draw_scene(tmp_path, frames=20)
    with Server(tmp_path / "served", *scene.arguments, "reid=null", "limits.requests_per_minute=100000") as server:
        samples = list(soak_jobs(server, scene.video, 40, every=10))
    for name in ("server", "checks", "jobs-1"):
        assert samples[-1][2][name] < samples[0][2][name] + 10


@pytest.mark.slow
@pytest.mark.data
def test_real_video_by_a_real_detector_gives_the_file_of_the_tool(real_data: Path, tmp_path: Path) -> None:
    weights = real_data.parent / "models" / "yolov8n_int8_openvino_model"
    if not weights.is_dir():
        pytest.skip(f"no detector at {weights}")
    pytest.importorskip("openvino")
    scene = Scene(real_data / "video" / "pets09-s2l1.avi", (f"detector.weights={weights}",))
    with Server(tmp_path / "served", *scene.arguments) as server:
        done = server.ended(server.upload(scene.video)["id"], seconds=600)
        assert (done["state"], done["preset"], done["progress"]["frames_done"]) == ("done", "bytetrack_reid", 795)
        mot = server.client.get(done["result"]["mot_path"]).content
    assert mot == mot_of_tool(scene, tmp_path, "reid=osnet_x0_25_cameras")
    print(f"{len(mot)} bytes are the same, {done['result']['avg_fps']:.1f} frames/s")
