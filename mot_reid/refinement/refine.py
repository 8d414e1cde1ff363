"""`refine`: the tracks of a whole video, mended with what is known afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mot_reid.arrays import Float32Array
from mot_reid.names import did_you_mean
from mot_reid.refinement.gaps import fill_gaps, smooth_boxes
from mot_reid.refinement.joining import join_by_appearance, join_by_motion
from mot_reid.refinement.splitting import split_by_appearance
from mot_reid.refinement.tracklets import check_once
from mot_reid.settings.refinement import NEED_EMBEDDING, PARTS, RECOMMENDED
from mot_reid.structures import TrackTable

_JOIN_GAP_SECONDS, _JOIN_LIMIT, _VETO = 1.0, 0.5, 0.8
_CURVE_SECONDS = 0.5
_SMOOTH_SECONDS, _SMOOTH_NOISE = 0.3, 0.3
_SPLIT_MARGIN, _SPLIT_SECONDS = 0.2, 0.4
_LEAST_SPLIT = 4


def refine(
    table: TrackTable,
    parts: Sequence[str] | str = "recommended",
    *,
    embedding: ArrayLike | None = None,
    threshold: float = 0.5,
    frame_rate: float = 30.0,
    max_gap_seconds: float = 1.0,
) -> TrackTable:
    """Returns the tracks mended with what is known once the video is over; its column `filled` says so.

    Whatever order the parts are named in, tracks are first split, then joined, filled and smoothed.

    Args:
        table: the tracks of one video.
        parts: what is done: "split", "join_motion", "join_appearance", "fill_linear" or "fill_gaussian", "smooth"; or
            "recommended", which is filling straight lines and smoothing.
        embedding: (M, D) unit vector of each row, NaN in rows without one; needed to split and to join by appearance.
        threshold: least cosine similarity of one person, `Embedder(...).threshold`; raise it to join less and to
            split more.
        frame_rate: frames per second of the video.
        max_gap_seconds: the longest gap that is filled, in seconds.

    Raises:
        ValueError: a part is unknown or lacks embeddings, an identity appears twice in a frame, or a number is out of
            its range.
    """
    chosen = choose_parts(parts, with_embedding=embedding is not None)
    for name, value in (("frame_rate", frame_rate), ("max_gap_seconds", max_gap_seconds)):
        if not (np.isfinite(value) and value > 0):
            raise ValueError(f"refine: {name}: got {value}; expected a number above 0")
    check_once(table)
    vectors = None if embedding is None else _vectors(embedding, len(table))
    table = _renamed(table, chosen, vectors, threshold=threshold, frame_rate=frame_rate)
    gap = max_gap_seconds * frame_rate
    if "fill_linear" in chosen or "fill_gaussian" in chosen:
        scale = _CURVE_SECONDS * frame_rate if "fill_gaussian" in chosen else None
        table = fill_gaps(table, max_gap=gap, scale=scale)
    elif table.filled is None:
        table = table.replace(filled=np.zeros(len(table), bool))
    if "smooth" in chosen:
        table = table.replace(xyxy=smooth_boxes(table, scale=_SMOOTH_SECONDS * frame_rate, noise=_SMOOTH_NOISE))
    return table


def choose_parts(parts: Sequence[str] | str, *, with_embedding: bool) -> tuple[str, ...]:
    """Returns the parts by their names, "recommended" taken as what it stands for.

    Args:
        parts: as `refine` takes them.
        with_embedding: whether there are embeddings.

    Raises:
        ValueError: a part is unknown, needs embeddings, or excludes another one.
    """
    named = (parts,) if isinstance(parts, str) else tuple(parts)
    for name in named:
        if name not in (*PARTS, "recommended"):
            raise ValueError(
                f"refine: got '{name}'; expected recommended or some of {', '.join(PARTS)}"
                f"{did_you_mean(name, (*PARTS, 'recommended'))}"
            )
        if name in NEED_EMBEDDING and not with_embedding:
            raise ValueError(f"refine: got '{name}' without embeddings; expected those of a Re-ID model; leave it out")
    if "fill_linear" in named and "fill_gaussian" in named:
        raise ValueError("refine: got fill_linear and fill_gaussian; expected one of them")
    wanted = {*named, *(RECOMMENDED if "recommended" in named else ())}
    if "fill_gaussian" in named:
        wanted -= {"fill_linear"}
    return tuple(name for name in PARTS if name in wanted)


def _vectors(embedding: ArrayLike, rows: int) -> Float32Array:
    found = np.asarray(embedding, dtype=np.float32)
    if found.ndim != 2 or len(found) != rows:
        raise ValueError(
            f"refine: embedding: got shape {found.shape}; expected ({rows}, D), a row for each of the table"
        )
    norm = np.linalg.norm(found, axis=1)
    wrong = ~np.isnan(norm) & (np.abs(norm - 1) > 1e-2)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(
            f"refine: embedding: got length {norm[row]:.3g} in row {row}; expected 1; divide by the norm first"
        )
    return found


def _renamed(
    table: TrackTable, chosen: tuple[str, ...], vectors: Any, *, threshold: float, frame_rate: float
) -> TrackTable:
    """Returns the table with the identities that splitting and joining give."""
    if "split" in chosen:
        least = max(_LEAST_SPLIT, round(_SPLIT_SECONDS * frame_rate))
        found = split_by_appearance(table, vectors, threshold=threshold, margin=_SPLIT_MARGIN, least=least)
        table = table.replace(track_id=found)
    if "join_motion" in chosen:
        found = join_by_motion(
            table, max_gap=_JOIN_GAP_SECONDS * frame_rate, limit=_JOIN_LIMIT, frame_rate=frame_rate,
            embedding=vectors, veto=_VETO * threshold,
        )  # fmt: skip
        table = table.replace(track_id=found)
    if "join_appearance" in chosen:
        found = join_by_appearance(table, vectors, threshold=threshold, frame_rate=frame_rate)
        table = table.replace(track_id=found)
    return table
