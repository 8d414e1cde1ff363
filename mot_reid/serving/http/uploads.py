"""Receives forms: each file under a random name in one folder, counted while it comes, gone if it is refused."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from mot_reid.serving.content import HEAD_BYTES
from mot_reid.serving.folder import random_id
from mot_reid.serving.http.slots import Pace, Slots, too_slow
from mot_reid.serving.refusal import Refusal, disk_refusal
from mot_reid.settings.serving import Limits

_FIELD_BYTES = 4096
_PARTS = 64
_FORM_BYTES = 65536  # of all that is not file: fields, headers, boundaries
_DRAIN_BYTES = 4_000_000
_DRAIN_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class FormRule:
    """What a form may hold.

    Attributes:
        file: the name of the field with the file or files.
        former: names that it had before, which are still taken.
        takes: the format of a file by its first bytes, or None for a file that is not taken.
        expected: what is taken, in words.
        most_bytes: of one file.
        most_files: of the form.
        fields: the names of the others.
        large: whether the files are videos, which take long to come; images have slots of their own.
    """

    file: str
    takes: Callable[[bytes], str | None]
    expected: str
    most_bytes: int
    most_files: int = 1
    fields: Collection[str] = ()
    former: Collection[str] = ()
    large: bool = False


@dataclass(frozen=True, slots=True)
class Form:
    """A form that was received.

    Attributes:
        files: the paths of the files, each with a random name; whoever receives them removes them.
        formats: of the files, as the rule names them.
        fields: the texts of the others.
    """

    files: list[Path]
    formats: list[str]
    fields: dict[str, str]

    def discard(self) -> None:
        """Removes the files that are still where they were received."""
        for path in self.files:
            path.unlink(missing_ok=True)


class Uploads:
    """The folder that uploads go to, and the rules for getting in.

    Args:
        folder: made where it is missing; what a server that died left in it is removed.
        limits: of the service.
        spared_seconds: how young a file must be to stay, since another server that shares the folder may be writing it.
    """

    def __init__(self, folder: Path, limits: Limits, *, spared_seconds: float = 0.0) -> None:
        self._folder, self._limits = folder, limits
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            with contextlib.suppress(OSError):  # another server removes the same
                if time.time() - path.stat().st_mtime >= spared_seconds:
                    path.unlink()
        self._videos = Slots(limits.uploads, each=limits.client_uploads)
        self._images = Slots(limits.image_uploads, each=limits.client_uploads)

    async def receive(
        self, body: AsyncIterator[bytes], rule: FormRule, *, content_type: str, announced: str | None, client: str
    ) -> Form:
        """Writes the files of a form to the folder; nothing stays there when it is refused.

        Args:
            body: the bytes of the request.
            rule: what the form may hold.
            content_type: the header of the request.
            announced: the header Content-Length, which is believed only where it says too much.
            client: its address.

        Raises:
            Refusal: the form is malformed, too large, too slow, holds what it may not, or the disk is full.
        """
        with (self._videos if rule.large else self._images).take(client):
            reception = _Reception(self._folder, rule)
            try:
                boundary = _boundary(content_type)
                most = rule.most_bytes * rule.most_files + _FORM_BYTES
                if announced is not None and announced.isdecimal() and int(announced) > most:
                    raise too_large(rule)
                await self._check_disk()
                return await self._read(body, reception, boundary, most)
            except BaseException as error:  # a client that goes away is one of them
                reception.discard()
                if isinstance(error, Refusal):
                    await _drain(body)
                raise

    async def _read(self, body: AsyncIterator[bytes], reception: _Reception, boundary: bytes, most: int) -> Form:
        pace, count = Pace(self._limits), 0
        try:
            parser = MultipartParser(boundary, reception.callbacks())  # type: ignore[arg-type]
            while True:
                chunk = await asyncio.wait_for(anext(body, b""), pace.seconds)
                if not chunk:
                    break
                pace.count(len(chunk))
                count += len(chunk)
                if count > most:
                    raise too_large(reception.rule)
                parser.write(chunk)
                await asyncio.to_thread(reception.flush)
            parser.finalize()
            return reception.finish()
        except FormParserError:
            raise Refusal("bad_request", "upload: the form is malformed; expected multipart/form-data") from None
        except (asyncio.TimeoutError, TimeoutError):
            raise too_slow() from None
        except OSError as error:
            raise disk_refusal(error) from error

    async def _check_disk(self) -> None:
        usage = await asyncio.to_thread(shutil.disk_usage, self._folder)
        if usage.free < self._limits.free_bytes:
            raise Refusal(
                "disk_full", "storage: the disk of the server is nearly full; delete jobs, or try again later"
            )


def too_large(rule: FormRule) -> Refusal:
    """Returns the refusal for more bytes than a rule allows."""
    return Refusal(
        "too_large", f"{rule.file}: got more than {rule.most_bytes:,} bytes; expected {rule.expected} within that"
    )


@dataclass(slots=True)
class _Part:
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    name: str = ""
    is_file: bool = False
    text: bytearray = field(default_factory=bytearray)
    size: int = 0


class _Reception:
    """One form while it comes: the parser tells of its pieces, which are kept until `flush` writes them."""

    def __init__(self, folder: Path, rule: FormRule) -> None:
        self.rule = rule
        self._folder = folder
        self._paths: list[Path] = []
        self._formats: list[str] = []
        self._fields: dict[str, str] = {}
        self._pieces: list[bytes | None] = []  # None: the file ends here
        self._open: BinaryIO | None = None
        self._head = bytearray()
        self._part = _Part()
        self._parts = self._files = 0
        self._header = (bytearray(), bytearray())
        self._ended = False

    def callbacks(self) -> dict[str, Any]:
        """Returns what the parser calls."""
        return {
            "on_part_begin": self._begin_part,
            "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._end_headers,
            "on_part_data": self._take,
            "on_part_end": self._end_part,
            "on_end": self._end,
        }

    def flush(self) -> None:
        """Writes what has come to the files."""
        pieces, self._pieces = self._pieces, []
        for piece in pieces:
            if piece is None:
                self._close_file()
            else:
                self._write(piece)

    def finish(self) -> Form:
        """Returns the form when all of it has come."""
        self.flush()
        if not self._ended:
            raise Refusal("bad_request", "upload: the form ends early; expected all of it; send it again")
        if not self._paths:
            raise Refusal("invalid", f"{self.rule.file}: got no file; expected {self.rule.expected}")
        return Form(self._paths, self._formats, self._fields)

    def discard(self) -> None:
        """Removes every file."""
        if self._open is not None:
            with contextlib.suppress(OSError):
                self._open.close()
        for path in self._paths:
            path.unlink(missing_ok=True)

    def _begin_part(self) -> None:
        self._part = _Part()
        self._parts += 1
        if self._parts > _PARTS:
            raise Refusal("invalid", f"upload: got more than {_PARTS} fields; expected fewer")

    def _end_header(self) -> None:
        self._part.headers.append((bytes(self._header[0]).lower(), bytes(self._header[1])))
        self._header = (bytearray(), bytearray())

    def _end_headers(self) -> None:
        disposition = dict(self._part.headers).get(b"content-disposition", b"")
        _, options = parse_options_header(disposition)
        self._part.name = options.get(b"name", b"").decode("utf-8", "replace")
        if self._part.name in (self.rule.file, *self.rule.former):
            # The client's file name is not looked at.
            self._part.is_file = True
            self._files += 1
            if self._files > self.rule.most_files:
                raise Refusal("invalid", f"{self.rule.file}: got more files; expected at most {self.rule.most_files}")
        elif self._part.name not in self.rule.fields:
            names = ", ".join((self.rule.file, *self.rule.fields))
            raise Refusal("invalid", f"{self._part.name[:40]}: got an unknown field; expected {names}")
        elif self._part.name in self._fields:
            raise Refusal("invalid", f"{self._part.name}: got it twice; expected it once")

    def _take(self, data: bytes, start: int, end: int) -> None:
        if self._part.is_file:
            self._part.size += end - start
            if self._part.size > self.rule.most_bytes:
                raise too_large(self.rule)
            self._pieces.append(data[start:end])
        elif len(self._part.text) + end - start > _FIELD_BYTES:
            name = self._part.name
            raise Refusal("invalid", f"{name}: got a text of more than {_FIELD_BYTES} bytes; expected a short one")
        else:
            self._part.text += data[start:end]

    def _end_part(self) -> None:
        if self._part.is_file:
            self._pieces.append(None)
            return
        try:
            self._fields[self._part.name] = self._part.text.decode("utf-8")
        except UnicodeDecodeError:
            raise Refusal("invalid", f"{self._part.name}: got bytes that are not text; expected UTF-8") from None

    def _end(self) -> None:
        self._ended = True

    def _write(self, piece: bytes) -> None:
        if self._open is None:
            path = self._folder / random_id()
            self._paths.append(path)
            self._open = path.open("xb")
            self._head.clear()
        if len(self._head) < HEAD_BYTES:
            self._head += piece[: HEAD_BYTES - len(self._head)]
            if len(self._head) == HEAD_BYTES:
                self._check_head()
        self._open.write(piece)

    def _close_file(self) -> None:
        if self._open is None:
            raise Refusal("invalid", f"{self.rule.file}: got 0 bytes; expected {self.rule.expected}")
        self._open.close()
        self._open = None
        if len(self._head) < HEAD_BYTES:
            self._check_head()

    def _check_head(self) -> None:
        """Refuses a file of the wrong kind as soon as its first bytes are there, without waiting for the rest."""
        found = self.rule.takes(bytes(self._head))
        if found is None:
            raise Refusal("unsupported", f"{self.rule.file}: got a file of another kind; expected {self.rule.expected}")
        self._formats.append(found)


def _boundary(content_type: str) -> bytes:
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise Refusal("unsupported", "upload: got another Content-Type; expected multipart/form-data with a boundary")
    return options[b"boundary"]


async def _drain(body: AsyncIterator[bytes]) -> None:
    """Reads a little of what a refused client still sends: with bytes unread, it may never see the answer."""
    count, end = 0, time.monotonic() + _DRAIN_SECONDS
    with contextlib.suppress(Exception):
        while count < _DRAIN_BYTES and (wait := end - time.monotonic()) > 0:
            chunk = await asyncio.wait_for(anext(body, b""), wait)
            if not chunk:
                return
            count += len(chunk)
