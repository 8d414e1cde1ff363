"""What a worker says of its errors."""

from __future__ import annotations

import pytest

from mot_reid.serving.worker.tasks import ran_out_of_memory


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
