"""Connections on which no request comes are given up; all others are served as before."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvicorn

from mot_reid.serving.http.protocol import impatient

GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bytes]]


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers after the whole body has come, however long that takes, with its length."""
    count, more = 0, True
    while more:
        message = await receive()
        count, more = count + len(message.get("body", b"")), message.get("more_body", False)
    body = str(count).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def talk(protocol: type[Any], what: Talk, seconds: float = 0.3) -> bytes:
    async def run() -> bytes:
        config = uvicorn.Config(
            echo, http=impatient(protocol, seconds), log_config=None, lifespan="off", port=0, loop="asyncio"
        )
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            return await asyncio.wait_for(what(reader, writer), 30)
        finally:
            writer.close()
            server.should_exit = True
            await task

    return asyncio.run(run())


@pytest.fixture(params=["h11", "httptools"])
def protocol(request: pytest.FixtureRequest) -> type[Any]:
    """Each of the two that uvicorn has; the second needs a package that not everybody has."""
    pytest.importorskip(request.param)
    module = importlib.import_module(f"uvicorn.protocols.http.{request.param}_impl")
    name = {"h11": "H11Protocol", "httptools": "HttpToolsProtocol"}[request.param]
    return vars(module)[name]  # type: ignore[no-any-return]


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nhost: a\r\nx-a: b"])
def test_connection_whose_headers_do_not_come_is_closed(protocol: type[Any], sent: bytes) -> None:
    async def what(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(sent)
        return await reader.read()  # which ends only where the server closes

    answer = talk(protocol, what)
    assert answer.startswith(b"HTTP/1.1 408") if sent else answer == b""


def test_headers_that_drip_are_given_up(protocol: type[Any]) -> None:
    async def what(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        async def drip() -> None:
            for letter in b"GET / HTTP/1.1\r\nhost: " + b"a" * 10_000:
                writer.write(bytes([letter]))
                await asyncio.sleep(0.02)

        task = asyncio.create_task(drip())
        answer = await reader.read()
        task.cancel()
        return answer

    assert talk(protocol, what).startswith(b"HTTP/1.1 408")


def test_headers_without_end_are_given_up(protocol: type[Any]) -> None:
    async def what(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(b"GET / HTTP/1.1\r\n")
        for number in range(40):
            writer.write(b"x-%d: %s\r\n" % (number, b"a" * 4000))
        return await reader.readline()

    assert talk(protocol, what, seconds=20).split()[1] in (b"431", b"400")


def test_requests_one_after_the_other_and_bodies_that_take_longer_are_served(protocol: type[Any]) -> None:
    async def what(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        answers = b""
        for _ in range(3):
            writer.write(GET)
            answers += await reader.readuntil(b"\r\n\r\n0")
            await asyncio.sleep(0.2)
        writer.write(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\n")
        for _ in range(4):  # for longer than headers may take
            await asyncio.sleep(0.2)
            writer.write(b"a")
        return answers + await reader.readuntil(b"\r\n\r\n4")

    assert talk(protocol, what).count(b"HTTP/1.1 200") == 4


def test_request_whose_body_comes_with_its_headers_may_be_long(protocol: type[Any]) -> None:
    """The second of a connection too, whose first 256 kB may come in one piece."""

    async def what(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        answers = b""
        for _ in range(2):
            writer.write(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n" + b"a" * 1_000_000)
            answers += await reader.readuntil(b"\r\n\r\n1000000")
        return answers

    assert talk(protocol, what, seconds=20).count(b"HTTP/1.1 200") == 2
