"""How well do the tracks of one camera join again where its video was cut?

    python experiments/linking_cuts.py DATA [models=osnet_x0_25_taught,mobilenetv2_market1501] [pieces=10]

DATA holds MOT15/train and video. The true tracks of PETS09-S2L1 and ADL-Rundle-6 are cut where the video is cut into
pieces of one length, as if the tracker had begun anew there; eight crops of each are embedded. Rows as in `linking.py`.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import numpy as np
from adapt_halves import VIDEOS
from linking import table_of

from mot_reid.data.motchallenge import read_ground_truth
from mot_reid.linking.tracklets import Tracklets
from mot_reid.pipeline.link import CROPS, Camera, look, outline
from mot_reid.reid.embedder import Embedder


def cut_tracks(name: str, data: Path, pieces: int, embedder: Embedder) -> tuple[Tracklets, np.ndarray]:
    """Returns the tracklets of a video that was cut, and who they show."""
    file, scale = VIDEOS[name]
    truth = read_ground_truth(data / "MOT15" / "train" / name / "gt" / "gt.txt")
    truth = truth[~truth.ignore]
    piece = (truth.frame - 1) * pieces // int(truth.frame.max())
    table = truth.replace(xyxy=scale * truth.xyxy, track_id=truth.track_id * pieces + piece)
    cameras = [Camera(name, str(data / "video" / file), table)]
    seen, _ = look(cameras, outline(cameras), embedder, crops=CROPS)
    return seen, seen.track_id // pieces


def main(argv: list[str]) -> None:
    """Prints a table for each video and model."""
    given = dict(word.split("=") for word in argv if "=" in word)
    data = Path(next(word for word in argv if "=" not in word))
    for model in given.get("models", "osnet_x0_25_taught,mobilenetv2_market1501").split(","):
        embedder = Embedder(model)
        for name in ("PETS09-S2L1", "ADL-Rundle-6"):
            seen, person = cut_tracks(name, data, int(given.get("pieces", "10")), embedder)
            table_of(f"{model}, {name}", seen, person, embedder)


if __name__ == "__main__":
    main(sys.argv[1:])
