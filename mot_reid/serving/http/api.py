"""The HTTP interface: a FastAPI app around a `Service`."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, WebSocket
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError, StarletteHTTPException, WebSocketRequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import Response

from mot_reid import __version__
from mot_reid.serving.http import (
    docs,
    gallery_routes,
    image_routes,
    live_routes,
    site_routes,
    status_routes,
    video_routes,
)
from mot_reid.serving.http.gate import Gate, Pages, problem_body, problem_headers
from mot_reid.serving.http.uploads import Uploads
from mot_reid.serving.refusal import STATUS, Kind, Refusal
from mot_reid.serving.service import Service

_ABOUT = """Finds people in videos and images, follows them, and knows them again.

Send a video to `/api/inference/video`; the answer is a job, whose progress and result `/api/jobs/{id}` tells. Every
refusal is a JSON object with a sentence (`error`), a word for programs (`kind`) and the `request_id` of the log.
"""
_KINDS: dict[int, Kind] = {status: kind for kind, status in STATUS.items()}


def build_app(service: Service, *, pages: Pages | None = None) -> FastAPI:
    """Returns the app; it starts the service and closes it.

    Args:
        service: not started yet.
        pages: that will be mounted into the app; None for none.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.start()
        try:
            yield
        finally:
            await run_in_threadpool(service.close)

    app = FastAPI(
        title="mot_reid", version=__version__, description=_ABOUT, lifespan=lifespan, docs_url=None, redoc_url=None
    )
    app.include_router(docs.build_router())
    app.state.uploads = Uploads(service.folder / "uploads", service.limits, spared_seconds=service.spared_seconds)
    for module in (status_routes, video_routes, image_routes, gallery_routes, live_routes, site_routes):
        app.include_router(module.build_router(service))
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(StarletteHTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _not_valid)
    app.add_exception_handler(WebSocketRequestValidationError, _not_valid_live)
    app.add_middleware(Gate, service=service, pages=pages)
    if service.settings.cors:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(service.settings.cors),
            allow_methods=["GET", "POST", "PATCH", "DELETE"],
            allow_headers=["X-API-Key", "Authorization", "Content-Type", "X-Request-ID"],
            expose_headers=["X-Request-ID", "Retry-After"],
        )
    return app


async def _refused(request: Request, error: Any) -> Response:
    passed = request.state.request
    passed.kind = error.kind
    return Response(
        problem_body(error, passed.id), STATUS[error.kind], problem_headers(error), media_type="application/json"
    )


async def _http_error(request: Request, error: Any) -> Response:
    if isinstance(error.__cause__, Refusal):  # of the body, which FastAPI read
        return await _refused(request, error.__cause__)
    sentences = {404: "route: there is none of that name", 405: "route: it does not take this method"}
    kind = _KINDS.get(error.status_code, "bad_request")
    answer = await _refused(request, Refusal(kind, sentences.get(error.status_code, f"request: {error.detail}")))
    answer.headers.update(error.headers or {})
    if kind == "method_not_allowed":  # of all routes of that name, not only of the first
        answer.headers["Allow"] = ", ".join(sorted(_methods(request.app, request.url.path)))
    return answer


def _methods(app: FastAPI, path: str) -> set[str]:
    """Returns the methods that a path takes."""
    found: set[str] = set()
    for template, methods in app.openapi()["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
            found |= {method.upper() for method in methods}
    return found


async def _not_valid(request: Request, error: Any) -> Response:
    return await _refused(request, _mistake(error))


async def _not_valid_live(socket: WebSocket, error: Any) -> None:
    raise _mistake(error)  # which the gate answers


def _mistake(error: Any) -> Refusal:
    """Returns the refusal for the first of the values that are none."""
    first = error.errors()[0]
    where = ".".join(part for part in first["loc"][1:] if isinstance(part, str)) or "request"
    return Refusal("invalid", f"{where}: {first['msg']}")
