"""What the HTTP interface takes and gives, with examples for its documentation."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from mot_reid.serving.refusal import Kind
from mot_reid.serving.store import State, StoredJob

Preset = Literal["bytetrack", "bytetrack_reid", "botsort", "ocsort", "sort"]

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
                    "preset": "bytetrack_reid",
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


class Health(BaseModel):
    """The server answers."""

    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """The models are loaded."""

    status: Literal["ready"] = "ready"
    device: str
    detector: str | None
    reid: str | None
    threshold: float | None
    versions: dict[str, str]


def job_answer(job: StoredJob) -> Job:
    """Returns a job as clients see it."""
    return Job(
        id=job.id, state=job.state, preset=job.preset, visualize=job.visualize, attempts=job.attempts, error=job.error,
        created_at=_moment(job.created), started_at=_moment(job.started), ended_at=_moment(job.ended),
        progress=Progress(frames_done=job.frames_done, frames=job.frames), result=_result(job),
    )  # fmt: skip


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


def _moment(seconds: float | None) -> Any:
    return None if seconds is None else datetime.fromtimestamp(seconds, tz=timezone.utc)
