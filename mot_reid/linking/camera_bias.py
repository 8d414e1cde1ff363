"""Embeddings without what all people of a camera have in common, such as its light."""

from __future__ import annotations

import numpy as np

from mot_reid.arrays import Float32Array
from mot_reid.linking.tracklets import Tracklets

_ALL, _CAMERA = 50, 20
"""Numbers of tracklets at which what all of them, and those of a camera, have in common counts half."""
_FLOOR = 0.01
"""A number that is nearly constant is taken to vary by this share of the mean variance more."""


def without_common(tracklets: Tracklets) -> Float32Array:
    """Returns the embeddings less the mean of their camera, each number divided by its spread, of unit length.

    What all people of a camera share says nothing about who they are, and makes strangers alike. Of few tracklets
    the mean would be that of a few persons, so it is drawn to the mean of all cameras, that to zero, and the spread of
    each number to that of the others.

    Args:
        tracklets: Of all cameras.
    """
    vector = tracklets.embedding.astype(float)
    rows = len(vector)
    overall = vector.sum(axis=0) / (rows + _ALL)
    place = np.stack([tracklets.camera_id, tracklets.class_id], axis=1)
    _, camera, count = np.unique(place, axis=0, return_inverse=True, return_counts=True)
    total = np.zeros((len(count), vector.shape[1]))
    np.add.at(total, camera.reshape(-1), vector)
    mean = (total + _CAMERA * overall) / (count[:, None] + _CAMERA)
    less = vector - mean[camera.reshape(-1)]
    square = np.square(less).sum(axis=0)
    usual = max(float(square.mean()) / max(rows, 1), 1e-12)
    less /= np.sqrt((square + _ALL * usual) / (rows + _ALL) + _FLOOR * usual)
    length = np.linalg.norm(less, axis=1, keepdims=True)
    return np.where(length > 1e-9, less / np.maximum(length, 1e-9), vector).astype(np.float32)
