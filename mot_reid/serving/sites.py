"""Sites: live sessions of one place share their people, who are kept in memory only and go when they are deleted."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mot_reid.arrays import Float32Array
from mot_reid.linking.online import Event, OnlineLinker
from mot_reid.linking.tracklets import Tracklets
from mot_reid.serving.refusal import Refusal
from mot_reid.settings.serving import Limits

log = logging.getLogger(__name__)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_EVENTS = 1000


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who was seen at a site.

    Attributes:
        global_id: identity, the same in all sessions of the site.
        tracks: how many tracks show this person.
        cameras: in how many sessions.
    """

    global_id: int
    tracks: int
    cameras: int


@dataclass(slots=True)
class _Look:
    """The sum of the embeddings of a track, and when it was seen."""

    total: Float32Array
    crops: int
    begin: float
    end: float


class Site:
    """The people of one place, over all its sessions.

    Args:
        calibration: of the model.
        max_false_links: largest share of joined tracks that may show two persons.
        most_tracklets: that are remembered.

    Raises:
        ValueError: the model was never calibrated.
    """

    def __init__(self, calibration: Mapping[str, Any], *, max_false_links: float, most_tracklets: int) -> None:
        self._linker = OnlineLinker(calibration, max_false_links=max_false_links, most_tracklets=most_tracklets)
        self._lock = threading.Lock()
        self._looks: dict[tuple[int, int], _Look] = {}
        self._events: deque[tuple[int, Event]] = deque(maxlen=_EVENTS)
        self._cameras = self._told = 0
        self._closed = False

    def join(self) -> tuple[int, int]:
        """Returns the number of a new session's camera, and where its events begin."""
        with self._lock:
            self._cameras += 1
            return self._cameras, self._told

    def see(
        self, camera: int, looks: Mapping[int, Sequence[float]], *, seconds: float, visible: Sequence[int] = ()
    ) -> list[int | None]:
        """Takes new looks at tracks of a camera; returns the identity of each visible track, None for one deleted.

        Args:
            camera: its number.
            looks: an embedding of each track that was looked at.
            seconds: of one clock for all cameras.
            visible: tracks that are seen now.
        """
        with self._lock:
            if self._closed:
                return [None] * len(visible)
            for track, embedding in looks.items():
                vector = np.asarray(embedding, np.float32)
                look = self._looks.setdefault((camera, track), _Look(np.zeros_like(vector), 0, seconds, seconds))
                look.total, look.crops = look.total + vector, look.crops + 1
            for track in visible:
                if (camera, track) in self._looks:
                    self._looks[camera, track].end = seconds
            if looks:
                # Tracks that are only seen are given too: nobody is one of those beside whom a camera shows them.
                seen = [track for track in dict.fromkeys([*looks, *visible]) if (camera, track) in self._looks]
                for event in self._linker.update(self._tracklets(camera, seen)):
                    self._told += 1
                    self._events.append((self._told, event))
                self._drop_forgotten()
            return [self._linker.find(camera, track) for track in visible]

    def events(self, after: int) -> tuple[int, list[Event]]:
        """Returns what became known of identities since then, and where the next events begin.

        Args:
            after: what `join` or `events` returned before.
        """
        with self._lock:
            return self._told, [event for number, event in self._events if number > after]

    def persons(self) -> list[Person]:
        """Returns everybody who is remembered."""
        with self._lock:
            identity, cameras = self._linker.global_id, self._linker.tracklets.camera_id
        return [
            Person(one, int((identity == one).sum()), len(np.unique(cameras[identity == one])))
            for one in np.unique(identity).tolist()
        ]

    def forget(self, global_id: int) -> int:
        """Deletes a person; returns how many tracks that were."""
        with self._lock:
            count = self._linker.forget(global_id)
            self._drop_forgotten()
            return count

    def close(self) -> None:
        """Forgets everybody; who is seen afterwards is nobody."""
        with self._lock:
            self._closed = True
            for identity in np.unique(self._linker.global_id).tolist():
                self._linker.forget(identity)
            self._looks.clear()
            self._events.clear()

    def _tracklets(self, camera: int, tracks: list[int]) -> Tracklets:
        looks = [self._looks[camera, track] for track in tracks]
        total = np.stack([look.total for look in looks])
        return Tracklets(
            np.full(len(tracks), camera),
            np.array(tracks),
            np.array([look.begin for look in looks]),
            np.array([look.end for look in looks]),
            total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-9),
            np.array([look.crops for look in looks]),
        )

    def _drop_forgotten(self) -> None:
        """Keeps looks only of tracks that the linker remembers."""
        seen = self._linker.tracklets
        kept = set(zip(seen.camera_id.tolist(), seen.track_id.tolist()))
        self._looks = {key: look for key, look in self._looks.items() if key in kept}


class Sites:
    """All sites of the server, by name; made when the first session names one.

    Args:
        limits: of the service.
        max_false_links: largest share of joined tracks that may show two persons.
    """

    def __init__(self, limits: Limits, *, max_false_links: float) -> None:
        self._limits, self._most_false = limits, max_false_links
        self._lock = threading.Lock()
        self._sites: dict[str, Site] = {}

    def open(self, name: str, calibration: Mapping[str, Any] | None) -> Site:
        """Returns the site of a name, which is made where there is none.

        Raises:
            Refusal: the name is none, there are too many, or the server has no calibrated Re-ID model.
        """
        if not _NAME.fullmatch(name):
            raise Refusal("invalid", f"site: got '{name[:80]}'; expected up to 64 letters, digits, - and _")
        if not calibration:
            raise Refusal("invalid", f"site: got '{name}', but the server has no calibrated Re-ID model; set reid=")
        with self._lock:
            if name not in self._sites:
                if len(self._sites) >= self._limits.sites:
                    raise Refusal("conflict", f"site: there are {len(self._sites)}, which is the limit; delete some")
                self._sites[name] = Site(
                    calibration, max_false_links=self._most_false, most_tracklets=self._limits.site_tracklets
                )
                log.info("site opened", extra={"site": name})
            return self._sites[name]

    def find(self, name: str) -> Site:
        """Returns the site of a name.

        Raises:
            Refusal: there is none.
        """
        with self._lock:
            site = self._sites.get(name)
        if site is None:
            raise Refusal("not_found", "site: there is none of this name")
        return site

    def delete(self, name: str) -> None:
        """Forgets a site with everybody in it; sessions that are open go on without identities.

        Raises:
            Refusal: there is none.
        """
        site = self.find(name)
        with self._lock:
            self._sites.pop(name, None)
        site.close()
        log.info("site deleted", extra={"site": name})

    def forget(self, name: str, global_id: int) -> None:
        """Deletes a person of a site.

        Raises:
            Refusal: there is no such site or person.
        """
        if not self.find(name).forget(global_id):
            raise Refusal("not_found", "person: there is none of this number at the site")


class Camera:
    """The part of one session in its site.

    Args:
        site: whose people are shared.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._number, self._heard = site.join()

    def identify(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Returns the answer to a frame with global identities, without embeddings, and with events if there are any.

        Args:
            answer: of a worker: its tracks have an embedding where one was looked at.
        """
        tracks = answer["tracks"]
        looks = {row["track_id"]: row["embedding"] for row in tracks if "embedding" in row}
        visible = [row["track_id"] for row in tracks]
        found = self._site.see(self._number, looks, seconds=time.monotonic(), visible=visible)
        rows = [
            {name: value for name, value in row.items() if name != "embedding"} | {"global_id": identity}
            for row, identity in zip(tracks, found)
        ]
        self._heard, events = self._site.events(self._heard)
        told = [{"kind": one.kind, "global_id": one.global_id, "other": one.other} for one in events]
        return answer | {"tracks": rows} | ({"events": told} if told else {})
