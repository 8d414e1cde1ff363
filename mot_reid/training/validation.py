"""Retrieval scores of a split, gathered over batches and processes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from mot_reid.data.identities import IdentityTable, metric_ids
from mot_reid.metrics.retrieval import evaluate_retrieval


class RetrievalMetric(Metric):
    """Gathers embeddings with the rows they belong to, and scores query against gallery.

    Rows seen twice (a process that was handed padding) count once, so any number of processes gives the same scores.
    """

    full_state_update = False
    embeddings: list[Tensor]
    rows: list[Tensor]
    embedding: np.ndarray | None
    """(Q + G, D) in the order of the rows, of all processes, once `compute` has run."""

    def __init__(self, query: IdentityTable, gallery: IdentityTable, **settings: Any) -> None:
        """Keeps who is on which row.

        Args:
            query: Q crops, rows 0 to Q - 1.
            gallery: G crops, rows Q to Q + G - 1.
            settings: Those of torchmetrics.Metric.
        """
        super().__init__(**settings)
        self.query, self.gallery = query, gallery
        self.embedding = None
        self.add_state("embeddings", default=[], dist_reduce_fx="cat")
        self.add_state("rows", default=[], dist_reduce_fx="cat")

    def update(self, embeddings: Tensor, rows: Tensor) -> None:
        """Takes embeddings (B, D) of the given rows (B,)."""
        self.embeddings.append(embeddings.clone())  # CUDA graphs write every batch to the same place
        self.rows.append(rows)

    def compute(self) -> dict[str, float]:
        """Returns mAP, Rank-1, Rank-5, Rank-10 and mINP as fractions, under the names they are logged by.

        Raises:
            RuntimeError: Some rows were never seen.
        """
        queries = len(self.query)
        self.embedding = embeddings = self._in_order()
        result = evaluate_retrieval(embeddings[:queries], embeddings[queries:], **metric_ids(self.query, self.gallery))
        ranks = {f"rank{k}": result.rank(k) for k in (1, 5, 10)}
        return {"mAP": result.mean_ap, **ranks, "mINP": result.mean_inp}

    def _in_order(self) -> np.ndarray:
        rows = dim_zero_cat(self.rows).cpu().numpy()
        embeddings = dim_zero_cat(self.embeddings).to(dtype=torch.float32, device="cpu").numpy()
        seen, first = np.unique(rows, return_index=True)
        expected = len(self.query) + len(self.gallery)
        if len(seen) != expected:
            raise RuntimeError(
                f"retrieval: got {len(seen)} of {expected} embeddings; expected all; do not limit validation batches"
            )
        return embeddings[first]


class Gathering:
    """Embeddings of a split, collected while it is validated or tested, and their scores.

    Attributes:
        embeddings: (Q + G, D) of the last split that was scored, of all processes; None before.
    """

    def __init__(self) -> None:
        """Starts with nothing."""
        self._metric: RetrievalMetric | None = None
        self.embeddings: np.ndarray | None = None

    def start(self, tables: tuple[IdentityTable, IdentityTable], device: torch.device) -> None:
        """Begins a split.

        Args:
            tables: Its query and gallery.
            device: Where the embeddings are.
        """
        self._metric = RetrievalMetric(*tables).to(device)

    def add(self, embedding: Tensor, row: Tensor) -> None:
        """Takes embeddings (B, D) of the given rows (B,)."""
        assert self._metric is not None
        self._metric.update(embedding, row)

    def current(self) -> np.ndarray:
        """Returns the (Q + G, D) embeddings of the split at hand, of all processes, once all of it was seen."""
        assert self._metric is not None
        self._metric.compute()  # kept there, so that it is computed once
        assert self._metric.embedding is not None
        return self._metric.embedding

    def finish(self) -> dict[str, float]:
        """Returns the scores of the split at hand, as fractions by name, and keeps its embeddings."""
        assert self._metric is not None
        scores = self._metric.compute()
        self.embeddings, self._metric = self._metric.embedding, None
        return scores
