"""Embeddings without what all people of a camera have in common, such as its light."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mot_reid.arrays import Float32Array, FloatArray, IntArray
from mot_reid.linking.tracklets import Tracklets

_ALL, _CAMERA = 50, 20
"""Numbers of tracklets at which what all of them, and those of a camera, have in common counts half."""
_FLOOR = 0.01
"""A number that is nearly constant is taken to vary by this share of the mean variance more."""


@dataclass(frozen=True, slots=True, eq=False)
class Common:
    """What all people have in common, and those of each camera.

    Attributes:
        place: (C, 2) camera and class.
        mean: (C, D) mean of each, drawn to that of all.
        overall: (D,) mean of all, which stands for that of any other camera.
        deviation: (D,) by which each number is divided.
    """

    place: IntArray
    mean: FloatArray
    overall: FloatArray
    deviation: FloatArray

    def without(self, tracklets: Tracklets) -> Float32Array:
        """Returns the (N, D) embeddings less the mean of their camera, each number divided, of unit length.

        Args:
            tracklets: Of any cameras.
        """
        vector = tracklets.embedding.astype(float)
        same = (_places(tracklets)[:, None] == self.place[None]).all(axis=2)
        mine = np.append(same, np.ones((len(same), 1), bool), axis=1).argmax(axis=1)  # the last one: another camera
        less = (vector - np.concatenate([self.mean, self.overall[None]])[mine]) / self.deviation
        length = np.linalg.norm(less, axis=1, keepdims=True)
        return np.where(length > 1e-9, less / np.maximum(length, 1e-9), vector).astype(np.float32)


def common(tracklets: Tracklets) -> Common:
    """Returns what the people of these tracklets have in common.

    Of few tracklets the mean would be that of a few persons, so it is drawn to the mean of all cameras, that to zero,
    and the spread of each number to that of the others.

    Args:
        tracklets: Of all cameras.
    """
    vector = tracklets.embedding.astype(float)
    rows = len(vector)
    overall = vector.sum(axis=0) / (rows + _ALL)
    place, camera, count = np.unique(_places(tracklets), axis=0, return_inverse=True, return_counts=True)
    total = np.zeros((len(count), vector.shape[1]))
    np.add.at(total, camera.reshape(-1), vector)
    mean = (total + _CAMERA * overall) / (count[:, None] + _CAMERA)
    square = np.square(vector - mean[camera.reshape(-1)]).sum(axis=0)
    usual = max(float(square.sum()) / max(square.size * rows, 1), 1e-12)
    return Common(place, mean, overall, np.sqrt((square + _ALL * usual) / (rows + _ALL) + _FLOOR * usual))


def without_common(tracklets: Tracklets) -> Float32Array:
    """Returns the embeddings less what the people of each camera share, which says nothing about who they are.

    Args:
        tracklets: Of all cameras.
    """
    return common(tracklets).without(tracklets)


def _places(tracklets: Tracklets) -> IntArray:
    return np.stack([tracklets.camera_id, tracklets.class_id], axis=1)
