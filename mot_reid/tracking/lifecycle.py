"""What happens to the rows after matching: seen, missed, dropped, born. Each function changes the store it is given."""

from __future__ import annotations

import numpy as np

from mot_reid.arrays import BoolArray, FloatArray, IntArray, all_true
from mot_reid.tracking import confidence, occlusion
from mot_reid.tracking.costs import overlapping_pairs, unit_step
from mot_reid.tracking.cues import corner_directions, corner_steps
from mot_reid.tracking.matching import Boxes, Matches, reference_boxes
from mot_reid.tracking.motion import VELOCITY, Filter
from mot_reid.tracking.presets import Preset
from mot_reid.tracking.store import Store

# Frames do not come at exact distances; an age is judged to the nearest frame.
_SLACK = 0.5


def observe(
    store: Store, state: FloatArray, boxes: Boxes, *, matches: Matches, motion: Filter, clock: float, max_missed: float
) -> None:
    """Takes the predicted `state`, updated where tracks were matched, and counts sights and misses.

    Args:
        state: `(5, 4, n)` predicted; becomes the store's.
        clock: time of this frame, in frames.
        max_missed: frames unseen that a track survives; only the parity switch `late` asks.
    """
    row = matches.row
    store.missed += 1
    if "observed" in store.names or "corner_boxes" in store.names:
        state = _observe_past(store, state, boxes, matches=matches, motion=motion, clock=clock)
    if len(row):
        # Of all tracks at once, as choosing some and putting them back takes longer; only those seen are kept.
        seen = ~matches.free[0]
        xyxy, score = boxes.xyxy.take(matches.box, axis=1), boxes.score.take(matches.box)
        np.copyto(state, motion.update(state, motion.measure(xyxy), score), where=seen)
        if "last" in store.names:
            np.copyto(store.last, xyxy, where=seen)
        if "late" in store.names:
            store.late[row] |= clock - store.seen[row] > max_missed + 1 + _SLACK
        if "past" in store.names:
            store.filter = state
            occlusion.remember(store, row)
        store.missed[row] = 0
        store.hits += seen
        store.seen[row] = clock
        np.copyto(store.score, score, where=seen)
    store.filter = state


def _observe_past(
    store: Store, state: FloatArray, boxes: Boxes, *, matches: Matches, motion: Filter, clock: float
) -> FloatArray:
    """Keeps what presets remember that look back; returns the predicted state, replayed where they do that."""
    row, xyxy = matches.row, boxes.xyxy.take(matches.column, axis=1)
    if "score_state" in store.names:
        _observe_weak_cues(store, xyxy, boxes.score.take(matches.column), row=row, clock=clock)
    if "observed" in store.names:
        state = _observe_path(store, state, xyxy, row=row, motion=motion, clock=clock)
    if "corner_boxes" in store.names:
        _observe_corners(store, xyxy, row=row)
    return state


def _observe_path(
    store: Store, state: FloatArray, xyxy: FloatArray, *, row: IntArray, motion: Filter, clock: float
) -> FloatArray:
    """Keeps what observation-centric presets remember, and replays the absence of tracks found again."""
    known = ~np.isnan(store.observed[0])
    if motion.motion.replay:
        back = np.flatnonzero(known[row] & (store.missed[row] > 1))
        if len(back):
            again = row[back]
            state[:, :, again] = motion.replay(
                store.frozen[:, :, again], store.observed[:, again], xyxy[:, back], gap=_gap(store, again, clock)
            )
        leaving = known & (store.missed == 1)
        leaving[row] = False
        store.frozen[:, :, leaving] = state[:, :, leaving]
    direction = unit_step(reference_boxes(store)[:, row], xyxy)
    store.direction[:, row] = np.where(known[row], direction, 0.0)
    store.observed[:, row] = xyxy
    latest = np.full_like(store.observed, np.nan)
    latest[:, row] = xyxy
    store.recent = np.concatenate((store.recent[1:], latest[None]))
    return state


def _gap(store: Store, row: IntArray, clock: float) -> IntArray:
    """Returns the `(k,)` frames since tracks at `(k,)` positions, which missed one or more, were seen; 2 or more."""
    return np.maximum(np.rint(clock - store.seen[row]).astype(np.int64), 2)


def _observe_corners(store: Store, xyxy: FloatArray, *, row: IntArray) -> None:
    """Keeps the latest boxes, where their corners go, and the score before the one of this frame."""
    store.corners[:, :, row] = corner_directions(store.corner_boxes.take(row, axis=2), xyxy)
    store.score_before[row] = store.score[row]
    latest = np.full((4, len(store)), np.nan)
    latest[:, row] = xyxy
    store.corner_boxes = np.concatenate((store.corner_boxes[1:], latest[None]))


def _observe_weak_cues(store: Store, xyxy: FloatArray, score: FloatArray, *, row: IntArray, clock: float) -> None:
    """Takes scores of matched tracks at `(k,)` positions, and where their corners went; before the boxes are kept."""
    steps = np.stack([corner_steps(before.take(row, axis=1), xyxy) for before in store.recent]).sum(axis=0)
    unseen = np.isnan(store.recent[:, 0].take(row, axis=1)).all(axis=0)
    store.corners[:, :, row] = np.where(unseen, corner_steps(store.observed.take(row, axis=1), xyxy), steps)
    known = ~np.isnan(store.observed[0])
    back = np.flatnonzero(known[row] & (store.missed[row] > 1))
    if len(back):
        again = row[back]
        store.score_state[:, again] = confidence.replay(
            store.score_frozen[:, again], store.score[again], score[back], gap=_gap(store, again, clock)
        )
    leaving = known & (store.missed == 1)
    leaving[row] = False
    store.score_frozen[:, leaving] = store.score_state[:, leaving]
    store.score_before = store.score.copy()
    store.score_state[:, row] = confidence.update(store.score_state.take(row, axis=1), score)


def age(
    store: Store, unseen: BoolArray, *, motion: Filter, preset: Preset, clock: float, max_missed: float
) -> BoolArray:
    """Lets unseen tracks coast and returns which of them are to be dropped."""
    life = preset.life
    if motion.stops:
        rows = (unseen if preset.occlusion is None else unseen & store.lost).nonzero()[0]
        for axis in motion.stops:
            store.filter[VELOCITY, axis][rows] = 0
    if not life.sticky:
        store.hits[unseen] = 0
    dropped = clock - store.seen > max_missed + preset.expiry_slip + _SLACK
    if preset.occlusion is not None:
        dropped &= ~occlusion.waited_for(store, rule=preset.occlusion, clock=clock)
    if preset.expiry_slip:
        dropped |= store.late
    if life.tentative_dies:
        dropped |= ~store.confirmed
    return dropped & unseen


def expired(store: Store, *, preset: Preset, clock: float, max_missed: float) -> BoolArray:
    """Returns which tracks were unseen for too long to be found again in the frame of time `clock`.

    Where frames come one by one, those are gone already: this is about frames that were skipped.
    """
    return clock - store.seen > max_missed + 1 + preset.expiry_slip + _SLACK


def confirm(store: Store, *, preset: Preset, frame: int) -> None:
    """Confirms the tracks that were seen often enough, and in the first frames all."""
    life = preset.life
    if life.sticky and all_true(store.confirmed):
        return
    enough = (store.missed == 0) if frame <= life.warmup else (store.hits >= life.confirm_hits) & (store.missed == 0)
    store.confirmed = store.confirmed | enough if life.sticky else enough


def give_birth(
    store: Store, boxes: Boxes, matches: Matches, *, motion: Filter, preset: Preset, clock: float
) -> IntArray:
    """Begins a track at every free box that may begin one; returns their columns."""
    if len(matches.column) == len(boxes.score):
        return matches.column[:0]
    column = matches.free[1][: boxes.high].nonzero()[0]
    if len(column) and preset.life.birth is not None:
        column = column[boxes.score.take(column) >= preset.life.birth]
    if len(column) and preset.life.clear is not None:
        column = _with_room(store, boxes, column, motion=motion, clear=preset.life.clear)
    if len(column):
        time = np.full(len(column), clock)
        xyxy = boxes.xyxy.take(column, axis=1)
        store.append(
            filter=motion.initiate(motion.measure(xyxy)),
            last=xyxy,
            class_id=boxes.class_id.take(column),
            score=boxes.score.take(column),
            score_before=boxes.score.take(column),
            score_state=confidence.begin(boxes.score.take(column)),
            born=time,
            seen=time,
        )
        if "past" in store.names:
            new = np.arange(len(store) - len(column), len(store))
            occlusion.remember(store, new)
            store.hidden_at[new] = occlusion.NEVER
        if "corner_boxes" in store.names:
            store.corner_boxes[-1, :, -len(column) :] = xyxy
    return column


def _with_room(store: Store, boxes: Boxes, column: IntArray, *, motion: Filter, clear: float) -> IntArray:
    """Returns the columns of boxes that overlap no seen track, and no better box among them, by more than `clear`."""
    seen = (~store.given_up()).nonzero()[0]
    free, kind = boxes.xyxy.take(column, axis=1), boxes.class_id.take(column)
    known = overlapping_pairs(motion.boxes(store.filter.take(seen, axis=2)), free)
    allowed = np.ones(len(column), np.bool_)
    allowed[known.column[(known.iou > clear) & (store.class_id[seen[known.row]] == kind[known.column])]] = False
    among = overlapping_pairs(free, free)
    close = (among.iou > clear) & (kind[among.row] == kind[among.column])
    for better, other in zip(among.row[close], among.column[close]):
        # Boxes come by falling score, and pairs by their first box.
        if better < other and allowed[better]:
            allowed[other] = False
    return column[allowed]


def duplicates(store: Store, dropped: BoolArray, *, xyxy: FloatArray, preset: Preset) -> BoolArray:
    """Returns `dropped` with, of each seen and lost pair that overlap too much, the younger; of equals the seen one.

    Args:
        xyxy: `(4, n)` boxes of the store's tracks.
    """
    limit = preset.life.duplicate
    missing = store.given_up()
    lost = missing.nonzero()[0]
    if limit is None or not _may_coincide(xyxy, lost, limit=limit, pixel=preset.pixel):
        return dropped
    seen, lost = (~missing & ~dropped).nonzero()[0], lost[~dropped[lost]]
    pairs = overlapping_pairs(xyxy.take(seen, axis=1), xyxy.take(lost, axis=1), pixel=preset.pixel)
    twin = (pairs.iou > limit).nonzero()[0]
    if not len(twin):
        return dropped
    seen, lost = seen[pairs.row[twin]], lost[pairs.column[twin]]
    same = store.class_id[seen] == store.class_id[lost]
    seen, lost = seen[same], lost[same]
    lived = store.seen - store.born
    older = lived[seen] > lived[lost]
    dropped = dropped.copy()
    dropped[lost[older]] = True
    dropped[seen[~older]] = True
    return dropped


def _may_coincide(xyxy: FloatArray, lost: IntArray, *, limit: float, pixel: float) -> bool:
    """Returns False if no track can have an IoU above `limit` with a lost one, judging by their top left corners alone.

    Such corners are no further apart than (1 - limit) / limit times the width and the height of either box.
    """
    corner = xyxy[:2]
    size = xyxy[2:] - corner
    if pixel:
        size += pixel
    size *= (1.0 - limit) / max(limit, 1e-9)
    apart = corner[:, :, None] - corner.take(lost, axis=1)[:, None]
    near = np.abs(apart, out=apart) <= size[:, :, None]
    both = near[0] & near[1]
    both[lost] = False
    return bool(np.count_nonzero(both))
