"""What Prometheus reads: requests, frames, jobs, errors, sessions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_JOB_SECONDS = (1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)


class Metrics:
    """The numbers of one server; two of them in one process do not mix.

    Attributes:
        frames: tracked, of jobs, images and live sessions.
        requests: seconds by method, route (the template) and status.
        job_seconds: of jobs that are done.
        errors: by kind.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.frames = Counter("mot_reid_frames", "Frames tracked", registry=self._registry)
        self.requests = Histogram(
            "mot_reid_request_seconds",
            "Seconds until a request was answered",
            ("method", "route", "status"),
            buckets=_REQUEST_SECONDS,
            registry=self._registry,
        )
        self.job_seconds = Histogram(
            "mot_reid_job_seconds",
            "Seconds of work on a job that is done",
            buckets=_JOB_SECONDS,
            registry=self._registry,
        )
        self.errors = Counter("mot_reid_errors", "Refusals and failures", ("kind",), registry=self._registry)

    def watch(
        self, jobs: Callable[[], Mapping[Any, int]], sessions: Callable[[], int], swept: Callable[[], float]
    ) -> None:
        """Adds the numbers that are looked up when they are asked for.

        Args:
            jobs: the number of jobs in each state.
            sessions: the number of live sessions.
            swept: when old jobs and people were last removed, in seconds since 1970.
        """
        self._registry.register(_Present(jobs, sessions, swept))

    def text(self) -> bytes:
        """Returns all numbers in Prometheus' format."""
        return generate_latest(self._registry)


class _Present:
    """Numbers of this moment."""

    def __init__(
        self, jobs: Callable[[], Mapping[Any, int]], sessions: Callable[[], int], swept: Callable[[], float]
    ) -> None:
        self._jobs, self._sessions, self._swept = jobs, sessions, swept

    def describe(self) -> list[Any]:
        """Returns nothing: the names are known without looking the numbers up."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yields the numbers."""
        counts = self._jobs()
        jobs = GaugeMetricFamily("mot_reid_jobs", "Jobs that are known, by state", labels=["state"])
        for state, count in counts.items():
            jobs.add_metric([state], count)
        yield jobs
        yield GaugeMetricFamily("mot_reid_queue_length", "Jobs that wait", value=counts["queued"])
        yield GaugeMetricFamily("mot_reid_live_sessions", "Live sessions that are open", value=self._sessions())
        yield GaugeMetricFamily(
            "mot_reid_swept_timestamp_seconds", "When old jobs and people were last removed", value=self._swept()
        )
