"""What strangers may send: each a 4xx with a sentence, nothing outside of the folder, and the disk as it was."""

from __future__ import annotations

import gzip
import io
import pickle
import re
import socket
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mot_reid.data.video_writer import VideoWriter
from tests.helpers.server import Scene, Server

VIDEO, IMAGE, EMBED = "/api/inference/video", "/api/inference/image", "/api/embed"

Content = bytes | Callable[[Path, bytes], bytes]


@dataclass(frozen=True)
class Bad:
    """An upload that is to be refused.

    Attributes:
        name: of the case.
        content: of the file, or what makes it, given a folder and the good video.
        statuses: that are right.
        route: where it is sent.
        filename: what the client calls the file.
        fields: beside it.
        field: the name of the file's field.
    """

    name: str
    content: Content
    statuses: tuple[int, ...] = (415, 422)
    route: str = VIDEO
    filename: str = "video.avi"
    fields: dict[str, str] = field(default_factory=dict)
    field: str = "file"


def zip_bomb(folder: Path, video: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../evil.avi", b"\0" * 50_000_000)
    return buffer.getvalue()


def png(width: int, height: int, pixels: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def png_bomb(folder: Path, video: bytes) -> bytes:
    """A sound picture of 900 million pixels in 110 kB."""
    return png(30_000, 30_000, zlib.compress(b"\0" * (30_000 // 8 + 1) * 30_000, 9))


def still(format: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 100, 3), dtype=np.uint8)).save(buffer, format)
    return buffer.getvalue()


def large_frames(folder: Path, video: bytes) -> bytes:
    return written(folder, frames=2, width=800, height=600)


def many_frames(folder: Path, video: bytes) -> bytes:
    return written(folder, frames=201, width=32, height=32)


def written(folder: Path, *, frames: int, width: int, height: int) -> bytes:
    path = folder / "written.avi"
    with VideoWriter(path, frame_rate=25) as writer:
        for _ in range(frames):
            writer.write(np.zeros((height, width, 3), dtype=np.uint8))
    return path.read_bytes()


def huge_header(folder: Path, video: bytes) -> bytes:
    """The good video, said to be pixels as they are, 30,000 x 30,000 of them. (Of JPEGs the header is not believed.)"""
    size = struct.pack("<ii", 480, 270)
    assert video[:512].count(size) == 2 and video[:512].count(b"MJPG") == 2  # of the file and of the stream
    head = video[:512].replace(size, struct.pack("<ii", 30_000, 30_000)).replace(b"MJPG", b"DIB ")
    return head + video[512:]


TEXT = b"#!/bin/sh\ntouch /tmp/evil\n"
PLAYLIST = b"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:10.0,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
BAD_NAMES = (
    "../../../../tmp/evil.avi", "/etc/cron.d/evil", "..\\..\\windows\\evil.avi", "a/../../evil.avi",
    "%2e%2e%2fevil.avi", ".", "..", "~/.bashrc", "$(touch evil).avi", "file:///etc/passwd", "evil\x00.avi", "-rf", "http://169.254.169.254/",
    "a" * 255 + ".avi", "évil\u202e.avi", "img%04d.jpg",
)  # fmt: skip
CASES = [
    *(Bad(f"name {n}", TEXT, (415,), filename=name) for n, name in enumerate(BAD_NAMES)),
    Bad("endless name", TEXT, (400, 415), filename="a" * 20_000),
    Bad("nothing", b"", (422,)),
    Bad("one byte", b"R"),
    Bad("zip bomb", zip_bomb, (415,)),
    Bad("gzip", gzip.compress(b"\0" * 1_000_000), (415,)),
    Bad("script", TEXT, (415,)),
    Bad("program", b"\x7fELF" + b"\0" * 2000, (415,)),
    Bad("pickle", pickle.dumps({"a": 1}), (415,)),
    Bad("page", b"<!doctype html><script>alert(1)</script>", (415,)),
    Bad("drawing", b"<svg xmlns='http://www.w3.org/2000/svg'/>", (415,)),
    Bad("playlist of files", PLAYLIST, (415,)),
    Bad("script of ffmpeg", b"ffconcat version 1.0\nfile /etc/passwd\n", (415,)),
    Bad("session description", b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nm=video 5 RTP/AVP 96\n", (415,)),
    Bad("manifest", b"<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011'/>", (415,)),
    Bad("picture as a video", still("JPEG"), (415,)),
    Bad("noise", np.random.default_rng(1).bytes(100_000), (415,)),
    Bad("zeros", b"\0" * 100_000, (415,)),
    Bad("head of an AVI", b"RIFF\xff\xff\xff\x7fAVI LIST", (422,)),
    Bad("AVI of noise", b"RIFF\xff\xff\xff\x7fAVI " + np.random.default_rng(2).bytes(50_000), (422,)),
    Bad("MP4 of noise", b"\0\0\0\x20ftypisom" + np.random.default_rng(3).bytes(50_000), (422,)),
    Bad("MP4 that refers elsewhere", b"\0\0\0\x08ftyp\0\0\0\x14mdat/etc/passwd\0", (422,)),
    Bad("Matroska of noise", b"\x1a\x45\xdf\xa3" + np.random.default_rng(4).bytes(50_000), (422,)),
    Bad("transport stream of noise", (b"\x47" + b"\xaa" * 187) * 300, (422,)),
    Bad("truncated before the first frame", lambda folder, video: video[:1500], (422,)),
    Bad("playlist behind the head of an AVI", b"RIFF\xff\xff\0\0AVI " + PLAYLIST, (422,)),
    Bad("frames of too many pixels", large_frames, (422,)),
    Bad("frames of huge dimensions", huge_header, (422,)),
    Bad("too many frames", many_frames, (422,)),
    Bad("too many bytes", b"RIFF\xff\xff\xff\x7fAVI " + b"\0" * 4_000_000, (413,)),
    Bad("unknown preset", lambda folder, video: video, (422,), fields={"preset": "deepsort; rm -rf /"}),
    Bad("half a yes", lambda folder, video: video, (422,), fields={"visualize": "maybe"}),
    Bad("unknown field", lambda folder, video: video, (422,), fields={"detector.weights": "/etc/passwd"}),
    Bad("long field", lambda folder, video: video, (422,), fields={"preset": "a" * 100_000}),
    Bad("another field for the file", lambda folder, video: video, (422,), field="upload"),
    Bad("picture of 900 million pixels", png_bomb, (422,), IMAGE),
    Bad("picture of huge dimensions", png(2**31 - 1, 2**31 - 1, b""), (422,), IMAGE),
    Bad("picture of too many pixels", png(1100, 1000, zlib.compress(b"\0" * 139 * 1000)), (422,), IMAGE),
    Bad("huge bitmap", b"BM" + b"\0" * 16 + struct.pack("<ii", 60_000, 60_000) + b"\0" * 99, (422,), IMAGE),
    Bad("truncated picture", still("PNG")[:-2000], (422,), IMAGE),
    Bad("truncated photograph", still("JPEG")[:400], (422,), IMAGE),
    Bad("head of a photograph", b"\xff\xd8\xff", (422,), IMAGE),
    Bad("WebP of noise", b"RIFF\xff\0\0\0WEBP" + np.random.default_rng(5).bytes(5000), (422,), IMAGE),
    Bad("PostScript", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) run\n", (415,), IMAGE),
    Bad("video as a picture", lambda folder, video: video[:10_000], (415,), IMAGE),
    Bad("picture of too many bytes", b"\xff\xd8\xff" + b"\0" * 1_000_000, (413,), IMAGE),
    Bad("nothing to embed", b"", (422,), EMBED, field="files"),
    Bad("archive to embed", zip_bomb, (415,), EMBED, field="files"),
    Bad("boxes without sense", still("PNG"), (422,), EMBED, fields={"boxes": "[[" * 1500}, field="files"),
]  # fmt: skip


def around(server: Server) -> set[str]:
    """Every path in the folder that the server's folder lies in."""
    return {path.as_posix() for path in server.folder.parent.rglob("*") if not path.name.startswith("jobs.sqlite")}


def test_there_are_fifty_of_them() -> None:
    assert len(CASES) >= 50 and len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_upload_is_refused_and_leaves_nothing(case: Bad, server: Server, scene: Scene, tmp_path: Path) -> None:
    before = around(server)
    content = case.content if isinstance(case.content, bytes) else case.content(tmp_path, scene.video.read_bytes())
    files = {case.field: (case.filename, content)}
    answer = server.client.post(case.route, files=files, data=case.fields)
    assert answer.status_code in case.statuses, answer.text
    told = answer.json()
    assert ": " in told["error"] and "\n" not in told["error"] and len(told["error"]) < 300
    assert not re.search(r"/(tmp|home|opt|usr|etc|root|var)\b", answer.text) and "Traceback" not in answer.text
    assert around(server) == before
    assert server.process.poll() is None and server.client.get("/health").status_code == 200


def test_good_picture_of_a_bad_name_is_taken_and_leaves_nothing(server: Server) -> None:
    before = around(server)
    answers = [server.client.post(IMAGE, files={"file": (name, still("PNG"))}) for name in BAD_NAMES]
    assert [answer.status_code for answer in answers] == [200] * len(BAD_NAMES)
    assert around(server) == before


def test_good_video_of_a_bad_name_lies_where_all_do(server: Server, scene: Scene) -> None:
    before = around(server)
    answer = server.client.post(VIDEO, files={"file": (BAD_NAMES[0], scene.video.read_bytes())})
    id = server.ended(answer.json()["id"])["id"]
    folder = server.folder / "jobs" / id
    assert around(server) - before == {folder.as_posix(), (folder / "tracks.txt").as_posix()}
    server.client.delete(f"/api/jobs/{id}")


# Requests that no client library makes


def raw(server: Server, head: str, body: Iterator[bytes] | bytes = b"") -> tuple[int, bytes]:
    """Returns status and all of the answer to a request that is sent as it is."""
    host, _, port = server.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n")
        try:
            for piece in [body] if isinstance(body, bytes) else body:
                connection.sendall(piece)
        except OSError:
            pass  # the server has closed; what it said is still to be read
        answer = b""
        try:
            while piece := connection.recv(65536):
                answer += piece
        except OSError:
            pass
    return int(answer.split()[1]) if answer else 0, answer


HEAD = f"POST {VIDEO} HTTP/1.1\nHost: localhost\nConnection: close\nContent-Type: multipart/form-data; boundary=b\n"
PART = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.avi"\r\n\r\n'


def chunked(pieces: Iterator[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        yield f"{len(piece):x}\r\n".encode() + piece + b"\r\n"


def endless() -> Iterator[bytes]:
    yield PART + b"RIFF\xff\xff\xff\x7fAVI "
    for _ in range(2000):
        yield b"\0" * 65536


RAW: dict[str, tuple[str, Iterator[bytes] | bytes, tuple[int, ...]]] = {
    "endless stream": (HEAD + "Transfer-Encoding: chunked", chunked(endless()), (413,)),
    "length that says too much": (HEAD + "Content-Length: 99999999999", PART, (413,)),
    "length that says too little": (HEAD + "Content-Length: 40", PART + b"RIFF" * 1000, (400,)),
    "length that is none": (HEAD + "Content-Length: lots", PART, (400,)),
    "long boundary": (HEAD.replace("=b", "=" + "b" * 300) + "Content-Length: 4", b"abcd", (400,)),
    "no boundary": (HEAD.replace("; boundary=b", "") + "Content-Length: 4", b"abcd", (415,)),
    "another type": (HEAD.replace("multipart/form-data", "text/plain") + "Content-Length: 4", b"abcd", (415,)),
    "form without an end": (HEAD + f"Content-Length: {len(PART) + 8}", PART + b"RIFFRIFF", (400, 415)),
    "no form": (HEAD + "Content-Length: 4", b"abcd", (400,)),
    "many headers": (HEAD + "Content-Length: 9009", b"--b\r\n" + b"a: b\r\n" * 1500 + b"\r\n\r\n", (400,)),
    "many fields": (
        HEAD + "Transfer-Encoding: chunked",
        chunked(b'--b\r\nContent-Disposition: form-data; name="preset"\r\n\r\nx\r\n' for _ in range(999)),
        (422,),
    ),
    "field that is no text": (
        HEAD + "Transfer-Encoding: chunked",
        chunked(iter([b'--b\r\nContent-Disposition: form-data; name="preset"\r\n\r\n\xff\xfe\r\n--b--\r\n'])),
        (422,),
    ),
    "slow stream": (HEAD + "Content-Length: 4000", PART + b"RIFF", (408,)),
}


@pytest.mark.parametrize("name", RAW)
def test_bad_request_is_refused_and_leaves_nothing(name: str, server: Server) -> None:
    before = around(server)
    head, body, statuses = RAW[name]
    status, answer = raw(server, head, body)
    assert status in statuses, answer[:500]
    assert around(server) == before


def test_client_that_goes_away_leaves_nothing(server: Server) -> None:
    before = around(server)
    host, _, port = server.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall((HEAD + "Content-Length: 400000\n\n").replace("\n", "\r\n").encode() + PART + b"RIFF" * 9000)
    for _ in range(100):
        if around(server) == before:
            return
        server.client.get("/health")
    assert around(server) == before
