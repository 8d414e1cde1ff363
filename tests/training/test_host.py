"""Freed memory, counted in page faults."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from mot_reid.settings.load import ROOT

COUNT = """
import ctypes, resource, sys
from mot_reid.training.host import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
libc, size = ctypes.CDLL(None), 40_000_000
libc.free.argtypes, libc.memset.argtypes = [ctypes.c_void_p], [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
def step():
    held = [ctypes.c_void_p() for _ in range(2)]
    for block in held:
        assert libc.posix_memalign(ctypes.byref(block), ctypes.c_size_t(64), ctypes.c_size_t(size)) == 0
        libc.memset(block, 1, size)
    for block in held:
        libc.free(block)
for _ in range(8):  # until the blocks lie where they stay
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators than glibc's have no such setting")
def test_freed_memory_is_there_for_the_next_step() -> None:
    """Blocks of 40 MB, which glibc by itself never keeps: each of their pages is asked for again in each step.

    They are got as PyTorch gets the memory of tensors on a CPU, without the seconds that its import takes.
    """
    faults = {}
    for mode in ("left", "kept"):
        command = [sys.executable, "-c", COUNT, mode]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
        faults[mode] = int(done.stdout)
    assert 10 * faults["kept"] < faults["left"]  # the system may take a few pages back by itself
