"""Scores a Re-ID model: `python tools/evaluate.py checkpoint=PATH|NAME [key=value ...]`."""

from __future__ import annotations

import hashlib
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mot_reid.config import ConfigError, parse_arguments
from mot_reid.data.folders import write_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mot_reid.data.identities import IdentityTable
    from mot_reid.metrics.rank_lists import RankList
    from mot_reid.metrics.scores import Scores
    from mot_reid.metrics.verification import PairSimilarities
    from mot_reid.reid.embedder import Embedder
    from mot_reid.viewing.crops import Crop, Evidence, Example
    from mot_reid.viewing.report import ReportCard

    Embeddings = NDArray[np.float32]

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
EXAMPLES, ANSWERS, PAIRS = 6, 12, 3


@dataclass(frozen=True)
class Tables:
    """What is asked, what answers, and how to say where it comes from."""

    query: IdentityTable
    gallery: IdentityTable
    kind: str
    root: str
    split: str

    @property
    def ids(self) -> dict[str, Any]:
        """The keywords of the metrics; cameras only where both sides know them."""
        query, gallery = self.query, self.gallery
        known = query.camera_id is not None and gallery.camera_id is not None
        return {
            "query_person_id": query.person_id,
            "gallery_person_id": gallery.person_id,
            "query_camera_id": query.camera_id if known else None,
            "gallery_camera_id": gallery.camera_id if known else None,
        }


def main(argv: Sequence[str]) -> int:
    """Scores a model; returns the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        arguments = parse_arguments(argv, allowed=KEYS)
        if "help" in arguments:
            print(USAGE)
            return 0
        _evaluate(arguments)
    except (OSError, ValueError, ImportError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


def _evaluate(arguments: dict[str, str]) -> None:
    """Embeds, scores, prints and writes what was asked for."""
    settings = _settings(arguments)
    from mot_reid.metrics.scores import score_rankings, verification_scores
    from mot_reid.metrics.verification import similarities_between
    from mot_reid.reid import checkpoint
    from mot_reid.reid.embedder import Embedder

    path = checkpoint.find(arguments["checkpoint"])
    embedder = Embedder(
        path,
        device=arguments.get("device", "auto"),
        batch_size=settings["batch_size"],
        precision="auto" if path.suffix == ".onnx" else arguments.get("precision", "float32"),
    )
    tables = _read(arguments, embedder.metadata["provenance"])
    print(_described(tables))
    paths = [*tables.query.path, *tables.gallery.path]
    embedding = _cached(arguments, path, embedder, paths, flip=settings["flip"])
    query, gallery = embedding[: len(tables.query)], embedding[len(tables.query) :]
    log.info("scoring%s ..", ", re-ranking included" if settings["rerank"] else "")
    scores = score_rankings(
        query,
        gallery,
        **tables.ids,
        neighbours=settings["expand"],
        reciprocal=RECIPROCAL if settings["rerank"] else 0,
        samples=settings["bootstrap"],
        metric=settings["metric"],
        average_precision=settings["average_precision"],
    )
    print("\n" + _table(scores))
    pairs = similarities_between(query, gallery, **tables.ids)
    verified = verification_scores(pairs, embedder.metadata["calibration"])
    if "threshold" in verified:
        print("\n" + _threshold_line(verified))
    if "json" in arguments:
        print(f"\nscores   {write_text(arguments['json'], _json_text(scores, verified, arguments, tables))}")
    if "report" in arguments:
        from mot_reid.viewing.report import report_html

        card = _card(path, embedder, tables, query, gallery, scores, pairs, arguments)
        print(f"report   {write_text(arguments['report'], report_html(card))}")


def _settings(arguments: dict[str, str]) -> dict[str, Any]:
    """Returns the arguments that are numbers or switches, after checking what needs no model."""
    if not arguments.get("checkpoint"):
        raise ConfigError("command line: checkpoint is missing; expected checkpoint=PATH or a model's name; see --help")
    choices = {"metric": ("cosine", "euclidean"), "average_precision": ("plain", "trapezoid")}
    for key, names in choices.items():
        if arguments.get(key, names[0]) not in names:
            raise ConfigError(f"command line: {key}: got '{arguments[key]}'; expected {' or '.join(names)}")
    return {
        **{key: arguments.get(key, names[0]) for key, names in choices.items()},
        "flip": _switch(arguments, "flip"),
        "rerank": _switch(arguments, "rerank"),
        "expand": _whole(arguments, "expand", 0),
        "bootstrap": _whole(arguments, "bootstrap", 1000),
        "batch_size": _whole(arguments, "batch_size", 256, low=1),
    }


def _switch(arguments: dict[str, str], key: str, default: bool = False) -> bool:
    text = arguments.get(key, str(default)).lower()
    if text not in ("true", "false"):
        raise ConfigError(f"command line: {key}: got '{arguments[key]}'; expected true or false")
    return text == "true"


def _whole(arguments: dict[str, str], key: str, default: int, *, low: int = 0) -> int:
    text = arguments.get(key, str(default))
    if not text.isdecimal() or int(text) < low:
        raise ConfigError(f"command line: {key}: got '{text}'; expected a whole number from {low}")
    return int(text)


def _read(arguments: dict[str, str], provenance: dict[str, Any]) -> Tables:
    """Returns query and gallery of the data set that was asked for, or else of the one the model was trained on."""
    from mot_reid.data import splits

    trained = provenance.get("config", {}).get("data", {})
    kind, root = arguments.get("data"), arguments.get("data.root")
    if kind is not None and kind not in splits.KINDS:
        raise ConfigError(f"command line: data: got '{kind}'; expected one of {', '.join(splits.KINDS)}")
    own = root is None and kind in (None, trained.get("kind"))
    if root is None:
        root = trained.get("root") if own else None
    if root is None:
        raise ConfigError("command line: data.root is missing; expected data.root=PATH of the data set to score on")
    kind = kind or (trained["kind"] if own else splits.recognise(root))
    counts = _switch(arguments, "data.official_counts", trained["official_counts"] if own else "data" in arguments)
    drawing = provenance["config"].get("synthetic") if own and kind == "synthetic" else None
    data_set = splits.read(kind, root, official_counts=counts, drawing=drawing)
    split = arguments.get("data.split", "test")
    query, gallery = splits.choose(data_set, split, validation=_share(arguments, trained.get("validation", 0.0)))
    return Tables(query, gallery, kind, str(root), split)


def _share(arguments: dict[str, str], default: float) -> float:
    text = arguments.get("data.validation", str(default))
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1:
        raise ConfigError(f"command line: data.validation: got '{text}'; expected a number from 0 to below 1")
    return value


def _cached(
    arguments: dict[str, str], path: Path, embedder: Embedder, crops: Sequence[str], *, flip: bool
) -> Embeddings:
    """Returns (N, D) embeddings of crops, from the cache where they are already there."""
    import numpy as np

    if "cache" not in arguments:
        return _embed(embedder, crops, flip=flip)
    key = hashlib.sha256(path.read_bytes())
    key.update(repr((flip, arguments.get("precision"), str(embedder.device), embedder.batch_size)).encode())
    for crop in map(Path, crops):
        key.update(repr((str(crop.resolve()), crop.stat().st_size, crop.stat().st_mtime_ns)).encode())
    file = Path(arguments["cache"]) / f"{key.hexdigest()[:24]}.npy"
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(".part.npy")
        np.save(partial, _embed(embedder, crops, flip=flip))
        partial.replace(file)
    return np.load(file)


def _embed(embedder: Embedder, crops: Sequence[str], *, flip: bool) -> Embeddings:
    """Returns (N, D) float32 unit embeddings of image files; with `flip`, of the mean with the mirror image."""
    import numpy as np

    from mot_reid.data.images import decode, in_threads

    parts = []
    for images in _batches(in_threads(decode, crops, None, "embedding"), embedder.batch_size):
        part = embedder.embed(images, color="rgb")
        if flip:
            part = part + embedder.embed([image[:, ::-1] for image in images], color="rgb")
            part /= np.linalg.norm(part, axis=1, keepdims=True)
        parts.append(part)
    return np.concatenate(parts)


def _batches(items: Iterator[Any], size: int) -> Iterator[list[Any]]:
    batch = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _described(tables: Tables) -> str:
    """Says what the model is scored on."""
    import numpy as np

    seen = [camera for name, camera in tables.ids.items() if "camera" in name]
    cameras = "cameras unknown" if seen[0] is None else f"{len(np.union1d(*seen))} cameras"
    return (
        f"{tables.kind} {tables.split} ({tables.root}): {len(tables.query):,} queries of "
        f"{len(np.unique(tables.query.person_id)):,} persons, {len(tables.gallery):,} gallery images, {cameras}"
    )


NAMES = {"mean_ap": "mAP", "rank1": "Rank-1", "rank5": "Rank-5", "rank10": "Rank-10", "mean_inp": "mINP"}
TITLES = {"plain": "", "expanded": "expanded", "reranked": "re-ranked"}


def _table(scores: dict[str, Scores]) -> str:
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


def _json_text(scores: dict[str, Scores], verified: dict[str, float], arguments: dict[str, str], tables: Tables) -> str:
    """Returns the plain scores, the others below their names, and what they were measured with."""
    content = scores["plain"].to_dict()
    content |= {name: found.to_dict() for name, found in scores.items() if name != "plain"}
    content["verification"] = verified
    content["data"] = {
        "kind": tables.kind,
        "root": tables.root,
        "split": tables.split,
        "queries": len(tables.query),
        "valid_queries": int(scores["plain"].result.valid.sum()),
        "gallery": len(tables.gallery),
    }
    content["settings"] = {key: value for key, value in arguments.items() if key not in ("json", "report", "cache")}
    return json.dumps(content, indent=2) + "\n"


def _card(
    path: Path,
    embedder: Embedder,
    tables: Tables,
    query: Embeddings,
    gallery: Embeddings,
    scores: dict[str, Scores],
    pairs: PairSimilarities,
    arguments: dict[str, str],
) -> ReportCard:
    """Returns what the report shows."""
    from mot_reid.metrics.camera_pairs import evaluate_camera_pairs
    from mot_reid.metrics.rank_lists import count_matches, rank_lists, worst_and_best
    from mot_reid.viewing.plots import read_curves
    from mot_reid.viewing.report import ReportCard

    ids, metadata = tables.ids, embedder.metadata
    result = scores["plain"].result
    worst, best = worst_and_best(result, tables.query.person_id, count=EXAMPLES, matches=count_matches(**ids))
    lists = rank_lists(query, gallery, rows=[*worst, *best], length=ANSWERS, **ids)
    examples = [_example(one, tables, float(result.ap[one.query])) for one in lists]
    shown = [*lists[: len(worst)][:PAIRS], *lists[len(worst) :][:PAIRS]]
    curves = path.parent / "metrics.csv"
    origin = {**metadata["provenance"], "licence": metadata["licence"], "network": metadata["network"]}
    origin |= {"preprocess": metadata["preprocess"], "measured with": arguments, "checkpoint": str(path)}
    return ReportCard(
        title=str(arguments["checkpoint"]) if path.stem in ("model", "best", "last") else path.stem,
        measured=_described(tables),
        scores=scores,
        pairs=pairs,
        calibration=metadata["calibration"],
        cameras=None if ids["query_camera_id"] is None else evaluate_camera_pairs(query, gallery, **ids),
        worst=examples[: len(worst)],
        best=examples[len(worst) :],
        evidence=_evidence(path, shown, tables, query, gallery),
        curves=read_curves(curves) if curves.is_file() else {},
        provenance=origin,
    )


def _example(ranked: RankList, tables: Tables, ap: float) -> Example:
    """Returns a query and its first answers as pictures."""
    from mot_reid.viewing.crops import Example

    answers = [_crop(tables.gallery, int(row), ranked, place) for place, row in enumerate(ranked.gallery)]
    return Example(_crop(tables.query, ranked.query), answers, ap)


def _crop(table: IdentityTable, row: int, ranked: RankList | None = None, place: int = 0) -> Crop:
    """Returns the picture of one row: a query, or what came at one place of a rank list."""
    from mot_reid.data.images import decode
    from mot_reid.viewing.crops import Crop

    camera = None if table.camera_id is None else int(table.camera_id[row])
    image, person = decode(str(table.path[row])), int(table.person_id[row])
    if ranked is None:
        return Crop(image, person, camera)
    return Crop(image, person, camera, ranked.status[place], int(ranked.rank[place]), float(ranked.similarity[place]))


def _evidence(
    path: Path, lists: Sequence[RankList], tables: Tables, query: Embeddings, gallery: Embeddings
) -> list[Evidence]:
    """Returns queries and their first answers that count, with what makes them alike; nothing for an ONNX file."""
    import torch

    from mot_reid.reid import checkpoint
    from mot_reid.reid.evidence import evidence_maps
    from mot_reid.viewing.crops import Evidence

    if path.suffix == ".onnx":
        return []
    artifact = checkpoint.load(path)
    found = []
    for ranked in lists:
        if not ranked.rank.any():
            continue
        place = int((ranked.rank == 1).argmax())
        row = int(ranked.gallery[place])
        crops = _crop(tables.query, ranked.query), _crop(tables.gallery, row, ranked, place)
        images = torch.cat([artifact.preprocess(torch.tensor(crop.image).permute(2, 0, 1)[None]) for crop in crops])
        towards = torch.tensor([gallery[row].tolist(), query[ranked.query].tolist()])
        maps = evidence_maps(artifact.network, images, towards).numpy()
        found.append(Evidence(*crops, maps[0], maps[1]))
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
