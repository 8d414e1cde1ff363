"""Images in, people or embeddings out, at once."""

from __future__ import annotations

import base64
import json
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from mot_reid.serving.content import image_format
from mot_reid.serving.http.forms import boolean, form_schema, is_box, received
from mot_reid.serving.http.schemas import Embeddings, ImageAnswer, problems
from mot_reid.serving.http.uploads import FormRule
from mot_reid.serving.refusal import Refusal
from mot_reid.serving.service import Service

IMAGES = "a JPEG, PNG, WebP or BMP image"

_BOXES = {"type": "string", "description": "JSON: [[x1, y1, x2, y2], ..] in pixels of the one image"}
_VISUALIZE = {"type": "boolean", "default": False, "description": "answer with the annotated image instead"}


def build_router(service: Service) -> APIRouter:
    """Returns the routes of images."""
    router = APIRouter(prefix="/api", tags=["images"])
    refusals = problems("bad_request", "timeout", "too_large", "unsupported", "busy", "disk_full")
    most_bytes, most_files = service.limits.image_bytes, service.limits.images
    one = FormRule(file="file", takes=image_format, expected=IMAGES, most_bytes=most_bytes, fields=("visualize",))
    many = FormRule(
        file="file", takes=image_format, expected=IMAGES, most_bytes=most_bytes, most_files=most_files,
        fields=("boxes",), former=("files",),
    )  # fmt: skip

    @router.post(
        "/inference/image",
        summary="Find the people in an image",
        response_model=ImageAnswer,
        responses={200: {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}}, **refusals},
        openapi_extra=form_schema({"visualize": _VISUALIZE}),
    )
    async def post_image(request: Request) -> Response:
        async with received(request, one) as form:
            visualize = boolean("visualize", form.fields)
            answer = await run_in_threadpool(service.track_image, form.files[0], visualize=visualize)
        if visualize:
            return Response(base64.b64decode(answer["jpeg"]), media_type="image/jpeg")
        return JSONResponse(answer)

    @router.post(
        "/embed",
        summary="Embed people",
        response_model=Embeddings,
        responses=refusals,
        openapi_extra=form_schema({"boxes": _BOXES}, many=True),
    )
    async def post_embed(request: Request) -> Embeddings:
        async with received(request, many) as form:
            boxes = _boxes(form.fields.get("boxes"), service.limits.boxes)
            if boxes is not None and len(form.files) > 1:
                raise Refusal("invalid", "boxes: got several images; expected one")
            found = await run_in_threadpool(service.embed, form.files, boxes=boxes)
        facts = service.facts
        return Embeddings(
            embeddings=found, dimension=facts["embedding_dim"], threshold=facts["threshold"], model=facts["reid"]
        )

    return router


def _boxes(text: str | None, most: int) -> list[list[float]] | None:
    """Returns the boxes of a form; None where it names none."""
    if text is None:
        return None
    expected = "boxes: got something else; expected JSON such as [[10, 20, 60, 180]]"
    try:
        boxes: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise Refusal("invalid", expected) from None
    if not (isinstance(boxes, list) and all(is_box(box) for box in boxes)):
        raise Refusal("invalid", expected)
    if len(boxes) > most:
        raise Refusal("invalid", f"boxes: got {len(boxes)}; expected at most {most}")
    return boxes
