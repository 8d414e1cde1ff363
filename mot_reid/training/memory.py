"""Memory that a step gives back is there for the next one."""

from __future__ import annotations

import ctypes
import platform

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Names of mallopt's settings in glibc's malloc.h."""
_KEPT, _LARGEST = 2**31 - 1, 2**30


def keep_freed_memory() -> bool:
    """Has glibc keep freed memory for the process; returns whether it does, which only glibc can.

    By default every training step on a CPU gives its activations back to the system and has them zeroed again, page by
    page: a tenth of the step of a small network. What the process holds at its peak is the same.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_TRIM_THRESHOLD, _KEPT) and mallopt(_MMAP_THRESHOLD, _LARGEST))
