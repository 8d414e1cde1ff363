"""`Tracker`: takes the boxes of each frame and returns identities. The one stateful loop of every preset."""

from __future__ import annotations

from copy import copy
from inspect import signature
from os import PathLike
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from mot_reid.arrays import BoolArray, FloatArray, Image, IntArray, all_true
from mot_reid.settings.tracker_parameters import AppearanceMode, BandsMode, CameraMethod, PresetName
from mot_reid.structures import Decisions, Tracks, as_detections
from mot_reid.tracking import confidence, lifecycle, occlusion
from mot_reid.tracking.appearance import AppearanceState
from mot_reid.tracking.camera import CameraMotion
from mot_reid.tracking.costs import Pairs, Scene
from mot_reid.tracking.embed_on_demand import EmbedderLike, EmbeddingSource
from mot_reid.tracking.inputs import InputCheck
from mot_reid.tracking.matching import Boxes, Matches, arrange, associate, candidates, pairs_in_gate
from mot_reid.tracking.motion import Filter
from mot_reid.tracking.parameters import find_preset, refuse_unknown, with_bands, with_parameters
from mot_reid.tracking.presets import Preset
from mot_reid.tracking.recall import NOBODY, Recalled
from mot_reid.tracking.saved_state import Part, check_tracks, pack, unpack
from mot_reid.tracking.score_level import ScoreLevel, fitted, level_of
from mot_reid.tracking.store import Store

# Times in seconds come with rounding: a step this near to a whole number of frames is one.
_ROUNDING = 1e-6
# How far from the filter's box to the detector's the box between them lies: the filter follows a changing width late.
_BETWEEN = 0.3


class Tracker:
    """Tracks the people in a video online: call `update` once per frame.

    Args:
        preset: `sort`, `bytetrack`, `ocsort`, `botsort`, `bytetrack_reid`, `cbiou`, `deepocsort`, `strongsort`,
            `tracktrack`, `fasttrack` or `hybridsort`; or a `presets.Preset` of your own.
        reid: what computes embeddings: the path or name of an exported checkpoint, or a callable
            `(image, xyxy (N, 4)) -> (N, D)` with an optional attribute `threshold` (the calibrated cosine
            similarity). `None`: embeddings come with the detections, or appearance is not used.
        frame_rate: frames per second; times that a preset gives in frames are for 30 and are scaled.
        appearance: with `reid`, which boxes are embedded: `on_demand`: where motion is ambiguous (several candidates,
            or a lost track in reach) and now and then elsewhere; `always`: every box of the high band.
        bands: `adaptive`: `high` and `birth` adapt to the detector's scores; `published`: they are fixed. `None`:
            adaptive if the preset supports it and neither of them is given.
        camera: how camera motion is estimated from the images.
        explain: whether `decisions` is kept for each frame.
        high: score above which a box is in the high band: these boxes are matched first and may begin tracks.
        low: score above which a box is in the low band: these boxes only continue tracks.
        birth: smallest score of a box that begins a track; follows `high` when only `high` is given.
        limit: largest cost of a pair in the first stage; raise it to accept smaller overlaps.
        confirm_hits: frames after the first in which a track must be seen before it is confirmed.
        max_missed: frames (at 30 per second) that a track survives unseen.
        duplicate: IoU of a seen and a lost track above which the younger one is dropped.
        gate: smallest cosine similarity of the same person; unset: the model's calibrated threshold, or 0.5.
        proximity: smallest IoU of a pair that appearance may join.
        max_lost_seconds: how long a lost person is remembered and recognised by appearance alone; 0: not at all.
        **misspelt: not used; any other name is an error that suggests the nearest parameter.

    Raises:
        TypeError: for an unknown parameter.
        ValueError: for an unknown preset, a value out of range, or a parameter that the preset does not use.
    """

    def __init__(
        self,
        preset: PresetName | str | Preset = "bytetrack",
        *,
        reid: str | PathLike[str] | EmbedderLike | None = None,
        frame_rate: float = 30.0,
        appearance: AppearanceMode = "on_demand",
        bands: BandsMode | None = None,
        camera: CameraMethod | None = None,
        explain: bool = False,
        high: float | None = None,
        low: float | None = None,
        birth: float | None = None,
        limit: float | None = None,
        confirm_hits: int | None = None,
        max_missed: int | None = None,
        duplicate: float | None = None,
        gate: float | None = None,
        proximity: float | None = None,
        max_lost_seconds: float | None = None,
        **misspelt: NoReturn,
    ) -> None:
        if misspelt:
            refuse_unknown(misspelt, [name for name in signature(Tracker).parameters if name != "misspelt"])
        if not 0 < frame_rate < float("inf"):
            raise ValueError(f"frame_rate: got {frame_rate}; expected frames per second, more than 0")
        changed = with_parameters(
            find_preset(preset), high=high, low=low, birth=birth, limit=limit, confirm_hits=confirm_hits,
            max_missed=max_missed, duplicate=duplicate, gate=gate, proximity=proximity,
            max_lost_seconds=max_lost_seconds, camera=camera,
        )  # fmt: skip
        self.preset = with_bands(changed, bands, given=high is not None or birth is not None)
        self._fitted: dict[float, Preset] = {}
        self.frame_rate = float(frame_rate)
        self.explain = explain
        self._source = EmbeddingSource(reid, appearance, preset=self.preset, frame_rate=self.frame_rate)
        self._inputs = InputCheck(self.preset, embedder=reid is not None)
        self._filter = Filter(self.preset.motion)
        self._asks_gate = any(stage.cost == "appearance_in_gate" for stage in self.preset.stages)
        self._max_missed = (
            max(1, int(self.preset.life.max_missed * frame_rate / 30)) if self.preset.life.max_missed else 0
        )
        self.reset()

    def __repr__(self) -> str:
        lost = int(np.count_nonzero((self._store.missed > 0) & (self._store.track_id > 0)))
        return (
            f"Tracker('{self.preset.name}', frame_rate={self.frame_rate:g}): frame {self._frame}, "
            f"{len(self._store)} tracks ({lost} lost), {self._next_id - 1} identities so far"
        )

    def reset(self) -> None:
        """Forgets everything, identities included; the tracker is as new."""
        self._store, self._appearance, self._camera, self._scores = self._blank()
        self._frame = 0
        self._clock = 0.0
        self._seconds: float | None = None
        self._next_id = 1
        self._decisions = Decisions.empty()

    def update(self, detections: Any, image: Image | None = None, *, time_seconds: float | None = None) -> Tracks:
        """Returns the tracks seen in the next frame.

        Args:
            detections: what a detector found: `Detections`, an `(N, 5)` or `(N, 6)` array of x1, y1, x2, y2, score
                and class, an Ultralytics result or a supervision `Detections`. Pass an empty array if there are none.
            image: `(H, W, 3)` frame; needed with `reid`, used for camera motion where the preset asks for it.
            time_seconds: when the frame was taken, growing from call to call; for videos that skip frames. Given
                always or never between two resets.

        Raises:
            ValueError: if the input is not valid; the tracker is then as it was before.
        """
        found = as_detections(detections)
        steps = self._steps(time_seconds)
        preset, counts = self._fit(found.score)
        boxes = arrange(found, preset.bands)
        outside = self._inputs.look(boxes, image)
        if outside is not None and boxes.embedding is not None:
            boxes.embedding[outside] = np.nan
        before = self._store, self._appearance
        try:
            if steps > 1.0:
                self._expire(self._clock + steps)
            state, small = self._predict(steps, image, boxes)
            expected = self._filter.boxes(state)
            pairs = candidates(expected, self._store, boxes, pixel=self.preset.pixel)
            pairs = self._add_embeddings(boxes, pairs, image, outside)
            look = self.preset.appearance
            scene = Scene(
                boxes.score,
                self._source.gate,
                look.proximity if look and look.proximity is not None else 1.0,
                tracks=expected,
                boxes=boxes.xyxy,
                high=boxes.high,
                store=self._store,
                bands=preset.bands,
                in_gate=self._in_gate(state, expected, boxes) if self._asks_gate else None,
            )
            matches = associate(preset, self._store, boxes, pairs=pairs, scene=scene)
        except BaseException:
            self._store, self._appearance = before
            raise
        # From here on nothing can fail: what was computed above becomes the state.
        self._frame += 1
        self._clock += steps
        self._seconds = time_seconds
        if small is not None:
            self._camera.remember(small)
        if counts is not None and self._scores is not None:
            self._scores.keep(counts)
        return self._commit(preset, state, boxes, matches)

    @property
    def lost(self) -> Tracks:
        """Confirmed tracks that were not seen in the last frame, at their predicted positions."""
        store = self._store
        rows = np.flatnonzero((store.missed > 0) & (store.track_id > 0))
        return self._tracks(rows, self._filter.boxes(self._store.filter.take(rows, axis=2)), None)

    @property
    def decisions(self) -> Decisions:
        """Which stage formed each pair of the last frame, and at what IoU, cosine and cost.

        Raises:
            ValueError: if the tracker was made without `explain=True`.
        """
        if not self.explain:
            raise ValueError("decisions: got a tracker with explain=False; expected Tracker(..., explain=True)")
        return self._decisions

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """Returns the whole state as arrays by name; `numpy.savez(path, **state)` stores it without pickle."""
        seconds = np.nan if self._seconds is None else self._seconds
        numbers = {
            "frame_rate": self.frame_rate,
            "frame": self._frame,
            "clock": self._clock,
            "next_id": self._next_id,
            "seconds": seconds,
        }
        return pack(self.preset, numbers, _parts(self._store, self._appearance, self._camera, self._scores))

    def load_state_dict(self, state: Any) -> None:
        """Continues where the tracker that gave `state` stood.

        Args:
            state: what `state_dict` returned, or the same read from an npz file.

        Raises:
            ValueError: if it is of another preset, other parameters, another frame rate or a newer format, or holds
                what no tracker could have come to; the tracker is then unchanged.
        """
        store, appearance, camera, scores = self._blank()
        parts = _parts(store, appearance, camera, scores)
        numbers = unpack(state, self.preset, parts)
        check_tracks(store, appearance, numbers)
        if numbers["frame_rate"] != self.frame_rate:
            raise ValueError(
                f"tracker state: got frame_rate {numbers['frame_rate']:g}; expected {self.frame_rate:g}, that of this "
                "tracker; its times are counted in frames"
            )
        self._store, self._appearance, self._camera, self._scores = store, appearance, camera, scores
        self._frame, self._next_id = int(numbers["frame"]), int(numbers["next_id"])
        self._clock = float(numbers["clock"])
        self._seconds = None if np.isnan(numbers["seconds"]) else float(numbers["seconds"])
        self._decisions = Decisions.empty()

    # ---- before anything changes --------------------------------------------------------------------------------

    def _steps(self, time_seconds: float | None) -> float:
        """Returns the frames (at the frame rate) since the last update."""
        if self._frame == 0:
            if time_seconds is not None and not np.isfinite(time_seconds):
                raise ValueError(f"time_seconds: got {time_seconds}; expected a finite number")
            return 1.0
        if time_seconds is None and self._seconds is None:
            return 1.0
        if time_seconds is None or self._seconds is None:
            raise ValueError(
                f"time_seconds: got {time_seconds} after {self._seconds}; expected it in every update or in none; "
                "reset() begins a new video"
            )
        if not self._seconds < time_seconds < float("inf"):
            raise ValueError(f"time_seconds: got {time_seconds}; expected more than the last, {self._seconds}")
        steps = (time_seconds - self._seconds) * self.frame_rate
        # Times of day have less of the digits left for fractions of a second than times since the start.
        rounding = _ROUNDING + 2 * np.spacing(max(abs(time_seconds), abs(self._seconds))) * self.frame_rate
        return float(round(steps)) if abs(steps - round(steps)) < min(rounding, 0.5) and round(steps) else steps

    def _fit(self, score: FloatArray) -> tuple[Preset, FloatArray | None]:
        """Returns the preset with the score bands of this frame, and the counts of scores that they come from."""
        if self._scores is None:
            return self.preset, None
        counts = self._scores.counts_with(score)
        level = level_of(counts)
        if level not in self._fitted:
            self._fitted[level] = fitted(self.preset, level)
        return self._fitted[level], counts

    def _blank(self) -> tuple[Store, AppearanceState | None, CameraMotion, ScoreLevel | None]:
        direction, look = self.preset.direction, self.preset.appearance
        store = Store(
            span=None if direction is None else direction.span,
            late=bool(self.preset.expiry_slip),
            last=look is not None and look.max_lost_seconds > 0,
            corners=self.preset.corners,
            weak_cues=any(stage.cost == "weak_cues" for stage in self.preset.stages),
            occlusion=self.preset.occlusion is not None,
        )
        scores = None if self.preset.shares is None else ScoreLevel()
        return store, None if look is None else AppearanceState(look), CameraMotion(self.preset.camera), scores

    def _expire(self, clock: float) -> None:
        """Drops the tracks that are too old for a frame at this time, before anybody is taken for one of them."""
        old = lifecycle.expired(self._store, preset=self.preset, clock=clock, max_missed=self._max_missed)
        if old.any():
            self._store = copy(self._store)
            if self._appearance is not None:
                self._appearance = self._appearance.copy()
            self._drop(old, clock)

    def _predict(self, steps: float, image: Image | None, boxes: Boxes) -> tuple[FloatArray, Image | None]:
        """Returns where the filter expects the tracks now, and the frame for the camera to remember."""
        store = self._store
        if "score_state" in store.names:
            self._store = store = copy(store)
            store.score_state = confidence.predict(store.score_state, steps)
        state = store.filter
        if self.preset.motion.predicts_tentative or all_true(store.confirmed):
            state = self._filter.predict(state, steps)
        else:
            state = self._filter.predict(state, steps)
            np.copyto(state, store.filter, where=~store.confirmed)
        if image is None or self.preset.camera == "none":
            return state, None
        transform, small = self._camera.estimate(image, boxes.xyxy[:, : boxes.high].T)
        self._store = store.moved(self._filter, transform)
        if self._appearance is not None:
            self._appearance = self._appearance.moved(transform, width=image.shape[1], height=image.shape[0])
        return self._filter.warp(state, transform), small

    def _in_gate(self, state: FloatArray, expected: FloatArray, boxes: Boxes) -> Pairs:
        """Returns the pairs that the filter thinks possible, with similarities."""
        pairs = pairs_in_gate(self._filter, state, expected, self._store, boxes)
        return pairs if self._appearance is None else self._appearance.with_cosine(pairs, boxes)

    def _add_embeddings(self, boxes: Boxes, pairs: Pairs, image: Image | None, outside: BoolArray | None) -> Pairs:
        """Adds embeddings to `boxes` where the tracker computes them itself; returns the pairs with similarities."""
        if self._appearance is None:
            boxes.embedding = None
            return pairs
        if boxes.embedding is None and self._source.embedder is not None:
            if image is None:  # also where no box needs it yet: not after minutes of video
                raise ValueError("image: got None; expected the frame, since this tracker computes embeddings from it")
            columns = self._source.columns(
                boxes, pairs, self._store, embeddings=self._appearance.embeddings, clock=self._clock
            )
            if outside is not None:
                columns = columns[~outside[columns]]
            if len(columns):
                boxes.embedding = self._source.embed(image, boxes, columns)
        elif boxes.embedding is not None and self._source.embedder is not None:
            # Embedded ahead, before the bands of this frame were known: the tracker would not have asked for these.
            boxes.embedding[boxes.high :] = np.nan
        if boxes.embedding is not None:
            self._appearance.check(boxes.embedding)
        return self._appearance.with_cosine(pairs, boxes)

    # ---- the new state ------------------------------------------------------------------------------------------

    def _commit(self, preset: Preset, state: FloatArray, boxes: Boxes, matches: Matches) -> Tracks:
        """Moves the matched tracks to their boxes, lets the others age, begins new ones and reports."""
        store, clock = self._store, self._clock
        was_lost = store.lost.copy() if preset.occlusion is not None else None
        lifecycle.observe(
            store, state, boxes, matches=matches, motion=self._filter, clock=clock, max_missed=self._max_missed
        )
        if preset.occlusion is not None and was_lost is not None:
            matched = matches.row[store.confirmed[matches.row] & ~was_lost[matches.row]]
            occlusion.hide(store, matched, rule=preset.occlusion, motion=self._filter, clock=clock)
        any_unseen = len(matches.row) < len(store)
        born = lifecycle.give_birth(store, boxes, matches, motion=self._filter, preset=preset, clock=clock)
        column = np.concatenate((matches.box, born)) if len(born) else matches.box
        if self._appearance is not None:
            self._appearance.observe(boxes, column, clock=clock)
        dropped = np.zeros(len(store), np.bool_)
        xyxy = self._filter.boxes(store.filter)
        unseen = column < 0
        if any_unseen:
            dropped = lifecycle.age(
                store, unseen, motion=self._filter, preset=preset, clock=clock, max_missed=self._max_missed
            )
            dropped = lifecycle.duplicates(store, dropped, xyxy=xyxy, preset=preset)
        lifecycle.confirm(store, preset=preset, frame=self._frame)
        reported = ~unseen
        if not preset.life.reports_tentative:
            reported &= store.confirmed
        recalled = self._name(reported, dropped)
        if self.explain:
            self._explain(boxes, matches, recalled, column)
        if any_unseen and np.count_nonzero(dropped):
            kept = self._drop(dropped, clock)
            reported, column, xyxy = reported.take(kept), column.take(kept), xyxy.take(kept, axis=1)
        rows = reported.nonzero()[0]
        column = column.take(rows)
        xyxy = xyxy.take(rows, axis=1)
        if preset.report != "filtered":
            observed = boxes.xyxy.take(column, axis=1)
            xyxy = observed if preset.report == "observed" else xyxy + _BETWEEN * (observed - xyxy)
        return self._tracks(rows, xyxy, boxes.source.take(column))

    def _name(self, reported: BoolArray, dropped: BoolArray) -> Recalled:
        """Gives identities to the tracks that are reported for the first time; returns those that were recognised."""
        store = self._store
        nameless = store.track_id == 0
        nameless &= reported
        unnamed = (nameless & ~dropped).nonzero()[0]
        if not len(unnamed):
            return NOBODY
        recalled = NOBODY
        if self._appearance is not None:
            # Who expires in this frame is not in the memory yet, but can be recognised all the same.
            excluded = dropped & (self._clock - store.seen <= self._max_missed)
            recalled = self._appearance.recall(
                store, unnamed, dropped, excluded=excluded, gate=self._source.gate, clock=self._clock,
                frame_rate=self.frame_rate,
            )  # fmt: skip
            unnamed = unnamed[store.track_id[unnamed] == 0]
        store.track_id[unnamed] = np.arange(self._next_id, self._next_id + len(unnamed))
        self._next_id += len(unnamed)
        return recalled

    def _drop(self, dropped: BoolArray, clock: float) -> IntArray:
        """Removes tracks, those that expired into the memory; returns the positions of the others."""
        store, kept = self._store, np.flatnonzero(~dropped)
        if self._appearance is not None:
            # A track that was recognised or was a duplicate goes on under its identity elsewhere.
            expired = clock - store.seen > self._max_missed
            gone = np.flatnonzero(dropped & expired)
            self._appearance.remember(store, gone[~np.isin(store.track_id[gone], store.track_id[kept])])
            self._appearance.embeddings.keep(kept)
        store.keep(kept)
        return kept

    def _tracks(self, rows: IntArray, xyxy: FloatArray, detection: IntArray | None) -> Tracks:
        store = self._store
        return Tracks._trusted(
            {
                "xyxy": xyxy.T,
                "track_id": store.track_id.take(rows),
                "score": store.score.take(rows),
                "class_id": store.class_id.take(rows),
                "detection": detection,
            }
        )

    def _explain(self, boxes: Boxes, matches: Matches, recalled: Recalled, column: IntArray) -> None:
        names = [f"{stage.boxes}/{stage.tracks}/{stage.cost}" for stage in self.preset.stages]
        stage, iou, cosine, cost = matches.reasons()
        absent = np.full(len(recalled.row), np.nan)
        self._decisions = Decisions(
            track_id=np.concatenate((self._store.track_id[matches.row], recalled.track_id)),
            detection=boxes.source[np.concatenate((matches.column, column[recalled.row]))],
            stage=np.array([names[number] for number in stage] + ["memory"] * len(absent), dtype=str),
            iou=np.concatenate((iou, absent)),
            cosine=np.concatenate((cosine, recalled.cosine)),
            cost=np.concatenate((cost, 1.0 - recalled.cosine)),
        )


def _parts(
    store: Store, appearance: AppearanceState | None, camera: CameraMotion, scores: ScoreLevel | None
) -> dict[str, Part]:
    parts: dict[str, Part] = {"tracks": store, "camera": camera}
    if appearance is not None:
        parts["appearance"] = appearance
    if scores is not None:
        parts["scores"] = scores
    return parts
