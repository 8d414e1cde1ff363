"""A model that knows the videos it will be used on: its threshold found on them, and on request its batch norms."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mot_reid.adaptation.batch_norm import reestimated
from mot_reid.adaptation.look import Links, Seen, join
from mot_reid.arrays import Float32Array
from mot_reid.metrics.linked_pairs import LinkedCalibration, LinkedPairs, calibrate_linked, check_evidence, link_pairs
from mot_reid.metrics.scores import verification_scores
from mot_reid.reid import checkpoint
from mot_reid.reid.embedder import Embedder
from mot_reid.version import __version__

BATCH = 64
MIN_IMAGES, MAX_IMAGES = 4 * BATCH, 64 * BATCH
"""Images that batch norms are estimated from."""


@dataclass(frozen=True, slots=True)
class Adapted:
    """What was found and written.

    Attributes:
        found: The new threshold.
        before: What the model as it was does on these pairs, as `verification_scores`.
        path: The new model.
    """

    found: LinkedCalibration
    before: dict[str, float]
    path: Path

    def to_dict(self) -> dict[str, Any]:
        """Returns the figures as JSON can hold them."""
        return {"model": str(self.path), "before": self.before, **facts(self.found)}


def adapt(
    model: Path,
    seen: Sequence[Seen],
    output: Path,
    *,
    false_match_rate: float,
    apart: float,
    settings: Mapping[str, Any],
    batch_norm: float = 0.0,
    device: str = "auto",
) -> Adapted:
    """Finds a threshold on what was seen and writes the model with it; returns the figures.

    Args:
        model: A `model.safetensors` or a Lightning `.ckpt` of ours.
        seen: From `look`.
        output: Replaced if it exists, when all is done.
        false_match_rate: Share of pairs of strangers that may match.
        apart: Least time in seconds between two images of a tracklet that are compared.
        settings: With which it was done, for the record in the new file.
        batch_norm: Share by which the batch norms are moved to the statistics of these videos, 0 to 1.
        device: As `Embedder`.

    Raises:
        ValueError: The evidence is thin.
        CheckpointError: The model is not sound.
    """
    links = join(seen)
    check_evidence(links.track_pairs, false_match_rate)
    old = Embedder(model, device=device)
    pairs = before = _measure(seen, links, old, apart=apart)
    with tempfile.TemporaryDirectory() as folder:
        source = model
        if batch_norm > 0:
            source = _with_batch_norms(model, seen, old, Path(folder) / "model.safetensors", share=batch_norm)
            pairs = _measure(seen, links, Embedder(source, device=device), apart=apart)
        found = calibrate_linked(pairs, false_match_rate=false_match_rate)
        provenance = _provenance(old.metadata, seen, found, settings=settings, batch_norm=batch_norm)
        checkpoint.recalibrate(source, output, calibration=found.calibration.to_dict(), provenance=provenance)
    return Adapted(found, verification_scores(before.total(), old.metadata["calibration"]), output)


def _measure(seen: Sequence[Seen], links: Links, embedder: Embedder, *, apart: float) -> LinkedPairs:
    """Returns how alike the linked images are to a model."""
    return link_pairs(
        embed(seen, embedder),
        tracklet=links.tracklet,
        track=links.track,
        seconds=links.seconds,
        together=links.together,
        apart=apart,
    )


def embed(seen: Sequence[Seen], embedder: Embedder) -> Float32Array:
    """Returns (N, D) embeddings of the chosen images of all videos, in the order of `join`.

    Args:
        seen: One or more videos.
        embedder: Of the model.
    """
    parts = []
    for one in seen:
        table = one.chosen
        found = np.full((len(table), embedder.embedding_dim), np.nan, dtype=np.float32)
        for rows, image in one.footage.pictures(table):
            found[rows] = embedder(image, table.xyxy[rows])
        parts.append(found)
    return np.concatenate(parts)


def facts(found: LinkedCalibration) -> dict[str, Any]:
    """Returns what is said of a threshold, in the file and in the figures."""
    calibration = found.calibration
    return {
        "threshold": calibration.threshold,
        "promised_false_match_rate": calibration.false_match_rate,
        "false_match_rate": found.false_match_rate,
        "true_match_rate": calibration.true_match_rate,
        "estimate": found.estimate,
        "interval": list(found.interval),
        "tracks": calibration.identities,
        "track_pairs": found.track_pairs,
        "genuine_pairs": calibration.genuine_pairs,
        "impostor_pairs": calibration.impostor_pairs,
    }


def _with_batch_norms(model: Path, seen: Sequence[Seen], embedder: Embedder, path: Path, *, share: float) -> Path:
    """Writes the model with batch norms moved to the statistics of the chosen images; returns where."""
    artifact = checkpoint.load(model, device=embedder.device)
    network = reestimated(artifact.network, _batches(seen, embedder), share=share).cpu()
    checkpoint.save(
        path,
        network,
        artifact.preprocess,
        provenance=artifact.provenance,
        licence=artifact.licence,
        calibration=artifact.calibration,
    )
    return path


def _batches(seen: Sequence[Seen], embedder: Embedder) -> Iterator[Tensor]:
    """Yields batches of images, people and videos mixed."""
    crops = [
        embedder.preprocess.crops(image, table.xyxy[rows], color="bgr")
        for one in seen
        for table in [one.chosen]
        for rows, image in one.footage.pictures(table)
    ]
    images = torch.cat(crops)
    if len(images) < MIN_IMAGES:
        raise ValueError(
            f"batch_norm: got {len(images)} images of people; expected {MIN_IMAGES} or more; give longer videos, or "
            "leave batch_norm out"
        )
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(images))[:MAX_IMAGES])
    for rows in order.split(BATCH):
        if len(rows) > 1:
            yield images[rows].to(embedder.device)


def _provenance(
    metadata: Mapping[str, Any],
    seen: Sequence[Seen],
    found: LinkedCalibration,
    *,
    settings: Mapping[str, Any],
    batch_norm: float,
) -> dict[str, Any]:
    """Returns where the model came from, and what was done to it now."""
    old = dict(metadata["provenance"])
    calibration = metadata["calibration"]
    done = {
        "videos": [
            {
                "name": one.footage.name,
                "frames": one.watched.frames,
                "frame_rate": one.watched.frame_rate,
                "tracklets": one.tracklets.count,
            }
            for one in seen
        ],
        **facts(found),
        "batch_norm": batch_norm,
        "threshold_before": None if calibration is None else calibration["threshold"],
        "settings": dict(settings),
        "mot_reid": __version__,
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    if batch_norm and "scores" in old:
        # they are of the embeddings as they were
        done["scores_before"] = old.pop("scores")
    return {**old, "adapted": [*old.get("adapted", []), done]}
