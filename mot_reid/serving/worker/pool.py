"""A worker: a process that does one task at a time, and whose death is a sentence and not the server's end."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from mot_reid.serving.refusal import Refusal

log = logging.getLogger(__name__)

_STEP_SECONDS = 0.25
_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 30.0


class WorkerLost(Exception):
    """The process died, or was ended because it took too long or its task was cancelled."""


class Worker:
    """A process that is started when needed, and again after it died.

    What goes to the process is pickled; what comes back is JSON, so that a process which a malicious file has taken
    over cannot make the server run code. Every request has a number, which comes back with each answer. A process that
    is left in the middle of a request, or whose answer makes no sense, is ended: what it still had to say would be
    taken for the answer to the next request.

    Args:
        name: for the log.
        main: what the process runs, importable by name: it gets its end of the pipe and `arguments`, and answers as
            `tasks.answer_all` does.
        arguments: of `main`.
        load_seconds: how long the process may take until it is ready.

    Attributes:
        facts: what the process reported when it was ready; None before.
        problem: why it could not get ready, in a sentence; None where it could.
    """

    def __init__(
        self, name: str, main: Callable[..., None], arguments: tuple[Any, ...], *, load_seconds: float = 300
    ) -> None:
        self.name = name
        self.facts: dict[str, Any] | None = None
        self.problem: str | None = None
        self._main, self._arguments, self._load_seconds = main, arguments, load_seconds
        self._lock = threading.Lock()  # one task at a time
        self._end = threading.Lock()  # guards the process and the pipe while they are replaced
        self._process: Any = None
        self._pipe: Connection | None = None
        self._closed = False
        self._number = 0
        self._pause = 0.0
        self._not_before = 0.0

    def do(
        self,
        task: str,
        *payload: Any,
        seconds: float,
        progress: Callable[[Any], None] | None = None,
        wait_seconds: float | None = None,
    ) -> Any:
        """Has the process do a task and returns its answer.

        Args:
            task: its name, as `main` knows it.
            payload: its arguments.
            seconds: how long it may take; then the process is ended.
            progress: called with what the process tells on the way; what it raises ends the process, and goes on.
            wait_seconds: how long another task may hold the process; None waits as long as it takes.

        Raises:
            Refusal: what the task raised; or the process is taken, or cannot get ready.
            WorkerLost: the process died or took too long.
        """
        if not self._lock.acquire(timeout=-1 if wait_seconds is None else wait_seconds):
            raise Refusal("busy", "server: it is busy; try again soon", retry_seconds=1)
        try:
            kind, answer = self._asked(self._ready(), task, payload, seconds, progress or _nothing)
        finally:
            self._lock.release()
        if kind == "refused":
            raise Refusal(answer[0], answer[1])
        return answer

    def _asked(
        self, pipe: Connection, task: str, payload: tuple[Any, ...], seconds: float, progress: Callable[[Any], None]
    ) -> tuple[str, Any]:
        """Returns the kind of an answer and the answer; whatever else happens, no other request can get it."""
        self._number += 1
        try:
            try:
                pipe.send((self._number, task, payload))
            except OSError:
                raise self._lost("its process died") from None
            return self._receive(pipe, seconds, progress)
        except WorkerLost:
            raise
        except BaseException as error:
            self._lost(f"it was left in the middle of a request ({type(error).__name__})")
            raise

    def prepare(self) -> None:
        """Starts the process and waits until it is ready; what prevents it is in `problem`."""
        with self._lock:
            try:
                self._ready()
            except (Refusal, WorkerLost) as error:
                log.warning("worker not ready", extra={"worker": self.name, "reason": str(error)})

    def kill(self) -> None:
        """Ends the process at once; a task that it does is lost, and the next one starts a new process."""
        with self._end:
            if self._process is not None:
                self._process.kill()

    def close(self) -> None:
        """Ends the process for good."""
        self._closed = True
        self.kill()
        with self._end:
            if self._process is not None:
                self._process.join(5)

    @property
    def pid(self) -> int | None:
        """Of the process; None while there is none."""
        with self._end:
            return self._process.pid if self._process is not None and self._process.is_alive() else None

    def _ready(self) -> Connection:
        """Returns the pipe to a process that is ready, starting one where there is none."""
        if self._pipe is not None and self._process.is_alive():
            return self._pipe
        if self._closed:
            raise WorkerLost("the server stops")
        if time.monotonic() < self._not_before:
            raise Refusal("busy", self.problem or "server: a worker is being started again", retry_seconds=5)
        self._start()
        self._number = 0
        assert self._pipe is not None
        try:
            kind, answer = self._receive(self._pipe, self._load_seconds, _nothing)
        except WorkerLost as error:
            self._failed(f"server: a worker could not start ({error})")
            raise Refusal("busy", f"server: a worker could not start ({error})", retry_seconds=30) from None
        if kind == "refused":
            with self._end:
                self._discard()
            self._failed(answer[1])
            raise Refusal("busy", answer[1], retry_seconds=30)
        self.facts, self.problem, self._pause = answer, None, 0.0
        log.info("worker ready", extra={"worker": self.name, "pid": self._process.pid})
        return self._pipe

    def _start(self) -> None:
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        # A daemon, so that a server that ends by an exception does not wait for it.
        process = context.Process(target=self._main, args=(theirs, *self._arguments), name=self.name, daemon=True)
        with self._end:
            self._discard()
            process.start()
            theirs.close()
            self._process, self._pipe = process, ours

    def _failed(self, problem: str) -> None:
        self.facts, self.problem = None, problem
        self._pause = min(max(2 * self._pause, _FIRST_PAUSE_SECONDS), _LONGEST_PAUSE_SECONDS)
        self._not_before = time.monotonic() + self._pause

    def _receive(self, pipe: Connection, seconds: float, progress: Callable[[Any], None]) -> tuple[str, Any]:
        """Returns the kind of the answer and the answer to the last request."""
        end = time.monotonic() + seconds
        while True:
            told = self._next(pipe)
            if told is not None:
                number, kind, answer = told
                if number != self._number:
                    raise self._lost("it answered another request")
                if kind == "failed":
                    log.error("task failed", extra={"worker": self.name, **answer})
                elif kind == "progress":
                    progress(answer)
                else:
                    return kind, answer
            if time.monotonic() > end:
                self.kill()
                raise self._lost(f"it took more than {seconds:g} seconds")

    def _next(self, pipe: Connection) -> tuple[int, str, Any] | None:
        """Returns what the process says next; None where it says nothing for a moment."""
        try:
            return _parsed(pipe.recv_bytes()) if pipe.poll(_STEP_SECONDS) else None
        except (OSError, EOFError):
            raise self._lost("its process died; the file may be damaged, or memory ran out") from None
        except _NoAnswer:
            raise self._lost("its answer is invalid") from None

    def _lost(self, reason: str) -> WorkerLost:
        with self._end:
            self._discard()
        log.warning("worker lost", extra={"worker": self.name, "reason": reason})
        return WorkerLost(reason)

    def _discard(self) -> None:
        """Lets go of the process and its pipe; `_end` is held."""
        if self._pipe is not None:
            self._pipe.close()
        if self._process is not None:
            self._process.kill()
            self._process.join(5)
            self._process.close()
        self._process = self._pipe = None


class _NoAnswer(Exception):
    """The bytes of a process are not an answer."""


def _parsed(encoded: bytes) -> tuple[int, str, Any]:
    """Returns the number of a request, the kind of the answer, and the answer."""
    try:
        number, kind, answer = json.loads(encoded)
    except (ValueError, TypeError, RecursionError):
        raise _NoAnswer from None
    return number, kind, answer


def _nothing(told: Any) -> None:
    pass
