"""Forms as they come in: pieces of any size, and disks that are full."""

from __future__ import annotations

import asyncio
import errno
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mot_reid.serving.http.uploads import Form, FormRule, Uploads
from mot_reid.serving.refusal import Refusal
from mot_reid.settings.load import load_settings
from mot_reid.settings.serving import Limits, ServeSettings

LIMITS = replace(load_settings(ServeSettings, [], base="serve").limits, free_bytes=0)
RULE = FormRule("file", lambda head: "A" if head[:1] == b"a" else None, "a's", 3000, most_files=2, fields=("name",))
BODY = (
    b'--b\r\nContent-Disposition: form-data; name="name"\r\n\r\nAda\r\n'
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="../x"\r\n\r\n' + b"a" * 3000 + b"\r\n"
    b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nab\r\n--b--\r\n'
)


def receive(
    folder: Path, body: bytes = BODY, *, size: int = 65536, limits: Limits = LIMITS, rule: FormRule = RULE
) -> Form:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), size):
            yield body[start : start + size]

    async def run() -> Form:
        uploads = Uploads(folder / "uploads", limits)
        return await uploads.receive(
            pieces(), rule, content_type="multipart/form-data; boundary=b", announced=str(len(body)), client="a"
        )

    return asyncio.run(run())


def left(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("size", [1, 7, 64, 65536])
def test_form_is_the_same_in_pieces_of_any_size(size: int, tmp_path: Path) -> None:
    form = receive(tmp_path, size=size)
    assert [path.read_bytes() for path in form.files] == [b"a" * 3000, b"ab"]
    assert form.formats == ["A", "A"] and form.fields == {"name": "Ada"}
    assert {path.parent for path in form.files} == {tmp_path / "uploads"}
    assert all(path.name.isalpha() and len(path.name) == 24 for path in form.files)
    form.discard()
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (BODY.replace(b"a" * 3000, b"a" * 3001), "too_large"),
        (BODY.replace(b"\r\nab\r\n", b"\r\nbb\r\n"), "unsupported"),
        (BODY[:-4], "bad_request"),
        (BODY[:400], "bad_request"),
        (BODY.replace(b'"name"', b'"nome"'), "invalid"),
        (BODY.replace(b"\r\n\r\nAda", b"\r\n\r\n" + b"A" * 5000), "invalid"),
        (BODY[:-4] + b'\r\nContent-Disposition: form-data; name="file"\r\n\r\na\r\n--b--\r\n', "invalid"),
        (
            BODY.replace(b"Ada\r\n", b'Ada\r\n--b\r\nContent-Disposition: form-data; name="name"\r\n\r\nBob\r\n'),
            "invalid",
        ),
        (b"", "bad_request"),
    ],
)
def test_refused_form_leaves_nothing(body: bytes, kind: str, tmp_path: Path) -> None:
    for size in (1, 65536):
        with pytest.raises(Refusal) as caught:
            receive(tmp_path, body, size=size)
        assert caught.value.kind == kind, caught.value.sentence
        assert left(tmp_path) == []


@pytest.mark.parametrize("size", [1, 512, 1500, 65536])
def test_form_may_hold_as_many_files_as_the_rule_says_however_it_is_cut(size: int, tmp_path: Path) -> None:
    part = b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n' + b"a" * 1000 + b"\r\n"
    assert len(receive(tmp_path, 2 * part + b"--b--\r\n", size=size).files) == 2
    with pytest.raises(Refusal, match="at most 2"):
        receive(tmp_path, 3 * part + b"--b--\r\n", size=size)


def test_disk_that_fills_up_is_told_and_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.open

    class Full:
        def __init__(self, file: Any) -> None:
            self._file = file

        def write(self, piece: bytes) -> None:
            self._file.write(piece[:10])
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self) -> None:
            self._file.close()

    monkeypatch.setattr(Path, "open", lambda path, mode="r": Full(real(path, mode)))
    with pytest.raises(Refusal, match="disk of the server is full") as caught:
        receive(tmp_path)
    assert caught.value.kind == "disk_full" and left(tmp_path) == []


def test_upload_that_would_leave_too_little_room_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage(NamedTuple):
        free: int

    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(4999))
    with pytest.raises(Refusal, match="nearly full"):
        receive(tmp_path, limits=replace(LIMITS, free_bytes=5000))


def test_drips_of_one_client_leave_room_for_images_and_for_others(tmp_path: Path) -> None:
    """Eight uploads that send a byte and then nothing: four are let in; another's video and an image still come."""
    limits = replace(LIMITS, uploads=8, client_uploads=4, idle_seconds=60)

    async def drip() -> AsyncIterator[bytes]:
        yield BODY[:1]
        await asyncio.sleep(600)

    async def whole() -> AsyncIterator[bytes]:
        yield BODY

    async def run() -> list[str]:
        uploads = Uploads(tmp_path / "uploads", limits)

        async def send(body: AsyncIterator[bytes], client: str, *, large: bool) -> str:
            rule = replace(RULE, large=large)
            try:
                await uploads.receive(
                    body, rule, content_type="multipart/form-data; boundary=b", announced=None, client=client
                )
            except Refusal as refusal:
                return refusal.kind
            return "received"

        slow = [asyncio.create_task(send(drip(), "slow", large=True)) for _ in range(8)]
        await asyncio.sleep(0.2)
        found = [task.result() for task in slow if task.done()]
        found += [await send(whole(), "other", large=True), await send(whole(), "slow", large=False)]
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
        return found

    assert asyncio.run(run()) == ["too_many_requests"] * 4 + ["received"] * 2


@pytest.mark.parametrize("name", ["file", "files"])
def test_file_is_taken_by_its_name_and_by_the_former_one(tmp_path: Path, name: str) -> None:
    body = BODY.replace(b'name="file"', f'name="{name}"'.encode())
    rule = replace(RULE, former=("files",))
    assert len(receive(tmp_path, body, rule=rule).files) == 2


def test_what_a_dead_server_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / "uploads").mkdir()
    (tmp_path / "uploads" / "half").write_bytes(b"a")
    Uploads(tmp_path / "uploads", LIMITS)
    assert left(tmp_path) == []
