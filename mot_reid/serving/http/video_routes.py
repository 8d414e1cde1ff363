"""Videos in, jobs out."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response, status
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, JSONResponse

from mot_reid.serving.content import video_format
from mot_reid.serving.http.forms import boolean, form_schema, received
from mot_reid.serving.http.schemas import Job, Jobs, VideoResult, job_answer, problems
from mot_reid.serving.http.uploads import FormRule
from mot_reid.serving.jobs.job_store import ENDED, State, StoredJob
from mot_reid.serving.refusal import Refusal
from mot_reid.serving.service import Service
from mot_reid.settings.tracker_parameters import PRESET_NAMES

Id = Annotated[str, Path(pattern="^[a-z]{24}$", description="of the job")]

_LOOK_SECONDS = 0.25
_FIELDS: dict[str, dict[str, Any]] = {
    "visualize": {"type": "boolean", "default": False, "description": "whether an annotated video is wanted"},
    "preset": {"type": "string", "enum": list(PRESET_NAMES), "description": "of the tracker"},
    "site": {"type": "string", "maxLength": 64, "description": "whose videos and live sessions share their people"},
}


def build_router(service: Service) -> APIRouter:
    """Returns the routes of videos and jobs."""
    router = APIRouter(prefix="/api", tags=["videos"])
    rule = FormRule(
        file="file", takes=video_format, expected="a video: AVI, MP4, MOV, MKV, WebM, MPEG, TS, FLV or WMV",
        most_bytes=service.limits.upload_bytes, fields=tuple(_FIELDS), large=True,
    )  # fmt: skip

    @router.post(
        "/inference/video",
        summary="Track the people in a video",
        status_code=status.HTTP_202_ACCEPTED,
        response_model=Job,
        responses={
            200: {"model": VideoResult, "description": "the result, with wait=true"},
            **problems("bad_request", "timeout", "too_large", "unsupported", "conflict", "busy", "disk_full"),
        },
        openapi_extra=form_schema(_FIELDS),
    )
    async def post_video(
        request: Request,
        wait: Annotated[bool, Query(description="answer with the result when it is done, instead of at once")] = False,
    ) -> Response:
        async with received(request, rule) as form:
            visualize, preset = boolean("visualize", form.fields), form.fields.get("preset")
            job = await run_in_threadpool(
                service.submit_video, form.files[0], preset=preset, visualize=visualize, site=form.fields.get("site")
            )
        if wait:
            job = await _ended(service, job)
        return _answer(job, waited=wait)

    @router.get("/jobs", summary="The jobs, newest first", responses=problems())
    def list_jobs(
        state: Annotated[State | None, Query(description="only jobs in this state")] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
        offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    ) -> Jobs:
        return Jobs(jobs=[job_answer(job) for job in service.jobs.newest(state=state, most=limit, skip=offset)])

    @router.get("/jobs/{id}", summary="How a job is doing, and its result", responses=problems("not_found"))
    def get_job(id: Id) -> Job:
        return job_answer(service.jobs.get(id))

    @router.get(
        "/jobs/{id}/video",
        summary="The annotated video",
        response_class=FileResponse,
        responses={200: _file("video/mp4"), **problems("not_found", "conflict")},
    )
    def get_video(id: Id) -> FileResponse:
        return FileResponse(service.jobs.video_path(id), media_type="video/mp4", filename=f"{id}.mp4")

    @router.get(
        "/jobs/{id}/mot",
        summary="The tracks in MOTChallenge's format",
        response_class=FileResponse,
        responses={200: _file("text/plain"), **problems("not_found", "conflict")},
    )
    def get_mot(id: Id) -> FileResponse:
        return FileResponse(service.jobs.mot_path(id), media_type="text/plain", filename=f"{id}.txt")

    @router.post("/jobs/{id}/cancel", summary="Stop a job", responses=problems("not_found", "conflict"))
    def cancel_job(id: Id) -> Job:
        return job_answer(service.jobs.cancel(id))

    @router.delete(
        "/jobs/{id}",
        summary="Forget a job and its files, whether it runs or not",
        status_code=status.HTTP_204_NO_CONTENT,
        responses=problems("not_found"),
    )
    def delete_job(id: Id) -> None:
        service.jobs.delete(id)

    return router


async def _ended(service: Service, job: StoredJob) -> StoredJob:
    """Returns the job when it has ended, or as it stands when that takes too long or the server stops."""
    end = time.monotonic() + service.limits.wait_seconds
    while job.state not in ENDED and time.monotonic() < end and not service.closing:
        await asyncio.sleep(_LOOK_SECONDS)
        job = await run_in_threadpool(service.jobs.get, job.id)
    return job


def _answer(job: StoredJob, *, waited: bool) -> Response:
    told = job_answer(job)
    if waited and job.state == "failed":
        raise Refusal("invalid", job.error or "job: it failed")
    if waited and told.result is not None:
        return JSONResponse(told.result.model_dump(mode="json"))
    return JSONResponse(
        told.model_dump(mode="json"), status.HTTP_202_ACCEPTED, headers={"Location": f"/api/jobs/{job.id}"}
    )


def _file(media_type: str) -> dict[str, Any]:
    return {"content": {media_type: {"schema": {"type": "string", "format": "binary"}}}, "description": "the file"}
