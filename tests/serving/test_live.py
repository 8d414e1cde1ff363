"""Live sessions over a WebSocket, by a real client."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from mot_reid.pipeline.run import build_detector
from mot_reid.settings.load import load_settings
from mot_reid.settings.tracking import TrackSettings
from mot_reid.tracking.tracker import Tracker
from tests.helpers.server import Scene, Server


@contextmanager
def session(server: Server, query: str = "preset=bytetrack", **headers: str) -> Iterator[ClientConnection]:
    address = f"{server.url.replace('http', 'ws')}/api/live?{query}"
    with connect(address, additional_headers=headers, compression=None) as socket:
        yield socket


def jpeg(width: int = 480, height: int = 270) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (90, 120, 90)).save(buffer, "JPEG")
    return buffer.getvalue()


def ask(socket: ClientConnection, message: bytes | str) -> dict[str, Any]:
    socket.send(message)
    return dict(json.loads(socket.recv(timeout=60)))


def ending(socket: ClientConnection) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed) as caught:
        socket.recv(timeout=60)
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code, caught.value.rcvd.reason


def test_tracks_of_a_session_are_those_of_a_tracker(server: Server, scene: Scene) -> None:
    settings = load_settings(TrackSettings, scene.arguments, base="track")
    detector: Any = build_detector(settings, "")
    tracker = Tracker("bytetrack", frame_rate=12.5)
    with session(server, "preset=bytetrack&frame_rate=12.5") as socket:
        for number in range(1, 41):
            answer = ask(socket, jpeg())
            tracks = tracker.update(detector.at(number))
            assert (answer["frame"], answer["width"], answer["height"]) == (number, 480, 270)
            assert [row["track_id"] for row in answer["tracks"]] == tracks.track_id.tolist()
            assert np.allclose([row["xyxy"] for row in answer["tracks"]] or np.zeros((0, 4)), tracks.xyxy, atol=0.006)
    assert len(tracks) > 2


def test_sessions_do_not_know_each_other(server: Server) -> None:
    with session(server) as one, session(server) as other:
        assert [ask(one, jpeg())["frame"], ask(one, jpeg())["frame"], ask(other, jpeg())["frame"]] == [1, 2, 1]


def test_session_beyond_the_limit_is_told_to_come_later(server: Server) -> None:
    with session(server) as one, session(server) as other:
        ask(one, jpeg()), ask(other, jpeg())
        with session(server) as third:
            assert ending(third) == (1013, "live: 2 sessions are open, which is the limit; try again")
    with session(server) as later:
        assert ask(later, jpeg())["frame"] == 1


def test_bad_frames_are_refused_and_the_session_goes_on(server: Server) -> None:
    with session(server) as socket:
        for bad, kind in ((b"nothing", "unsupported"), ("text", "invalid"), (jpeg()[:300], "invalid"),
                          (jpeg(1000, 301), "invalid")):  # fmt: skip
            answer = ask(socket, bad)
            assert set(answer) == {"error", "kind"} and answer["kind"] == kind
        assert ask(socket, jpeg())["frame"] == 1


def test_too_many_bad_frames_end_the_session(server: Server) -> None:
    with session(server) as socket:
        for _ in range(30):
            ask(socket, b"nothing")
        assert ending(socket) == (1008, "live: 30 bad frames in a row")


def test_frame_of_too_many_bytes_ends_the_session(server: Server) -> None:
    with session(server) as socket:
        socket.send(jpeg() + b"\0" * 200_000)
        assert ending(socket)[0] == 1009


def test_session_without_frames_ends(server: Server) -> None:
    with session(server) as socket:
        assert ending(socket) == (1008, "live: no frame came for 1 seconds")


def test_pages_of_other_sites_may_not_open_sessions(server: Server) -> None:
    with pytest.raises(InvalidStatus) as caught, session(server, Origin="https://evil.example"):
        pass
    assert caught.value.response.status_code == 403
    assert json.loads(caught.value.response.body)["kind"] == "forbidden"
    with session(server, Origin=server.url) as socket:
        assert ask(socket, jpeg())["frame"] == 1


def test_unknown_preset_or_rate_opens_no_session(server: Server) -> None:
    for query in ("preset=deepsort", "frame_rate=0", "frame_rate=nan"):
        with pytest.raises(InvalidStatus) as caught, session(server, query):
            pass
        assert caught.value.response.status_code == 422
        assert json.loads(caught.value.response.body)["error"].startswith(query.partition("=")[0] + ": ")


def test_session_ends_with_its_process_and_a_new_one_begins(server: Server) -> None:
    with session(server) as socket:
        ask(socket, jpeg())
        psutil.Process(server.workers()["calls-1"]).kill()
        socket.send(jpeg())
        code, reason = ending(socket)
        assert code == 1011 and "open a new session" in reason
    with session(server) as socket:
        assert ask(socket, jpeg())["frame"] == 1
