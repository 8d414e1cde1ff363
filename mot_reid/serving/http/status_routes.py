"""Whether the server lives, whether it is ready, and its numbers."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from mot_reid.serving import prometheus
from mot_reid.serving.http.schemas import Health, Ready, moment, problems
from mot_reid.serving.refusal import Refusal
from mot_reid.serving.service import Service


def build_router(service: Service) -> APIRouter:
    """Returns the routes that operators and their machines ask."""
    router = APIRouter(tags=["status"])

    @router.head("/health", include_in_schema=False)  # as some monitors ask
    @router.get("/health", summary="Whether the server answers")
    async def health() -> Health:
        return Health()

    @router.head("/ready", include_in_schema=False)
    @router.get("/ready", summary="Whether the models are loaded and nothing is wrong", responses=problems("busy"))
    async def ready() -> Ready:
        state = service.readiness()
        if not state.ready:
            raise Refusal("busy", state.problem or "server: the models are being loaded", retry_seconds=2)
        facts = {"reid": None, "threshold": None} | state.facts
        told = {name: facts[name] for name in ("device", "detector", "reid", "threshold", "versions")}
        return Ready(**told, swept_at=moment(service.swept))

    @router.get("/metrics", summary="Numbers for Prometheus", response_class=Response,
                responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}})  # fmt: skip
    def numbers() -> Response:
        return Response(service.metrics.text(), media_type=prometheus.CONTENT_TYPE)

    return router
