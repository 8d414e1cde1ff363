"""Who is hidden behind somebody goes back to where and how they moved before, and is waited for (FastTracker).

A person who is about to be hidden is seen badly first, and the filter learns a wrong motion from that. So when a track
that found no box is covered by one that did, its state is that of some sights ago, slower and a little taller.
"""

from __future__ import annotations

import numpy as np

from mot_reid.arrays import BoolArray, FloatArray, IntArray
from mot_reid.tracking.motion import POSITION, VELOCITY, Filter
from mot_reid.tracking.presets import Occlusion
from mot_reid.tracking.store import SIGHTS, Store

NEVER = -1e9
"""Time in frames of an occlusion that never was."""


def remember(store: Store, row: IntArray) -> None:
    """Keeps the states of tracks at `(k,)` positions that were just seen, and ends their occlusion."""
    store.past[:, :, :, row] = np.concatenate((store.past[1:].take(row, axis=3), store.filter.take(row, axis=2)[None]))
    again = row[store.lost[row]]
    store.hidden_at[again] = NEVER
    store.lost[row] = False
    store.hidden[row] = 0


def hide(store: Store, matched: IntArray, *, rule: Occlusion, motion: Filter, clock: float) -> None:
    """Sends back the tracks that a matched one covers, and gives up those that were not seen for too long.

    Args:
        matched: `(k,)` positions of confirmed tracks that found a box in this frame and were not lost before.
        clock: time of the frame in frames.
    """
    unseen = (store.confirmed & ~store.lost & (store.missed > 0)).nonzero()[0]
    if not len(unseen):
        return
    boxes = motion.boxes(store.filter)
    share = _covered(boxes.take(unseen, axis=1), boxes.take(matched, axis=1))
    share[store.class_id[unseen, None] != store.class_id[matched]] = 0.0
    covered = share.max(axis=1, initial=0.0) > rule.cover
    fresh = store.hidden[unseen] == 0
    store.hidden[unseen[~fresh]] += 1
    new = unseen[covered & fresh]
    store.hidden[new] = 1
    store.hidden_at[new] = clock
    _send_back(store, new, rule=rule)
    hidden = store.hidden[unseen]
    store.lost[unseen] = (store.missed[unseen] > rule.misses) & ((hidden == 0) | (hidden > rule.patience))


def waited_for(store: Store, *, rule: Occlusion, clock: float) -> BoolArray:
    """Returns which tracks are kept however long they were unseen, as they were hidden not long ago."""
    return clock - store.hidden_at <= rule.memory


def _send_back(store: Store, row: IntArray, *, rule: Occlusion) -> None:
    velocity = store.past[SIGHTS - rule.velocity_back][VELOCITY].take(row, axis=1)
    velocity = np.where(np.isnan(velocity), store.filter[VELOCITY][:, row], velocity)
    before = store.past[SIGHTS - rule.place_back].take(row, axis=2)
    state = np.where(np.isnan(before), store.filter.take(row, axis=2), before)
    state[VELOCITY] = velocity * rule.slower
    state[POSITION, 3] *= rule.taller
    store.filter[:, :, row] = state


def _covered(boxes: FloatArray, others: FloatArray) -> FloatArray:
    """Returns the `(n, m)` shares of `(4, n)` boxes that each of `(4, m)` others covers."""
    size = np.minimum(boxes[2:, :, None], others[2:, None]) - np.maximum(boxes[:2, :, None], others[:2, None])
    shared = np.prod(np.maximum(size, 0.0), axis=0)
    return shared / np.prod(boxes[2:] - boxes[:2], axis=0)[:, None]
