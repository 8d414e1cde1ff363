"""How packages that are imported later are to behave, told through the environment; what the user set stays."""

from __future__ import annotations

import os

_VALUES = {
    # Ultralytics is not to tell its steps, nor to install packages on its own.
    "YOLO_AUTOINSTALL": "false",
    "YOLO_VERBOSE": "false",
    # OpenMP's idle threads otherwise spin on cores that have other work: a detector's, or that of another program.
    "OMP_WAIT_POLICY": "passive",
}


def prepare() -> None:
    """Sets the variables that are not set yet; without effect on packages that are imported already."""
    for name, value in _VALUES.items():
        os.environ.setdefault(name, value)
