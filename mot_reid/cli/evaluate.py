"""Scores a Re-ID model: `python tools/evaluate.py checkpoint=PATH|NAME [key=value ...]`."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mot_reid.cli.command import Arguments, run
from mot_reid.files import write_text

if TYPE_CHECKING:
    from mot_reid.metrics.scores import Scores

USAGE = """usage: python tools/evaluate.py checkpoint=PATH|NAME [key=value ...]

Scores a person re-identification model on any data set: Rank-1, 5, 10, mAP and mINP with their uncertainty.

  checkpoint=PATH|NAME     a model.safetensors, a Lightning .ckpt, a model.onnx, or the name of a model in the box
  data=KIND                market1501 | folders | csv | synthetic; default: what data.root looks like
  data.root=PATH           its folder (or CSV); default: the data set the model was trained on
  data.split=test          test: query and gallery of the data set; validation: the persons training held out;
                           train: all training persons, for data that the model never saw
  data.validation=SHARE    that training held out; default: as the model says
  data.official_counts=    true requires Market-1501's published numbers of images; default: true if data=market1501
  flip=false               average the embeddings of each crop and of its mirror image
  rerank=false             also score k-reciprocal re-ranking (k1=20, k2=6, lambda=0.3)
  expand=K                 also score queries averaged with their K nearest answers
  metric=cosine            cosine | euclidean
  average_precision=plain  plain | trapezoid, the one of Market-1501's own code, which gives less
  bootstrap=1000           samples of the 95% intervals over persons; 0 for none
  device=auto              auto | cpu | cuda | cuda:1 | mps
  precision=float32        float32 | bfloat16 | float16 | auto; an ONNX file has its own
  batch_size=256           crops that go through the network at once
  cache=FOLDER             keep the embeddings there, and take them from there the next time
  json=FILE                write the scores, as fractions
  report=FILE              write the report card, one HTML file to look at

Exit code: 0 done, 2 a mistake in the arguments, the checkpoint or the data, 130 interrupted.
"""
KEYS = (
    "help", "checkpoint", "data", "data.root", "data.split", "data.validation", "data.official_counts", "flip",
    "rerank", "expand", "metric", "average_precision", "bootstrap", "device", "precision", "batch_size", "cache",
    "json", "report",
)  # fmt: skip
RECIPROCAL = 20
log = logging.getLogger(__name__)


def main(argv: Sequence[str]) -> int:
    """Scores a model; returns the exit code."""
    return run(_evaluate, argv, usage=lambda: USAGE)


def _evaluate(argv: Sequence[str]) -> None:
    """Embeds, scores, prints and writes what was asked for."""
    asked = Arguments(argv, KEYS)
    name, settings, data = asked.required("checkpoint", "PATH or a model's name"), _settings(asked), _data(asked)
    scores, report = asked.output("json"), asked.output("report")
    from mot_reid.evaluation.embed_files import cached_embeddings, embed_crops
    from mot_reid.evaluation.people import read_people
    from mot_reid.evaluation.score_people import score_people
    from mot_reid.reid import checkpoint
    from mot_reid.reid.embedder import Embedder

    flip, batch_size = asked.switch("flip", False), asked.whole("batch_size", 256, low=1)
    model, cache = checkpoint.find(name), asked.text("cache")
    precision = "auto" if model.suffix == ".onnx" else asked.text("precision") or "float32"
    embedder = Embedder(model, device=asked.text("device") or "auto", batch_size=batch_size, precision=precision)
    people = read_people(embedder.metadata["provenance"], **data)
    print(people)
    if cache is None:
        embedding = embed_crops(embedder, people.paths, flip=flip)
    else:
        embedding = cached_embeddings(cache, embedder, people.paths, model=model, precision=precision, flip=flip)
    log.info("scoring%s ..", ", re-ranking included" if settings["reciprocal"] else "")
    scored = score_people(people, embedding, calibration=embedder.metadata["calibration"], **settings)
    print("\n" + _table(scored.scores))
    if "threshold" in scored.verified:
        print("\n" + _threshold_line(scored.verified))
    if scores is not None:
        given = {key: value for key, value in asked.given.items() if key not in ("json", "report", "cache")}
        text = json.dumps(scored.to_dict() | {"settings": given}, indent=2)
        print(f"\nscores   {write_text(scores, text + chr(10))}")
    if report is not None:
        from mot_reid.evaluation.report_card import report_card
        from mot_reid.viewing.html.report import report_html

        title = name if model.stem in ("model", "best", "last") else model.stem
        card = report_card(scored, title=title, model=model, metadata=embedder.metadata, settings=asked.given)
        print(f"report   {write_text(report, report_html(card))}")


def _settings(asked: Arguments) -> dict[str, Any]:
    """Returns how it is scored."""
    return {
        "metric": asked.choice("metric", ("cosine", "euclidean"), "cosine"),
        "average_precision": asked.choice("average_precision", ("plain", "trapezoid"), "plain"),
        "neighbours": asked.whole("expand", 0),
        "reciprocal": RECIPROCAL if asked.switch("rerank", False) else 0,
        "samples": asked.whole("bootstrap", 1000),
    }


def _data(asked: Arguments) -> dict[str, Any]:
    """Returns what it is scored on; None where the model says."""
    from mot_reid.data.splits import KINDS, PARTS

    counts, validation = "data.official_counts", "data.validation"
    return {
        "kind": asked.choice("data", KINDS, KINDS[0]) if "data" in asked else None,
        "root": asked.text("data.root"),
        "split": asked.choice("data.split", PARTS, "test"),
        "validation": asked.number(validation, 0.0, below=1.0) if validation in asked else None,
        "official_counts": asked.switch(counts, False) if counts in asked else None,
    }


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
