"""What helps a network with cameras it has never seen? One camera is left out of training, a small study.

    python experiments/other_cameras.py MARKET1501 MOT15 VIDEOS WORK [seeds=0,1,2] [variants=plain,ain] [batches=25]

OSNet x0.25 from scratch at 128x64 on Market-1501's training persons but 150, without the images of one camera, another
one with each seed. The 150 persons are asked for by queries of the cameras that were trained on, among their crops of
these ("seen"), and by queries of the camera that was left out, among the others ("unseen"). The videos (MOT15's ground
truth, and the frames in VIDEOS) are other places altogether: re-association. What is done already is kept in WORK.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from mot_reid.data.cameras import seen_by
from mot_reid.data.identities import metric_ids, query_gallery, split_identities
from mot_reid.data.market1501 import read
from mot_reid.data.motchallenge import read_sequence
from mot_reid.data.splits import SPLIT_SEED
from mot_reid.evaluation.embed_files import embed_crops
from mot_reid.evaluation.tracklets import score_reassociation
from mot_reid.metrics.retrieval import evaluate_retrieval
from mot_reid.reid.embedder import Embedder

CAMERAS = (1, 3, 6, 2, 4, 5)
"""The camera that is left out with each seed."""
VALIDATION = 0.2
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "colour": {"augment.brightness": 0.2, "augment.contrast": 0.2, "augment.saturation": 0.2, "augment.grayscale": 0.1},
    "mixstyle": {"augment.mixstyle": 0.5},
    "input_norm": {"model.input_norm": True},
    "ain": {"model.backbone": "osnet_ain_x0_25"},
    "ain_mixstyle": {"model.backbone": "osnet_ain_x0_25", "augment.mixstyle": 0.5},
}
"""What is set beyond the experiment."""
VIDEOS = {"PETS09-S2L1": "pets09-s2l1.avi", "ADL-Rundle-6": "adl-rundle-6.mp4"}


def trained(variant: str, seed: int, market: Path, work: Path, batches: int) -> Path:
    """Returns the model of a variant, trained now if it is not there."""
    import mot_reid

    folder = work / f"{variant}-{seed}"
    model = folder / "model.safetensors"
    if not model.is_file():
        mot_reid.fit(
            "osnet_x0_25_market_cpu",
            {
                "data.root": [str(market)],
                "data.validation": VALIDATION,
                "data.validation_cameras": [CAMERAS[seed]],
                "data.batches_per_epoch": batches,
                "data.cache": "memory",
                "run.dir": str(folder),
                "run.seed": seed,
                "run.score_test": False,
                "trainer.max_epochs": 8,
                "trainer.check_val_every_n_epoch": 8,
                "trainer.enable_progress_bar": False,
                "optim.ema": 0.99,
                **VARIANTS[variant],
            },
            resume="auto",
        )
    return model


def scored(model: Path, seed: int, market: Path, sequences: Path, videos: Path) -> dict[str, float]:
    """Returns the scores of a model on cameras it has seen, on the one it has not, and on videos; fractions."""
    embedder = Embedder(model, device="cpu")
    people = split_identities(read(market, official_counts=True).train, VALIDATION, SPLIT_SEED)[1]
    embedding = embed_crops(embedder, list(people.path))
    row = {path: number for number, path in enumerate(people.path)}
    unseen = seen_by(people, [CAMERAS[seed]])
    query, gallery = query_gallery(people, SPLIT_SEED)
    found: dict[str, float] = {}
    for name, asks, answers in (
        ("seen", query[~seen_by(query, [CAMERAS[seed]])], gallery[~seen_by(gallery, [CAMERAS[seed]])]),
        ("unseen", query[seen_by(query, [CAMERAS[seed]])], people[~unseen]),
    ):
        result = evaluate_retrieval(
            embedding[[row[path] for path in asks.path]],
            embedding[[row[path] for path in answers.path]],
            **metric_ids(asks, answers),
        )
        found |= {f"{name}_map": result.mean_ap, f"{name}_rank1": result.rank(1)}
    for name, file in VIDEOS.items():
        found[name] = score_reassociation(embedder, read_sequence(sequences / name), video=videos / file).rank1
    return found


def main(argv: list[str]) -> None:
    """Trains and scores what is not there yet, and prints a table."""
    given = dict(word.split("=") for word in argv if "=" in word)
    market, sequences, videos, work = (Path(word) for word in argv if "=" not in word)
    seeds = [int(seed) for seed in given.get("seeds", "0,1,2").split(",")]
    variants = given.get("variants", ",".join(VARIANTS)).split(",")
    rows: dict[str, list[dict[str, float]]] = {variant: [] for variant in variants}
    for seed in seeds:
        for variant in variants:
            model = trained(variant, seed, market, work, int(given.get("batches", 25)))
            kept = model.parent / "scores.json"
            if not kept.is_file():
                kept.write_text(json.dumps(scored(model, seed, market, sequences, videos)))
            rows[variant].append(json.loads(kept.read_text()))
            print(variant, seed, {name: round(100 * value, 1) for name, value in rows[variant][-1].items()}, flush=True)
    print_table(rows)


def print_table(rows: dict[str, list[dict[str, float]]]) -> None:
    """Prints the mean over the seeds of each variant, and of each seed's difference to the first variant."""
    names = list(next(iter(rows.values()))[0])
    values = {
        variant: 100 * np.array([[one[name] for name in names] for one in found]) for variant, found in rows.items()
    }
    first = next(iter(values.values()))
    print("| | " + " | ".join(names) + " |\n|---|" + "---:|" * len(names))
    for variant, found in values.items():
        cells = [f"{mean:.1f}" for mean in found.mean(axis=0)]
        if found is not first and len(found) == len(first):
            change = found - first
            cells = [f"{cell} ({', '.join(f'{one:+.1f}' for one in column)})" for cell, column in zip(cells, change.T)]
        print(f"| `{variant}` | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main(sys.argv[1:])
