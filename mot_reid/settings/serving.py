"""The keys of `tools/serve.py`: their types, what their values must satisfy, and what they mean.

Types only: every value is in `configs/serve.yaml`. How people are tracked is said by the keys of `tools/track.py`,
which `tools/serve.py` takes as well; a job of the service gives the very file that `tools/track.py` gives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from mot_reid.settings.schema import Between, Count, Positive


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What strangers may ask for, and how much of it. All limits of the service are here."""

    upload_bytes: Annotated[int, Count, "of a video"]
    image_bytes: Annotated[int, Count, "of an image"]
    images: Annotated[int, Count, "in one request"]
    uploads: Annotated[int, Count, "videos that are received at the same time"]
    image_uploads: Annotated[int, Count, "requests with images that are received at the same time"]
    client_uploads: Annotated[int, Count, "of each of these two that one client may have"]
    header_seconds: Annotated[float, Positive, "until the headers of a request, or a body that is no form, are there"]
    idle_seconds: Annotated[float, Positive, "without a byte after which an upload is given up"]
    upload_bytes_per_second: Annotated[float, Positive, "of an upload at least, after its first idle_seconds"]
    upload_seconds: Annotated[float, Positive, "that an upload may take"]
    frames: Annotated[int, Count, "of a video"]
    pixels: Annotated[int, Count, "of a frame of a video or live session"]
    image_pixels: Annotated[int, Count, "of an image"]
    boxes: Annotated[int, Count, "that one request may name"]
    check_seconds: Annotated[float, Positive, "that looking into an upload may take"]
    job_seconds: Annotated[float, Positive, "that a job may take"]
    jobs: Annotated[int, Count, "that are worked on at the same time, each in a process of its own"]
    worker_bytes: Annotated[int, Count, "of memory that each process with models may take for its data"]
    queue: Annotated[int, Count, "jobs that wait at most"]
    attempts: Annotated[int, Count, "times that a job is begun when the server stops under it"]
    wait_seconds: Annotated[float, Positive, "that ?wait=true waits at most"]
    callers: Annotated[int, Count, "processes for images, embeddings and live sessions"]
    calls: Annotated[int, Count, "of these that wait for a process at the same time"]
    call_seconds: Annotated[float, Positive, "that one of them may take"]
    live_sessions: Annotated[int, Count, "that are open at the same time"]
    live_frame_bytes: Annotated[int, Count, "of one frame of a live session"]
    live_frames_per_second: Annotated[float, Positive, "of a live session; a faster one is slowed down"]
    live_idle_seconds: Annotated[float, Positive, "without a frame after which a live session is closed"]
    live_seconds: Annotated[float, Positive, "that a live session may last"]
    galleries: Annotated[int, Count, "of known people"]
    persons: Annotated[int, Count, "in one gallery"]
    crops: Annotated[int, Count, "that are kept of one person"]
    person_days: Annotated[
        float | None, Positive, "after which a person who was neither enrolled nor recognised is forgotten; null: never"
    ]
    stored_days: Annotated[float, Positive, "that a job that has ended, and its files, are kept"]
    stored_bytes: Annotated[int, Count, "of uploads and results together"]
    free_bytes: Annotated[int, Between(0), "of the disk that uploads leave free"]
    requests_per_minute: Annotated[int, Count, "of one client"]
    clients: Annotated[int, Count, "whose requests are counted; the longest unseen one is forgotten first"]
    shutdown_seconds: Annotated[float, Positive, "that running jobs have to end when the server is stopped"]


@dataclass(frozen=True, kw_only=True)
class ServeSettings:
    """Every setting of a server, but for how people are tracked."""

    host: Annotated[str, "address to listen on; 0.0.0.0 is every network of the machine"]
    port: Annotated[int, Between(0, 65535), "to listen on; 0 is a free one"]
    demo: Annotated[bool, "serve the demo for browsers under /demo, too"]
    folder: Annotated[str, "where uploads, results, galleries and the list of jobs are kept"]
    reid: Annotated[str | None, "a Re-ID model (file or name) for embeddings, galleries and presets with appearance"]
    pickled_weights: Annotated[
        bool, "take a detector.weights such as .pt, which can run code when it is read; only for files that you trust"
    ]
    api_key: Annotated[str | None, "what clients must send as X-API-Key; null asks for none"]
    hosts: Annotated[
        tuple[str, ...],
        "names by which clients reach the server, such as people.example.org, or .example.org for all names that end "
        "so; addresses and localhost are always taken; any takes every name",
    ]
    cors: Annotated[tuple[str, ...], "origins of web pages that may call, such as https://example.org"]
    proxies: Annotated[tuple[str, ...], "addresses or networks of proxies whose X-Forwarded-For is believed"]
    nice: Annotated[int, Between(0, 19), "how far the workers stand back behind the answering process"]
    limits: Limits
