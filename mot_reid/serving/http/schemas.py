"""What the HTTP interface takes and gives, with examples for its documentation."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from mot_reid.serving.galleries.gallery import Answer, Person
from mot_reid.serving.jobs.job_store import State, StoredJob
from mot_reid.serving.refusal import STATUS, Kind
from mot_reid.serving.site_people import SiteVideo as VideoOfSite
from mot_reid.settings.tracker_parameters import default_preset

_ID = "kqzvnwtyhbmdorpexfcsjgal"


class Problem(BaseModel):
    """Why a request was not served."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "error": "file: got a file of another kind; expected a video: AVI, MP4, MOV, MKV or WebM",
                    "kind": "unsupported",
                    "request_id": "7c1f4d0a2b9e4c5f8a6d3e2b1c0f9a8d",
                }
            ]
        }
    )
    error: str = Field(description="one sentence for people")
    kind: Kind = Field(description="for programs")
    request_id: str = Field(description="names the request in the log of the server")


def problems(*kinds: Kind) -> dict[int | str, dict[str, Any]]:
    """Returns the `responses` of a route that may refuse for these reasons, and for those that every route has.

    Args:
        kinds: of its refusals.
    """
    every: tuple[Kind, ...] = ("unauthorized", "too_many_requests", "invalid", "internal")
    return {STATUS[kind]: {"model": Problem, "description": kind.replace("_", " ")} for kind in (*every, *kinds)}


class Progress(BaseModel):
    """How far a job is."""

    frames_done: int
    frames: int | None = Field(description="as the video announces; null where it does not")


class Statistics(BaseModel):
    """Of the tracks of a video."""

    model_config = ConfigDict(extra="allow")
    boxes: int
    tracks_per_frame: float
    median_length: float = Field(description="frames in which a track is seen")
    longest: int = Field(description="frames")
    lengths: dict[str, int] = Field(description="frames by track")
    tracks_left_out: int = Field(description="short or unsure ones")
    seconds: float = Field(description="of work")
    stages: dict[str, dict[str, float]] = Field(description="speed of each stage")


class VideoResult(BaseModel):
    """What came of a video."""

    total_frames: int
    total_tracks: int
    avg_fps: float
    output_video_path: str | None = Field(description="address of the annotated video on this server; null for none")
    mot_path: str = Field(description="address of the tracks in MOTChallenge's format on this server")
    statistics: Statistics


class Job(BaseModel):
    """A video that is tracked."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": _ID,
                    "state": "running",
                    "preset": default_preset(_ID),
                    "visualize": True,
                    "created_at": "2025-06-01T12:00:00Z",
                    "started_at": "2025-06-01T12:00:01Z",
                    "ended_at": None,
                    "attempts": 1,
                    "progress": {"frames_done": 311, "frames": 795},
                    "result": None,
                    "error": None,
                }
            ]
        }
    )
    id: str
    state: State
    preset: str
    visualize: bool
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    attempts: int = Field(description="how often it was begun")
    progress: Progress
    result: VideoResult | None = Field(description="once it is done")
    error: str | None = Field(description="why it failed")


class Jobs(BaseModel):
    """Jobs, the newest first."""

    jobs: list[Job]


class Detection(BaseModel):
    """A person in an image."""

    xyxy: list[float] = Field(description="left, top, right, bottom in pixels", examples=[[412.5, 88.0, 460.25, 201.5]])
    score: float
    class_id: int


class ImageAnswer(BaseModel):
    """The people in an image."""

    width: int
    height: int
    detections: list[Detection]


class Embeddings(BaseModel):
    """Vectors of unit length; two show the same person where their dot product reaches the threshold."""

    embeddings: list[list[float]]
    dimension: int
    threshold: float | None = Field(description="calibrated cosine similarity of the same person")
    model: str


class GallerySize(BaseModel):
    """A gallery."""

    name: str = Field(examples=["office"])
    persons: int


class Galleries(BaseModel):
    """The galleries of the server."""

    galleries: list[GallerySize]


class KnownPerson(BaseModel):
    """Somebody who was enrolled."""

    id: str = Field(examples=[_ID])
    name: str = Field(examples=["Ada"])
    crops: int = Field(description="images that were enrolled")
    enrolled_at: datetime
    seen_at: datetime = Field(description="last enrolled or recognised, to the hour")
    damaged: bool = Field(description="whether embeddings are lost: not found until deleted and enrolled again")


class KnownPersons(BaseModel):
    """The people of a gallery, by name."""

    persons: list[KnownPerson]


class SitePerson(BaseModel):
    """Somebody who was seen at a site."""

    global_id: int = Field(examples=[3], description="the same in all sessions and videos of the site")
    tracks: int = Field(description="tracks that show this person")
    cameras: int = Field(description="sessions and videos that saw this person")
    name: str | None = Field(description="of the person in the gallery that is named; null for nobody it knows")


class SitePersons(BaseModel):
    """The people of a site, by identity."""

    persons: list[SitePerson]


class SiteTrack(BaseModel):
    """A track of a video."""

    track_id: int = Field(description="as in the tracks of the job")
    global_id: int = Field(description="the same in all sessions and videos of the site")


class SiteVideo(BaseModel):
    """A video of a site."""

    job: str = Field(examples=[_ID])
    state: State
    tracks: list[SiteTrack] | None = Field(description="without people who were forgotten; null until it was joined")


class SiteVideos(BaseModel):
    """The videos of a site, the oldest first; those of failed and cancelled jobs are not among them."""

    done: bool = Field(description="whether all were joined")
    videos: list[SiteVideo]


class NewName(BaseModel):
    """What a person is to be called."""

    name: str = Field(min_length=1, max_length=100, examples=["Ada Lovelace"])


class Similar(BaseModel):
    """A person of the gallery, and how similar."""

    person: KnownPerson
    similarity: float = Field(description="cosine, -1 to 1")


class SearchAnswer(BaseModel):
    """Who an image shows."""

    person: KnownPerson | None = Field(description="the most similar one, if similar enough; null for nobody known")
    threshold: float = Field(description="the similarity that is enough")
    matches: list[Similar] = Field(description="the most similar people, best first, similar enough or not")
    xyxy: list[float] | None = Field(description="where the person was seen, in pixels; null for all of the image")


class Health(BaseModel):
    """The server answers."""

    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """The models are loaded, and nothing is wrong."""

    status: Literal["ready"] = "ready"
    device: str
    detector: str | None
    reid: str | None
    threshold: float | None
    versions: dict[str, str]
    swept_at: datetime = Field(description="when old jobs and people were last removed")


def job_answer(job: StoredJob) -> Job:
    """Returns a job as clients see it."""
    return Job(
        id=job.id, state=job.state, preset=job.preset, visualize=job.visualize, attempts=job.attempts, error=job.error,
        created_at=moment(job.created), started_at=moment(job.started), ended_at=moment(job.ended),
        progress=Progress(frames_done=job.frames_done, frames=job.frames), result=_result(job),
    )  # fmt: skip


def person_answer(person: Person) -> KnownPerson:
    """Returns a person as clients see it."""
    return KnownPerson(
        id=person.id, name=person.name, crops=person.crops, enrolled_at=moment(person.enrolled),
        seen_at=moment(person.seen), damaged=person.damaged,
    )  # fmt: skip


def site_video_answer(video: VideoOfSite) -> SiteVideo:
    """Returns a video of a site as clients see it."""
    ids = video.global_ids
    tracks = None if ids is None else [SiteTrack(track_id=track, global_id=ids[track]) for track in sorted(ids)]
    return SiteVideo(job=video.job.id, state=video.job.state, tracks=tracks)


def search_answer(answer: Answer, xyxy: list[float] | None) -> SearchAnswer:
    """Returns who was found, and where, as clients see it."""
    return SearchAnswer(
        person=None if answer.person is None else person_answer(answer.person),
        threshold=answer.threshold,
        matches=[Similar(person=person_answer(match.person), similarity=match.similarity) for match in answer.matches],
        xyxy=xyxy,
    )


def _result(job: StoredJob) -> VideoResult | None:
    if job.result is None:
        return None
    summary: dict[str, Any] = dict(job.result)
    frames, tracks = summary.pop("frames"), summary.pop("tracks")
    return VideoResult(
        total_frames=frames,
        total_tracks=tracks,
        avg_fps=summary["frames_per_second"],
        output_video_path=f"/api/jobs/{job.id}/video" if job.visualize else None,
        mot_path=f"/api/jobs/{job.id}/mot",
        statistics=Statistics(**summary),
    )


def moment(seconds: float | None) -> Any:
    """Returns seconds since 1970 as a time; None as None."""
    return None if seconds is None else datetime.fromtimestamp(seconds, tz=timezone.utc)
