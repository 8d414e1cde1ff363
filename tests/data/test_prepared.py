"""Folders that appear whole, and archives taken apart safely."""

from __future__ import annotations

import zipfile
from pathlib import Path, PurePosixPath

import pytest

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
