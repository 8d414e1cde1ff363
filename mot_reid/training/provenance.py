"""How a model came about, and what may be done with it."""

from __future__ import annotations

import subprocess
from dataclasses import asdict
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mot_reid import __version__
from mot_reid.config import Config

LICENCES = {
    "market1501": "research use only: trained on Market-1501, whose owners allow academic use",
    "synthetic": "Apache-2.0: trained on drawn people",
}
OWN_DATA = "that of the data it was trained on"


def provenance(config: Config) -> dict[str, Any]:
    """Returns how the model came about."""
    packages = ("torch", "lightning", "timm")
    return {
        "experiment": config.run.experiment,
        "config": asdict(config),
        "git": _git_commit(),
        "seed": config.run.seed,
        "dataset": config.data.kind,
        "versions": {"mot_reid": __version__} | {name: version(name) for name in packages},
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def licence(config: Config) -> str:
    """Returns what the model may be used for."""
    return LICENCES.get(config.data.kind, OWN_DATA)


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
