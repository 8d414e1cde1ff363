"""How a model came about, and what may be done with it."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import subprocess
from dataclasses import asdict
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from mot_reid import __version__
from mot_reid.data.identities import IdentityTable
from mot_reid.reid.teacher import identify
from mot_reid.settings.load import Config

log = logging.getLogger(__name__)

LICENCES = {
    "market1501": "research use only: trained on Market-1501, whose owners allow academic use",
    "synthetic": "Apache-2.0: trained on drawn people",
}
OWN_DATA = "that of the data it was trained on"


def provenance(config: Config, *, crops: str | None = None) -> dict[str, Any]:
    """Returns how the model came about.

    Args:
        config: Of the run.
        crops: The fingerprint of what it is trained on.
    """
    packages = ("torch", "lightning", "timm")
    return {
        "experiment": config.run.experiment,
        "config": asdict(config),
        "git": _git_commit(),
        "seed": config.run.seed,
        "dataset": config.data.kind,
        "crops": crops,
        "teacher": None if config.distill.teacher is None else identify(config.distill.teacher),
        "versions": {"mot_reid": __version__} | {name: version(name) for name in packages},
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def fingerprint(crops: IdentityTable) -> str:
    """Returns a short word for the crops that a model is trained on, the same wherever they lie.

    It changes with their names, sizes in bytes, persons and cameras.
    """
    cameras = [None] * len(crops) if crops.camera_id is None else crops.camera_id.tolist()
    rows = sorted(
        (Path(path).name, _size(path), person, str(camera))
        for path, person, camera in zip(crops.path.tolist(), crops.person_id.tolist(), cameras)
    )
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]


def check_same_crops(path: str, crops: str, *, root: str) -> None:
    """Refuses a checkpoint that was trained on other crops; warns of one that does not say on which.

    Args:
        path: The checkpoint.
        crops: The fingerprint of those that training would go on with.
        root: Where they are.

    Raises:
        ValueError: It was trained on others.
    """
    content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    stored = content.get("mot_reid", {}).get("provenance", {}).get("crops")
    if stored is None:
        log.warning("ckpt: '%s' does not say which crops it was trained on, so whether they are these is unknown", path)
    elif stored != crops:
        raise ValueError(
            f"ckpt: got '{path}', trained on other crops than those of '{root}'; expected the same; set data.root and "
            "data.validation as they were, or start a new run with model.weights"
        )


def licence(config: Config) -> str:
    """Returns what the model may be used for."""
    of_data, teacher = LICENCES.get(config.data.kind, OWN_DATA), config.distill.teacher
    return of_data if teacher is None else f"{of_data}; taught by {Path(teacher).name}, whose own terms apply as well"


def _git_commit() -> str | None:
    """The commit of the code, with `+changes` where files differ from it; None outside a checkout."""
    here = Path(__file__).parent
    try:
        found = subprocess.run(
            ["git", "-C", str(here), "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=+changes"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip()


def _size(path: str) -> int:
    """Of a file in bytes; -1 for one that is missing, which those who read it will tell."""
    return os.path.getsize(path) if os.path.isfile(path) else -1
