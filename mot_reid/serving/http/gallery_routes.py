"""Known people: enrolled by name from images, found again in others, and forgotten."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, status
from fastapi.concurrency import run_in_threadpool

from mot_reid.serving.content import image_format
from mot_reid.serving.http.forms import form_schema, number, place, received
from mot_reid.serving.http.image_routes import IMAGES
from mot_reid.serving.http.schemas import (
    Galleries,
    GallerySize,
    KnownPerson,
    KnownPersons,
    NewName,
    SearchAnswer,
    person_answer,
    problems,
    search_answer,
)  # fmt: skip
from mot_reid.serving.http.uploads import FormRule
from mot_reid.serving.refusal import Kind, Refusal
from mot_reid.serving.service import Service

Gallery = Annotated[str, Path(pattern="^[a-z0-9][a-z0-9_-]{0,63}$", description="its name")]
Id = Annotated[str, Path(pattern="^[a-z]{24}$", description="of the person")]

_NAME = {"type": "string", "minLength": 1, "maxLength": 100, "description": "of the person"}
_WHERE = {
    "type": "string",
    "default": "whole",
    "examples": ["whole", "largest", "[412, 88, 460, 201]"],
    "description": "whole: the image shows one person; largest: find the largest in it; or [x1, y1, x2, y2] in pixels",
}
_THRESHOLD = {"type": "number", "minimum": -1, "maximum": 1, "description": "least similarity; else the calibrated one"}
_UPLOADS: tuple[Kind, ...] = ("bad_request", "timeout", "conflict", "too_large", "unsupported", "busy", "disk_full")


def build_router(service: Service) -> APIRouter:
    """Returns the routes of galleries."""
    router = APIRouter(prefix="/api/galleries", tags=["galleries"])
    limits = service.limits
    crops = FormRule(
        file="file", takes=image_format, expected=IMAGES, most_bytes=limits.image_bytes, most_files=limits.images,
        fields=("name", "where"), former=("files",),
    )  # fmt: skip
    crop = FormRule(
        file="file", takes=image_format, expected=IMAGES, most_bytes=limits.image_bytes,
        fields=("threshold", "where"),
    )  # fmt: skip

    @router.get("", summary="The galleries, and how many people are in each", responses=problems())
    def list_galleries() -> Galleries:
        names = service.galleries.names()
        return Galleries(galleries=[GallerySize(name=name, persons=count) for name, count in names.items()])

    @router.get("/{gallery}/persons", summary="The people of a gallery", responses=problems("not_found"))
    def list_persons(gallery: Gallery) -> KnownPersons:
        return KnownPersons(persons=[person_answer(person) for person in service.galleries.persons(gallery)])

    @router.post(
        "/{gallery}/persons",
        summary="Enrol a person, or add images to one",
        status_code=status.HTTP_201_CREATED,
        response_model=KnownPerson,
        responses=problems(*_UPLOADS),
        openapi_extra=form_schema({"name": _NAME, "where": _WHERE}, many=True, needed=("name",)),
    )
    async def enrol(gallery: Gallery, request: Request) -> KnownPerson:
        async with received(request, crops) as form:
            if "name" not in form.fields:
                raise Refusal("invalid", "name: got none; expected the name of the person")
            name, where = form.fields["name"], place(form.fields)
            return person_answer(await run_in_threadpool(service.enrol, gallery, name, form.files, where=where))

    @router.post(
        "/{gallery}/search",
        summary="Who an image shows, which may be nobody known",
        response_model=SearchAnswer,
        responses=problems("not_found", *_UPLOADS),
        openapi_extra=form_schema({"threshold": _THRESHOLD, "where": _WHERE}),
    )
    async def search(gallery: Gallery, request: Request) -> SearchAnswer:
        async with received(request, crop) as form:
            threshold = number("threshold", form.fields, low=-1, high=1)
            sighting = await run_in_threadpool(
                service.search, gallery, form.files[0], where=place(form.fields), threshold=threshold
            )
            return search_answer(sighting.answer, sighting.xyxy)

    @router.patch(
        "/{gallery}/persons/{id}",
        summary="Give a person another name",
        responses=problems("bad_request", "not_found", "conflict", "too_large"),
    )
    def rename(gallery: Gallery, id: Id, new: NewName) -> KnownPerson:
        return person_answer(service.galleries.rename(gallery, id, new.name))

    @router.delete(
        "/{gallery}/persons/{id}",
        summary="Forget a person, here and at all sites",
        status_code=status.HTTP_204_NO_CONTENT,
        responses=problems("not_found"),
    )
    def delete_person(gallery: Gallery, id: Id) -> None:
        service.delete_person(gallery, id)

    @router.delete(
        "/{gallery}",
        summary="Forget a gallery with everybody in it, who are forgotten at all sites, too",
        status_code=status.HTTP_204_NO_CONTENT,
        responses=problems("not_found"),
    )
    def delete_gallery(gallery: Gallery) -> None:
        service.delete_gallery(gallery)

    return router
