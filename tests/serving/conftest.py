"""One server for the whole room, with the drawn scene."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.helpers.postgres import Postgres, missing
from tests.helpers.server import Scene, Server, draw_scene

SMALL = (
    "nice=0",  # a machine that is busy with other things starts the workers late otherwise
    "limits.upload_bytes=4000000",
    "limits.image_bytes=1000000",
    "limits.images=3",
    "limits.frames=200",
    "limits.pixels=300000",
    "limits.image_pixels=1000000",
    "limits.idle_seconds=1",
    "limits.uploads=20",
    "limits.client_uploads=20",
    "limits.live_sessions=2",
    "limits.live_idle_seconds=1",
    "limits.live_frame_bytes=200000",
    "limits.live_frames_per_second=10000",
    "limits.requests_per_minute=100000",
    "limits.free_bytes=0",
)
"""Limits that small files reach."""


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A drawn video with its detections."""
    return draw_scene(tmp_path_factory.mktemp("scene"))


@pytest.fixture(scope="session")
def server(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with small limits; what a test leaves in it must not matter to the others."""
    folder: Path = tmp_path_factory.mktemp("server") / "served"
    with Server(folder, *scene.arguments, *SMALL) as running:
        yield running


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL for the whole room; tests that stop it start it again.

    Its folder is none of pytest's, which every other run of pytest closes to the user that PostgreSQL runs as.
    """
    reason = missing()
    if reason is not None:
        pytest.skip(reason)
    with TemporaryDirectory(prefix="postgres") as folder:
        running = Postgres(Path(folder) / "cluster")
        yield running
        running.stop()
