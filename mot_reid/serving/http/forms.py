"""Forms with files, as the routes take them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from mot_reid.serving.http.uploads import Form, FormRule
from mot_reid.serving.refusal import Refusal
from mot_reid.serving.service import Where

_MOST_PIXELS = 1e6


@asynccontextmanager
async def received(request: Request, rule: FormRule) -> AsyncIterator[Form]:
    """The form of a request; files that are still where they were received are removed in the end.

    Raises:
        Refusal: see `Uploads.receive`.
    """
    headers = request.headers
    form: Form = await request.app.state.uploads.receive(
        request.stream(),
        rule,
        content_type=headers.get("content-type", ""),
        announced=headers.get("content-length"),
        client=request.client.host if request.client else "?",
    )
    try:
        yield form
    finally:
        await run_in_threadpool(form.discard)


def boolean(name: str, fields: Mapping[str, str]) -> bool:
    """Returns a field that says yes or no; no where it is not there.

    Raises:
        Refusal: it says something else.
    """
    text = fields.get(name, "false")
    if text not in ("true", "false"):
        raise Refusal("invalid", f"{name}: got '{text[:40]}'; expected true or false")
    return text == "true"


def number(name: str, fields: Mapping[str, str], *, low: float, high: float) -> float | None:
    """Returns a field that is a number; None where it is not there.

    Args:
        name: of the field.
        fields: of the form.
        low: the least it may be.
        high: the most it may be.

    Raises:
        Refusal: it is none, or out of its range.
    """
    if name not in fields:
        return None
    try:
        value = float(fields[name])
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise Refusal("invalid", f"{name}: got '{fields[name][:40]}'; expected a number from {low:g} to {high:g}")
    return value


def place(fields: Mapping[str, str]) -> Where:
    """Returns the field `where`, which says which person of an image is meant; all of it where it is not there.

    Raises:
        Refusal: it says something else.
    """
    text = fields.get("where", "whole")
    if text in ("whole", "largest"):
        return text  # type: ignore[return-value]
    try:
        box = json.loads(text)
    except (ValueError, RecursionError):
        box = None
    if not is_box(box):
        raise Refusal("invalid", f"where: got '{text[:40]}'; expected whole, largest, or a box [x1, y1, x2, y2]")
    return box  # type: ignore[no-any-return]


def is_box(value: Any) -> bool:
    """Whether something read as JSON is x1, y1, x2, y2, none of them beyond what pixels can be."""
    return (
        isinstance(value, list)
        and len(value) == 4
        and all(type(side) in (int, float) and abs(side) < _MOST_PIXELS for side in value)
    )


def form_schema(fields: Mapping[str, Any], *, many: bool = False, needed: tuple[str, ...] = ()) -> Any:
    """Returns the `openapi_extra` of a route that takes a form.

    Args:
        fields: the schema of each field but `file`, which holds the file or files.
        many: whether the file may come several times.
        needed: the further fields that must be there.
    """
    one = {"type": "string", "format": "binary"}
    properties = {"file": {"type": "array", "items": one, "minItems": 1} if many else one, **fields}
    schema = {"type": "object", "required": ["file", *needed], "properties": properties, "additionalProperties": False}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}
