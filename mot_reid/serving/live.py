"""Live sessions: a tracker of one's own in a worker process, frames in, tracks out."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Sequence
from typing import Any

from mot_reid.serving.folder import random_id
from mot_reid.serving.prometheus import Metrics
from mot_reid.serving.refusal import Refusal
from mot_reid.serving.sites import Camera
from mot_reid.serving.worker.pool import Worker, WorkerLost
from mot_reid.settings.serving import Limits

log = logging.getLogger(__name__)


class LiveSession:
    """One camera: `track` each frame, then `close`.

    Attributes:
        id: random letters.
        worker: the process that holds the tracker.
        camera: its part in a site; None where it shares people with nobody.
    """

    def __init__(self, id: str, worker: Worker, sessions: LiveSessions, camera: Camera | None = None) -> None:
        self.id, self.worker, self.camera, self._sessions = id, worker, camera, sessions

    def track(self, encoded: bytes, *, time_seconds: float | None = None) -> dict[str, Any]:
        """Returns frame, width, height and the tracks of the next frame, at a site with global identities.

        Args:
            encoded: an image: JPEG, PNG, WebP or BMP.
            time_seconds: when it was taken, growing; given always or never.

        Raises:
            Refusal: it is no image that is taken; the session goes on.
            WorkerLost: the tracker is gone, and the session with it.
        """
        return self._sessions.track(self, encoded, time_seconds)

    def close(self) -> None:
        """Ends the session."""
        self._sessions.close(self)


class LiveSessions:
    """The sessions that are open, shared out to the workers.

    Args:
        workers: with the tasks `open_live`, `track_live` and `close_live`.
        limits: of the service.
        metrics: counts the frames.
    """

    def __init__(self, workers: Sequence[Worker], limits: Limits, metrics: Metrics) -> None:
        self._workers, self._limits, self._metrics = workers, limits, metrics
        self._lock = threading.Lock()
        self._open: dict[str, LiveSession] = {}

    @property
    def count(self) -> int:
        """How many are open."""
        return len(self._open)

    def open(self, preset: str, frame_rate: float, camera: Camera | None = None) -> LiveSession:
        """Returns a new session on the worker with the fewest.

        Args:
            preset: of the tracker.
            frame_rate: frames per second.
            camera: its part in a site; None where it shares people with nobody.

        Raises:
            Refusal: there are as many as there may be, or the worker is not ready.
        """
        with self._lock:
            if len(self._open) >= self._limits.live_sessions:
                raise Refusal(
                    "busy",
                    f"live: {len(self._open)} sessions are open, which is the limit; try again",
                    retry_seconds=30,
                )
            used = [session.worker for session in self._open.values()]
            session = LiveSession(random_id(), min(self._workers, key=used.count), self, camera)
            self._open[session.id] = session
        try:
            self._do(session, "open_live", preset, frame_rate)
        except WorkerLost as lost:
            self._forget(session)
            raise Refusal("busy", f"live: {lost}", retry_seconds=5) from None
        except BaseException:
            self._forget(session)
            raise
        log.info("live session opened", extra={"session": session.id, "preset": preset})
        return session

    def track(self, session: LiveSession, encoded: bytes, time_seconds: float | None) -> dict[str, Any]:
        """Returns the answer to the next frame of a session, see `LiveSession.track`."""
        try:
            look = session.camera is not None
            answer: dict[str, Any] = self._do(session, "track_live", encoded, time_seconds, look)
        except Refusal as refusal:
            if refusal.kind == "not_found":
                raise WorkerLost("its process died under another request") from None
            raise
        self._metrics.frames.inc()
        return answer if session.camera is None else session.camera.identify(answer)

    def close(self, session: LiveSession) -> None:
        """Ends a session; one that has ended is left alone."""
        if not self._forget(session):
            return
        with contextlib.suppress(Refusal, WorkerLost):  # the tracker goes with its process
            self._do(session, "close_live")
        log.info("live session closed", extra={"session": session.id})

    def close_all(self) -> None:
        """Ends every session."""
        for session in list(self._open.values()):
            self._forget(session)

    def _forget(self, session: LiveSession) -> bool:
        with self._lock:
            return self._open.pop(session.id, None) is not None

    def _do(self, session: LiveSession, task: str, *payload: Any) -> Any:
        seconds = self._limits.call_seconds
        return session.worker.do(task, session.id, *payload, seconds=seconds, wait_seconds=seconds)
