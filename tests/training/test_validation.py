"""RetrievalMetric against the plain function, in one process and in two."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import numpy as np
import pytest
import torch

from mot_reid.data.identities import IdentityTable
from mot_reid.metrics.retrieval import evaluate_retrieval
from mot_reid.training.validation import RetrievalMetric

pytestmark = pytest.mark.filterwarnings("ignore")


def tables(*, cameras: bool = True) -> tuple[IdentityTable, IdentityTable]:
    """Seven queries and nineteen gallery crops of five persons, with junk and distractors."""
    rng = np.random.default_rng(0)
    made = []
    for size, ids in ((7, (1, 6)), (19, (-1, 6))):
        person = np.concatenate([np.arange(1, 6), rng.integers(*ids, size - 5)])
        camera = rng.integers(1, 4, size) if cameras else None
        made.append(IdentityTable(np.array([f"{size}-{i}" for i in range(size)]), person, camera))
    return made[0], made[1]


def embeddings(seed: int = 0) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.randn(26, 8, generator=torch.Generator().manual_seed(seed)))


def expected(query: IdentityTable, gallery: IdentityTable, vectors: torch.Tensor) -> dict[str, float]:
    result = evaluate_retrieval(
        vectors[: len(query)].numpy(),
        vectors[len(query) :].numpy(),
        query_person_id=query.person_id,
        gallery_person_id=gallery.person_id,
        query_camera_id=query.camera_id,
        gallery_camera_id=gallery.camera_id,
    )
    ranks = {"rank1": result.rank(1), "rank5": result.rank(5), "rank10": result.rank(10)}
    return {"mAP": result.mean_ap, **ranks, "mINP": result.mean_inp}


@pytest.mark.parametrize("cameras", [True, False])
def test_scores_are_those_of_the_plain_function_whatever_the_order(cameras: bool) -> None:
    query, gallery = tables(cameras=cameras)
    vectors = embeddings()
    metric = RetrievalMetric(query, gallery)
    for rows in torch.randperm(26, generator=torch.Generator().manual_seed(1)).split(4):
        metric.update(vectors[rows], rows)
    assert metric.compute() == expected(query, gallery, vectors)
    assert metric.embedding is not None
    assert np.array_equal(metric.embedding, vectors.numpy())


def test_rows_seen_twice_count_once() -> None:
    query, gallery = tables()
    vectors = embeddings()
    metric = RetrievalMetric(query, gallery)
    for rows in (torch.arange(26), torch.arange(5), torch.tensor([25, 25])):
        metric.update(vectors[rows], rows)
    assert metric.compute() == expected(query, gallery, vectors)


def test_missing_rows_are_refused() -> None:
    metric = RetrievalMetric(*tables())
    metric.update(embeddings()[:25], torch.arange(25))
    with pytest.raises(RuntimeError, match="got 25 of 26 embeddings; expected all"):
        metric.compute()


def test_half_precision_is_scored_in_float32() -> None:
    query, gallery = tables()
    vectors = embeddings().bfloat16()
    metric = RetrievalMetric(query, gallery)
    metric.update(vectors, torch.arange(26))
    assert metric.compute() == expected(query, gallery, vectors.float())


def _score_part(rank: int, port: int, folder: str) -> None:
    """One of two processes: takes every other row, the second one also a row of the first."""
    torch.set_num_threads(1)  # a forked process cannot use the threads of the first
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.distributed.init_process_group("gloo", rank=rank, world_size=2)
    metric = RetrievalMetric(*tables())
    for rows in torch.arange(rank, 26, 2).split(5):
        metric.update(embeddings()[rows], rows)
    if rank:
        metric.update(embeddings()[:1], torch.tensor([0]))
    torch.save(metric.compute(), Path(folder) / f"{rank}.pt")
    torch.distributed.destroy_process_group()


def test_two_processes_score_as_one(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.start_processes(_score_part, (port, str(tmp_path)), nprocs=2, start_method="fork")
    query, gallery = tables()
    one = expected(query, gallery, embeddings())
    assert [torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1)] == [one, one]


def test_embeddings_survive_a_network_that_writes_to_one_place() -> None:
    """A CUDA graph gives every batch in the same memory (`compile_mode=reduce-overhead`)."""
    query, gallery = tables()
    vectors = embeddings()
    metric, place = RetrievalMetric(query, gallery), torch.empty_like(vectors[:13])
    for rows in torch.arange(26).split(13):
        place.copy_(vectors[rows])
        metric.update(place, rows)
    assert metric.compute() == expected(query, gallery, vectors)
