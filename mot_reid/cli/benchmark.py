"""Measures speed next to what the machine can do: `mot-reid benchmark what=train json=new.json`."""

from __future__ import annotations

from collections.abc import Sequence

from mot_reid.cli.command import Command, Given, check_output
from mot_reid.files import given_by, write_json
from mot_reid.settings.benchmark import BenchmarkSettings

COMMAND = Command(
    "benchmark",
    BenchmarkSettings,
    usage="[what=train|embed|retrieval|track|video|all] [key=value ...]",
    about="""
Measures speed on synthetic inputs of realistic shape: the median of many runs, or for a video the fastest of three.
Each figure is compared with a bound, such as the arithmetic alone or the detector alone, and the share of that bound
is printed. Run nothing else at the same time.""",
    examples=("", "what=train json=new.json", "what=video source=clip.mp4 weights=yolov8s.pt compare=old.json"),
    exits="0 done, 2 a mistake in the arguments",
)


def main(argv: Sequence[str]) -> int:
    """Measures and prints; returns the exit code."""
    return COMMAND.run(_measure, argv)


def _measure(settings: BenchmarkSettings, given: Given) -> None:
    check_output("json", settings.json)
    from mot_reid.benchmark.results import compare, read

    old = None if settings.compare is None else read(settings.compare, what=settings.what)
    from mot_reid.benchmark.machine import describe
    from mot_reid.benchmark.suite import check, measure

    with given_by("reid"):
        check(settings)
    machine = describe()
    print(
        f"{machine['processor']}, {machine['cores']} cores, {machine['threads']} threads, "
        f"accelerator {machine['accelerator'] or 'none'}, torch {machine['versions']['torch']}",
        flush=True,
    )
    with given_by("reid"):
        figures = measure(settings)
    if settings.json is not None:
        told = {"machine": machine, "figures": {figure.name: figure.to_dict() for figure in figures}}
        write_json(settings.json, told)
    if old is not None:
        print(f"\nthen -> now\n{compare(figures, old)}")
