"""`OnlineLinker`: one identity over cameras while their streams run; what is learned later is an event."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mot_reid.arrays import BoolArray, Float32Array, IntArray
from mot_reid.linking.agglomerate import Groups, Merge
from mot_reid.linking.camera_bias import Common, common
from mot_reid.linking.chance import stored
from mot_reid.linking.link import Link, explain
from mot_reid.linking.spread import BINS, Spread
from mot_reid.linking.tracklets import Constraints, Tracklets, Travel

FORMAT_VERSION = 2
_COLUMNS = tuple(Tracklets.COLUMNS)
_COMMON = ("place", "mean", "overall", "deviation")
_AGAIN = 0.25
"""What people have in common is found again when so many of the tracklets are newer than that."""
_AT_ONCE = 1024


@dataclass(frozen=True, slots=True)
class Event:
    """What became known of identities that were given before.

    Attributes:
        kind: "merge": two identities are one person. "split": one identity was two persons.
        global_id: The identity that goes on.
        other: Of a merge the identity that is no more, of a split the new one.
        link: Of a merge, why; its rows are those of `OnlineLinker.tracklets`. None for a split.
    """

    kind: Literal["merge", "split"]
    global_id: int
    other: int
    link: Link | None = None


class OnlineLinker:
    """Joins tracklets over cameras as they come.

    A tracklet is given again as it grows: camera and track say which it is. It gets an identity at once, 1, 2, 3 ..,
    that of a person seen before where it is sure enough, by the rules of `link`. Identities stay as they are, with two
    exceptions, which are events: two turn out to be one person, or a camera shows two tracks of one identity at a time.
    Only tracklets that changed are compared, and what the people of a camera have in common is that of the tracklets so
    far, so the answer can differ from that of `link` over all of them.

    Args:
        calibration: Of the model that embedded the tracklets.
        max_false_links: Largest share of joined pairs that may show two persons, between 0 and 1.
        travel_seconds: Least and most seconds between two cameras, as for `link`; needs cameras on one clock.
        most_tracklets: Of more, those that ended first are forgotten; their identities are not given again.

    Raises:
        ValueError: An argument is out of its range, or the model was never calibrated.
    """

    def __init__(
        self,
        calibration: Mapping[str, Any],
        *,
        max_false_links: float,
        travel_seconds: Travel | None = None,
        most_tracklets: int = 5000,
    ) -> None:
        if not 0 < max_false_links < 1:
            raise ValueError(f"max_false_links: got {max_false_links}; expected between 0 and 1, such as 0.01")
        if most_tracklets < 1:
            raise ValueError(f"most_tracklets: got {most_tracklets}; expected at least 1")
        self._known = stored(calibration)
        self._most_false, self._travel, self._most = max_false_links, dict(travel_seconds or {}), most_tracklets
        self._seen, self._global_id = Tracklets.empty(), np.zeros(0, np.int64)
        self._spread, self._next_id = Spread(), 1
        self._common, self._less, self._newer = common(self._seen), self._seen.embedding, 0

    @property
    def tracklets(self) -> Tracklets:
        """All tracklets that are remembered, in the order in which they were first given."""
        return self._seen

    @property
    def global_id(self) -> IntArray:
        """(N,) the identity of each."""
        return self._global_id.copy()

    def update(self, tracklets: Tracklets) -> list[Event]:
        """Takes tracklets that are new or have grown; returns what became known of identities given before.

        Args:
            tracklets: Each at most once. A row of a camera and track that was given before takes its place.

        Raises:
            ValueError: A tracklet stands there twice, or its embedding has another size than those before.
        """
        self._check(tracklets)
        if not len(tracklets):
            return []
        changed = self._take(tracklets)
        constraints = Constraints(self._seen, self._travel, frozenset())
        events = self._split(changed, constraints)
        if self._newer >= _AGAIN * len(self._seen):
            self._find_common()
            changed = np.arange(len(self._seen))
        events += self._join(changed, constraints)
        self._forget_oldest()
        return events

    def find(self, camera_id: int, track_id: int) -> int | None:
        """Returns the identity of a track of a camera; None if it is not remembered.

        Args:
            camera_id: Which camera.
            track_id: Which of its tracks.
        """
        rows = np.flatnonzero((self._seen.camera_id == camera_id) & (self._seen.track_id == track_id))
        return int(self._global_id[rows[0]]) if len(rows) else None

    def forget(self, global_id: int) -> int:
        """Deletes everything known of an identity; returns how many tracklets that were.

        Args:
            global_id: The identity.
        """
        gone = self._global_id == global_id
        if gone.any():
            self._drop(gone)
            self._find_common()  # which nobody who is forgotten is part of
        return int(gone.sum())

    def forget_everybody(self) -> None:
        """Deletes everything known of all identities at once; those to come get numbers that nobody had."""
        self._drop(np.ones(len(self._seen), bool))
        self._find_common()

    def forget_camera(self, camera_id: int) -> None:
        """Deletes the tracklets of a camera; identities of others stay as they are.

        Args:
            camera_id: Which camera.
        """
        self._drop(self._seen.camera_id == camera_id)
        self._find_common()

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """Returns the whole state as arrays by name; `numpy.savez(path, **state)` stores it without pickle."""
        state: dict[str, NDArray[Any]] = {name: np.array(getattr(self._seen, name)) for name in _COLUMNS}
        return state | {
            "format_version": np.array(FORMAT_VERSION),
            "global_id": self.global_id,
            "next_id": np.array(self._next_id),
            "counts": self._spread.counts.copy(),
            "newer": np.array(self._newer),
            **{f"common_{name}": np.array(getattr(self._common, name)) for name in _COMMON},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continues where the linker that gave `state` stood.

        Args:
            state: What `state_dict` returned, or the same read from an npz file.

        Raises:
            ValueError: It is of another format, something is missing, or identities are wrong; nothing is changed then.
        """
        if str(state.get("format_version", FORMAT_VERSION)) != str(FORMAT_VERSION):
            raise ValueError(
                f"linker state: got format {state['format_version']}; expected {FORMAT_VERSION}, which this version of "
                "mot_reid writes; give the tracklets to a new linker"
            )
        kept = [f"common_{name}" for name in _COMMON]
        names = (*_COLUMNS, "format_version", "global_id", "next_id", "counts", "newer", *kept)
        missing = next((name for name in names if name not in state), None)
        if missing is not None:
            raise ValueError(f"linker state: got none of '{missing}'; expected what `state_dict` returns")
        seen = Tracklets(**{name: np.asarray(state[name]) for name in _COLUMNS})
        identity, following = np.array(state["global_id"]), int(state["next_id"])
        whole = identity.dtype.kind in "iu" and identity.shape == (len(seen),)
        if not whole or (len(identity) and not 1 <= identity.min() <= identity.max() < following):
            raise ValueError(f"linker state: got wrong identities; expected one from 1 to {following - 1} for each row")
        if np.shape(state["counts"]) != (BINS,):
            raise ValueError(f"linker state: got counts of shape {np.shape(state['counts'])}; expected {BINS}")
        shared = Common(*(np.asarray(state[name]) for name in kept))
        cameras, size = len(shared.place), seen.embedding.shape[1]
        shapes = [np.shape(state[name]) for name in kept]
        if shapes != [(cameras, 2), (cameras, size), (size,), (size,)]:
            raise ValueError(f"linker state: got means of shapes {shapes}; expected those of embeddings of size {size}")
        self._less = shared.without(seen)
        self._seen, self._global_id, self._next_id = seen, identity.astype(np.int64), following
        self._spread, self._common, self._newer = Spread(state["counts"]), shared, int(state["newer"])

    def _check(self, tracklets: Tracklets) -> None:
        keys = list(zip(tracklets.camera_id.tolist(), tracklets.track_id.tolist()))
        twice = next((key for key in keys if keys.count(key) > 1), None) if len(set(keys)) < len(keys) else None
        if twice is not None:
            raise ValueError(f"tracklets: got track {twice[1]} of camera {twice[0]} twice; expected each once")
        size, known = tracklets.embedding.shape[1], self._seen.embedding.shape[1]
        if len(self._seen) and len(tracklets) and size != known:
            raise ValueError(f"tracklets: got embeddings of size {size}; expected {known}; use one model")

    def _take(self, tracklets: Tracklets) -> IntArray:
        """Puts tracklets in the place of their older selves, or at the end; returns their rows, in rising order."""
        keys = zip(self._seen.camera_id.tolist(), self._seen.track_id.tolist())
        place = {key: row for row, key in enumerate(keys)}
        given = list(zip(tracklets.camera_id.tolist(), tracklets.track_id.tolist()))
        rows = np.array([place.setdefault(key, len(place)) for key in given])
        old = np.sort(rows[rows < len(self._seen)])
        if len(old):
            self._spread.count(self._less, old, sign=-1)
        both = Tracklets.concatenate([self._seen, tracklets]) if len(self._seen) else tracklets
        source = np.arange(len(place))
        source[rows] = len(self._seen) + np.arange(len(tracklets))
        self._seen = both[source]
        added = len(place) - len(self._global_id)
        self._global_id = np.append(self._global_id, np.zeros(added, np.int64))
        self._newer += added
        rows.sort()
        less = self._seen.embedding.copy()
        if len(self._less):
            less[: len(self._less)], less[rows] = self._less, self._common.without(self._seen[rows])
        self._less = less
        self._spread.count(less, rows)
        return rows

    def _find_common(self) -> None:
        """Finds what people have in common anew, and counts how similar all pairs are without it."""
        self._common, self._newer = common(self._seen), 0
        self._less, self._spread = self._common.without(self._seen), Spread()
        for start in range(0, len(self._seen), _AT_ONCE):
            end = min(start + _AT_ONCE, len(self._seen))
            self._spread.count(self._less[:end], np.arange(start, end))

    def _split(self, changed: IntArray, constraints: Constraints) -> list[Event]:
        """Takes tracklets out of an identity with which they cannot be one person; the one that began later leaves."""
        events = []
        for row in changed.tolist():
            others = np.flatnonzero((self._global_id == self._global_id[row]) & (self._global_id > 0))
            others = others[others != row]
            for other in others[~constraints.allow(np.full(len(others), row), others)].tolist():
                begin = self._seen.begin_seconds
                leaves = max(row, other, key=lambda n: (begin[n], n))
                events.append(Event("split", int(self._global_id[leaves]), self._next_id))
                self._global_id[leaves] = self._next_id
                self._next_id += 1
                if leaves == row:
                    break
        return events

    def _join(self, changed: IntArray, constraints: Constraints) -> list[Event]:
        """Joins what is sure enough, gives identities to the new, and returns which of the known ones were joined."""
        shares = self._spread.false_shares(self._spread.strangers(self._known))
        threshold = Spread.threshold(shares, self._most_false)
        together: dict[int, list[int]] = defaultdict(list)
        for row in np.flatnonzero(self._global_id).tolist():
            together[int(self._global_id[row])].append(row)
        groups = Groups(self._less, constraints, list(together.values()))
        seen = self._seen.replace(embedding=self._less)
        one, other = _similar(self._less, changed, threshold)
        good = (one != other) & constraints.allow(one, other)
        events = []
        for merge in groups.join(one[good], other[good], threshold):
            events += self._merged(merge, seen, float(shares[Spread.place(merge.similarity)]))
        new = sorted((rows for rows in groups.groups() if not self._global_id[rows].any()), key=min)
        for rows in new:
            self._global_id[rows] = self._next_id
            self._next_id += 1
        return events

    def _merged(self, merge: Merge, seen: Tracklets, expected_false: float) -> list[Event]:
        """Gives two groups the lower of their identities; an event where both had one."""
        rows = np.array(merge.left + merge.right)
        given = np.unique(self._global_id[rows])
        given = given[given > 0]
        if not len(given):
            return []
        self._global_id[rows] = given[0]
        link = explain(merge, seen, expected_false) if len(given) > 1 else None
        return [Event("merge", int(given[0]), int(other), link) for other in given[1:]]

    def _forget_oldest(self) -> None:
        extra = len(self._seen) - self._most
        if extra > 0:
            gone = np.zeros(len(self._seen), bool)
            gone[np.argsort(self._seen.end_seconds, kind="stable")[:extra]] = True
            self._spread.count(self._less, np.flatnonzero(gone), sign=-1)
            self._drop(gone)

    def _drop(self, gone: BoolArray) -> None:
        """Deletes rows; what was counted with them is left to the caller."""
        self._seen, self._less, self._global_id = self._seen[~gone], self._less[~gone], self._global_id[~gone]


def _similar(embedding: Float32Array, rows: IntArray, least: float) -> tuple[IntArray, IntArray]:
    """Returns the pairs of these rows and any others that are similar enough, each row and the other."""
    found = []
    for part in np.split(rows, range(_AT_ONCE, len(rows), _AT_ONCE)):
        place, other = np.nonzero(embedding[part] @ embedding.T >= least)
        found.append((part[place], other))
    one, other = (np.concatenate(side) for side in zip(*found))
    return one, other
