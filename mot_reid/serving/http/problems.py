"""How the documentation of a route names its refusals."""

from __future__ import annotations

from typing import Any

from mot_reid.serving.http.schemas import Problem
from mot_reid.serving.refusal import STATUS, Kind


def problems(*kinds: Kind) -> dict[int | str, dict[str, Any]]:
    """Returns the `responses` of a route that may refuse for these reasons, beside those that every route has.

    Args:
        kinds: of its refusals.
    """
    every: tuple[Kind, ...] = ("unauthorized", "too_many_requests", "invalid", "internal")
    return {STATUS[kind]: {"model": Problem, "description": kind.replace("_", " ")} for kind in (*every, *kinds)}
