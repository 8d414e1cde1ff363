"""Many jobs: one after the other, in processes of this machine, or on a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from mot_reid.extras import missing
from mot_reid.pipeline import run
from mot_reid.pipeline.plan import Job
from mot_reid.pipeline.steps import Step
from mot_reid.settings.tracking import TrackSettings

Answer = dict[str, Any] | str
"""The summary of a job, or in one line why it failed."""


def run_all(settings: TrackSettings, jobs: Sequence[Job]) -> Iterator[tuple[Job, Answer]]:
    """Yields each job as it ends, with its answer; one that fails does not stop the others.

    Args:
        settings: of the run; `engine` and `workers` say where and how many at a time.
        jobs: in the order they are begun.

    Raises:
        ImportError: `engine` is "ray", which is not installed.
    """
    if settings.engine == "ray":
        yield from _with_bar(_by_ray(settings, jobs), len(jobs))
    elif settings.workers > 1 and len(jobs) > 1:
        yield from _with_bar(_by_processes(settings, jobs), len(jobs))
    else:
        for job in jobs:
            yield job, attempt(settings, job, bar=True)


def attempt(settings: TrackSettings, job: Job, *, bar: bool = False) -> Answer:
    """Does one job; returns its summary, or in one line why it failed."""
    from tqdm import tqdm

    with tqdm(desc=job.name, unit="frame", disable=None if bar else True) as shown:

        def progress(done: int, length: int | None, step: Step) -> None:
            shown.total = length
            shown.set_postfix(tracks=len(step.tracks), refresh=False)
            shown.update(done - shown.n)

        try:
            return run.run(settings, job, progress=progress)
        except (OSError, ValueError, ImportError, RuntimeError) as error:
            return _line(error)


def _by_processes(settings: TrackSettings, jobs: Sequence[Job]) -> Iterator[tuple[Job, Answer]]:
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    with ProcessPoolExecutor(settings.workers, mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(attempt, settings, job): job for job in jobs}
        for future in as_completed(futures):
            try:
                yield futures[future], future.result()
            except BrokenProcessPool:
                yield futures[future], "its process died; is there enough memory? try fewer workers"


def _by_ray(settings: TrackSettings, jobs: Sequence[Job]) -> Iterator[tuple[Job, Answer]]:
    """One task for each job, on the cluster that Ray finds, or on this machine; `workers` at a time."""
    try:
        import ray
    except ImportError:
        raise missing("ray", "engine") from None
    if not ray.is_initialized():
        ray.init(log_to_driver=False)
    task = ray.remote(attempt)
    left = list(jobs)
    running: dict[Any, Job] = {}
    while left or running:
        while left and len(running) < settings.workers:
            job = left.pop(0)
            running[task.remote(settings, job)] = job
        for reference in ray.wait(list(running), num_returns=1)[0]:
            job = running.pop(reference)
            try:
                yield job, ray.get(reference)
            except Exception as error:  # Ray wraps whatever ended the task, a lost machine included
                yield job, _line(error)


def _with_bar(answers: Iterable[tuple[Job, Answer]], total: int) -> Iterator[tuple[Job, Answer]]:
    from tqdm import tqdm

    yield from tqdm(answers, total=total, unit="source", disable=None)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())
