"""How do the seconds and the memory of `link` grow, up to 100,000 tracklets?

    python experiments/linking_growth.py MARKET1501 [model=osnet_x0_25_taught] [cache=DIR]
        [sizes=0,25000,100000] [asked=5,20]

Size 0 are the tracklets of all test persons and distractors, as they are. The others are drawn from them: the
tracklets of a real person, moved around a centre of their own, which lies between those of two other real persons,
so that nobody is there twice; ten times as many cameras, over a day. Each row is a process of its own: tracklets,
persons, asked (percent), threshold, links, false pairs and recall (percent), seconds, most memory of the process before
and after `link`.
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import numpy as np
from linking import tracklets

from mot_reid.data.market1501 import find_root
from mot_reid.linking.link import link
from mot_reid.linking.tracklets import Tracklets
from mot_reid.metrics.linking import evaluate_links

CAMERAS, DAY = 60, 86400.0


def drawn(seen: Tracklets, person: np.ndarray, size: int) -> tuple[Tracklets, np.ndarray]:
    """Returns this many tracklets of persons who are drawn from real ones, and who they show."""
    rng = np.random.default_rng(0)
    own = np.where(person == 0, -1 - np.arange(len(person)), person)
    names, label = np.unique(own, return_inverse=True)
    centre = np.stack([np.bincount(label, weights=column) for column in seen.embedding.T], axis=1)
    centre /= np.bincount(label)[:, None]
    rows_of = np.split(np.argsort(label, kind="stable"), np.cumsum(np.bincount(label))[:-1])
    parts, who, number, made = [], [], 0, 0
    while made < size:
        number += 1
        rows = rows_of[rng.integers(len(names))]
        first, second = rng.integers(len(names), size=2)
        angle = rng.uniform(0, np.pi / 2)
        around = seen.embedding[rows] - centre[label[rows]]
        parts.append(np.cos(angle) * centre[first] + np.sin(angle) * centre[second] + around)
        who.append(np.full(len(rows), number))
        made += len(rows)
    vector = np.concatenate(parts)[:size]
    begin = rng.uniform(0, DAY, size)
    unit = vector / np.linalg.norm(vector, axis=1, keepdims=True)
    cameras = rng.integers(0, CAMERAS, size)
    end = begin + rng.uniform(1, 20, size)
    return Tracklets(cameras, np.arange(size), begin, end, unit), np.concatenate(who)[:size]


def most_memory() -> float:
    """Returns the most memory that the process had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(seen: Tracklets, person: np.ndarray, calibration: dict, asked: float) -> None:
    """Prints one row."""
    before, start = most_memory(), time.perf_counter()
    linked = link(seen, calibration, max_false_links=asked / 100)
    seconds, after = time.perf_counter() - start, most_memory()
    scored = evaluate_links(person, linked.global_id)
    cells = [f"{len(seen):,}", f"{len(np.unique(person)):,}", f"{asked:g}", f"{linked.threshold:.3f}"]
    cells += [f"{len(linked.links):,}", f"{100 * scored.false_share:.2f}", f"{100 * scored.recall:.1f}"]
    cells += [f"{seconds:.1f}", f"{before:.0f}", f"{after:.0f}"]
    print("|", " | ".join(cells), "|", flush=True)


def main(argv: list[str]) -> None:
    """Prints the table."""
    given = dict(word.split("=") for word in argv if "=" in word)
    root = find_root(next(word for word in argv if "=" not in word))
    cache = Path(given["cache"]) if "cache" in given else None
    seen, person, embedder = tracklets(root, "test", given.get("model", "osnet_x0_25_taught"), cache)
    calibration = embedder.metadata["calibration"]
    for size in map(int, given.get("sizes", "0,25000,100000").split(",")):
        rows = (seen, person) if not size else drawn(seen, person, size)
        for asked in map(float, given.get("asked", "5,20").split(",")):
            process = multiprocessing.get_context("spawn").Process(target=measure, args=(*rows, calibration, asked))
            process.start()
            process.join()


if __name__ == "__main__":
    main(sys.argv[1:])
