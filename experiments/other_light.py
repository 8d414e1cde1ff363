"""Does a model still know people when the camera's colours change? The table of LOG.md, as Markdown.

    python experiments/other_light.py MARKET1501 [models=a,b] [split=test] [runtime=auto]

The queries are shown as another camera might have taken them: each colour is multiplied, then all is made brighter or
darker by an exponent. The gallery stays as it is. `split=held_out` asks the persons held out of training instead of
the official ones; nothing about the cases was chosen on the latter.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from numpy.typing import NDArray

from mot_reid.data.identities import metric_ids, query_gallery, split_identities
from mot_reid.data.images import decode
from mot_reid.data.market1501 import read
from mot_reid.data.splits import SPLIT_SEED
from mot_reid.evaluation.embed_files import embed_crops
from mot_reid.metrics.retrieval import evaluate_retrieval
from mot_reid.reid import bundled
from mot_reid.reid.embedder import Embedder

VALIDATION = 0.05
"""Share of the training persons that the bundled models were not trained on."""
CASES = {
    "as it is": ((1.0, 1.0, 1.0), 1.0),
    "warmer": ((1.25, 1.0, 0.75), 1.0),
    "greener": ((0.8, 1.2, 0.8), 1.0),
    "bluer, darker": ((0.6, 0.8, 1.2), 1.3),
    "brighter": ((1.2, 1.2, 1.2), 0.6),
}
"""What red, green and blue are multiplied by, and the exponent of values from 0 to 1."""


def in_other_light(image: NDArray[np.uint8], gains: Sequence[float], exponent: float) -> NDArray[np.uint8]:
    """Returns an RGB image (h, w, 3) as a camera of other colours would have taken it."""
    changed = (image / np.float32(255)) ** exponent * np.asarray(gains, np.float32)
    return np.round(255 * changed.clip(0, 1)).astype(np.uint8)


def main(argv: list[str]) -> None:
    """Prints Rank-1 / mAP of each model in each case."""
    given = dict(word.split("=", 1) for word in argv if "=" in word)
    (root,) = (Path(word) for word in argv if "=" not in word)
    market = read(root, official_counts=True)
    query, gallery = market.query, market.gallery
    if given.get("split", "test") == "held_out":
        query, gallery = query_gallery(split_identities(market.train, VALIDATION, SPLIT_SEED)[1], SPLIT_SEED)
    print("| model | " + " | ".join(CASES) + " |\n|---|" + "---:|" * len(CASES))
    for name in given["models"].split(",") if "models" in given else bundled.names():
        embedder = Embedder(name, device="cpu", runtime=given.get("runtime", "auto"))
        kept, cells = embed_crops(embedder, list(gallery.path)), []
        for gains, exponent in CASES.values():
            asked = embedder.embed([in_other_light(decode(path), gains, exponent) for path in query.path], color="rgb")
            found = evaluate_retrieval(asked, kept, **metric_ids(query, gallery))
            cells.append(f"{100 * found.rank(1):.1f} / {100 * found.mean_ap:.1f}")
        print(f"| `{name}` | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
