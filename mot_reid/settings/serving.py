"""The keys of `mot-reid serve`: types, rules and meanings.

Types only: every value is in `configs/serve.yaml`. How people are tracked is said by the keys of `mot-reid track`,
which `mot-reid serve` takes as well; a job of the service gives the very file that `mot-reid track` gives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from mot_reid.settings.schema import SECRET, Between, Count, Positive


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What clients may ask for, and how much of it. All limits of the service are here."""

    upload_bytes: Annotated[int, Count, "largest video in bytes"]
    image_bytes: Annotated[int, Count, "largest image in bytes"]
    images: Annotated[int, Count, "images in one request"]
    uploads: Annotated[int, Count, "videos that are received at the same time"]
    image_uploads: Annotated[int, Count, "requests with images that are received at the same time"]
    client_uploads: Annotated[int, Count, "uploads of each of these two kinds that one client may have open"]
    header_seconds: Annotated[
        float, Positive, "seconds in which the headers of a request, or a body that is not a form, must arrive"
    ]
    idle_seconds: Annotated[float, Positive, "time without a byte after which an upload is given up"]
    upload_bytes_per_second: Annotated[float, Positive, "slowest upload, after its first idle_seconds"]
    upload_seconds: Annotated[float, Positive, "longest upload in seconds"]
    frames: Annotated[int, Count, "frames of a video"]
    pixels: Annotated[int, Count, "pixels of a frame of a video or live session"]
    image_pixels: Annotated[int, Count, "pixels of an image"]
    boxes: Annotated[int, Count, "boxes in one request"]
    check_seconds: Annotated[float, Positive, "longest check of an upload in seconds"]
    job_seconds: Annotated[float, Positive, "longest job in seconds"]
    jobs: Annotated[int, Count, "jobs that run at the same time, each in its own process"]
    worker_bytes: Annotated[int, Count, "memory that each process with models may use for its data"]
    queue: Annotated[int, Count, "jobs that may wait"]
    attempts: Annotated[int, Count, "times that a job is started again when the server stopped during it"]
    lost_seconds: Annotated[
        float, Positive, "seconds without a sign of life after which other servers do the jobs of one; with database="
    ]
    wait_seconds: Annotated[float, Positive, "longest wait of ?wait=true in seconds"]
    callers: Annotated[int, Count, "processes for images, embeddings and live sessions"]
    calls: Annotated[int, Count, "requests that may wait for one of these processes"]
    call_seconds: Annotated[float, Positive, "longest of these requests in seconds"]
    live_sessions: Annotated[int, Count, "live sessions that may be open at the same time"]
    live_frame_bytes: Annotated[int, Count, "largest frame of a live session in bytes"]
    live_frames_per_second: Annotated[
        float, Positive, "frames per second of a live session; a faster one is slowed down"
    ]
    live_idle_seconds: Annotated[float, Positive, "time without a frame after which a live session is closed"]
    live_seconds: Annotated[float, Positive, "longest live session in seconds"]
    sites: Annotated[int, Count, "sites whose live sessions share their people"]
    site_tracklets: Annotated[int, Count, "tracks that a site remembers; those that ended first are forgotten"]
    galleries: Annotated[int, Count, "galleries of known people"]
    persons: Annotated[int, Count, "people in one gallery"]
    crops: Annotated[int, Count, "crops that are kept of one person"]
    person_days: Annotated[
        float | None,
        Positive,
        "days after which a person who was neither enrolled nor recognised is deleted; null: never",
    ]
    stored_days: Annotated[float, Positive, "days that a finished job and its files are kept"]
    stored_bytes: Annotated[int, Count, "disk space for uploads and results together"]
    free_bytes: Annotated[int, Between(0), "disk space that uploads leave free"]
    requests_per_minute: Annotated[int, Count, "requests of one client in a minute"]
    clients: Annotated[int, Count, "clients whose requests are counted; the one not seen for longest is dropped first"]
    shutdown_seconds: Annotated[float, Positive, "time that running jobs have to finish when the server is stopped"]


@dataclass(frozen=True, kw_only=True)
class ServeSettings:
    """Every setting of a server, except how people are tracked."""

    host: Annotated[str, "address to listen on; 0.0.0.0: every network of the machine"]
    port: Annotated[int, Between(0, 65535), "port to listen on; 0: any free one"]
    demo: Annotated[bool, "also serve the demo for browsers, under /demo"]
    folder: Annotated[str, "folder for uploads, results, galleries and the list of jobs"]
    database: Annotated[
        str | None,
        SECRET,
        "address of a PostgreSQL database, such as postgresql://user@host/name, in which servers share jobs and "
        "galleries; they also need the same folder=; null: both are files in folder, for one server",
    ]
    reid: Annotated[str | None, "a Re-ID model (file or name) for embeddings, galleries and presets with appearance"]
    pickled_weights: Annotated[
        bool, "accept a detector.weights such as .pt, which can run code when it is read; only for files that you trust"
    ]
    api_key: Annotated[str | None, SECRET, "key that clients must send as X-API-Key; null: none is required"]
    hosts: Annotated[
        tuple[str, ...],
        "host names by which clients reach the server, such as people.example.org, or .example.org for all names with "
        "that ending; addresses and localhost are always accepted; any accepts every name",
    ]
    cors: Annotated[tuple[str, ...], "origins of web pages that may call the server, such as https://example.org"]
    proxies: Annotated[tuple[str, ...], "addresses or networks of proxies whose X-Forwarded-For is trusted"]
    nice: Annotated[
        int,
        Between(0, 19),
        "niceness of the workers: with a higher value they leave more of the CPU to the process that answers",
    ]
    limits: Limits
