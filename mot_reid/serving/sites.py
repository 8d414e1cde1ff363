"""Sites: live sessions and videos of one place share their people, who go when they are deleted.

Who was seen live is kept in memory only; the tracks of videos are kept with their jobs, and are joined again where the
server was restarted.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
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

NameOf = Callable[[Float32Array], str | None]


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """Somebody who was seen at a site.

    Attributes:
        global_id: identity, the same in all sessions of the site.
        tracks: how many tracks show this person.
        cameras: in how many sessions and videos.
        embedding: mean of the tracks, of unit length.
    """

    global_id: int
    tracks: int
    cameras: int
    embedding: Float32Array


@dataclass(slots=True)
class _Look:
    """The sum of the embeddings of a track, and when it was seen."""

    total: Float32Array
    crops: int
    begin: float
    end: float


class Site:
    """The people of one place, over all its sessions and videos.

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
        self._videos: dict[str, int] = {}
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
                self._update(self._tracklets(camera, seen))
                self._drop_forgotten()
            return [self._linker.find(camera, track) for track in visible]

    def join_videos(self, videos: Sequence[str], read: Callable[[str], Tracklets | None]) -> None:
        """Joins the tracks of videos with all that was seen; of videos that are not named any more nothing stays.

        Args:
            videos: all of the site, by their job.
            read: returns the tracks of one; it is asked for those that are new.
        """
        with self._lock:
            if self._closed:
                return
            for gone in set(self._videos) - set(videos):
                self._linker.forget_camera(self._videos.pop(gone))
            parts = []
            for video in videos:
                if video not in self._videos:
                    self._cameras += 1
                    self._videos[video] = self._cameras
                    seen = read(video)
                    if seen is not None and len(seen):
                        parts.append(_shifted(seen, self._cameras, time.monotonic()))
            if parts:
                self._update(Tracklets.concatenate(parts))

    def in_video(self, video: str) -> dict[int, int] | None:
        """Returns the identities of the tracks of a video; None where it was not joined.

        Args:
            video: its job.
        """
        with self._lock:
            if video not in self._videos:
                return None
            here = self._linker.tracklets.camera_id == self._videos[video]
            tracks, identities = self._linker.tracklets.track_id[here], self._linker.global_id[here]
        return dict(zip(tracks.tolist(), identities.tolist()))

    def events(self, after: int) -> tuple[int, list[Event]]:
        """Returns what became known of identities since then, and where the next events begin.

        Args:
            after: what `join` or `events` returned before.
        """
        with self._lock:
            return self._told, [event for number, event in self._events if number > after]

    def persons(self, only: Sequence[int | None] | None = None) -> list[Person]:
        """Returns everybody who is remembered.

        Args:
            only: identities that are wanted; None: all.
        """
        with self._lock:
            identity, seen = self._linker.global_id, self._linker.tracklets
        found = []
        wanted = np.unique(identity).tolist()
        for one in wanted if only is None else [one for one in wanted if one in only]:
            of = seen[identity == one]
            mean = of.embedding.mean(axis=0)
            unit = (mean / max(float(np.linalg.norm(mean)), 1e-9)).astype(np.float32)
            found.append(Person(one, len(of), len(np.unique(of.camera_id)), unit))
        return found

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
            self._linker.forget_everybody()
            self._looks.clear()
            self._videos.clear()
            self._events.clear()

    def _update(self, tracklets: Tracklets) -> None:
        """Gives tracklets to the linker, and notes what became known."""
        for event in self._linker.update(tracklets):
            self._told += 1
            self._events.append((self._told, event))

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


def _shifted(tracklets: Tracklets, camera: int, seconds: float) -> Tracklets:
    """Returns the tracklets of a video as those of a camera whose clock began at this time."""
    return tracklets.replace(
        camera_id=np.full(len(tracklets), camera),
        begin_seconds=tracklets.begin_seconds + seconds,
        end_seconds=tracklets.end_seconds + seconds,
    )


class Sites:
    """All sites of the server, by name; made when the first session or video names one.

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

    def names(self) -> list[str]:
        """Returns the names of all sites."""
        with self._lock:
            return list(self._sites)

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


class Camera:
    """The part of one session in its site.

    Args:
        site: whose people are shared.
        name_of: returns the name of whom an embedding shows, None where it is nobody known; None: nobody is named.
    """

    def __init__(self, site: Site, name_of: NameOf | None = None) -> None:
        self._site, self._name_of = site, name_of
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
        if self._name_of is not None:
            faces = {one.global_id: one.embedding for one in self._site.persons(found)}
            for row, identity in zip(rows, found):
                row["name"] = self._name_of(faces[identity]) if identity in faces else None
        self._heard, events = self._site.events(self._heard)
        told = [{"kind": one.kind, "global_id": one.global_id, "other": one.other} for one in events]
        return answer | {"tracks": rows} | ({"events": told} if told else {})
