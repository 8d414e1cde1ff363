"""Names of files: patterns."""

from __future__ import annotations

from pathlib import Path

from mot_reid.data.file_names import matching


def test_pattern_takes_brackets_of_folders_that_exist_as_they_are(tmp_path: Path) -> None:
    folder = tmp_path / "[cam1] x*"
    folder.mkdir()
    for name in ("p10.jpg", "p2.jpg", "notes.txt"):
        (folder / name).touch()
    assert matching(str(folder / "*.jpg")) == [str(folder / "p2.jpg"), str(folder / "p10.jpg")]
