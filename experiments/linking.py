"""How well do the tracklets of Market-1501 join to persons, and is the stated share of false joins kept?

    python experiments/linking.py MARKET1501 [split=held_out|train|test] [model=osnet_x0_25_market1501] [cache=DIR]

File names carry camera, sequence and frame: crops of one person in one camera and sequence, no more than 100 frames
(4 seconds) apart, are a tracklet. Each distractor is a tracklet of its own; junk is left out. `held_out` are the
training persons that the model never saw, as its file says; on the 75 of the first two models everything was chosen.
`test` is query and gallery together. Embeddings are kept in `cache`, where it is given. Each row: method, asked and
observed share of false pairs with its 95% interval over persons, recall with its interval, B-cubed F1, IDF1, HOTA
(percent), links, seconds.
"""

from __future__ import annotations

import re
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from PIL import Image
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from mot_reid.data.market1501 import FOLDERS, find_root, list_images
from mot_reid.linking.agglomerate import Groups
from mot_reid.linking.link import link
from mot_reid.linking.online import OnlineLinker
from mot_reid.linking.similar import similar_pairs
from mot_reid.linking.tracklets import Constraints, Tracklets
from mot_reid.metrics.linking import evaluate_links
from mot_reid.reid.embedder import Embedder

NAME = re.compile(r"(-1|\d+)_c(\d)s(\d)_(\d+)_")
FRAME_RATE, GAP = 25, 100
SPLIT_SEED = 0
ASKED = (0.005, 0.01, 0.05, 0.2)
RATIO = 0.8
"""Of the distances to the nearest and the second nearest neighbour, as in Lowe's ratio test."""


def embedded(embedder: Embedder, files: list[Path], cache: Path | None) -> np.ndarray:
    """Returns the embeddings of images."""
    if cache is not None and cache.is_file():
        return np.load(cache)["embedding"]
    parts = [files[n : n + 512] for n in range(0, len(files), 512)]
    found = [embedder.embed([np.asarray(Image.open(f).convert("RGB")) for f in part], color="rgb") for part in parts]
    if cache is not None:
        np.savez(cache, embedding=np.concatenate(found))
    return np.concatenate(found)


def held_out_persons(files: list[Path], share: float) -> set[int]:
    """Returns the persons of the training set that a model never saw, which held out this share of them."""
    known = np.unique([int(NAME.match(path.name)[1]) for path in files])
    return set(np.random.default_rng(SPLIT_SEED).permutation(known)[: round(share * len(known))].tolist())


def tracklets(root: Path, split: str, model: str, cache: Path | None) -> tuple[Tracklets, np.ndarray, Embedder]:
    """Returns the tracklets of a split, who they show, and the model."""
    folders = [FOLDERS["gallery"], FOLDERS["query"]] if split == "test" else [FOLDERS["train"]]
    embedder, vectors, groups = Embedder(model), [], defaultdict(list)
    share = embedder.metadata["provenance"]["config"]["data"]["validation"]
    suffix = f"_held_out_{share:g}" if split == "held_out" else ""
    for folder in folders:
        files = [path for path in list_images(root / folder) if not path.name.startswith("-1")]
        if split == "held_out":
            chosen = held_out_persons(files, share)
            files = [path for path in files if int(NAME.match(path.name)[1]) in chosen]
        rows = sum(len(vector) for vector in vectors)
        vectors.append(embedded(embedder, files, None if cache is None else cache / f"{model}_{folder}{suffix}.npz"))
        for row, path in enumerate(files, start=rows):
            person, camera, sequence, frame = map(int, NAME.match(path.name).groups())
            groups[person, camera, sequence, path.name if person == 0 else ""].append((frame, row))
    embedding, lines, means = np.concatenate(vectors), [], []
    for (person, camera, sequence, _), sightings in groups.items():
        frame, row = np.array(sorted(sightings)).T
        for part in np.split(np.arange(len(frame)), np.flatnonzero(np.diff(frame) > GAP) + 1):
            begin, end = (1e6 * sequence + frame[part[[0, -1]]]) / FRAME_RATE
            lines.append((person, camera, begin, end, len(part)))
            means.append(embedding[row[part]].mean(axis=0))
    person, camera, begin, end, crops = np.array(lines).T
    unit = np.array(means) / np.linalg.norm(means, axis=1, keepdims=True)
    return Tracklets(camera, np.arange(len(lines)), begin, end, unit, crops), person.astype(int), embedder


def components(a: np.ndarray, b: np.ndarray, rows: int) -> np.ndarray:
    """Returns an identity for each row: rows that are joined by a chain of pairs share it."""
    graph = coo_matrix((np.ones(len(a)), (a, b)), shape=(rows, rows))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def threshold_only(seen: Tracklets, least: float) -> np.ndarray:
    """Joins every two tracklets that are similar enough."""
    pairs = similar_pairs(seen.embedding, least)
    return components(pairs.a, pairs.b, len(seen))


def ratio_test(seen: Tracklets) -> np.ndarray:
    """Joins mutual nearest neighbours that are much nearer than the second nearest of either."""
    first, second, near = np.zeros(len(seen)), np.zeros(len(seen)), np.zeros(len(seen), int)
    for start in range(0, len(seen), 1024):
        block = 1 - seen.embedding[start : start + 1024] @ seen.embedding.T
        rows = np.arange(len(block))
        block[rows, start + rows] = np.inf
        near[start + rows] = block.argmin(axis=1)
        first[start + rows], second[start + rows] = np.partition(block, 1, axis=1)[:, :2].T
    good = (near[near] == np.arange(len(seen))) & (first <= RATIO * second) & (first <= RATIO * second)[near]
    rows = np.flatnonzero(good)
    return components(rows, near[rows], len(seen))


class Free(Constraints):
    """No constraint at all."""

    def allow_all(self, a: list[int], b: list[int]) -> bool:
        return True


def average_linkage(seen: Tracklets, least: float) -> np.ndarray:
    """Average linkage down to a threshold, without constraints."""
    groups = Groups(seen.embedding, Free(seen, {}, frozenset()), [])
    pairs = similar_pairs(seen.embedding, least)
    groups.join(pairs.a, pairs.b, least)
    identity = np.zeros(len(seen), np.int64)
    for number, rows in enumerate(groups.groups()):
        identity[rows] = number
    return identity


def offline(seen: Tracklets, calibration: dict, rate: float) -> np.ndarray:
    """Joins all tracklets at once."""
    return link(seen, calibration, max_false_links=rate).global_id


def online(seen: Tracklets, calibration: dict, rate: float) -> np.ndarray:
    """Joins tracklets as they come, fifty at a time in the order of their begin."""
    linker = OnlineLinker(calibration, max_false_links=rate, most_tracklets=len(seen))
    order = np.argsort(seen.begin_seconds, kind="stable")
    for start in range(0, len(seen), 50):
        linker.update(seen[order[start : start + 50]])
    identity = np.zeros(len(seen), np.int64)
    identity[order] = linker.global_id
    return identity


def report(name: str, asked: str, seen: Tracklets, person: np.ndarray, work: Callable[[], np.ndarray]) -> None:
    """Does one method and prints its row."""
    start = time.perf_counter()
    identity = work()
    seconds = time.perf_counter() - start
    scored = evaluate_links(person, identity, boxes=seen.crops)
    values, ranges = scored.to_dict(), scored.intervals(samples=500)
    low, high = ranges["precision"]
    cells = [name, asked, f"{100 * scored.false_share:.2f} ({100 - 100 * high:.2f} to {100 - 100 * low:.2f})"]
    cells.append(f"{100 * scored.recall:.1f} ({100 * ranges['recall'].low:.1f} to {100 * ranges['recall'].high:.1f})")
    cells += [f"{100 * values[key]:.1f}" for key in ("bcubed_f1", "idf1", "hota")]
    print("|", " | ".join([*cells, f"{len(seen) - len(np.unique(identity)):,}", f"{seconds:.1f}"]), "|", flush=True)


def table_of(title: str, seen: Tracklets, person: np.ndarray, embedder: Embedder) -> None:
    """Prints the row of each method."""
    calibration, least = embedder.metadata["calibration"], embedder.threshold
    print(f"{title}: {len(seen):,} tracklets, {len(np.unique(person[person > 0])):,} persons")
    report("threshold on mean embeddings", "", seen, person, lambda: threshold_only(seen, least))
    report("nearest neighbour, ratio test", "", seen, person, lambda: ratio_test(seen))
    report("average linkage at the threshold", "", seen, person, lambda: average_linkage(seen, least))
    for name, method in (("link", offline), ("online", online)):
        for rate in ASKED:
            work = lambda method=method, rate=rate: method(seen, calibration, rate)  # noqa: E731
            report(name, f"{100 * rate:g}", seen, person, work)


def main(argv: list[str]) -> None:
    """Prints the table."""
    given = dict(word.split("=") for word in argv if "=" in word)
    root = find_root(next(word for word in argv if "=" not in word))
    split, model = given.get("split", "held_out"), given.get("model", "osnet_x0_25_market1501")
    cache = Path(given["cache"]) if "cache" in given else None
    if cache is not None:
        cache.mkdir(parents=True, exist_ok=True)
    seen, person, embedder = tracklets(root, split, model, cache)
    table_of(f"{model}, {split}", seen, person, embedder)


if __name__ == "__main__":
    main(sys.argv[1:])
