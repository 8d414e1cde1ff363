"""The sign of life of one of several servers: shown as long as it lives, and watched for in the others."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from mot_reid.serving.jobs.shared import SharedStore
from mot_reid.serving.refusal import Refusal

log = logging.getLogger(__name__)

_BEATS = 5
"""In the time after which a server that shows none is taken for dead."""


class Heart:
    """A thread that beats, listens for new jobs, and queues again what dead servers worked on.

    It takes nobody for dead before it has beaten without a gap for as long as a server may be silent: when the database
    comes back, all others have shown a sign of life by then.

    Args:
        store: of the jobs.
        lost_seconds: of silence after which a server is taken for dead.
        attempts: times that a job is begun before it fails.
        new_job: called where a job may have come.

    Attributes:
        problem: why no sign of life could be shown, in a sentence; None where it could.
    """

    def __init__(self, store: SharedStore, *, lost_seconds: float, attempts: int, new_job: Callable[[], None]) -> None:
        self._store, self._lost_seconds = store, lost_seconds
        self._attempts, self._new_job = attempts, new_job
        self.problem: str | None = None
        self._last = self._steady_since = float("-inf")
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=work, name=name, daemon=True)
            for name, work in (("heart", self._beat_on), ("listener", self._listen_on))
        ]

    def start(self) -> None:
        """Begins."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ends the threads and takes this server out: what it still works on is lost to the others."""
        self._stopping.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        try:
            self._store.leave()
        except Refusal as refusal:  # the others will notice
            log.warning("not taken out", extra={"reason": refusal.sentence})

    def beat(self) -> None:
        """Shows a sign of life, and queues again what was lost.

        Raises:
            Refusal: the database cannot be reached.
        """
        self._store.beat()
        now = time.monotonic()
        if now - self._last > self._lost_seconds / 2:
            self._steady_since = now
        self._last = now
        if now - self._steady_since >= self._lost_seconds:
            queued, failed = self._store.recover(self._attempts)
            if queued or failed:
                log.warning("jobs of a server that died", extra={"queued_again": queued, "failed": failed})
                self._new_job()

    def _beat_on(self) -> None:
        while not self._stopping.is_set():
            try:
                self.beat()
                self.problem = None
            except Refusal as refusal:
                self.problem = refusal.sentence
            except Exception:  # whatever it is, the next time may succeed
                log.exception("no sign of life")
                self.problem = "jobs: this server cannot show the others that it lives; its log has the reason"
            self._stopping.wait(self._lost_seconds / _BEATS)

    def _listen_on(self) -> None:
        while not self._stopping.is_set():
            try:
                self._store.wait_for_job(self._stopping, self._new_job)
            except Exception as error:  # such as a database that is away: without it, jobs are looked for now and then
                log.info("not told of new jobs", extra={"reason": type(error).__name__})
                self._stopping.wait(self._lost_seconds / _BEATS)
