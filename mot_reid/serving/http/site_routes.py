"""Sites: who was seen by the live sessions and in the videos of one place, and forgotten on request."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, status

from mot_reid.serving.http.schemas import SitePerson, SitePersons, SiteVideos, problems, site_video_answer
from mot_reid.serving.service import Service

Name = Annotated[str, Path(max_length=80, description="of the site")]
GlobalId = Annotated[int, Path(ge=1, le=2**53, description="identity, as answers of live sessions have it")]
Gallery = Annotated[str | None, Query(max_length=80, description="that names the people it knows")]


def build_router(service: Service) -> APIRouter:
    """Returns the routes of sites."""
    router = APIRouter(prefix="/api/sites", tags=["live"])

    @router.get(
        "/{site}/persons", summary="Who was seen at a site", responses=problems("not_found", "conflict", "busy")
    )
    def list_persons(site: Name, gallery: Gallery = None) -> SitePersons:
        found = service.sites.persons(site, gallery)
        return SitePersons(
            persons=[
                SitePerson(global_id=one.global_id, tracks=one.tracks, cameras=one.cameras, name=name)
                for one, name in found
            ]
        )

    @router.get(
        "/{site}/videos",
        summary="The videos of a site, joined once none of its jobs waits or runs",
        responses=problems("not_found", "conflict", "busy"),
    )
    def list_videos(site: Name) -> SiteVideos:
        found = service.sites.videos(site)
        return SiteVideos(
            done=all(one.global_ids is not None for one in found), videos=[site_video_answer(one) for one in found]
        )

    @router.delete(
        "/{site}/persons/{global_id}",
        summary="Forget a person of a site",
        status_code=status.HTTP_204_NO_CONTENT,
        responses=problems("not_found", "conflict", "busy", "disk_full"),
    )
    def delete_person(site: Name, global_id: GlobalId) -> None:
        service.sites.forget(site, global_id)

    @router.delete(
        "/{site}",
        summary="Forget a site with everybody in it",
        status_code=status.HTTP_204_NO_CONTENT,
        responses=problems("not_found"),
    )
    def delete_site(site: Name) -> None:
        service.sites.delete(site)

    return router
