"""What a worker says of its errors."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from mot_reid.serving.worker.tasks import ran_out_of_memory, track_video


@pytest.mark.parametrize(
    ("error", "ran_out"),
    [
        (MemoryError(), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:113] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (Exception("OpenCV(5.0.0) alloc.cpp:73: error: (-4:Insufficient memory) Failed to allocate 900000000"), True),
        (RuntimeError("std::bad_alloc"), True),
        (ValueError("video: got a file without frames"), False),
        (OSError("file: could not be read; it may be damaged"), False),
    ],
)
def test_lack_of_memory_is_known_by_what_each_library_says(error: Exception, ran_out: bool) -> None:
    assert ran_out_of_memory(error) is ran_out


def test_result_names_no_file_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """The video could not be written, as on a full disk; the client learns why, but not where."""
    stopped = "output: '/srv/data/jobs/x/annotated.mp4' (No space left on device)"
    summary = {"source": "/srv/data/jobs/x/upload", "frames": 5, "video_stopped": stopped}
    monkeypatch.setattr("mot_reid.pipeline.run.run", lambda *_, **__: dict(summary))
    models: Any = SimpleNamespace(limits=None, settings=SimpleNamespace(reid=None), detector=None, doing=None)
    models.embedder_for = lambda preset: None
    found = track_video(
        models, print, "/srv/data/jobs/x/upload", "sort", "/srv/data/jobs/x/annotated.mp4", "/srv/data/r"
    )
    assert found == {"frames": 5, "video_stopped": "output: 'a file' (No space left on device)"}
