"""What a run leaves at W&B besides its curves: a summary, pictures, and the model as a versioned artifact."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from lightning.pytorch.loggers import Logger, WandbLogger

from mot_reid.data.identities import IdentityTable
from mot_reid.data.images import decode
from mot_reid.metrics.rank_lists import rank_lists
from mot_reid.viewing.crops import Crop, strip
from mot_reid.viewing.plots import plot_training

if TYPE_CHECKING:
    from mot_reid.viewing.mot_plots import Figure

QUERIES, ANSWERS = 8, 10
_OF_MODEL = ("network", "preprocess", "embedding", "clip", "provenance", "licence")
"""What an artifact says of its model."""


class Ranked(NamedTuple):
    """The split that was scored last.

    Attributes:
        query: Q crops.
        gallery: G crops.
        embedding: (Q + G, D).
    """

    query: IdentityTable
    gallery: IdentityTable
    embedding: np.ndarray


def publish(
    loggers: list[Logger],
    folder: Path,
    *,
    model: Path,
    described: Mapping[str, Any],
    name: str,
    scores: Mapping[str, float],
    exported: Mapping[str, Any] | None,
    ranked: Ranked | None,
    timeline: Figure | None,
    log_model: bool,
) -> None:
    """Tells W&B, where it is among the loggers, what came out of a run.

    Args:
        loggers: Of the run.
        folder: Of the run, with its metrics.csv.
        model: The exported file.
        described: What it says of itself.
        name: Of the run, and so of the artifact.
        scores: Of the model, and of the untrained network, by name.
        exported: Which epoch it is of and why, as its provenance says.
        ranked: The split whose rank lists are shown; None shows none.
        timeline: Who was seen when in the video of the tracking metric; None where no video is tracked.
        log_model: Store the file as an artifact, with the alias `best` where it was chosen by validation.
    """
    for logger in (logger for logger in loggers if isinstance(logger, WandbLogger)):
        import wandb

        run = logger.experiment
        run.summary.update({**scores, **{f"exported/{key}": value for key, value in (exported or {}).items()}})
        curves = plot_training(folder / "metrics.csv", folder / "curves.png")
        media: dict[str, Any] = {"curves": wandb.Image(str(curves))}
        if ranked is not None:
            media["rank_lists"] = [wandb.Image(picture, caption=caption) for picture, caption in _pictures(ranked)]
        if timeline is not None:
            media["tracking_timeline"] = wandb.Image(timeline)
        run.log(media)
        if log_model:
            content = {key: described[key] for key in _OF_MODEL if key in described}
            artifact = wandb.Artifact(re.sub(r"[^\w.-]", "-", name), type="model", metadata=content)
            artifact.add_file(str(model))
            chosen = str((exported or {}).get("reason", "")).startswith("the best")
            run.log_artifact(artifact, aliases=["latest", "best"] if chosen else ["latest"])


def _pictures(ranked: Ranked) -> list[tuple[np.ndarray, str]]:
    """Returns rank lists of queries from all over the split, each as a picture and a line."""
    queries = len(ranked.query)
    rows = np.unique(np.linspace(0, queries - 1, min(QUERIES, queries)).round().astype(np.int64))
    cameras = ranked.query.camera_id is not None and ranked.gallery.camera_id is not None
    lists = rank_lists(
        ranked.embedding[:queries],
        ranked.embedding[queries:],
        rows=rows,
        query_person_id=ranked.query.person_id,
        gallery_person_id=ranked.gallery.person_id,
        query_camera_id=ranked.query.camera_id if cameras else None,
        gallery_camera_id=ranked.gallery.camera_id if cameras else None,
        length=ANSWERS,
    )
    found = []
    for one in lists:
        answers = [
            Crop(decode(str(ranked.gallery.path[row])), status=status) for row, status in zip(one.gallery, one.status)
        ]
        first = int(one.rank[one.match].min()) if one.match.any() else None
        right = f"first right answer at rank {first}" if first else f"no right answer among the first {len(answers)}"
        picture = strip([Crop(decode(str(ranked.query.path[one.query]))), *answers])
        found.append((picture, f"person {ranked.query.person_id[one.query]}: {right}"))
    return found
