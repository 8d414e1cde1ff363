"""Distillation: a student learns the embeddings that a frozen teacher gives the same pictures.

Reference: cosine of projected embeddings after Romero et al., "FitNets", ICLR 2015, with the angle in place of the
distance; similarity matrices after Park et al., "Relational Knowledge Distillation", CVPR 2019 and Tung and Mori,
"Similarity-Preserving Knowledge Distillation", ICCV 2019.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mot_reid.training.teacher_views import TeacherViews


def cosine_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Returns the mean of 1 - cosine of the rows.

    Args:
        student: (B, D).
        teacher: (B, D), constant: no gradient flows there.
    """
    return 1 - F.cosine_similarity(student.float(), teacher.detach().float()).mean()


def relation_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Returns the mean squared difference of the two cosine similarity matrices, over all pairs of different rows.

    Args:
        student: (B, D), B at least 2.
        teacher: (B, E), E of any size, constant.
    """
    a, b = F.normalize(student.float()), F.normalize(teacher.detach().float())
    difference = (a @ a.T - b @ b.T).square()
    count = len(a) * (len(a) - 1)
    return (difference.sum() - difference.diagonal().sum()) / count


class Distillation(nn.Module):
    """The terms of a student's loss that compare it with its teacher, and the projector they need.

    The projector is a matrix from the student's embedding to the teacher's; where both have one size there is none. It
    is trained with the student and is no part of the exported network.
    """

    def __init__(self, views: TeacherViews, *, embedding_dim: int, cosine: float, relation: float) -> None:
        """Puts the parts together.

        Args:
            views: what the teacher has seen and said.
            embedding_dim: of the student.
            cosine: weight of `cosine_loss`, on the projected embedding.
            relation: weight of `relation_loss`, on the embedding itself.

        Raises:
            ValueError: Both weights are 0.
        """
        super().__init__()
        weights = {"distill_cosine": cosine, "distill_relation": relation}
        self.weights = {name: weight for name, weight in weights.items() if weight}
        if not self.weights:
            raise ValueError(
                "distill: got a teacher and no weight above 0; expected at least one; set distill.cosine=1"
            )
        same = embedding_dim == views.embedding_dim or not cosine
        self.projector = nn.Identity() if same else nn.Linear(embedding_dim, views.embedding_dim, bias=False)
        self.views = views

    def forward(self, embedding: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Returns every term, not yet weighted, by name.

        Args:
            embedding: (B, D) of the student.
            target: (B, E) of the teacher.
        """
        terms = {}
        if "distill_cosine" in self.weights:
            terms["distill_cosine"] = cosine_loss(self.projector(embedding), target)
        if "distill_relation" in self.weights:
            terms["distill_relation"] = relation_loss(embedding, target)
        return terms

    def total(self, terms: dict[str, Tensor]) -> Tensor:
        """Returns the weighted sum of the terms."""
        return torch.stack([weight * terms[name] for name, weight in self.weights.items()]).sum()
