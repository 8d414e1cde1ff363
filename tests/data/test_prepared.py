"""Folders that appear whole, and archives taken apart safely."""

from __future__ import annotations

import tracemalloc
import zipfile
from pathlib import Path, PurePosixPath
from types import SimpleNamespace

import pytest

from mot_reid.data import prepared
from mot_reid.data.prepared import new_folder, unpack


def _keep(path: PurePosixPath) -> PurePosixPath | None:
    return path


def _archive(path: Path, **entries: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def test_new_folder_appears_when_the_block_ends(tmp_path: Path) -> None:
    root = tmp_path / "made" / "here"
    with new_folder(root) as part:
        (part / "a.txt").write_text("a")
        assert not root.exists()
    assert [path.name for path in root.iterdir()] == ["a.txt"]
    assert [path.name for path in root.parent.iterdir()] == ["here"]


def test_new_folder_leaves_nothing_when_the_block_fails(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), new_folder(tmp_path / "set") as part:
        (part / "a.txt").write_text("a")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_new_folder_keeps_the_old_one_when_the_block_fails(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "old.txt").write_text("old")
    with pytest.raises(RuntimeError), new_folder(tmp_path / "set"):
        raise RuntimeError
    assert (tmp_path / "set" / "old.txt").read_text() == "old"


def test_new_folder_replaces_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "old.txt").write_text("old")
    with new_folder(tmp_path / "set") as part:
        (part / "new.txt").write_text("new")
    assert [path.name for path in (tmp_path / "set").iterdir()] == ["new.txt"]
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_unpack_puts_entries_where_told(tmp_path: Path) -> None:
    archive = _archive(tmp_path / "a.zip", **{"wrap/in/a.txt": b"A", "wrap/b.txt": b"B"})
    damaged = unpack(
        archive,
        tmp_path / "out",
        place=lambda path: PurePosixPath("x", path.name) if path.name == "a.txt" else None,
        progress=False,
    )
    assert damaged == []
    assert [path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.txt")] == ["x/a.txt"]
    assert (tmp_path / "out" / "x" / "a.txt").read_bytes() == b"A"


@pytest.mark.parametrize(
    "name", ["../evil.txt", "a/../../evil.txt", "/etc/evil.txt", "a\\..\\..\\evil.txt", "C:/evil.txt"]
)
def test_unpack_refuses_an_entry_that_leaves_the_folder(tmp_path: Path, name: str) -> None:
    archive = _archive(tmp_path / "a.zip", **{"good.txt": b"x", name: b"x"})
    with pytest.raises(ValueError, match=r"got the entry '.*evil.txt'; expected paths inside the archive"):
        unpack(archive, tmp_path / "out", place=_keep, progress=False)
    assert not (tmp_path / "out").exists() and not (tmp_path / "evil.txt").exists()


def test_unpack_names_every_damaged_entry_and_keeps_the_others(tmp_path: Path) -> None:
    archive = _archive(tmp_path / "a.zip", **{"a.txt": b"AAAA", "b.txt": b"BBBB", "c.txt": b"CCCC"})
    archive.write_bytes(archive.read_bytes().replace(b"AAAA", b"AAAX").replace(b"CCCC", b"XCCC"))
    damaged = unpack(archive, tmp_path / "out", place=_keep, progress=False)
    assert [name for name, _ in damaged] == ["a.txt", "c.txt"]
    assert (tmp_path / "out" / "b.txt").read_bytes() == b"BBBB"


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut off"])
def test_unpack_refuses_what_is_no_archive(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(ValueError, match=r"archive: got '.*a\.zip' \(.*\); expected a whole ZIP file"):
        unpack(tmp_path / "a.zip", tmp_path / "out", place=_keep, progress=False)


def test_unpack_passes_over_the_folder_itself(tmp_path: Path) -> None:
    archive = _archive(tmp_path / "a.zip", **{".": b"", "./": b"", "./x/./a.jpg": b"a"})
    assert unpack(archive, tmp_path / "out", place=lambda path: path, progress=False) == []
    assert [path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*")] == ["x/a.jpg"]


def test_unpack_takes_a_file_once_and_refuses_two_that_differ(tmp_path: Path) -> None:
    same = _archive(tmp_path / "same.zip", **{"x/a.jpg": b"a", "y/a.jpg": b"a"})
    assert unpack(same, tmp_path / "out", place=lambda path: PurePosixPath(path.name), progress=False) == []
    assert (tmp_path / "out" / "a.jpg").read_bytes() == b"a"
    other = _archive(tmp_path / "other.zip", **{"x/a.jpg": b"a", "y/a.jpg": b"b"})
    with pytest.raises(ValueError, match=r"got 'x/a\.jpg' and 'y/a\.jpg', which differ, for the one file 'a\.jpg'"):
        unpack(other, tmp_path / "new", place=lambda path: PurePosixPath(path.name), progress=False)
    assert not (tmp_path / "new").exists()


def test_unpack_names_entries_of_an_unknown_compression(tmp_path: Path) -> None:
    """The number of the compression stands in two places of the archive; 99 is none that Python has."""
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("a.jpg", b"a" * 100)
        opened.writestr("b.jpg", b"b" * 100)
    content = bytearray(archive.read_bytes())
    content[8:10] = (99).to_bytes(2, "little")
    directory = content.index(b"PK\x01\x02")
    content[directory + 10 : directory + 12] = (99).to_bytes(2, "little")
    archive.write_bytes(content)
    damaged = unpack(archive, tmp_path / "out", place=lambda path: path, progress=False)
    assert [name for name, _ in damaged] == ["a.jpg"] and "compression" in damaged[0][1]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.jpg"]


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_unpack_names_entries_whose_compressed_bytes_are_damaged(tmp_path: Path, method: int) -> None:
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w", method) as opened:
        opened.writestr("a.jpg", bytes(range(256)) * 40)
        opened.writestr("b.jpg", b"b")
    content = bytearray(archive.read_bytes())
    content[60:90] = b"\xff" * 30
    archive.write_bytes(content)
    damaged = unpack(archive, tmp_path / "out", place=lambda path: path, progress=False)
    assert [name for name, _ in damaged] == ["a.jpg"] and damaged[0][1]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.jpg"]


def test_unpack_keeps_memory_small_and_entries_within_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bomb of 64 MB in 64 kB: Python's own count of its memory stays below 8 MB; one over the bound is named."""
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("bomb.jpg", bytes(64_000_000))
    tracemalloc.start()
    assert unpack(archive, tmp_path / "out", place=lambda path: path, progress=False) == []
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (tmp_path / "out" / "bomb.jpg").stat().st_size == 64_000_000 and peak < 8_000_000
    monkeypatch.setattr(prepared, "_ENTRY_BYTES", 63_999_999)
    damaged = unpack(archive, tmp_path / "new", place=lambda path: path, progress=False)
    assert damaged == [("bomb.jpg", "got 64,000,000 bytes; expected at most 63,999,999")]


def test_unpack_refuses_more_than_the_disk_has_room_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared.shutil, "disk_usage", lambda path: SimpleNamespace(free=5))
    archive = _archive(tmp_path / "a.zip", **{"a.jpg": b"abc", "b.jpg": b"def"})
    with pytest.raises(ValueError, match="got 6 bytes of files; expected at most the 5 bytes that are free"):
        unpack(archive, tmp_path / "out", place=lambda path: path, progress=False)
