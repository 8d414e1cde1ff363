"""What is measured by name, each part in a process of its own, so that none warms up or crowds out another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import torch

from mot_reid.benchmark.machine import peak_megabytes
from mot_reid.benchmark.results import Figure, line
from mot_reid.reid import checkpoint
from mot_reid.settings.benchmark import BenchmarkSettings
from mot_reid.settings.load import ConfigError


def check(settings: BenchmarkSettings) -> None:
    """Refuses what could only fail, or be left out of account, once part of the work is done.

    Raises:
        ConfigError: there is no such device, or a video is named and nothing to find people in it.
        FileNotFoundError: there is no such Re-ID model.
    """
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device: got 'cuda'; expected 'auto' or 'cpu', since torch finds no CUDA device here")
    if settings.source is not None and settings.weights is None:
        raise ConfigError(f"source: got '{settings.source}' without a detector; expected weights=PATH with it")
    if settings.what in ("embed", "video", "all"):
        checkpoint.find(settings.reid)


def measure(settings: BenchmarkSettings) -> list[Figure]:
    """Returns the figures of each part that is asked for, its peak of memory last; prints each when it is there."""
    figures = []
    for part in _PARTS if settings.what == "all" else (settings.what,):
        print(f"\n{part}", flush=True)
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            figures += pool.submit(measure_part, part, settings).result()
    return figures


def measure_part(part: str, settings: BenchmarkSettings) -> list[Figure]:
    """Returns the figures of one part, measured in this process; prints them."""
    figures = []
    for figure in _with_memory(part, _PARTS[part](settings)):
        print(line(figure), flush=True)
        figures.append(figure)
    return figures


def _with_memory(part: str, figures: Iterable[Figure]) -> Iterator[Figure]:
    yield from figures
    peak = peak_megabytes()
    if peak is not None:
        yield Figure(f"{part}/peak_memory", peak, "MB")


def _train(settings: BenchmarkSettings) -> Iterator[Figure]:
    from mot_reid.benchmark import processes, train

    sizes = {"model.height": settings.height, "model.width": settings.width}
    keys = [f"experiment={settings.experiment}", *(f"{key}={size}" for key, size in sizes.items() if size is not None)]
    yield from train.measure(keys, steps=settings.steps, device=settings.device)
    yield from processes.measure(keys, device=settings.device)


def _embed(settings: BenchmarkSettings) -> Iterator[Figure]:
    from mot_reid.benchmark import embed

    return embed.measure(settings.reid, device=settings.device)


def _retrieval(settings: BenchmarkSettings) -> Iterator[Figure]:
    from mot_reid.benchmark import retrieval

    return retrieval.measure()


def _track(settings: BenchmarkSettings) -> Iterator[Figure]:
    from mot_reid.benchmark import association

    return association.measure(settings.preset)


def _video(settings: BenchmarkSettings) -> Iterator[Figure]:
    from mot_reid.benchmark import video

    return video.measure(source=settings.source, weights=settings.weights, reid=settings.reid, frames=settings.frames)


_PARTS: dict[str, Callable[[BenchmarkSettings], Iterator[Figure]]] = {
    "train": _train, "embed": _embed, "retrieval": _retrieval, "track": _track, "video": _video,
}  # fmt: skip
