"""The keys of `mot-reid sweep-winner`: types, rules and meanings; the values are in `configs/sweep_winner.yaml`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated


@dataclass(frozen=True, kw_only=True)
class SweepWinnerSettings:
    """Which runs took part, and what counts."""

    runs: Annotated[tuple[str, ...], "folders of the runs, or patterns such as runs/resnet50_market-*"]
    metric: Annotated[str | None, "score of validation, the higher the better; null: run.monitor of the runs"]
    json: Annotated[str | None, "file for all runs, their scores and their settings"]
