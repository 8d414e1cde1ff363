"""The gate by itself, around an app that answers everything."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from mot_reid.serving.http.gate import Gate, Pages
from mot_reid.serving.prometheus import Metrics
from mot_reid.settings.load import load_settings
from mot_reid.settings.serving import ServeSettings


async def answer_all(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def answers(path: str, app: Any = answer_all, *, closing: bool = False) -> list[dict[str, Any]]:
    """What is sent for a GET."""
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    settings = load_settings(ServeSettings, [], base="serve")
    service: Any = SimpleNamespace(settings=settings, limits=settings.limits, metrics=Metrics(), closing=closing)
    scope = {"type": "http", "path": path, "method": "GET", "headers": []}
    await Gate(app, service, Pages("/demo", "/demo/assets/", "/demo/upload"))(scope, None, send)  # type: ignore[arg-type]
    return sent


def headers(path: str) -> dict[str, str]:
    """Those of the answer to a GET."""
    return {name.decode(): value.decode() for name, value in asyncio.run(answers(path))[0]["headers"]}


@pytest.mark.parametrize("path", ["/demo", "/demo/", "/demo/assets/a.js"])
def test_demo_may_load_from_this_server_only(path: str) -> None:
    """No directive names a host or a scheme that leaves the machine, so that the page cannot report anywhere."""
    policy = headers(path)["content-security-policy"]
    allowed = {source for directive in policy.split(";") for source in directive.split()[1:]}
    assert policy.startswith("default-src 'self' ") and "frame-ancestors 'none'" in policy
    assert allowed == {"'self'", "'none'", "'unsafe-inline'", "'unsafe-eval'", "data:", "blob:"}


def test_answers_for_programs_may_load_nothing() -> None:
    assert headers("/api/jobs")["content-security-policy"].startswith("default-src 'none'")


@pytest.mark.parametrize("closing", [True, False])
def test_request_that_the_stopping_server_gives_up_gets_a_sentence(closing: bool) -> None:
    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(60)

    async def given_up() -> list[dict[str, Any]]:
        request = asyncio.create_task(answers("/api/jobs", slow, closing=closing))
        await asyncio.sleep(0.01)
        request.cancel()
        return await request

    if closing:
        start, body = asyncio.run(given_up())
        assert start["status"] == 503 and b"it is being stopped" in body["body"]
    else:
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(given_up())
