"""Where a box will be: constant-velocity filters over all tracks at once.

The filters of SORT, ByteTrack and BoT-SORT move each of four coordinates with its own velocity and never couple two of
them (their F, Q and R are block-diagonal), so the covariance of a track is three numbers per coordinate and there is
nothing to invert. A state is one `(5, 4, n)` array for n tracks; its five planes are

    POSITION, CROSS (covariance of position and velocity), VELOCITY, VELOCITY_VARIANCE, POSITION_VARIANCE

in the order that lets predict add planes 2, 3 to planes 0, 1 in one operation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mot_reid.arrays import FloatArray, IntArray

Four = tuple[float, float, float, float]
Space = Literal["xyah", "cxcywh", "xysr"]

# A longer absence is replayed from its last frames only: by its end the filter has forgotten where it began (boxes
# agree to a hundred thousandth of a pixel).
_REPLAYED = 500

POSITION, CROSS, VELOCITY, VELOCITY_VARIANCE, POSITION_VARIANCE = range(5)
_ZERO: Four = (0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Noise:
    """Standard deviations of the four coordinates: `relative` times the track's own scale, plus a fixed `absolute`.

    Variances add, so `relative=(a, ..), absolute=(b, ..)` is the variance `(a * scale) ** 2 + b ** 2`.
    """

    relative: Four = _ZERO
    absolute: Four = _ZERO


@dataclass(frozen=True, slots=True)
class ScoreNoise:
    """Measurement noise by the score of the box: its variance times `(1 - score) ** power`, at least `least`."""

    power: int = 1
    least: float = 0.0


@dataclass(frozen=True, slots=True)
class Motion:
    """A constant-velocity model of boxes.

    Attributes:
        space: the four coordinates (see `mot_reid.boxes`).
        scale: for each coordinate, the index of the coordinate that its relative noise is relative to.
        initial: noise of position and of velocity (pixels per frame) of a new track.
        process: noise added to position and to velocity in a frame.
        measurement: noise of a detection.
        by_score: how the noise of a detection falls with its score; `None`: it does not.
        stops: coordinates whose velocity becomes zero when the track is not seen.
        replay: whether a track found again re-lives its absence along the straight line between the two sights
            (OC-SORT's observation-centric re-update).
        predicts_tentative: whether a track that is not confirmed yet is moved before it is matched.
    """

    space: Space
    scale: tuple[int, int, int, int]
    initial: tuple[Noise, Noise]
    process: tuple[Noise, Noise]
    measurement: Noise
    by_score: ScoreNoise | None = None
    stops: tuple[int, ...] = ()
    replay: bool = False
    predicts_tentative: bool = True


class Filter:
    """The arithmetic of one `Motion`; holds constants only, every method is a pure function of its arguments."""

    def __init__(self, motion: Motion) -> None:
        self.motion = motion
        self.stops = list(motion.stops)
        self._scale = list(motion.scale)
        self._one_scale = len(set(motion.scale)) == 1
        # Velocity first: the order of the planes VELOCITY_VARIANCE, POSITION_VARIANCE.
        self._initial = _variances(motion.initial[1], motion.initial[0])
        self._process = _variances(motion.process[1], motion.process[0])
        self._measurement = _variances(motion.measurement)
        self._process_is_fixed = not self._process[0].any()
        self._measurement_is_fixed = not self._measurement[0].any()

    def measure(self, xyxy: FloatArray) -> FloatArray:
        """Returns `(4, n)` coordinates of `(4, n)` boxes x1, y1, x2, y2 with positive sides."""
        out = np.empty_like(xyxy)
        low, high = xyxy[:2], xyxy[2:]
        np.add(low, high, out=out[:2])
        out[:2] *= 0.5
        np.subtract(high, low, out=out[2:])
        if self.motion.space == "xyah":
            out[2] /= out[3]
        elif self.motion.space == "xysr":
            width, height = out[2].copy(), out[3].copy()
            out[2], out[3] = width * height, width / height
        return out

    def boxes(self, state: FloatArray) -> FloatArray:
        """Returns the `(4, n)` boxes x1, y1, x2, y2 of a `(5, 4, n)` state."""
        position = state[POSITION]
        if self.motion.space == "xysr":
            width = np.sqrt(position[2] * position[3])
            half = np.stack((width, position[2] / width)) * 0.5
        else:
            half = position[2:] * 0.5
            if self.motion.space == "xyah":
                half[0] *= position[3]
        centre = position[:2]
        out = np.empty_like(position)
        np.subtract(centre, half, out=out[:2])
        np.add(centre, half, out=out[2:])
        return out

    def initiate(self, measured: FloatArray) -> FloatArray:
        """Returns the `(5, 4, n)` state of tracks born at `(4, n)` coordinates, without velocity."""
        state = np.zeros((5, *measured.shape))
        state[POSITION] = measured
        state[VELOCITY_VARIANCE:] = self._variance(self._initial, measured)
        return state

    def predict(self, state: FloatArray, steps: float = 1.0) -> FloatArray:
        """Returns the state after `steps` frames (> 0, fractions allowed).

        For whole numbers this equals that many predictions of one frame with the process noise of the first. A size
        that would become zero or negative stays and loses its velocity, as SORT does for areas.
        """
        new = state.copy()
        noise = self._process[1] if self._process_is_fixed else self._variance(self._process, state[POSITION])
        if steps == 1.0:
            # Views, as `new[plane] += ..` would write each plane twice.
            cross, position_variance = new[CROSS], new[POSITION_VARIANCE]
            moved, variances = new[:VELOCITY], new[VELOCITY_VARIANCE:]
            position_variance += cross
            moved += new[VELOCITY:POSITION_VARIANCE]
            position_variance += cross
            variances += noise
        else:
            predict_steps(new, noise, steps)
        sizes = new[POSITION, 2:]
        gone = sizes <= 0
        if np.count_nonzero(gone):
            sizes[gone] = state[POSITION, 2:][gone]
            new[VELOCITY, 2:][gone] = 0
        return new

    def update(self, state: FloatArray, measured: FloatArray, score: FloatArray | None = None) -> FloatArray:
        """Returns the `(5, 4, n)` state after seeing each track at `(4, n)` coordinates.

        Args:
            score: `(n,)` of the boxes seen; only a motion with `by_score` asks.
        """
        new = state.copy()
        if self._measurement_is_fixed:
            noise = self._measurement[1][0]
        else:
            noise = self._variance(self._measurement, state[POSITION])[0]
        by_score = self.motion.by_score
        if by_score is not None and score is not None:
            noise = noise * np.maximum((1.0 - score) ** by_score.power, by_score.least)
        gain = state[POSITION_VARIANCE::-3] / (state[POSITION_VARIANCE] + noise)  # planes POSITION_VARIANCE and CROSS
        position_and_velocity, velocity_variance = new[POSITION:VELOCITY_VARIANCE:2], new[VELOCITY_VARIANCE]
        shrinking = new[POSITION_VARIANCE::-3]
        position_and_velocity += gain * (measured - state[POSITION])
        velocity_variance -= gain[1] * state[CROSS]
        shrinking *= 1.0 - gain[0]
        return new

    def distance(self, state: FloatArray, measured: FloatArray) -> FloatArray:
        """Returns the `(n, m)` squared Mahalanobis distances of n tracks and m boxes at `(4, m)` coordinates."""
        noise = self._variance(self._measurement, state[POSITION])[0]
        uncertainty = state[POSITION_VARIANCE] + noise
        step = measured[:, None, :] - state[POSITION][:, :, None]
        return (step**2 / uncertainty[:, :, None]).sum(axis=0)

    def replay(self, state: FloatArray, start: FloatArray, end: FloatArray, *, gap: IntArray) -> FloatArray:
        """Returns the state of tracks found again, after observing a straight virtual path through their absence.

        Args:
            state: `(5, 4, n)` as predicted for the first frame that missed the track.
            start: `(4, n)` box x1, y1, x2, y2 of the last sight.
            end: `(4, n)` box of the new sight.
            gap: `(n,)` frames from the last sight to the new one, 2 or more.

        Reference:
            Cao et al., Observation-Centric SORT, CVPR 2023, section 4.2. As in the authors' code the state after the
            virtual path has seen `end` already, and the caller's ordinary update applies it a second time.
        """
        state = state.copy()
        path = np.concatenate((start[:2] + start[2:], start[2:] - start[:2]))
        goal = np.concatenate((end[:2] + end[2:], end[2:] - end[:2]))
        slope = (goal - path) / gap
        skipped = np.maximum(gap - _REPLAYED, 0)
        long = np.flatnonzero(skipped)
        if len(long):
            state[POSITION][:, long] = self._on_path(path, slope, skipped + 1, rows=long)
        for step in range(1, int((gap - skipped).max()) + 1):
            rows = np.flatnonzero(gap - skipped >= step)
            current = state.take(rows, axis=2)
            if step > 1:
                current = self.predict(current)
            state[:, :, rows] = self.update(current, self._on_path(path, slope, skipped + step, rows=rows))
        return state

    def _on_path(self, path: FloatArray, slope: FloatArray, step: IntArray, *, rows: Any) -> FloatArray:
        """Returns `(4, m)` coordinates of some tracks after that many steps of their virtual paths."""
        at = path[:, rows] + step[rows] * slope[:, rows]
        return self.measure(np.concatenate((at[:2] - at[2:], at[:2] + at[2:])) * 0.5)

    def warp(self, state: FloatArray, transform: FloatArray) -> FloatArray:
        """Returns the state seen by a camera that moved.

        Args:
            state: `(5, 4, n)`.
            transform: `(2, 3)` that maps points of the previous frame to this one: rotation, uniform scale and shift.

        The centre and its velocity are transformed; sizes are scaled but not rotated (an upright box stays upright),
        and the correlation between x and y that a rotation would create is dropped. BoT-SORT mixes width with height
        and keeps the correlation; for the rotations between two frames (about a degree) the difference is far below
        a pixel.
        """
        linear, shift = transform[:, :2], transform[:, 2]
        growth = _growth(transform)
        new = state.copy()
        for plane in (POSITION, VELOCITY):
            new[plane, :2] = linear @ state[plane, :2]
        new[POSITION, :2] += shift[:, None]
        variances = [CROSS, VELOCITY_VARIANCE, POSITION_VARIANCE]
        new[variances, :2] = linear**2 @ state[variances, :2]
        for axis, power in _SIZE_POWERS[self.motion.space]:
            new[[POSITION, VELOCITY], axis] *= growth**power
            new[variances, axis] *= growth ** (2 * power)
        return new

    def _variance(self, variances: tuple[FloatArray, FloatArray], position: FloatArray) -> FloatArray:
        relative, absolute = variances
        if self._one_scale:
            return relative * np.square(position[self._scale[0]]) + absolute
        return relative * np.square(position[self._scale]) + absolute


def warp_boxes(xyxy: FloatArray, transform: FloatArray) -> FloatArray:
    """Returns `(.., 4, n)` boxes seen by a camera that moved; as in `Filter.warp`, upright boxes stay upright.

    Args:
        transform: `(2, 3)` that maps points of the previous frame to this one.
    """
    low, high = xyxy[..., :2, :], xyxy[..., 2:, :]
    centre = transform[:, :2] @ ((low + high) * 0.5) + transform[:, 2:]
    half = (high - low) * (0.5 * _growth(transform))
    return np.concatenate((centre - half, centre + half), axis=-2)


def warp_directions(direction: FloatArray, transform: FloatArray) -> FloatArray:
    """Returns `(2, n)` directions of movement seen by a camera that turned; their lengths stay."""
    return transform[:, :2] @ direction / _growth(transform)


def _growth(transform: FloatArray) -> float:
    """Returns the scale of a transform."""
    return float(np.sqrt(abs(np.linalg.det(transform[:, :2]))))


_SIZE_POWERS: dict[Space, tuple[tuple[int, int], ...]] = {
    "xyah": ((3, 1),),
    "cxcywh": ((2, 1), (3, 1)),
    "xysr": ((2, 2),),
}


def _variances(*noises: Noise) -> tuple[FloatArray, FloatArray]:
    """Returns relative and absolute variances, each `(len(noises), 4, 1)`."""
    relative = np.square(np.array([noise.relative for noise in noises]))[:, :, None]
    absolute = np.square(np.array([noise.absolute for noise in noises]))[:, :, None]
    return relative, absolute


def predict_steps(state: FloatArray, noise: FloatArray, steps: float) -> None:
    """Moves `state` in place by `steps` frames of random-walk velocity, in closed form."""
    velocity_noise, position_noise = noise[0], noise[1]
    # Sums of i and of i squared for i < steps: how the velocity noise of the earlier frames reaches the position.
    linear = max(steps - 1, 0.0) * steps / 2
    square = linear * (2 * steps - 1) / 3
    state[POSITION_VARIANCE] += steps * (2 * state[CROSS] + steps * state[VELOCITY_VARIANCE])
    state[POSITION_VARIANCE] += steps * position_noise + square * velocity_noise
    state[CROSS] += steps * state[VELOCITY_VARIANCE] + linear * velocity_noise
    state[POSITION] += steps * state[VELOCITY]
    state[VELOCITY_VARIANCE] += steps * velocity_noise
