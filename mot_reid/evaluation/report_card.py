"""What the report card of a model shows, gathered from its scores, its crops and its network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from mot_reid.data.identities import IdentityTable
from mot_reid.data.images import decode
from mot_reid.evaluation.people import People
from mot_reid.evaluation.score_people import Scored
from mot_reid.metrics.camera_pairs import evaluate_camera_pairs
from mot_reid.metrics.rank_lists import RankList, count_matches, rank_lists, worst_and_best
from mot_reid.reid import checkpoint
from mot_reid.reid.explain import evidence_maps
from mot_reid.viewing.crops import Crop, Evidence, Example
from mot_reid.viewing.html.report import ReportCard
from mot_reid.viewing.plots import read_curves

EXAMPLES, ANSWERS, PAIRS = 6, 12, 3
"""Queries shown of the worst and of the best, answers to each, and how many of them are explained."""


def report_card(
    scored: Scored, *, title: str, model: Path, metadata: Mapping[str, Any], settings: Mapping[str, str]
) -> ReportCard:
    """Returns what the report shows.

    Args:
        scored: The scores.
        title: Of the page.
        model: The model's file; curves of training are those in the same folder.
        metadata: Of the model.
        settings: What it was measured with.
    """
    people, ids, result = scored.people, scored.people.ids, scored.scores["plain"].result
    worst, best = worst_and_best(result, people.query.person_id, count=EXAMPLES, matches=count_matches(**ids))
    lists = rank_lists(scored.query, scored.gallery, rows=[*worst, *best], length=ANSWERS, **ids)
    examples = [_example(one, people, float(result.ap[one.query])) for one in lists]
    explained = [*lists[: len(worst)][:PAIRS], *lists[len(worst) :][:PAIRS]]
    curves = model.parent / "metrics.csv"
    origin = {**metadata["provenance"], "licence": metadata["licence"], "network": metadata["network"]}
    origin |= {"preprocess": metadata["preprocess"], "measured with": dict(settings), "checkpoint": str(model)}
    return ReportCard(
        title=title,
        measured=str(people),
        scores=scored.scores,
        pairs=scored.pairs,
        calibration=metadata["calibration"],
        cameras=None if ids["query_camera_id"] is None else evaluate_camera_pairs(scored.query, scored.gallery, **ids),
        worst=examples[: len(worst)],
        best=examples[len(worst) :],
        evidence=_evidence(model, explained, scored),
        curves=read_curves(curves) if curves.is_file() else {},
        provenance=origin,
    )


def _example(ranked: RankList, people: People, ap: float) -> Example:
    """Returns a query and its first answers as pictures."""
    answers = [_crop(people.gallery, int(row), ranked, place) for place, row in enumerate(ranked.gallery)]
    return Example(_crop(people.query, ranked.query), answers, ap)


def _crop(table: IdentityTable, row: int, ranked: RankList | None = None, place: int = 0) -> Crop:
    """Returns the picture of one row: a query, or what came at one place of a rank list."""
    camera = None if table.camera_id is None else int(table.camera_id[row])
    image, person = decode(str(table.path[row])), int(table.person_id[row])
    if ranked is None:
        return Crop(image, person, camera)
    return Crop(image, person, camera, ranked.status[place], int(ranked.rank[place]), float(ranked.similarity[place]))


def _evidence(model: Path, lists: Sequence[RankList], scored: Scored) -> list[Evidence]:
    """Returns queries and their first answers that count, with what makes them alike; nothing for an ONNX file."""
    if model.suffix == ".onnx":
        return []
    artifact, people = checkpoint.load(model), scored.people
    found = []
    for ranked in lists:
        if not ranked.rank.any():
            continue
        place = int((ranked.rank == 1).argmax())
        row = int(ranked.gallery[place])
        crops = _crop(people.query, ranked.query), _crop(people.gallery, row, ranked, place)
        images = torch.cat([artifact.preprocess(torch.tensor(crop.image).permute(2, 0, 1)[None]) for crop in crops])
        towards = torch.tensor([scored.gallery[row].tolist(), scored.query[ranked.query].tolist()])
        maps = evidence_maps(artifact.network, images, towards).numpy()
        found.append(Evidence(*crops, maps[0], maps[1]))
    return found
