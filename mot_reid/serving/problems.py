"""How the documentation of a route names its refusals, and its form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mot_reid.serving.refusal import STATUS, Kind
from mot_reid.serving.schemas import Problem


def problems(*kinds: Kind) -> dict[int | str, dict[str, Any]]:
    """Returns the `responses` of a route that may refuse for these reasons, beside those that every route has.

    Args:
        kinds: of its refusals.
    """
    every: tuple[Kind, ...] = ("unauthorized", "too_many_requests", "invalid", "internal")
    return {STATUS[kind]: {"model": Problem, "description": kind.replace("_", " ")} for kind in (*every, *kinds)}


def form(file: str, fields: Mapping[str, Any], *, many: bool = False) -> dict[str, Any]:
    """Returns the `openapi_extra` of a route that takes a form.

    Args:
        file: the name of the field with the file.
        fields: the schema of each further field.
        many: whether the file may come several times.
    """
    one = {"type": "string", "format": "binary"}
    properties = {file: {"type": "array", "items": one, "minItems": 1} if many else one, **fields}
    schema = {"type": "object", "required": [file], "properties": properties, "additionalProperties": False}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}
