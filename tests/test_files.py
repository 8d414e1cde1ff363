"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mot_reid.files import check_writable, whole, write_text


def test_write_text_makes_the_folder_and_leaves_nothing_beside_the_file(tmp_path: Path) -> None:
    written = write_text(tmp_path / "new" / "scores.json", "é\n")
    assert written.read_bytes() == "é\n".encode()
    assert list(written.parent.iterdir()) == [written]


def test_whole_keeps_the_old_file_and_leaves_no_other_when_the_block_fails(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(KeyboardInterrupt), whole(tmp_path / "a.txt") as partial:
        partial.write_text("new")
        raise KeyboardInterrupt
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.txt", "old")]


def test_whole_keeps_the_ending_that_chooses_a_format(tmp_path: Path) -> None:
    with whole(tmp_path / "a.png") as partial:
        assert (partial.parent, partial.suffix) == (tmp_path, ".png")
        partial.touch()


@pytest.mark.parametrize("place", ["file/a.txt", "folder"])
def test_place_that_cannot_be_written_is_named_in_one_sentence(place: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder" / "inside").mkdir(parents=True)
    with pytest.raises(OSError, match=rf"^output: got '{tmp_path}/{place}' \(.*\); expected a place .*choose another$"):
        write_text(tmp_path / place, "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for root")
def test_read_only_folder_is_named_in_one_sentence(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OSError, match=r"a\.txt' \(Permission denied\); expected a place that can be written to"):
        write_text(tmp_path / "a.txt", "")


def test_our_own_sentences_pass_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"^the encoder cannot be opened$"), whole(tmp_path / "a.txt"):
        raise OSError("the encoder cannot be opened")


def test_check_writable_makes_the_folder_and_writes_nothing(tmp_path: Path) -> None:
    check_writable(tmp_path / "new" / "a.txt", "json")
    assert [path.name for path in tmp_path.rglob("*")] == ["new"]


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("file/a.txt", r"\(.*\); expected a folder to write to"),
        ("folder", "which cannot be written; choose another place"),
    ],
)
def test_check_writable_names_the_key_and_the_place(place: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match=f"^json: got '{tmp_path}/{place}',? {said}$"):
        check_writable(tmp_path / place, "json")
