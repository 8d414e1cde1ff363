"""Logs as one JSON object a line, without paths of the machine."""

from __future__ import annotations

import json
import logging
import queue
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from logging.handlers import QueueHandler, QueueListener
from typing import Any

from mot_reid.serving.refusal import sentence_of

_KNOWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "taskName"}


class JsonFormatter(logging.Formatter):
    """Formats time, level, logger, message and everything given as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line."""
        told: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, tz=timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        told |= {name: value for name, value in vars(record).items() if name not in _KNOWN}
        if record.exc_info and record.exc_info[1] is not None:
            told |= told_of(record.exc_info[1])
        return json.dumps(told, default=str)


@contextmanager
def json_logs(level: int = logging.INFO) -> Iterator[None]:
    """Logs go to standard error, each as a line of JSON, written by a thread: a disk that is slow holds up no request.

    Args:
        level: the least that is written.
    """
    lines: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    formatting = QueueHandler(lines)  # type: ignore[arg-type]
    formatting.setFormatter(JsonFormatter())
    listener = QueueListener(lines, logging.StreamHandler())  # type: ignore[arg-type]
    logging.basicConfig(level=level, handlers=[formatting], force=True)
    listener.start()
    try:
        yield
    finally:
        listener.stop()


def told_of(error: BaseException) -> dict[str, Any]:
    """Returns what an error says and where it was raised: modules instead of files."""
    frames = traceback.walk_tb(error.__traceback__)
    places = [
        f"{frame.f_globals.get('__name__', '?')}:{line} {frame.f_code.co_name}" for frame, line in frames
    ]  # fmt: skip
    return {"error": f"{type(error).__name__}: {sentence_of(error)}", "raised": places}
