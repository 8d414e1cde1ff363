"""Live sessions over a WebSocket: frames in as bytes, tracks out as JSON."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated

from fastapi import APIRouter, Query, WebSocket, WebSocketDisconnect
from fastapi.concurrency import run_in_threadpool

from mot_reid.serving.live import LiveSession
from mot_reid.serving.refusal import Refusal
from mot_reid.serving.service import Service
from mot_reid.serving.worker.pool import WorkerLost
from mot_reid.settings.tracker_parameters import PresetName

_DONE, _GOING, _REFUSED, _FAILED, _LATER = 1000, 1001, 1008, 1011, 1013
_BAD_IN_A_ROW = 30


def build_router(service: Service) -> APIRouter:
    """Returns the route of live sessions."""
    router = APIRouter(prefix="/api", tags=["live"])

    @router.websocket("/live")
    async def live(
        socket: WebSocket,
        preset: PresetName | None = None,
        frame_rate: Annotated[float, Query(gt=0, le=1000)] = 30.0,
        timed: bool = False,
        site: Annotated[str | None, Query(max_length=80)] = None,
        gallery: Annotated[str | None, Query(max_length=80)] = None,
    ) -> None:
        """Each binary message is a frame, each answer its tracks; with `timed`, frames count by when they come.

        With `site`, a person has one `global_id` in all sessions and videos of that site; `events` tell what was
        learned later. With `gallery`, whom it knows has a `name`.
        """
        await socket.accept()
        try:
            session = await run_in_threadpool(
                service.open_live, preset=preset, frame_rate=frame_rate, site=site, gallery=gallery
            )
        except Refusal as refusal:
            await _close(socket, _LATER if refusal.kind == "busy" else _REFUSED, refusal.sentence)
            return
        try:
            await _serve(service, socket, session, timed=timed)
        except WebSocketDisconnect:
            pass
        finally:
            await run_in_threadpool(session.close)

    return router


async def _serve(service: Service, socket: WebSocket, session: LiveSession, *, timed: bool) -> None:
    """Answers frames until the client leaves, or must."""
    limits, start, bad = service.limits, time.monotonic(), 0
    pause, free_at = 1 / limits.live_frames_per_second, time.monotonic()
    while True:
        await asyncio.sleep(max(0.0, free_at - time.monotonic()))  # a client that is too fast waits in its own buffer
        try:
            message = await asyncio.wait_for(socket.receive(), limits.live_idle_seconds)
        except (asyncio.TimeoutError, TimeoutError):
            await _close(socket, _REFUSED, f"live: no frame came for {limits.live_idle_seconds:g} seconds")
            return
        free_at = max(free_at, time.monotonic() - 1) + pause
        if message["type"] == "websocket.disconnect":
            return
        now = time.monotonic() - start
        if service.closing or now > limits.live_seconds:
            await _close(socket, _GOING, "live: the session has lasted as long as it may, or the server stops")
            return
        try:
            answer = await _track(service, session, message.get("bytes"), now if timed else None)
            bad = 0
        except Refusal as refusal:
            bad += 1
            answer = {"error": refusal.sentence, "kind": refusal.kind}
        except WorkerLost as lost:
            await _close(socket, _FAILED, f"live: the tracker is gone ({lost}); open a new session")
            return
        await socket.send_json(answer)
        if bad >= _BAD_IN_A_ROW:
            await _close(socket, _REFUSED, f"live: {bad} bad frames in a row")
            return


async def _track(service: Service, session: LiveSession, frame: bytes | None, now: float | None) -> dict[str, object]:
    if not frame:
        raise Refusal("invalid", "live: got a text or nothing; expected a frame as bytes: JPEG, PNG, WebP or BMP")
    if len(frame) > service.limits.live_frame_bytes:
        most = service.limits.live_frame_bytes
        raise Refusal("too_large", f"live: got a frame of {len(frame):,} bytes; expected at most {most:,}")
    return await run_in_threadpool(session.track, frame, time_seconds=now)


async def _close(socket: WebSocket, code: int, reason: str) -> None:
    # The reason of a WebSocket's end has room for 123 bytes.
    await socket.close(code, reason.encode()[:120].decode("utf-8", "ignore"))
