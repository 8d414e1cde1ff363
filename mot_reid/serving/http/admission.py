"""Who may ask, and how often: the key, the name of the server, the origin of a page, and a rate for each client."""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping

from mot_reid.serving.refusal import Refusal
from mot_reid.settings.serving import ServeSettings

Headers = Mapping[bytes, bytes]

_OPEN = ("/health", "/ready")
_UNCOUNTED = (*_OPEN, "/metrics")
_SAFE = ("GET", "HEAD", "OPTIONS")
_OWN_NAMES = ("localhost", ".localhost")
_ANY = "any"


class Rate:
    """Counts the requests of clients.

    Args:
        per_minute: requests that a client may make; as many at once, after a pause.
        clients: how many are remembered; the longest unseen one is forgotten first.
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


class Admission:
    """Refuses requests of those who may not ask, or who ask too often.

    A page of another site can make a browser send requests, with the password that the browser remembers, and by a
    name that resolves to this machine it can even read the answers. So names, and the origins of pages, are checked.

    Args:
        settings: of the server; key, hosts, origins and limits are taken from them.
        assets: where the files of pages begin, which are not counted: a page loads some eighty at once.
    """

    def __init__(self, settings: ServeSettings, *, assets: str | None = None) -> None:
        self._key = settings.api_key.encode() if settings.api_key else None
        self._hosts = tuple(name.lower() for name in (*settings.hosts, settings.host, *_OWN_NAMES))
        self._origins = frozenset(settings.cors)
        self._assets = assets
        self._rate = Rate(settings.limits.requests_per_minute, clients=settings.limits.clients)

    def check(self, path: str, headers: Headers, *, client: str, method: str) -> None:
        """Lets a request pass.

        Args:
            path: that is asked for.
            headers: by name in small letters.
            client: its address.
            method: of the request; WEBSOCKET where one is opened.

        Raises:
            Refusal: it comes too often, without the key, by an unknown name, or from a page of another site.
        """
        may_ask = self._key is None or path in _OPEN or self._has_key(self._key, headers)
        counted = path not in _UNCOUNTED and not (self._assets and path.startswith(self._assets))
        if counted or not may_ask:  # who guesses keys is counted everywhere
            wait = self._rate.wait_seconds(client)
            if wait:
                raise Refusal(
                    "too_many_requests", "client: too many requests; wait a little", retry_seconds=int(wait) + 1
                )
        host = headers.get(b"host", b"").decode("latin-1")
        if path not in _OPEN and not self._is_known(host):
            raise Refusal(
                "forbidden", f"host: got '{host[:80]}'; expected a name of this server; allow others with hosts="
            )
        if not may_ask:
            raise Refusal("unauthorized", "key: missing or wrong; expected the key in the header X-API-Key")
        if method not in _SAFE and not self._may_come_from(headers, host):
            raise Refusal("forbidden", "origin: pages of other sites may not call this server; allow them with cors=")

    @staticmethod
    def _has_key(key: bytes, headers: Headers) -> bool:
        """Whether the key was sent, as X-API-Key, as a bearer token, or as the password of a browser's question."""
        given = headers.get(b"x-api-key", b"")
        scheme, _, rest = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() == b"bearer":
            given = given or rest.strip()
        elif scheme.lower() == b"basic":
            try:
                given = given or base64.b64decode(rest, validate=True).partition(b":")[2]
            except binascii.Error:
                return False
        return hmac.compare_digest(given, key)

    def _is_known(self, host: str) -> bool:
        """Whether a Host header names this server. Addresses always do: only names can be made to resolve to others."""
        name = _without_port(host).lower().rstrip(".")
        if not name or _ANY in self._hosts or name in self._hosts or _is_address(name):
            return True
        return any(name.endswith(own) for own in self._hosts if own.startswith("."))

    def _may_come_from(self, headers: Headers, host: str) -> bool:
        """Whether a request comes from no page, a page of this server, or one that may call."""
        origin = headers.get(b"origin", b"").decode("latin-1")
        if origin in self._origins:
            return True
        site = headers.get(b"sec-fetch-site", b"").decode("latin-1")  # of all current browsers
        if site:
            return site in ("same-origin", "none")
        return not origin or origin.partition("://")[2] == host


def _without_port(host: str) -> str:
    if host.startswith("["):  # an IPv6 address
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
