"""How often a client may ask: a bucket of tokens for each, which fills evenly."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable


class Rate:
    """Counts the requests of clients.

    Args:
        per_minute: that a client may make; as many at once, after a pause.
        clients: that are remembered; the longest unseen one is forgotten first.
        clock: seconds, growing.
    """

    def __init__(self, per_minute: int, *, clients: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._per_second = float(per_minute), per_minute / 60
        self._clients, self._clock = clients, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_seconds(self, client: str) -> float:
        """Takes a token and returns 0; where there is none, the seconds until there is one."""
        now = self._clock()
        tokens, then = self._buckets.pop(client, (self._most, now))
        tokens = min(self._most, tokens + (now - then) * self._per_second)
        wait = 0.0 if tokens >= 1 else (1 - tokens) / self._per_second
        self._buckets[client] = (tokens if wait else tokens - 1, now)
        while len(self._buckets) > self._clients:
            self._buckets.popitem(last=False)
        return wait
