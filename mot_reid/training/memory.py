"""Memory that a step gives back is there for the next one."""

from __future__ import annotations

import ctypes
import platform

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Names of mallopt's settings in glibc's malloc.h."""
_KEPT, _LARGEST = 2**31 - 1, 2**30


def keep_freed_memory() -> bool:
    """Has glibc keep freed memory for the process; returns whether it does, which only glibc can.

    By default a training step on a CPU gives thousands of pages back to the system, and the next has them zeroed again:
    a tenth of the step of a small network. In return the process holds its largest size until it ends.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_TRIM_THRESHOLD, _KEPT) and mallopt(_MMAP_THRESHOLD, _LARGEST))
