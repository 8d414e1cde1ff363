"""The reading of requests from the network, with a limit on what may come before a request is known."""

from __future__ import annotations

import asyncio
from typing import Any

_HEADER_BYTES = 65_536
_ANSWER = b"HTTP/1.1 %s\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


def impatient(protocol: type[Any], seconds: float) -> type[Any]:
    """Returns a protocol of uvicorn that gives up connections on which no request arrives in time.

    Uvicorn itself waits for ever for the rest of a request, and keeps as many headers as come.

    Args:
        protocol: of uvicorn.
        seconds: from the start of a connection or a request until all its headers are there.
    """

    class Impatient(protocol):  # type: ignore[misc]
        """The protocol with a timer, which runs while a request is awaited or its headers are coming."""

        _timer: asyncio.TimerHandle | None = None
        _received = 0

        def connection_made(self, transport: asyncio.Transport) -> None:
            """Begins to wait for the first request."""
            super().connection_made(transport)
            self._wait()

        def data_received(self, data: bytes) -> None:
            """Takes bytes; those of a body, and of what a connection was upgraded to, are none of this class."""
            if not self._has_request():
                self._wait()
            super().data_received(data)
            if self._has_request() or self.transport.get_protocol() is not self:
                self._stop_waiting()
            elif not self._has_body():
                self._received += len(data)
                if self._received > _HEADER_BYTES:
                    self._give_up(b"431 Request Header Fields Too Large")

        def connection_lost(self, exc: Exception | None) -> None:
            """Forgets the timer."""
            self._stop_waiting()
            super().connection_lost(exc)

        def _has_request(self) -> bool:
            return self.cycle is not None and not self.cycle.response_complete

        def _has_body(self) -> bool:
            """Whether what comes belongs to a request that was answered already, such as a refused upload."""
            return self.cycle is not None and bool(self.cycle.more_body)

        def _wait(self) -> None:
            if self._timer is None:
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(seconds, self._give_up, b"408 Request Timeout")

        def _stop_waiting(self) -> None:
            self._received = 0
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

        def _give_up(self, status: bytes) -> None:
            if not self.transport.is_closing():
                if self._received:  # else nothing was asked
                    self.transport.write(_ANSWER % status)
                self.transport.close()
            self._stop_waiting()

    return Impatient
