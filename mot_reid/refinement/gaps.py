"""Frames in which a track was not reported, filled from those before and after."""

from __future__ import annotations

import numpy as np

from mot_reid.arrays import BoolArray, FloatArray, IntArray
from mot_reid.boxes import cxcywh_to_xyxy, xyxy_to_cxcywh
from mot_reid.refinement.gaussian_process import predict, smooth
from mot_reid.structures import TrackTable

_NOISE = 0.1


def fill_gaps(table: TrackTable, *, max_gap: float, scale: float | None = None) -> TrackTable:
    """Returns the table with a row for every missing frame of short gaps, marked in `filled`; by frame and identity.

    Args:
        table: the tracks of one video.
        max_gap: the most missing frames that are filled.
        scale: of the Gaussian process that curves through the gap, in frames; None for a straight line.
    """
    parts = [table.replace(filled=_already(table))]
    for rows in table.rows_by_track().values():
        time = table.frame[rows]
        for at in np.flatnonzero((np.diff(time) > 1) & (np.diff(time) - 1 <= max_gap)):
            missing = np.arange(time[at] + 1, time[at + 1])
            share = (missing - time[at]) / (time[at + 1] - time[at])
            xyxy = _straight(table.xyxy[rows[at]], table.xyxy[rows[at + 1]], share)
            if scale is not None:
                xyxy = _curved(table, rows, missing, scale=scale)
            score = table.score[rows[at]] + share * (table.score[rows[at + 1]] - table.score[rows[at]])
            same = np.full(len(missing), rows[at])
            parts.append(
                TrackTable(
                    missing, table.track_id[same], xyxy, score, table.class_id[same], filled=np.ones(len(missing), bool)
                )
            )
    joined = TrackTable.concatenate(parts) if len(table) else parts[0]
    return joined[np.lexsort((joined.track_id, joined.frame))]


def _already(table: TrackTable) -> BoolArray:
    return np.zeros(len(table), bool) if table.filled is None else table.filled


def _straight(first: FloatArray, last: FloatArray, share: FloatArray) -> FloatArray:
    return first + share[:, None] * (last - first)


def _curved(table: TrackTable, rows: IntArray, missing: IntArray, *, scale: float) -> FloatArray:
    """Returns the boxes on a curve through the rows around a gap."""
    time = table.frame[rows].astype(float)
    near = (time >= missing[0] - 3 * scale - 1) & (time <= missing[-1] + 3 * scale + 1)
    boxes = xyxy_to_cxcywh(table.xyxy[rows[near]])
    found = predict(time[near], boxes, missing.astype(float), scale=scale, noise=_NOISE)
    found[:, 2:] = np.maximum(found[:, 2:], boxes[:, 2:].min(axis=0))
    return cxcywh_to_xyxy(found)


def smooth_boxes(table: TrackTable, *, scale: float, noise: float) -> FloatArray:
    """Returns (M, 4) boxes on smooth paths, tracks without short gaps smoothed as a whole.

    Args:
        table: the tracks of one video.
        scale: length over which boxes depend on each other, in frames; raise it for smoother paths.
        noise: standard deviation of the noise for one of the motion; raise it to trust single boxes less.
    """
    found = np.empty_like(table.xyxy)
    for rows in table.rows_by_track().values():
        breaks = np.flatnonzero(np.diff(table.frame[rows]) > 3 * scale) + 1
        for part in np.split(rows, breaks):
            boxes = xyxy_to_cxcywh(table.xyxy[part])
            smoothed = smooth(table.frame[part].astype(float), boxes, scale=scale, noise=noise)
            smoothed[:, 2:] = np.clip(smoothed[:, 2:], boxes[:, 2:].min(axis=0), boxes[:, 2:].max(axis=0))
            found[part] = cxcywh_to_xyxy(smoothed)
    return found
