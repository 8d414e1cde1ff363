"""How a model came about, and what may be done with it."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from mot_reid import __version__
from mot_reid.data.identities import IdentityTable
from mot_reid.data.origins import Origin
from mot_reid.files import given_by
from mot_reid.reid import bundled
from mot_reid.reid.checkpoint import describe, find, identify
from mot_reid.reid.pretrained import pretrained_licence, timm_name
from mot_reid.settings.load import AnyConfig, Config

log = logging.getLogger(__name__)

TEACHERS = {
    name: f"Open Model Zoo's {name} (Apache-2.0; what it was trained on is not published)"
    for name in ("person-reidentification-retail-0277", "person-reidentification-retail-0288")
}
"""What is known of teachers that do not describe themselves."""
_OF_WEIGHTS = ("experiment", "dataset", "crops", "git", "created", "initial")
"""What is kept of the origin of a model that a run starts from."""
_PART = ("config", "git", "versions", "created")
"""What is kept of an earlier part of a resumed run."""


def provenance(
    config: Config,
    *,
    origins: Sequence[Origin] = (),
    crops: str | None = None,
    initial: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Returns how the model came about.

    Args:
        config: Of the run.
        origins: Where the crops it is trained on come from; none: what `data.kind` says.
        crops: The fingerprint of those crops.
        initial: What is known of the weights it starts from, see `initial_weights`.
    """
    dataset = ", ".join(origin.name for origin in origins) or config.data.kind
    with given_by("distill.teacher"):
        teacher = None if config.distill.teacher is None else identify(config.distill.teacher)
    told = run_provenance(config, dataset=dataset, crops=crops, initial=initial, network_package="timm")
    return told | {"teacher": teacher}


def run_provenance(
    config: AnyConfig,
    *,
    dataset: str,
    crops: str | None,
    initial: Mapping[str, Any] | None,
    network_package: str,
) -> dict[str, Any]:
    """Returns what any model says of how it came about.

    Args:
        config: Of the run.
        dataset: What it is trained on.
        crops: The fingerprint of the files of that.
        initial: What is known of the weights it starts from.
        network_package: The package that its network comes from.
    """
    packages = ("torch", "lightning", network_package)
    return {
        "experiment": config.run.experiment,
        "config": asdict(config),
        "git": _git_commit(),
        "seed": config.run.seed,
        "dataset": dataset,
        "crops": crops,
        "initial": None if initial is None else dict(initial),
        "earlier": [],
        "versions": {"mot_reid": __version__} | {name: version(name) for name in packages},
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def fingerprint(crops: IdentityTable) -> str:
    """Returns a short word for the crops that a model is trained on, the same wherever they lie.

    It changes with their names, sizes in bytes, persons and cameras.
    """
    cameras = [None] * len(crops) if crops.camera_id is None else crops.camera_id.tolist()
    return fingerprint_of(crops.path.tolist(), [*zip(crops.person_id.tolist(), map(str, cameras))])


def fingerprint_of(paths: Sequence[str], known: Sequence[tuple[Any, ...]]) -> str:
    """Returns a short word for files and what is known of each; it changes with their names and sizes in bytes.

    Args:
        paths: The files.
        known: Of each, as JSON can hold it.
    """
    rows = sorted((Path(path).name, _size(path), *of_one) for path, of_one in zip(paths, known))
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
            f"ckpt: got '{path}', which was trained on other crops than those of '{root}'; expected the same; "
            "set data.root and data.validation as they were, or start a new run with model.weights"
        )


def initial_weights(weights: str, backbone: str) -> dict[str, Any] | None:
    """Returns what is known of the weights a run starts from: name, licence and, of a model of ours, its own origin.

    Args:
        weights: As `model.weights`.
        backbone: As `model.backbone`.

    Returns:
        None for random weights.
    """
    if weights == "none":
        return None
    if weights == "pretrained":
        return {"name": f"timm's {timm_name(backbone)}", "licence": pretrained_licence(backbone)}
    path = bundled.resolve(weights)
    told = _told(path)
    if told is None:
        return {"name": path.name, "licence": "unknown: that of this file"}
    return own_weights(path, told)


def own_weights(path: Path, told: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what is known of weights that come from a model of ours: name, licence and origin.

    Args:
        path: Of the model.
        told: What it says of itself.
    """
    origin = {key: value for key, value in told["provenance"].items() if key in _OF_WEIGHTS}
    return {"name": path.name, "licence": told["licence"], **origin}


def licence(origins: Sequence[Origin], initial: Mapping[str, Any] | None = None, *, teacher: str | None = None) -> str:
    """Returns what a model may be used for: by its data, its first weights and its teacher, restrictions first.

    Args:
        origins: Where the crops it is trained on come from.
        initial: What is known of its first weights.
        teacher: As `distill.teacher`.
    """
    terms = [origin.licence for origin in origins]
    if initial is not None:
        terms += _inherited(initial["licence"], f"of its initial weights, {initial['name']}", terms)
    if teacher is not None:
        terms += _of_teacher(teacher, terms)
    return "; ".join(sorted(dict.fromkeys(terms), key=lambda text: text.startswith("Apache-2.0")))


def _inherited(licence: str, whose: str, terms: Sequence[str]) -> list[str]:
    """Returns what a licence adds to terms that hold already, each with whose it is unless it says so itself."""
    added = [term for term in re.split(r"; (?![^(]*\))", licence) if term not in terms]
    return [term if " (of its " in term else f"{term} ({whose})" for term in added]


def go_on(metadata: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Returns what a resumed run says of itself: as a new one, with all configurations that trained before it.

    Args:
        metadata: What a new run would say.
        path: The checkpoint that it goes on from.
    """
    content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    stored = content.get("mot_reid") or {}
    before = stored.get("provenance") or {}
    now = dict(metadata["provenance"])
    part = {key: before[key] for key in _PART if key in before}
    parts = [*before.get("earlier", [])]
    if any(part.get(key) != now.get(key) for key in ("config", "git", "versions")):
        parts.append({**part, "until_step": int(content["global_step"])})
    now |= {"earlier": parts, "initial": before.get("initial", now.get("initial"))}
    return {**metadata, "provenance": now, "licence": stored.get("licence", metadata["licence"])}


def _of_teacher(teacher: str, terms: Sequence[str]) -> list[str]:
    """The terms that a teacher adds to those that hold already."""
    if Path(teacher).stem in TEACHERS:
        return [f"taught by {TEACHERS[Path(teacher).stem]}"]
    with given_by("distill.teacher"):
        path = find(teacher)
    told = _told(path)
    if told is None:
        return [f"taught by {path.name}, whose own terms apply as well"]
    return _inherited(told["licence"], f"of its teacher, {path.name}", terms)


def _told(path: Path) -> dict[str, Any] | None:
    """What a model or a checkpoint of ours says of itself; None where the file is another's, or cannot be read."""
    try:
        if path.suffix == ".safetensors":
            return describe(path)
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        told = content.get("mot_reid")
        return told if told and {"provenance", "licence"} <= set(told) else None
    except Exception:  # of any kind, for a foreign file; loading its weights reports what is wrong with it
        return None


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
