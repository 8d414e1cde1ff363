"""Sentences for strangers."""

from __future__ import annotations

import errno
import logging

import pytest

from mot_reid.serving.logs import JsonFormatter
from mot_reid.serving.refusal import STATUS, Kind, disk_refusal, sentence_of


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("video: got '/srv/served/jobs/abc/upload', which", "video: got 'the upload', which"),
        ("cannot open /etc/passwd: no", "cannot open a file: no"),
        ("two\n lines  of\ttext", "two lines of text"),
        ("40 frames/s of image/png, 1/2", "40 frames/s of image/png, 1/2"),
        ("a /b c", "a /b c"),
        ("", "ValueError"),
    ],
)
def test_sentence_has_no_path_and_one_line(text: str, told: str) -> None:
    assert sentence_of(ValueError(text), "/srv/served/jobs/abc/upload") == told


def test_every_kind_has_a_status() -> None:
    assert set(STATUS) == set(Kind.__args__)  # type: ignore[attr-defined]
    assert all(400 <= status < 600 for status in STATUS.values())


def test_full_disk_is_told_as_such() -> None:
    assert disk_refusal(OSError(errno.ENOSPC, "No space left on device", "/srv/x")).kind == "disk_full"
    other = disk_refusal(OSError(errno.EACCES, "Permission denied", "/srv/x"))
    assert other.kind == "internal" and "/srv" not in other.sentence


def test_logged_error_names_modules_and_no_files() -> None:
    try:
        raise ValueError("bad /home/somebody/video.avi")
    except ValueError as error:
        record = logging.LogRecord("a", logging.ERROR, __file__, 1, "failed", (), (type(error), error, None))
        record.exc_info = (type(error), error, error.__traceback__)
    line = JsonFormatter().format(record)
    assert "\n" not in line and "/home" not in line and __file__ not in line and "test_refusal:" in line
