"""What is measured by name, each part in a process of its own, so that none warms up or crowds out another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from mot_reid.benchmark.figures import Figure
from mot_reid.benchmark.machine import peak_megabytes
from mot_reid.benchmark_schema import BenchmarkSettings

PARTS = ("train", "embed", "retrieval", "track", "video")


def measure(settings: BenchmarkSettings) -> Iterator[tuple[str, list[Figure]]]:
    """Yields the figures of each part that is asked for, its peak of memory last."""
    for part in PARTS if settings.what == "all" else (settings.what,):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            yield part, pool.submit(measure_part, part, settings).result()


def measure_part(part: str, settings: BenchmarkSettings) -> list[Figure]:
    """Returns the figures of one part, measured in this process."""
    figures = _PARTS[part](settings)
    peak = peak_megabytes()
    return figures if peak is None else [*figures, Figure(f"{part}/peak_memory", peak, "MB")]


def _train(settings: BenchmarkSettings) -> list[Figure]:
    from mot_reid.benchmark import train

    return train.measure(settings.experiment, steps=settings.steps, device=settings.device)


def _embed(settings: BenchmarkSettings) -> list[Figure]:
    from mot_reid.benchmark import embed

    return embed.measure(settings.reid, device=settings.device)


def _retrieval(settings: BenchmarkSettings) -> list[Figure]:
    from mot_reid.benchmark import retrieval

    return retrieval.measure()


def _track(settings: BenchmarkSettings) -> list[Figure]:
    from mot_reid.benchmark import association

    return association.measure(settings.preset)


def _video(settings: BenchmarkSettings) -> list[Figure]:
    from mot_reid.benchmark import video

    return video.measure(source=settings.source, weights=settings.weights, reid=settings.reid, frames=settings.frames)


_PARTS: dict[str, Callable[[BenchmarkSettings], list[Figure]]] = {
    "train": _train, "embed": _embed, "retrieval": _retrieval, "track": _track, "video": _video,
}  # fmt: skip
