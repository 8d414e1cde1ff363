"""What training minimises: a weighted sum of loss terms."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mot_reid.reid.network import NetworkOutput
from mot_reid.training.losses import (
    BatchHardTripletLoss,
    CentreLoss,
    CircleLoss,
    CrossEntropyLoss,
    WeightedTripletLoss,
    circle_logits,
    cosines,
)


class Objective(nn.Module):
    """The terms whose weight is above 0, each on the vector it is meant for."""

    def __init__(
        self,
        *,
        classes: int,
        embedding_dim: int,
        cross_entropy: float,
        classifier: str,
        label_smoothing: float,
        triplet: float,
        triplet_margin: float | None,
        triplet_on: str,
        triplet_normalise: bool,
        weighted_triplet: float,
        centre: float,
        centre_lr: float,
        circle: float,
        circle_margin: float,
        circle_scale: float,
    ) -> None:
        """Builds the terms.

        Args:
            classes: C persons to tell apart.
            embedding_dim: D of the network.
            cross_entropy: Weight of the classification loss.
            classifier: What gives the logits: "linear", or "circle" for circle loss on cosines to the class weights.
            label_smoothing: Share of the target spread over all persons.
            triplet: Weight of the batch-hard triplet loss.
            triplet_margin: Its hinge margin; None is the soft margin.
            triplet_on: Which vector the metric losses see, "before_neck" or "after_neck".
            triplet_normalise: Whether the triplet losses scale it to unit length first.
            weighted_triplet: Weight of the weighted regularised triplet loss.
            centre: Weight of the centre loss.
            centre_lr: Learning rate of the centres, plain SGD on the unweighted loss.
            circle: Weight of the pairwise circle loss.
            circle_margin: Margin of the circle loss, in either form.
            circle_scale: Scale of the circle loss, in either form.

        Raises:
            ValueError: All weights are 0.
        """
        super().__init__()
        self.weights = {
            "cross_entropy": cross_entropy,
            "triplet": triplet,
            "weighted_triplet": weighted_triplet,
            "centre": centre,
            "circle": circle,
        }
        self.weights = {name: weight for name, weight in self.weights.items() if weight}
        if not self.weights:
            raise ValueError("loss: got no weight above 0; expected at least one; set loss.cross_entropy=1")
        self.triplet_on, self.centre_lr, self.classifier = triplet_on, centre_lr, classifier
        self.circle_margin, self.circle_scale = circle_margin, circle_scale
        terms: dict[str, nn.Module] = {
            "cross_entropy": CrossEntropyLoss(label_smoothing=label_smoothing),
            "triplet": BatchHardTripletLoss(margin=triplet_margin, normalise=triplet_normalise),
            "weighted_triplet": WeightedTripletLoss(normalise=triplet_normalise),
            "circle": CircleLoss(margin=circle_margin, scale=circle_scale),
        }
        if "centre" in self.weights:
            terms["centre"] = CentreLoss(classes, embedding_dim)
        self.terms = nn.ModuleDict({name: terms[name] for name in self.weights})

    def forward(self, output: NetworkOutput, label: Tensor, class_weight: Tensor) -> dict[str, Tensor]:
        """Returns every term, not yet weighted, by name.

        Args:
            output: Of the network in training mode, B rows.
            label: (B,) int64 in [0, C).
            class_weight: (C, D) of the network's classifier.
        """
        metric = output.feature if self.triplet_on == "before_neck" else output.embedding
        return {
            name: term(self._logits(output, label, class_weight) if name == "cross_entropy" else metric, label)
            for name, term in self.terms.items()
        }

    def _logits(self, output: NetworkOutput, label: Tensor, class_weight: Tensor) -> Tensor:
        if self.classifier == "linear":
            assert output.logits is not None
            return output.logits
        return circle_logits(
            cosines(output.embedding, class_weight), label, margin=self.circle_margin, scale=self.circle_scale
        )

    def idle(self) -> tuple[str, ...]:
        """Returns the parts of a network that no term sees: "classifier", "neck", both or none."""
        if "cross_entropy" in self.weights:
            return ()
        return ("classifier", "neck") if self.triplet_on == "before_neck" else ("classifier",)

    def total(self, terms: dict[str, Tensor]) -> Tensor:
        """Returns the weighted sum of the terms."""
        return torch.stack([self.weights[name] * value for name, value in terms.items()]).sum()

    @torch.no_grad()
    def move_centres(self, *, loss_scale: float = 1.0) -> None:
        """Takes one SGD step on the centres from their gradient, and clears it; does nothing without a centre loss.

        Plain SGD has no state, so the centres need no optimiser apart from the network's. Their gradient carries the
        weight of the term, which is divided out again.

        Args:
            loss_scale: What float16 training multiplied the loss by; where that overflowed, centres stay.
        """
        if "centre" not in self.terms:
            return
        centres = self.terms["centre"].get_parameter("centres")
        if centres.grad is not None:
            step = torch.nan_to_num(centres.grad, nan=0.0, posinf=0.0, neginf=0.0)
            centres.sub_(step, alpha=self.centre_lr / (self.weights["centre"] * loss_scale))
            centres.grad = None
