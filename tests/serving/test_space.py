"""The demo is started by the command of the Hugging Face Space, and asked by the name that the Space gives it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from mot_reid.settings.load import ROOT
from tests.helpers.server import PATIENT, Server, draw_scene

SPACE = (ROOT / "docker/space/Dockerfile").read_text(encoding="utf-8")
_ELSEWHERE = ("host", "port", "folder", "detector.weights")  # of the container; here others


@pytest.mark.slow
def test_space_answers_at_its_address_and_tracks_a_video(tmp_path: Path) -> None:
    pytest.importorskip("gradio", reason="the demo needs pip install 'mot-reid[serve]'")
    scene = draw_scene(tmp_path, frames=20)
    command = json.loads(re.findall(r"^CMD (\[.*\])$", SPACE, re.MULTILINE)[-1])
    given = [text for text in command[2:] if text.partition("=")[0] not in _ELSEWHERE]
    with Server(tmp_path / "served", *given, *scene.arguments, *PATIENT, ready=False) as server:
        server.client.headers["Host"] = "someone-people.hf.space"
        server.wait_ready()
        page = server.client.get("/demo/")
        assert page.status_code == 200 and "gradio" in page.text
        assert server.ended(server.upload(scene.video, preset="bytetrack_reid")["id"])["state"] == "done"
        refused = server.client.get("/demo/", headers={"Host": "evil.example"})
        assert refused.status_code == 403
