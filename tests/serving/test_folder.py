"""A folder belongs to one list of jobs: the servers of another one would sweep its files away."""

from __future__ import annotations

from pathlib import Path

import pytest

from mot_reid.serving.folder import check_owner


def test_folder_stays_with_the_database_that_lists_its_jobs(tmp_path: Path) -> None:
    check_owner(tmp_path, None)
    check_owner(tmp_path, "abc")
    check_owner(tmp_path, "abc")
    with pytest.raises(OSError, match="holds the jobs of servers with another database=; expected a folder of its own"):
        check_owner(tmp_path, "xyz")
    with pytest.raises(OSError, match="holds the jobs of servers with a database=; expected a folder of its own"):
        check_owner(tmp_path, None)
    check_owner(tmp_path, "abc")


def test_folder_of_a_server_that_is_alone_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "jobs.sqlite").touch()
    check_owner(tmp_path, None)
    with pytest.raises(OSError, match="holds the jobs of a server without database=; expected a folder of its own"):
        check_owner(tmp_path, "abc")
    assert [path.name for path in tmp_path.iterdir()] == ["jobs.sqlite"]
