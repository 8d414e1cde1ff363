"""The page /docs: every route with what it takes and gives, made from the OpenAPI description; it loads nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from mot_reid.viewing.html.templates import render

_TEMPLATES = Path(__file__).parent / "templates"
_POLICY = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"}


def build_router() -> APIRouter:
    """Returns the route of the page."""
    router = APIRouter(include_in_schema=False)

    @router.get("/docs")
    def docs(request: Request) -> HTMLResponse:
        page = _page(request.app.openapi, request.app.version, request.app.description)
        return HTMLResponse(page, headers=_POLICY)

    return router


@cache
def _page(openapi: Any, version: str, about: str) -> str:
    groups: dict[str, list[dict[str, Any]]] = {}
    for operation in _operations(openapi()):
        groups.setdefault(operation["group"], []).append(operation)
    return str(render("docs.html", {"version": version, "about": about, "groups": groups}, folder=_TEMPLATES))


def _operations(openapi: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yields each method of each path as the template shows it."""
    for path, methods in openapi["paths"].items():
        for method, told in methods.items():
            fields = list(_fields(told, openapi))
            yield {
                "group": told.get("tags", ["other"])[0],
                "method": method.upper(),
                "path": path,
                "summary": told.get("summary", ""),
                "fields": fields,
                "answers": {status: answer["description"] for status, answer in told["responses"].items()},
                "curl": _curl(method, path, fields),
            }


def _fields(told: Mapping[str, Any], openapi: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yields what a request takes: parts of the path, of the query, and of the form or JSON."""
    for parameter in told.get("parameters", []):
        schema = parameter.get("schema", {})
        meaning = parameter.get("description") or schema.get("description", "")
        yield _field(parameter["name"], parameter["in"], schema, parameter.get("required", False), meaning)
    for kind, content in told.get("requestBody", {}).get("content", {}).items():
        schema = content["schema"]
        if "$ref" in schema:
            schema = openapi["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        where = "form" if "form" in kind else "JSON"
        for name, field in schema["properties"].items():
            yield _field(name, where, field, name in schema.get("required", []), field.get("description", ""))


def _field(name: str, where: str, schema: Mapping[str, Any], needed: bool, meaning: str) -> dict[str, Any]:
    return {"name": name, "where": where, "type": _type(schema), "needed": needed, "meaning": meaning,
            "default": schema.get("default")}  # fmt: skip


def _type(schema: Mapping[str, Any]) -> str:
    """Returns what may be given, in words."""
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if "anyOf" in schema:
        return _type(schema["anyOf"][0])
    if schema.get("format") == "binary":
        return "file"
    if schema.get("type") == "array":
        return f"{_type(schema['items'])}, one or more"
    return str(schema.get("type", ""))


def _curl(method: str, path: str, fields: list[dict[str, Any]]) -> str:
    """Returns a command that sends such a request; words in capitals are for the reader to fill in."""
    parts = ["curl --fail"]
    if method not in ("get", "post"):
        parts.append(f"--request {method.upper()}")
    elif method == "post" and not any(field["where"] in ("form", "JSON") for field in fields):
        parts.append("--request POST")
    parts += [f"--form {field['name']}={'@FILE' if 'file' in field['type'] else field['name'].upper()}"
              for field in fields if field["where"] == "form" and field["needed"]]  # fmt: skip
    body = [field["name"] for field in fields if field["where"] == "JSON"]
    if body:
        pairs = ", ".join(f'"{name}": "{name.upper()}"' for name in body)
        parts.append(f"--header 'Content-Type: application/json' --data '{{{pairs}}}'")
    return " ".join([*parts, "http://SERVER" + path.replace("{", "").replace("}", "")])
