"""What stands in front of Gradio, which trusts browsers: bounds uploads, and lets no other file be named."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

from mot_reid.serving.folder import size_of
from mot_reid.serving.http.slots import Pace, Slots, too_slow
from mot_reid.serving.refusal import Refusal
from mot_reid.settings.serving import Limits

DEMO_UPLOAD = "/demo/gradio_api/upload"
"""Where Gradio takes files; of all else that is posted to it, the body is short."""

_FORM_BYTES = 65536
_PART = "tmp????????"  # as `tempfile` names what has not been received wholly


class DemoGuard:
    """The layer around Gradio's app.

    Gradio itself would take uploads until the disk is full and keep what is left of broken ones; and, being mounted,
    it would copy any file of the machine, or of an address, that a request names as if it had been uploaded.

    Args:
        app: Gradio's.
        limits: of the service.
        folder: in which Gradio keeps uploads.
    """

    def __init__(self, app: Any, limits: Limits, folder: Path) -> None:
        self._app, self._limits, self._folder = app, limits, folder.resolve()
        self._slots = Slots(limits.uploads, each=limits.client_uploads)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serves a request."""
        if scope["type"] == "http" and scope["method"] == "POST":
            if scope["path"] == DEMO_UPLOAD:
                await self._upload(scope, receive, send)
                return
            receive = await self._checked(receive)
        await self._app(scope, receive, send)

    async def _upload(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            with self._slots.take((scope.get("client") or ("?",))[0]):
                self._check_length(dict(scope["headers"]).get(b"content-length", b""))
                await asyncio.to_thread(self._check_room)
                await asyncio.wait_for(self._app(scope, self._paced(receive), send), self._limits.upload_seconds)
        except (asyncio.TimeoutError, TimeoutError):
            raise too_slow() from None
        finally:
            if not self._slots.taken:
                await asyncio.to_thread(self._remove_parts)

    def _paced(self, receive: Any) -> Any:
        """Returns what reads an upload as long as it keeps its pace."""
        pace, more = Pace(self._limits), True

        async def read() -> Any:
            nonlocal more
            if not more:
                return await receive()
            message = await asyncio.wait_for(receive(), pace.seconds)
            more = message.get("more_body", False)
            pace.count(len(message.get("body", b"")))
            return message

        return read

    def _check_length(self, announced: bytes) -> None:
        """Refuses what is too long, or does not say how long it is, which browsers do."""
        most = self._limits.upload_bytes + _FORM_BYTES
        if not announced.isdigit() or int(announced) > most:
            raise Refusal("too_large", f"upload: expected a Content-Length of at most {most:,} bytes")

    def _check_room(self) -> None:
        free = shutil.disk_usage(self._folder).free
        if free < self._limits.free_bytes or size_of(self._folder) > self._limits.stored_bytes:
            raise Refusal("disk_full", "storage: the server has no room for uploads; try again later")

    def _remove_parts(self) -> None:
        """Removes the files of uploads that broke off; none is under way."""
        for path in self._folder.glob(_PART):
            path.unlink(missing_ok=True)

    async def _checked(self, receive: Any) -> Any:
        """Returns what gives the body once more, after all of it was read and names no file but uploads."""
        messages = [await receive()]
        while messages[-1].get("more_body"):
            messages.append(await receive())
        body = b"".join(message.get("body", b"") for message in messages)
        try:
            named = not body or self._names_uploads(json.loads(body))
        except (ValueError, RecursionError):
            raise Refusal("bad_request", "request: got something else; expected JSON, not nested deeply") from None
        if not named:
            raise Refusal("invalid", "file: got one that was not uploaded; upload it first")
        messages.reverse()

        async def again() -> Any:
            return messages.pop() if messages else await receive()

        return again

    def _names_uploads(self, told: Any) -> bool:
        if isinstance(told, list):
            return all(map(self._names_uploads, told))
        if not isinstance(told, dict):
            return True
        path = told.get("path")
        return (path is None or self._is_upload(path)) and all(map(self._names_uploads, told.values()))

    def _is_upload(self, path: Any) -> bool:
        try:
            return Path(path).resolve().is_relative_to(self._folder)
        except (TypeError, ValueError, OSError):
            return False
