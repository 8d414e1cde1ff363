"""The gate by itself, around an app that answers everything."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from mot_reid.config import load_settings
from mot_reid.serve_schema import ServeSettings
from mot_reid.serving.gate import Gate
from mot_reid.serving.metrics import Metrics


def headers(path: str) -> dict[str, str]:
    """Those of the answer to a GET."""
    sent: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def send(message: Any) -> None:
        sent.append(message)

    settings = load_settings(ServeSettings, [], base="serve")
    gate = Gate(app, SimpleNamespace(settings=settings, limits=settings.limits, metrics=Metrics()))  # type: ignore[arg-type]
    asyncio.run(gate({"type": "http", "path": path, "method": "GET", "headers": []}, None, send))  # type: ignore[arg-type]
    return {name.decode(): value.decode() for name, value in sent[0]["headers"]}


@pytest.mark.parametrize("path", ["/demo", "/demo/", "/demo/assets/a.js"])
def test_demo_may_load_from_this_server_only(path: str) -> None:
    """No directive names a host or a scheme that leaves the machine, so that the page cannot report anywhere."""
    policy = headers(path)["content-security-policy"]
    allowed = {source for directive in policy.split(";") for source in directive.split()[1:]}
    assert policy.startswith("default-src 'self' ") and "frame-ancestors 'none'" in policy
    assert allowed == {"'self'", "'none'", "'unsafe-inline'", "'unsafe-eval'", "data:", "blob:"}


def test_answers_for_programs_may_load_nothing() -> None:
    assert headers("/api/jobs")["content-security-policy"].startswith("default-src 'none'")
    assert "content-security-policy" not in headers("/docs")
