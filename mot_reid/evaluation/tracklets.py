"""Tracklets of a video with ground truth, and what a model says of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mot_reid.arrays import IntArray
from mot_reid.data.motchallenge import PEDESTRIAN, Sequence, read_ground_truth
from mot_reid.data.video import frames
from mot_reid.metrics.reassociation import Reassociation, reassociate
from mot_reid.reid.embedder import Embedder
from mot_reid.structures import TrackTable

CROPS = 3
"""Crops of a tracklet: its first, its middle and its last box."""


@dataclass(frozen=True, slots=True, eq=False)
class TruthTracklets:
    """Short pieces of the paths of persons.

    Attributes:
        row: (N, CROPS) rows of the ground truth that are cut out.
        person_id: (N,) whom each shows.
        first_frame: (N,) in which each begins.
        last_frame: (N,) in which each ends.
    """

    row: IntArray
    person_id: IntArray
    first_frame: IntArray
    last_frame: IntArray


def cut_tracklets(truth: TrackTable, *, length: int) -> TruthTracklets:
    """Returns tracklets of at most `length` frames; those with boxes in less than a third of them are left out.

    Args:
        truth: The ground truth; pedestrians are taken.
        length: The video is cut into pieces of so many frames, and a person in each of them is a tracklet.
    """
    person = (truth.class_id == PEDESTRIAN) & ~truth.ignore
    found: list[tuple[int, int, int, list[int]]] = []
    for identity in np.unique(truth.track_id[person]):
        rows = np.flatnonzero(person & (truth.track_id == identity))
        rows = rows[np.argsort(truth.frame[rows], kind="stable")]
        piece = truth.frame[rows] // length
        for number in np.unique(piece):
            part = rows[piece == number]
            if len(part) < max(1, length / 3):
                continue
            chosen = part[np.linspace(0, len(part) - 1, CROPS).astype(int)]
            found.append((int(identity), int(truth.frame[part[0]]), int(truth.frame[part[-1]]), chosen.tolist()))
    if not found:
        raise ValueError(f"re-association: got no person with boxes in {length / 3:g} of {length} frames; expected one")
    identities, first, last, chosen_rows = zip(*found)
    return TruthTracklets(np.array(chosen_rows), np.array(identities), np.array(first), np.array(last))


def score_reassociation(
    embedder: Embedder, sequence: Sequence, *, video: str | Path | None = None, length: int = 15, apart: int = 30
) -> Reassociation:
    """Returns how well a model finds the persons of a sequence again, later in it.

    Args:
        embedder: The model.
        sequence: With ground truth.
        video: Its frames as a video or a folder, of any size; None for the images that the sequence names.
        length: Of tracklets, in frames.
        apart: Least distance of question and answer, in frames.

    Raises:
        FileNotFoundError: The video, or the ground truth, is missing.
        ValueError: The video is too short, or no person comes again.
    """
    truth = read_ground_truth(sequence.ground_truth_path)
    tracklets = cut_tracklets(truth, length=length)
    wanted = np.unique(tracklets.row)
    source = sequence.folder / sequence.images if video is None else video
    embedding = np.zeros((len(truth), 0), dtype=np.float32)
    left = truth[wanted].rows_by_frame()
    for frame in frames(source):
        if frame.number in left:
            rows = wanted[left.pop(frame.number)]
            found = embedder(frame.image, truth.xyxy[rows] * (frame.image.shape[1] / sequence.width))
            if not embedding.shape[1]:
                embedding = np.zeros((len(truth), found.shape[1]), dtype=np.float32)
            embedding[rows] = found
        if not left:
            break
    if left:
        raise ValueError(
            f"re-association: got no frame {min(left)} in '{source}'; expected the {sequence.length} frames of "
            f"{sequence.name}; name the video that belongs to the ground truth"
        )
    return reassociate(
        embedding[tracklets.row].sum(axis=1),
        person_id=tracklets.person_id,
        first_frame=tracklets.first_frame,
        last_frame=tracklets.last_frame,
        apart=apart,
    )
