"""Sequences on disk, with detections and embeddings, on which a tracker can be tried again and again."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from mot_reid.data.motchallenge import Sequence, by_frame, read_detections, read_ground_truth, read_sequences
from mot_reid.data.video import VideoReader
from mot_reid.evaluation.tuning import Bench
from mot_reid.files import given_by, whole
from mot_reid.metrics.mot_rules import Benchmark
from mot_reid.reid.embedder import Embedder
from mot_reid.settings.load import ConfigError
from mot_reid.structures import Detections, TrackTable


def read_bench(
    root: str | Path,
    preset: str,
    *,
    benchmark: Benchmark = "MOT17",
    sequences: Iterable[str] | None = None,
    detections: str = "det/det.txt",
    embeddings: str | Path | None = None,
    reid: str | None = None,
    runtime: str = "auto",
) -> Bench:
    """Returns the sequences with their detections, and embeddings where they are given or a model computes them.

    Args:
        root: A folder of sequences.
        preset: Of the tracker.
        benchmark: Whose rules.
        sequences: Names of those to take; None for all.
        detections: A file inside the folder of each.
        embeddings: A folder with NAME.npy for each; None for none.
        reid: A model that computes what is missing there.
        runtime: What runs it, as for the embedder.

    Raises:
        FileNotFoundError: Something is missing.
        ValueError: A file is malformed, embeddings do not fit, or there is only one sequence.
    """
    found = read_sequences(root, sequences)
    if len(found) < 2:
        raise ConfigError(f"command line: ground_truth: got only one sequence, {min(found)}; expected two or more")
    if reid is not None and not embeddings:
        raise ConfigError("command line: reid: got it without embeddings=DIR; expected the folder to keep them in")
    with given_by("reid"):
        embedder = None if reid is None else Embedder(reid, runtime=runtime)
    truths, frames = {}, {}
    for name, sequence in found.items():
        truths[name] = read_ground_truth(sequence.ground_truth_path)
        table = read_detections(sequence.folder / detections)
        frames[name] = by_frame(table, sequence.length)
        if embeddings is not None:
            file = Path(embeddings) / f"{name}.npy"
            frames[name] = _with_embeddings(sequence, table, frames[name], file=file, embedder=embedder)
    rates = {name: sequence.frame_rate for name, sequence in found.items()}
    threshold = None if embedder is None else embedder.threshold
    return Bench(preset, benchmark, truths, frames, rates, threshold)


def _with_embeddings(
    sequence: Sequence, table: TrackTable, frames: list[Detections], *, file: Path, embedder: Embedder | None
) -> list[Detections]:
    """Returns the detections with the embeddings of their lines, which are computed where they are missing."""
    if not file.is_file():
        if embedder is None:
            raise FileNotFoundError(f"embeddings: got no '{file}'; expected it, or reid=PATH to compute it")
        _embed(sequence, table, file, embedder)
    embedding = np.load(file)
    if embedding.ndim != 2 or len(embedding) != len(table):
        raise ValueError(
            f"embeddings: got '{file}' of shape {embedding.shape}; expected {len(table)} rows, one for each detection"
        )
    order = np.argsort(table.frame, kind="stable")
    parts = np.split(embedding[order], np.cumsum([len(found) for found in frames])[:-1])
    return [found.replace(embedding=part) for found, part in zip(frames, parts)]


def _embed(sequence: Sequence, table: TrackTable, file: Path, embedder: Embedder) -> None:
    """Computes the embeddings of all detections of a sequence, and keeps them."""
    from tqdm import tqdm

    embedding = np.full((len(table), embedder.embedding_dim), np.nan, dtype=np.float32)
    with VideoReader(sequence.folder) as reader:
        for frame in tqdm(reader, total=reader.length, desc=sequence.name, disable=None):
            rows = table.frame == frame.number
            embedding[rows] = embedder(frame.image, table.xyxy[rows])
    if np.isnan(embedding).any():
        raise ValueError(f"'{sequence.folder}': got detections beyond its last frame; expected all frames to be there")
    with whole(file) as partial:
        np.save(partial, embedding)
