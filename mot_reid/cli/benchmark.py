"""Measures speed beside what the machine can do: `python tools/benchmark.py what=train json=new.json`."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

from mot_reid.cli.command import run
from mot_reid.files import check_writable, write_text
from mot_reid.settings.benchmark import BenchmarkSettings
from mot_reid.settings.load import describe_settings, load_settings

USAGE = """usage: python tools/benchmark.py [what=train|embed|retrieval|track|video|all] [key=value ...]

Medians on synthetic inputs of the real shape; of a video the quickest of three rounds. Beside each figure stands what
it is measured against, such as the arithmetic alone or the detector alone, and the share of it that is reached. Run
nothing else meanwhile.

Exit code: 0 done, 2 a mistake in the arguments, 130 interrupted.

keys (the value is that of configs/benchmark.yaml):
"""


def main(argv: Sequence[str]) -> int:
    """Measures and tells; returns the exit code."""
    for name in ("YOLO_AUTOINSTALL", "YOLO_VERBOSE"):
        os.environ.setdefault(name, "false")
    return run(_measure, argv, usage=lambda: USAGE + describe_settings(BenchmarkSettings, base="benchmark"))


def _measure(argv: Sequence[str]) -> None:
    settings = load_settings(BenchmarkSettings, argv, base="benchmark")
    if settings.json is not None:
        check_writable(settings.json, "json")
    from mot_reid.benchmark.results import compare, read

    old = None if settings.compare is None else read(settings.compare, what=settings.what)
    from mot_reid.benchmark.machine import describe
    from mot_reid.benchmark.suite import check, measure

    check(settings)
    machine = describe()
    print(
        f"{machine['processor']}, {machine['cores']} cores, {machine['threads']} threads, "
        f"accelerator {machine['accelerator'] or 'none'}, torch {machine['versions']['torch']}",
        flush=True,
    )
    figures = measure(settings)
    if settings.json is not None:
        told = {"machine": machine, "figures": {figure.name: figure.to_dict() for figure in figures}}
        write_text(settings.json, json.dumps(told, indent=2) + "\n")
    if old is not None:
        print(f"\nthen -> now\n{compare(figures, old)}")
