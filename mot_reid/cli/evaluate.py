"""Scores a Re-ID model: `mot-reid evaluate checkpoint=PATH|NAME`."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mot_reid.cli.command import Command, Given, check_output
from mot_reid.files import write_text
from mot_reid.settings.evaluation import EvaluateSettings

if TYPE_CHECKING:
    from mot_reid.evaluation.score_people import Scored
    from mot_reid.metrics.scores import Scores
    from mot_reid.reid.embedder import Embedder

COMMAND = Command(
    "evaluate",
    EvaluateSettings,
    usage="checkpoint=PATH|NAME [key=value ...] [config=FILE]",
    about="""
Scores a person re-identification model on any data set: Rank-1, 5, 10, mAP and mINP with their uncertainty. Without
data.root it is scored on the data set it was trained on.""",
    examples=(
        "checkpoint=runs/quickstart/model.safetensors",
        "checkpoint=osnet_x0_25_market1501 data=folders data.root=my/people report=report.html",
        "checkpoint=runs/NAME/model.safetensors data.root=data/market1501 rerank=true json=scores.json",
    ),
    exits="0 done, 2 a mistake in the arguments, the checkpoint or the data",
)
RECIPROCAL = 20
log = logging.getLogger(__name__)


def main(argv: Sequence[str]) -> int:
    """Scores a model; returns the exit code."""
    return COMMAND.run(_evaluate, argv)


def _evaluate(settings: EvaluateSettings, given: Given) -> None:
    """Embeds, scores, prints and writes what was asked for."""
    check_output("json", settings.json)
    check_output("report", settings.report)
    from mot_reid.evaluation.people import read_people
    from mot_reid.evaluation.score_people import score_people
    from mot_reid.reid import checkpoint
    from mot_reid.reid.embedder import Embedder

    model, data = checkpoint.find(settings.checkpoint), settings.data
    precision = "auto" if model.suffix == ".onnx" and "precision" not in given else settings.precision
    embedder = Embedder(model, device=settings.device, batch_size=settings.batch_size, precision=precision)
    people = read_people(
        embedder.metadata["provenance"],
        kind=data.kind,
        root=data.root,
        split=data.split,
        validation=data.validation,
        official_counts=data.official_counts,
    )
    print(people)
    embedding = _embedded(settings, embedder, people.paths, model=model, precision=precision)
    log.info("scoring%s ..", ", re-ranking included" if settings.rerank else "")
    scored = score_people(
        people,
        embedding,
        calibration=embedder.metadata["calibration"],
        metric=settings.metric,  # type: ignore[arg-type]
        average_precision=settings.average_precision,  # type: ignore[arg-type]
        neighbours=settings.expand,
        reciprocal=RECIPROCAL if settings.rerank else 0,
        samples=settings.bootstrap,
    )
    print("\n" + _table(scored.scores))
    if "threshold" in scored.verified:
        print("\n" + _threshold_line(scored.verified))
    if settings.json is not None:
        _write_scores(settings.json, scored, given)
    if settings.report is not None:
        _write_report(settings, scored, embedder, given, model=model)


def _embedded(settings: EvaluateSettings, embedder: Embedder, paths: list[str], *, model: Path, precision: str) -> Any:
    """Returns the embeddings of the crops, from the cache where they are kept there."""
    from mot_reid.evaluation.embed_files import cached_embeddings, embed_crops

    if settings.cache is None:
        return embed_crops(embedder, paths, flip=settings.flip)
    return cached_embeddings(settings.cache, embedder, paths, model=model, precision=precision, flip=settings.flip)


def _write_scores(path: str, scored: Scored, given: Given) -> None:
    """Writes the scores as fractions, and what they were measured with."""
    told = {key: value for key, value in given.items() if key not in ("json", "report", "cache")}
    print(f"\nscores   {write_text(path, json.dumps(scored.to_dict() | {'settings': told}, indent=2) + chr(10))}")


def _write_report(settings: EvaluateSettings, scored: Scored, embedder: Embedder, given: Given, *, model: Path) -> None:
    """Writes the report card."""
    from mot_reid.evaluation.report_card import report_card
    from mot_reid.viewing.html.report import report_html

    title = settings.checkpoint if model.stem in ("model", "best", "last") else model.stem
    card = report_card(scored, title=title, model=model, metadata=embedder.metadata, settings=given)
    print(f"report   {write_text(str(settings.report), report_html(card))}")


NAMES = {"mean_ap": "mAP", "rank1": "Rank-1", "rank5": "Rank-5", "rank10": "Rank-10", "mean_inp": "mINP"}
TITLES = {"plain": "", "expanded": "expanded", "reranked": "re-ranked"}


def _table(scores: Mapping[str, Scores]) -> str:
    """Returns the scores in percent, and half the width of their intervals."""
    lines = [f"{'':<10}" + "".join(f"{name:>15}" for name in NAMES.values()) + "   (%)"]
    for ranking, found in scores.items():
        values = found.to_dict()
        cells, intervals = [], []
        for key in NAMES:
            cells.append(f"{100 * values[key]:15.2f}")
            low, high = found.intervals.get(key, (float("nan"),) * 2)
            intervals.append(f"{f'{100 * low:.1f} - {100 * high:.1f}':>15}" if key in found.intervals else f"{'':15}")
        lines.append(f"{TITLES[ranking]:<10}" + "".join(cells))
        if found.intervals:
            lines.append(f"{'  95%':<10}" + "".join(intervals))
    return "\n".join(lines)


def _threshold_line(verified: dict[str, float]) -> str:
    """Says what the calibrated threshold does on these persons."""
    rates = {name: f"{100 * value:.3g}%" for name, value in verified.items() if name.endswith("rate")}
    return (
        f"threshold {verified['threshold']:.3f}: {rates['false_match_rate']} of pairs of strangers match "
        f"(promised {rates['promised_false_match_rate']}), {rates['true_match_rate']} of pairs of one person "
        f"(promised {rates['promised_true_match_rate']})"
    )
