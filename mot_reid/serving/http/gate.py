"""What every request passes: an id of its own, the key, the rate, safe headers, the log, a last net for errors."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import json
import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from mot_reid.serving.demo.guard import DEMO_UPLOAD
from mot_reid.serving.http.rate import Rate
from mot_reid.serving.refusal import STATUS, Refusal, stopping
from mot_reid.serving.service import Service

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_BODY_BYTES = 65536
_UNCOUNTED = ("/health", "/ready", "/metrics")
_ASSETS = "/demo/assets/"  # a page of the demo loads some eighty at once
_OPEN = ("/health", "/ready")
_PAGES = ("/docs", "/redoc", "/demo")
_GIVEN_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
_NOTHING_ELSE = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
# Gradio's page writes styles and scripts into itself; what it loads and where it reports to is this server alone.
_ITSELF = (
    b"content-security-policy",
    b"default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    b"style-src 'self' 'unsafe-inline'; frame-ancestors 'none'; form-action 'self'",
)


class Gate:
    """The outermost layer of the app.

    Args:
        app: what is inside.
        service: whose key, rate and metrics these are.
    """

    def __init__(self, app: App, service: Service) -> None:
        self._app, self._service = app, service
        settings = service.settings
        self._key = settings.api_key.encode() if settings.api_key else None
        self._origins = frozenset(settings.cors)
        self._rate = Rate(settings.limits.requests_per_minute, clients=settings.limits.clients)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request or WebSocket."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        request = _Request(scope, send)
        try:
            self._check(scope, request)
            await self._app(scope, _bounded(scope, request, receive), request.send)
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

    def _check(self, scope: Scope, request: _Request) -> None:
        path = scope["path"]
        if path not in _UNCOUNTED and not path.startswith(_ASSETS):
            wait = self._rate.wait_seconds((scope.get("client") or ("?",))[0])
            if wait:
                raise Refusal(
                    "too_many_requests", "client: it asks too often; wait a little", retry_seconds=int(wait) + 1
                )
        if self._key is not None and path not in _OPEN and not self._has_key(request.headers):
            raise Refusal("unauthorized", "key: got none or another one; expected the header X-API-Key")
        if scope["type"] == "websocket" and not self._may_come_from(request.headers):
            raise Refusal("forbidden", "origin: pages of other sites may not call; allow them with cors=")

    def _has_key(self, headers: dict[bytes, bytes]) -> bool:
        """Whether the key was sent, as X-API-Key, as a bearer token, or as the password of a browser's question."""
        assert self._key is not None
        given = headers.get(b"x-api-key", b"")
        scheme, _, rest = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() == b"bearer":
            given = given or rest.strip()
        elif scheme.lower() == b"basic":
            try:
                given = given or base64.b64decode(rest, validate=True).partition(b":")[2]
            except binascii.Error:
                return False
        return hmac.compare_digest(given, self._key)

    def _may_come_from(self, headers: dict[bytes, bytes]) -> bool:
        """Whether a WebSocket is opened by no page, a page of this server, or one that may call."""
        origin = headers.get(b"origin", b"").decode("latin-1")
        return (
            not origin
            or origin in self._origins
            or origin.partition("://")[2] == headers.get(b"host", b"").decode("latin-1")
        )

    def _note(self, scope: Scope, request: _Request) -> None:
        seconds = time.perf_counter() - request.start
        route = getattr(scope.get("route"), "path", None) or ("/demo" if scope["path"].startswith("/demo") else "none")
        method = scope.get("method", "WEBSOCKET")
        if scope["type"] == "http":
            self._service.metrics.requests.labels(method, route, str(request.status)).observe(seconds)
        if request.status >= 400:
            self._service.metrics.errors.labels(request.kind or "http").inc()
        level = logging.DEBUG if route in _UNCOUNTED else logging.INFO
        told = {"method": method, "route": route, "status": request.status, "seconds": round(seconds, 4)}
        log.log(level, "request", extra={"request_id": request.id, **told})


def _bounded(scope: Scope, request: _Request, receive: Receive) -> Receive:
    """Returns what reads a body, but not a long one: only forms that are posted may be, whose bytes others count."""
    if scope["type"] != "http" or _may_be_long(scope, request):
        return receive
    count = 0

    async def read() -> MutableMapping[str, Any]:
        nonlocal count
        message = await receive()
        count += len(message.get("body", b""))
        if count > _BODY_BYTES:
            raise Refusal("too_large", f"request: got more than {_BODY_BYTES:,} bytes; expected a form, or less")
        return message

    return read


def _may_be_long(scope: Scope, request: _Request) -> bool:
    form = request.headers.get(b"content-type", b"").lower().startswith(b"multipart/form-data")
    return form and scope["method"] == "POST" and (scope["path"].startswith("/api/") or scope["path"] == DEMO_UPLOAD)


class _Request:
    """One request on its way through."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        given = self.headers.get(b"x-request-id", b"").decode("latin-1")
        self.id = given if _GIVEN_ID.fullmatch(given) else uuid.uuid4().hex
        self.start = time.perf_counter()
        self.status = 0
        self.kind: str | None = None
        self._scope, self._send = scope, send
        scope.setdefault("state", {})["request"] = self

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Passes a message on; the first one gets the headers."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            own = [(b"x-request-id", self.id.encode()), *_HEADERS]
            if self._scope["path"].startswith("/demo"):
                own.append(_ITSELF)
            elif not self._scope["path"].startswith(_PAGES):
                own.append(_NOTHING_ELSE)
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
