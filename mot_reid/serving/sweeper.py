"""Sweeps now and then for as long as the service lives, whatever the last time came to."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping

from mot_reid.serving.refusal import Refusal, sentence_of

log = logging.getLogger(__name__)

_FAILURES = 3
_SOONER = 10


class Sweeper:
    """A thread that calls each of several tasks now and then; one that fails keeps neither the others nor itself away.

    Args:
        tasks: what is swept, by name.
        pause_seconds: between two times; a tenth of it after a failure.

    Attributes:
        succeeded: when all tasks last succeeded, in seconds since 1970; at first, when this was made: the start sweeps.
    """

    def __init__(self, tasks: Mapping[str, Callable[[], None]], *, pause_seconds: float) -> None:
        self._tasks, self._pause = tasks, pause_seconds
        self.succeeded = time.time()
        self._failed, self._reason = 0, ""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="sweeper", daemon=True)

    def start(self) -> None:
        """Begins; the first time comes after the pause."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    @property
    def problem(self) -> str | None:
        """Why the last times failed, in a sentence; None where one of the last three succeeded."""
        return f"server: old files and people are not removed ({self._reason})" if self._failed >= _FAILURES else None

    def sweep(self) -> None:
        """Calls every task once."""
        failures = [failure for name, task in self._tasks.items() if (failure := _failure(name, task)) is not None]
        if failures:
            self._failed, self._reason = self._failed + 1, failures[0]
        else:
            self._failed, self.succeeded = 0, time.time()

    def _work(self) -> None:
        while not self._stopping.wait(self._pause / _SOONER if self._failed else self._pause):
            self.sweep()


def _failure(name: str, task: Callable[[], None]) -> str | None:
    """Returns why a task failed; None where it did not."""
    try:
        task()
    except Refusal as refusal:  # such as a database in use; the next time will do
        log.warning("not swept", extra={"task": name, "reason": refusal.sentence})
        return refusal.sentence
    except Exception as error:  # whatever it is, the next time may succeed
        log.exception("not swept", extra={"task": name})
        return sentence_of(error)
    return None
