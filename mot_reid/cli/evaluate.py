"""Scores a Re-ID model: `mot-reid evaluate checkpoint=PATH|NAME`."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mot_reid.cli.command import Command, Given, check_output
from mot_reid.files import given_by, write_json, write_text
from mot_reid.settings.evaluation import EvaluateSettings
from mot_reid.settings.load import ConfigError

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
data.root it is scored on the data set it was trained on. Several models, or several data sets, give a table of all.""",
    examples=(
        "checkpoint=runs/quickstart/model.safetensors",
        "checkpoint=osnet_x0_25_market1501 data=folders data.root=my/people report=report.html",
        "checkpoint=runs/NAME/model.safetensors data.root=data/market1501 rerank=true json=scores.json",
        "checkpoint=person_small reassociation.ground_truth=MOT15/train/PETS09-S2L1 reassociation.video=pets.avi",
        "checkpoint=[osnet_x0_25_market1501,person_small] data.root=[data/market1501,my/people] json=table.json",
    ),
    exits="0 done, 2 a mistake in the arguments, the checkpoint or the data",
)
RECIPROCAL = 20


class Model(NamedTuple):
    """A model, as it was called, and what gives its embeddings."""

    name: str
    path: Path
    precision: str
    embedder: Embedder


log = logging.getLogger(__name__)


def main(argv: Sequence[str]) -> int:
    """Scores a model; returns the exit code."""
    return COMMAND.run(_evaluate, argv)


def _evaluate(settings: EvaluateSettings, given: Given) -> None:
    """Embeds, scores, prints and writes what was asked for."""
    check_output("json", settings.json)
    check_output("report", settings.report)
    _check_reassociation(given)
    models = [_load(name, settings, given) for name in settings.checkpoint]
    if settings.reassociation.ground_truth is not None:
        _reassociate(settings, given, models)
        return
    roots = _roots(settings, models)
    if len(models) * len(roots) > 1:
        _evaluate_all(settings, given, models, roots)
        return
    scored = _scored(settings, models[0], roots[0], one=True)
    print("\n" + _table(scored.scores))
    if "threshold" in scored.verified:
        print("\n" + _threshold_line(scored.verified))
    if settings.json is not None:
        _write_scores(settings.json, scored.to_dict(), given)
    if settings.report is not None:
        _write_report(settings, scored, models[0], given)


def _check_reassociation(given: Given) -> None:
    """Refuses keys of the re-association beside keys that it does not heed, or without its ground truth.

    Raises:
        ConfigError: There are some.
    """
    asked = "reassociation.ground_truth" in given
    for key in given:
        if key.startswith("reassociation.") and not asked:
            raise ConfigError(f"command line: {key}: got it without reassociation.ground_truth=DIR; expected both")
        if asked and (key in ("data", "report", "rerank", "flip", "cache") or key.startswith("data.")):
            raise ConfigError(
                f"command line: {key}: does not go with reassociation.ground_truth; leave one of them out"
            )


def _load(name: str, settings: EvaluateSettings, given: Given) -> Model:
    """Returns a model by its path or name."""
    from mot_reid.reid import checkpoint
    from mot_reid.reid.embedder import Embedder

    path = checkpoint.find(name)
    precision = "auto" if path.suffix == ".onnx" and "precision" not in given else settings.precision
    with given_by("checkpoint"):
        embedder = Embedder(path, device=settings.device, batch_size=settings.batch_size, precision=precision)
    return Model(name, path, precision, embedder)


def _roots(settings: EvaluateSettings, models: Sequence[Model]) -> tuple[str | None, ...]:
    """Returns where the data sets are; None for that of the model."""
    from mot_reid.evaluation.people import trained_on

    if settings.data.root is not None:
        return settings.data.root
    if len(models) > 1:
        raise ConfigError(
            f"command line: data.root is missing; expected data.root=PATH to score {len(models)} models on"
        )
    own = trained_on(models[0].embedder.metadata["provenance"])
    return own if len(own) > 1 and settings.data.kind is None else (None,)


def _scored(settings: EvaluateSettings, model: Model, root: str | None, *, one: bool) -> Scored:
    """Returns what a model is worth on a data set, of which it says who is in it where it is the only one."""
    from mot_reid.evaluation.people import read_people
    from mot_reid.evaluation.score_people import score_people

    data, metadata = settings.data, model.embedder.metadata
    people = read_people(
        metadata["provenance"],
        kind=data.kind,
        root=root,
        own=data.root is None,
        split=data.split,
        or_train=not one,
        validation=data.validation,
        official_counts=data.official_counts,
    )
    if one:
        print(people)
    embedding = _embedded(settings, model, people.paths)
    log.info("scoring%s ..", ", re-ranking included" if settings.rerank else "")
    return score_people(
        people,
        embedding,
        calibration=metadata["calibration"],
        metric=settings.metric,  # type: ignore[arg-type]
        average_precision=settings.average_precision,  # type: ignore[arg-type]
        neighbours=settings.expand,
        reciprocal=RECIPROCAL if settings.rerank else 0,
        samples=settings.bootstrap,
    )


def _evaluate_all(
    settings: EvaluateSettings, given: Given, models: Sequence[Model], roots: Sequence[str | None]
) -> None:
    """Scores every model on every data set."""
    from mot_reid.evaluation.cross_data import NAMES, Cell, rows

    if settings.report is not None:
        raise ConfigError(
            f"command line: report: got {len(models)} model(s) and {len(roots)} data sets; expected one of each"
        )
    cells = [Cell(model.name, _scored(settings, model, root, one=False)) for root in roots for model in models]
    width = max(len(model.name) for model in models) + 4
    print(f"{'':{width}}" + "".join(f"{name:>22}" for name in NAMES.values()) + "   (%, 95%)")
    for data_set, scores in rows(cells):
        print(data_set)
        for name, texts in scores:
            print(f"{'  ' + name:{width}}" + "".join(f"{text:>22}" for text in texts))
    if settings.json is not None:
        _write_scores(settings.json, {"table": [cell.to_dict() for cell in cells]}, given)


def _reassociate(settings: EvaluateSettings, given: Given, models: Sequence[Model]) -> None:
    """Scores every model on the tracklets of a video, and nothing else."""
    from mot_reid.data.motchallenge import read_sequence
    from mot_reid.evaluation.cross_data import percent
    from mot_reid.evaluation.tracklets import score_reassociation

    keys = settings.reassociation
    sequence = read_sequence(str(keys.ground_truth))
    found = []
    for model in models:
        scored = score_reassociation(
            model.embedder, sequence, video=keys.video, length=keys.length, apart=keys.apart
        ).to_dict(samples=settings.bootstrap)
        found.append({"model": model.name, "sequence": sequence.name, **scored})
    width = max(len(model.name) for model in models) + 4
    first = found[0]
    print(
        f"{sequence.name}: {first['queries']} of {first['tracklets']} tracklets ask for {first['persons']} persons "
        f"{keys.apart} frames later or more; guessing gives {100 * first['chance']:.1f}%"
    )
    print(f"{'':{width}}{'re-association Rank-1':>24}   (%, 95%)")
    for one in found:
        text = percent(one["rank1"], one.get("interval"))
        print(f"{'  ' + one['model']:{width}}{text:>24}")
    if settings.json is not None:
        _write_scores(settings.json, {"reassociation": found}, given)


def _embedded(settings: EvaluateSettings, model: Model, paths: list[str]) -> Any:
    """Returns the embeddings of the crops, from the cache where they are kept there."""
    from mot_reid.evaluation.embed_files import cached_embeddings, embed_crops

    if settings.cache is None:
        return embed_crops(model.embedder, paths, flip=settings.flip)
    return cached_embeddings(
        settings.cache, model.embedder, paths, model=model.path, precision=model.precision, flip=settings.flip
    )


def _write_scores(path: str, scores: Mapping[str, Any], given: Given) -> None:
    """Writes the scores as fractions, and what they were measured with."""
    told = {key: value for key, value in given.items() if key not in ("json", "report", "cache")}
    print(f"\nscores   {write_json(path, {**scores, 'settings': told})}")


def _write_report(settings: EvaluateSettings, scored: Scored, model: Model, given: Given) -> None:
    """Writes the report card."""
    from mot_reid.evaluation.report_card import report_card
    from mot_reid.viewing.html.report import report_html

    title = model.name if model.path.stem in ("model", "best", "last") else model.path.stem
    card = report_card(scored, title=title, model=model.path, metadata=model.embedder.metadata, settings=given)
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
