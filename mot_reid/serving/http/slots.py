"""Room for uploads: how many at the same time, of one client and of all, and how slowly each may come."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mot_reid.serving.refusal import Refusal
from mot_reid.settings.serving import Limits


class Slots:
    """Counts the uploads that are under way.

    Args:
        total: how many there may be.
        each: how many of them one client may have.
    """

    def __init__(self, total: int, *, each: int) -> None:
        self._total, self._each = total, each
        self._taken: Counter[str] = Counter()

    @property
    def taken(self) -> int:
        """How many are under way."""
        return self._taken.total()

    @contextmanager
    def take(self, client: str) -> Iterator[None]:
        """Holds a slot for as long as the block runs.

        Args:
            client: its address.

        Raises:
            Refusal: all are taken, or this client has as many as one may have.
        """
        if self.taken >= self._total:
            raise Refusal(
                "busy", "upload: the server is receiving as many uploads as it can; try again soon", retry_seconds=5
            )
        if self._taken[client] >= self._each:
            raise Refusal(
                "too_many_requests",
                f"upload: {self._each} uploads of this client are running, the limit; wait until one is finished",
                retry_seconds=5,
            )
        self._taken[client] += 1
        try:
            yield
        finally:
            self._taken[client] -= 1
            if not self._taken[client]:
                del self._taken[client]


class Pace:
    """How long an upload may still let the server wait, given what has come of it.

    Args:
        limits: of the service.
        clock: seconds, growing.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._idle, self._rate = limits.idle_seconds, limits.upload_bytes_per_second
        self._clock, self._start, self._count = clock, clock(), 0
        self._end = self._start + limits.upload_seconds

    def count(self, more: int) -> None:
        """Notes bytes that have come."""
        self._count += more

    @property
    def seconds(self) -> float:
        """Until the next bytes have to be there; none are left for an upload that is too slow on the whole."""
        due = self._start + self._idle + self._count / self._rate
        return max(0.0, min(self._idle, self._end - self._clock(), due - self._clock()))


def too_slow() -> Refusal:
    """Returns the refusal of an upload that does not keep its pace."""
    return Refusal("timeout", "upload: it came too slowly and was given up; check the connection")
