"""What every request passes: an id of its own, the admission, safe headers, the log, a last net for errors."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from mot_reid.serving.http.admission import Admission, Headers
from mot_reid.serving.refusal import STATUS, Refusal, stopping
from mot_reid.serving.service import Service

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_BODY_BYTES = 65536
_QUIET = ("/health", "/ready", "/metrics")
_GIVEN_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
_NOTHING_ELSE = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
# A page of Gradio writes styles and scripts into itself; what it loads and where it reports to is this server alone.
_ITSELF = (
    b"content-security-policy",
    b"default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    b"style-src 'self' 'unsafe-inline'; frame-ancestors 'none'; form-action 'self'",
)


@dataclass(frozen=True, slots=True)
class Pages:
    """Pages for browsers that are mounted into the app.

    Attributes:
        root: their address, such as /demo.
        assets: where the files that they load begin.
        upload: where they post forms with files; of all else that they post, the body is short.
    """

    root: str
    assets: str
    upload: str


class Gate:
    """The outermost layer of the app.

    Args:
        app: what is inside.
        service: whose settings and metrics these are.
        pages: that are mounted; None for none.
    """

    def __init__(self, app: App, service: Service, pages: Pages | None = None) -> None:
        self._app, self._service, self._pages = app, service, pages
        self._admission = Admission(service.settings, assets=pages.assets if pages else None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request or WebSocket."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        request = _Request(scope, send, self._policy(scope["path"]))
        try:
            self._admission.check(
                scope["path"], request.headers,
                client=(scope.get("client") or ("?",))[0], method=scope.get("method", "WEBSOCKET"),
            )  # fmt: skip
            if scope["type"] == "http" and not self._may_be_long(scope, request.headers):
                receive = _bounded(receive, self._service.limits.header_seconds)
            await self._app(scope, receive, request.send)
        except Refusal as refusal:
            await request.refuse(refusal)
        except asyncio.CancelledError:  # the server stops, and has waited for this request as long as it does
            if not self._service.closing:
                raise
            await request.refuse(stopping())
        except Exception as error:  # the last net: no traceback and no path reaches the client
            if type(error).__name__ == "ClientDisconnect":
                request.status = 499
            else:
                log.exception("request failed", extra={"request_id": request.id})
                await request.refuse(Refusal("internal", "server: it failed; its log knows this request by its id"))
        finally:
            self._note(scope, request)

    def _policy(self, path: str) -> tuple[bytes, bytes]:
        """Returns the header that says what the answer may load; one that the answer has already stays."""
        return _ITSELF if self._is_page(path) else _NOTHING_ELSE

    def _route_of(self, path: str) -> str:
        return self._pages.root if self._pages is not None and self._is_page(path) else "none"

    def _is_page(self, path: str) -> bool:
        return self._pages is not None and path.startswith(self._pages.root)

    def _may_be_long(self, scope: Scope, headers: Headers) -> bool:
        """Whether a body may be long: only forms that are posted may be, and whoever takes them counts the bytes."""
        form = headers.get(b"content-type", b"").lower().startswith(b"multipart/form-data")
        upload = self._pages.upload if self._pages else None
        return form and scope["method"] == "POST" and (scope["path"].startswith("/api/") or scope["path"] == upload)

    def _note(self, scope: Scope, request: _Request) -> None:
        seconds = time.perf_counter() - request.start
        route = getattr(scope.get("route"), "path", None) or self._route_of(scope["path"])
        method = scope.get("method", "WEBSOCKET")
        if scope["type"] == "http":
            self._service.metrics.requests.labels(method, route, str(request.status)).observe(seconds)
        if request.status >= 400:
            self._service.metrics.errors.labels(request.kind or "http").inc()
        level = logging.DEBUG if route in _QUIET else logging.INFO
        told = {"method": method, "route": route, "status": request.status, "seconds": round(seconds, 4)}
        log.log(level, "request", extra={"request_id": request.id, **told})


def _bounded(receive: Receive, seconds: float) -> Receive:
    """Returns what reads a body, but not a long one, nor one that takes long to come."""
    count, more, end = 0, True, time.monotonic() + seconds

    async def read() -> MutableMapping[str, Any]:
        nonlocal count, more
        if not more:  # a wait for the client to leave, which may last
            return await receive()
        try:
            message = await asyncio.wait_for(receive(), max(0.0, end - time.monotonic()))
        except (asyncio.TimeoutError, TimeoutError):
            raise Refusal("timeout", "request: its body arrived too slowly; send it faster") from None
        more = message.get("more_body", False)
        count += len(message.get("body", b""))
        if count > _BODY_BYTES:
            raise Refusal("too_large", f"request: got more than {_BODY_BYTES:,} bytes; expected a form, or less")
        return message

    return read


class _Request:
    """One request on its way through."""

    def __init__(self, scope: Scope, send: Send, policy: tuple[bytes, bytes]) -> None:
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        given = self.headers.get(b"x-request-id", b"").decode("latin-1")
        self.id = given if _GIVEN_ID.fullmatch(given) else uuid.uuid4().hex
        self.start = time.perf_counter()
        self.status = 0
        self.kind: str | None = None
        self._scope, self._send, self._policy = scope, send, policy
        scope.setdefault("state", {})["request"] = self

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Passes a message on; the first one gets the headers."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            own = [(b"x-request-id", self.id.encode()), *_HEADERS, self._policy]
            there = {name.lower() for name, _ in message["headers"]}
            message["headers"] = [*message["headers"], *(pair for pair in own if pair[0] not in there)]
        elif message["type"] == "websocket.accept":
            self.status = 101
        await self._send(message)

    async def refuse(self, refusal: Refusal) -> None:
        """Answers with a refusal, if nothing was answered yet."""
        if self.status:
            return
        self.kind = refusal.kind
        body = problem_body(refusal, self.id)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        headers += [(name.lower().encode(), value.encode()) for name, value in problem_headers(refusal).items()]
        kind = "http.response" if self._scope["type"] == "http" else "websocket.http.response"
        if kind != "http.response" and kind not in self._scope.get("extensions", {}):
            await self._send({"type": "websocket.close", "code": 1008, "reason": refusal.sentence[:120]})
            self.status = STATUS[refusal.kind]
            return
        start = {"type": f"{kind}.start", "status": STATUS[refusal.kind], "headers": headers}
        await (self.send if kind == "http.response" else self._send)(start)
        self.status = STATUS[refusal.kind]
        await self._send({"type": f"{kind}.body", "body": body})


def problem_body(refusal: Refusal, request_id: str) -> bytes:
    """Returns the JSON that a refused client gets."""
    return json.dumps({"error": refusal.sentence, "kind": refusal.kind, "request_id": request_id}).encode()


def problem_headers(refusal: Refusal) -> dict[str, str]:
    """Returns the headers that go with a refusal."""
    headers = {}
    if refusal.retry_seconds is not None:
        headers["Retry-After"] = str(refusal.retry_seconds)
    if refusal.kind == "unauthorized":
        headers["WWW-Authenticate"] = 'Basic realm="mot_reid", charset="UTF-8"'
    return headers
