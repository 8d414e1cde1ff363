"""Fixtures shared by the whole suite."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # a worker for each core: more threads would only wait for each other

from mot_reid.data.synthetic_clip import walkers
from mot_reid.reid.fastest import CACHE


@pytest.fixture(scope="session", autouse=True)
def clip_drawn_once() -> Iterator[None]:
    """Draws the synthetic clip, which dozens of tests track in place of a video, for the first of them alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mot_reid.pipeline.source.walkers", cache(walkers))
        yield


@pytest.fixture(scope="session", autouse=True)
def exported_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keeps checkpoints that are exported for a faster runtime out of the user's own cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE, str(tmp_path_factory.mktemp("exported")))
        yield


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data named by MOT_REID_TEST_DATA; tests that need it skip without it."""
    root = os.environ.get("MOT_REID_TEST_DATA")
    if not root:
        pytest.skip("real data: MOT_REID_TEST_DATA is not set; point it at a folder with Market-1501, MOT15 and MOT17")
    if not Path(root).is_dir():
        pytest.fail(f"MOT_REID_TEST_DATA: got '{root}'; expected a folder")
    return Path(root)
