"""What reaches Gradio, whatever is sent; an app of a few lines stands in for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mot_reid.serving.demo.guard import DemoGuard
from mot_reid.serving.refusal import Refusal
from mot_reid.settings.load import load_settings
from mot_reid.settings.serving import Limits, ServeSettings

LIMITS = replace(load_settings(ServeSettings, [], base="serve").limits, free_bytes=0, upload_bytes=1000, uploads=1)
UPLOAD, JOIN = "/demo/gradio_api/upload", "/demo/gradio_api/queue/join"

App = Callable[[Any, Any, Any], Any]


def guarded(app: App, folder: Path, limits: Limits = LIMITS) -> DemoGuard:
    folder.mkdir(exist_ok=True)
    return DemoGuard(app, limits, folder)


async def post(guard: DemoGuard, path: str, body: bytes = b"", *, length: str | None = None) -> None:
    halves = (body[:20], body[20:])
    pieces = [{"type": "http.request", "body": half, "more_body": n == 0} for n, half in enumerate(halves)]
    headers = [(b"content-length", length.encode())] if length is not None else []

    async def receive() -> Any:
        return pieces.pop(0)

    await guard({"type": "http", "method": "POST", "path": path, "headers": headers}, receive, None)


def joined(folder: Path, value: Any) -> bytes:
    """What Gradio receives of a request that names this."""
    got = bytearray()

    async def gradio(scope: Any, receive: Any, send: Any) -> None:
        more = True
        while more:
            message = await receive()
            got.extend(message["body"])
            more = message.get("more_body", False)

    asyncio.run(post(guarded(gradio, folder), JOIN, json.dumps({"data": [value, "sort"], "fn_index": 1}).encode()))
    return bytes(got)


def named(path: Any) -> dict[str, Any]:
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


@pytest.mark.parametrize("wrapped", [lambda value: value, lambda value: {"video": value}, lambda value: [[value]]])
def test_file_is_named_only_if_it_was_uploaded(tmp_path: Path, wrapped: Callable[[Any], Any]) -> None:
    folder = tmp_path / "demo"
    mine = wrapped(named(str(folder / "abc" / "clip.mp4")))
    assert json.loads(joined(folder, mine)) == {"data": [mine, "sort"], "fn_index": 1}
    for other in ("/etc/passwd", f"{folder}/../jobs.sqlite", f"{folder}2/x", "https://example.org/a.mp4", "/dev/zero",
                  "clip.mp4", "\0", 7, ["a"]):  # fmt: skip
        with pytest.raises(Refusal, match="not uploaded"):
            joined(folder, wrapped(named(other)))


@pytest.mark.parametrize("body", [b"no JSON, but long enough", b"[" * 5000, b"[" * 9999 + b"]" * 9999, b"\xff" * 40])
def test_request_that_cannot_be_looked_into_is_refused(tmp_path: Path, body: bytes) -> None:
    async def gradio(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError

    with pytest.raises(Refusal, match="expected JSON"):
        asyncio.run(post(guarded(gradio, tmp_path / "demo"), JOIN, body))


def test_link_out_of_the_folder_is_no_upload(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "link").symlink_to("/etc/passwd")
    with pytest.raises(Refusal, match="not uploaded"):
        joined(tmp_path / "demo", named(str(tmp_path / "demo" / "link")))


@pytest.mark.parametrize("length", [None, "", "-1", "many", "70000", "9" * 400])
def test_upload_that_is_too_long_or_does_not_say_does_not_reach_gradio(tmp_path: Path, length: str | None) -> None:
    async def gradio(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError

    with pytest.raises(Refusal) as caught:
        asyncio.run(post(guarded(gradio, tmp_path / "demo"), UPLOAD, length=length))
    assert caught.value.kind == "too_large"


@pytest.mark.parametrize("ending", ["whole", "broken", "slow"])
def test_nothing_is_left_of_an_upload_that_breaks_off(tmp_path: Path, ending: str) -> None:
    folder = tmp_path / "demo"

    async def gradio(scope: Any, receive: Any, send: Any) -> None:
        (folder / "tmpabcd1234").write_bytes(b"half")
        if ending == "broken":
            raise ConnectionError
        if ending == "slow":
            await asyncio.sleep(60)
        (folder / "tmpabcd1234").rename(folder / "clip.mp4")

    guard = guarded(gradio, folder, replace(LIMITS, upload_seconds=0.05 if ending == "slow" else 60))
    if ending == "whole":
        asyncio.run(post(guard, UPLOAD, length="4"))
    else:
        with pytest.raises((ConnectionError, Refusal)):
            asyncio.run(post(guard, UPLOAD, length="4"))
    assert [path.name for path in folder.iterdir()] == (["clip.mp4"] if ending == "whole" else [])


def test_upload_beyond_those_at_once_is_refused_and_spares_the_others(tmp_path: Path) -> None:
    folder = tmp_path / "demo"

    async def run() -> None:
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def gradio(scope: Any, receive: Any, send: Any) -> None:
            (folder / "tmpabcd1234").write_bytes(b"half")
            begun.set()
            await go_on.wait()
            (folder / "tmpabcd1234").rename(folder / "clip.mp4")

        guard = guarded(gradio, folder)
        first = asyncio.create_task(post(guard, UPLOAD, length="4"))
        await begun.wait()
        with pytest.raises(Refusal, match="as many uploads as it can"):
            await post(guard, UPLOAD, length="4")
        go_on.set()
        await first

    asyncio.run(run())
    assert [path.name for path in folder.iterdir()] == ["clip.mp4"]
