"""Loss functions of Re-ID training: each a pure function and a thin module that holds its settings.

Rules they share:

* Half precision is left behind first: logits and features become float32 (float64 stays float64), and the one matrix
  product, which autocast would lower again, runs without it.
* Euclidean distances come from a float64 matrix product, rounded to the type of the features. So neither TF32 nor the
  cancellation in ``|x|^2 + |y|^2 - 2 xy`` quantises the mining.
* An anchor is never its own positive. An anchor without a positive or without a negative does not count: means are over
  the other anchors. A batch in which no anchor counts gives NaN; the modules refuse it with a ValueError where that
  costs nothing (labels on the CPU), and never make an accelerator wait for the host.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def cross_entropy(logits: Tensor, labels: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
    """Returns the mean cross-entropy of softmax(logits), with the target (1 - e) * one_hot + e / C.

    Args:
        logits: (B, C), one column per training identity.
        labels: (B,) int64 in [0, C).
        label_smoothing: e in [0, 1]. BoT, torchreid and TransReID use this definition; fast-reid spreads e over the
            C - 1 wrong classes, which is ours with e * C / (C - 1).

    Reference:
        Szegedy et al., "Rethinking the Inception Architecture", CVPR 2016, section 7.
    """
    return F.cross_entropy(_at_least_float32(logits), labels, label_smoothing=label_smoothing)


def batch_hard_triplet(
    features: Tensor, labels: Tensor, *, margin: float | None = 0.3, normalise: bool = False
) -> Tensor:
    """Returns the mean over anchors of loss(hardest positive distance - hardest negative distance).

    Args:
        features: (B, D).
        labels: (B,) integers.
        margin: the hinge ``max(0, x + margin)``; None is the soft margin ``log(1 + exp(x))``.
        normalise: whether features are scaled to unit length first.

    Reference:
        Hermans et al., "In Defense of the Triplet Loss", arXiv 1703.07737, equations 5 and section 3.2 (soft margin).
    """
    positive, negative, valid = _hardest(features, labels, normalise=normalise)
    gap = positive - negative
    terms = F.softplus(gap) if margin is None else F.relu(gap + margin)
    return _mean_where(terms, valid)


def weighted_triplet(features: Tensor, labels: Tensor, *, normalise: bool = False) -> Tensor:
    """Returns the weighted regularised triplet loss: soft margin on softmax-weighted mean distances, without a margin.

    Each anchor's positives are averaged with weights softmax(d), its negatives with softmax(-d); gradients flow through
    the weights.

    Args:
        features: (B, D).
        labels: (B,) integers.
        normalise: whether features are scaled to unit length first.

    Reference:
        Ye et al., "Deep Learning for Person Re-Identification: A Survey and Outlook", arXiv 2001.04193, equation 4. The
        authors' code counts the anchor among its own positives, at distance 0; we follow the equation.
    """
    same, different = _pair_masks(labels)
    distance = euclidean_distance(features, normalise=normalise)
    gap = _softmax_mean(distance, distance, same) - _softmax_mean(distance, -distance, different)
    return _mean_where(F.softplus(gap), same.any(1) & different.any(1))


def centre(features: Tensor, labels: Tensor, centres: Tensor) -> Tensor:
    """Returns the mean squared Euclidean distance of each feature to the centre of its identity.

    Args:
        features: (B, D).
        labels: (B,) int64 in [0, C).
        centres: (C, D).

    Reference:
        Wen et al., "A Discriminative Feature Learning Approach for Deep Face Recognition", ECCV 2016, equation 2, in
        the scale of BoT's code: mean over the batch, no factor 1/2.
    """
    own = F.embedding(labels, _at_least_float32(centres))
    return (_at_least_float32(features) - own).square().sum(1).mean()


def circle(features: Tensor, labels: Tensor, *, margin: float = 0.25, scale: float = 64.0) -> Tensor:
    """Returns the pairwise circle loss on cosine similarities, each sample once as the anchor.

    Args:
        features: (B, D); scaled to unit length here.
        labels: (B,) integers.
        margin: the relaxation m; optima 1 + m and -m, decision boundaries 1 - m and m.
        scale: gamma.

    Reference:
        Sun et al., "Circle Loss", CVPR 2020, equations 6 and 8; the weights alpha are constants for the gradient.
    """
    same, different = _pair_masks(labels)
    unit = F.normalize(_at_least_float32(features), dim=1)
    similarity = _gram(unit).to(unit.dtype)
    pull = F.relu(1 + margin - similarity.detach()) * (similarity - (1 - margin))
    push = F.relu(similarity.detach() + margin) * (similarity - margin)
    lowest = torch.finfo(similarity.dtype).min
    positive = (-scale * pull).masked_fill(~same, lowest).logsumexp(1)
    negative = (scale * push).masked_fill(~different, lowest).logsumexp(1)
    valid = same.any(1) & different.any(1)
    return _mean_where(F.softplus((positive + negative).masked_fill(~valid, 0.0)), valid)


def cosines(features: Tensor, class_weight: Tensor) -> Tensor:
    """Returns the (B, C) cosines between features and class weights, in float32 also under autocast.

    In half precision they would come in steps of 1/256, which the scale of a margin loss makes steps of 1/4 in a logit.

    Args:
        features: (B, D).
        class_weight: (C, D).
    """
    unit, weight = (F.normalize(_at_least_float32(x), dim=1) for x in (features, class_weight))
    with torch.autocast(features.device.type, enabled=False):
        return F.linear(unit, weight)


def circle_logits(cosine: Tensor, labels: Tensor, *, margin: float = 0.35, scale: float = 64.0) -> Tensor:
    """Returns the logits whose cross-entropy is the class-level circle loss ("CircleSoftmax").

    Args:
        cosine: (B, C) cosines between features and class weights.
        labels: (B,) int64 in [0, C).
        margin: m.
        scale: gamma.

    Reference:
        Sun et al., "Circle Loss", CVPR 2020, equation 7; SBS of fast-reid uses margin 0.35 and scale 64.
    """
    cosine = _at_least_float32(cosine)
    own = scale * F.relu(1 + margin - cosine.detach()) * (cosine - (1 - margin))
    other = scale * F.relu(cosine.detach() + margin) * (cosine - margin)
    target = torch.arange(cosine.shape[1], device=cosine.device) == labels[:, None]
    return torch.where(target, own, other)


def euclidean_distance(features: Tensor, *, normalise: bool = False) -> Tensor:
    """Returns the (B, B) Euclidean distances between features (B, D), float32 (float64 for float64 features).

    Distances below 1e-6 are 1e-6 with gradient zero, so that equal features never give NaN gradients.
    """
    features = _at_least_float32(features)
    if normalise:
        features = F.normalize(features, dim=1)
    gram = _gram(features)
    squares = gram.diagonal()
    squared = squares[:, None] + squares[None, :] - 2.0 * gram
    return squared.clamp(min=1e-12).sqrt().to(features.dtype)


class CrossEntropyLoss(nn.Module):
    """`cross_entropy` with its settings."""

    def __init__(self, *, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Returns the scalar loss of logits (B, C) and labels (B,)."""
        _check_shapes(logits, labels, what="cross-entropy")
        return cross_entropy(logits, labels, label_smoothing=self.label_smoothing)


class BatchHardTripletLoss(nn.Module):
    """`batch_hard_triplet` with its settings."""

    def __init__(self, *, margin: float | None = 0.3, normalise: bool = False) -> None:
        super().__init__()
        self.margin, self.normalise = margin, normalise

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        """Returns the scalar loss of features (B, D) and labels (B,).

        Raises:
            ValueError: shapes that do not fit, or (labels on the CPU) no anchor with a positive and a negative.
        """
        _check_pairs(features, labels, what="triplet loss")
        return batch_hard_triplet(features, labels, margin=self.margin, normalise=self.normalise)


class WeightedTripletLoss(nn.Module):
    """`weighted_triplet` with its settings."""

    def __init__(self, *, normalise: bool = False) -> None:
        super().__init__()
        self.normalise = normalise

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        """Returns the scalar loss of features (B, D) and labels (B,).

        Raises:
            ValueError: shapes that do not fit, or (labels on the CPU) no anchor with a positive and a negative.
        """
        _check_pairs(features, labels, what="weighted triplet loss")
        return weighted_triplet(features, labels, normalise=self.normalise)


class CentreLoss(nn.Module):
    """`centre` with its centres, a (C, D) parameter drawn from a standard normal, as BoT does.

    The centres want their own optimiser: BoT uses SGD with lr 0.5 on the gradient of the *unweighted* loss. When the
    loss is multiplied by a weight w before the backward pass, SGD with lr 0.5 / w (no momentum, no weight decay) moves
    the centres exactly so, without touching gradients by hand.
    """

    def __init__(self, classes: int, dim: int) -> None:
        super().__init__()
        self.centres = nn.Parameter(torch.randn(classes, dim))

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        """Returns the scalar loss of features (B, D) and labels (B,).

        Raises:
            ValueError: shapes that do not fit the batch or the centres.
        """
        _check_shapes(features, labels, what="centre loss")
        if features.shape[1] != self.centres.shape[1]:
            raise ValueError(
                f"centre loss: got features of size {features.shape[1]}; expected {self.centres.shape[1]}, "
                "the size of the centres; build it with the network's embedding size"
            )
        return centre(features, labels, self.centres)


class CircleLoss(nn.Module):
    """`circle` with its settings."""

    def __init__(self, *, margin: float = 0.25, scale: float = 64.0) -> None:
        super().__init__()
        self.margin, self.scale = margin, scale

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        """Returns the scalar loss of features (B, D) and labels (B,).

        Raises:
            ValueError: shapes that do not fit, or (labels on the CPU) no anchor with a positive and a negative.
        """
        _check_pairs(features, labels, what="circle loss")
        return circle(features, labels, margin=self.margin, scale=self.scale)


def _at_least_float32(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()


def _gram(features: Tensor) -> Tensor:
    """Returns features @ features.T in float64 (float32 on MPS, which has no float64), also under autocast."""
    wide = features if features.device.type == "mps" else features.double()
    with torch.autocast(features.device.type, enabled=False):
        return wide @ wide.T


def _pair_masks(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the (B, B) masks of the positives (never the anchor itself) and of the negatives."""
    equal = labels[:, None] == labels[None, :]
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    return equal & ~itself, ~equal


def _hardest(features: Tensor, labels: Tensor, *, normalise: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Returns (B,) largest positive and smallest negative distances, 0 where the (B,) third, "counts", is False."""
    same, different = _pair_masks(labels)
    distance = euclidean_distance(features, normalise=normalise)
    valid = same.any(1) & different.any(1)
    positive = distance.masked_fill(~same, -torch.inf).amax(1)
    negative = distance.masked_fill(~different, torch.inf).amin(1)
    return positive.masked_fill(~valid, 0.0), negative.masked_fill(~valid, 0.0), valid


def _softmax_mean(distance: Tensor, score: Tensor, mask: Tensor) -> Tensor:
    """Returns each row's mean of distance weighted by the softmax of score over mask; 0 for an empty row."""
    weight = score.masked_fill(~mask, torch.finfo(score.dtype).min).softmax(1)
    return (weight * distance).masked_fill(~mask, 0.0).sum(1)


def _mean_where(values: Tensor, mask: Tensor) -> Tensor:
    return values.masked_fill(~mask, 0.0).sum() / mask.sum()


def _check_shapes(features: Tensor, labels: Tensor, *, what: str) -> None:
    if features.ndim != 2 or labels.shape != features.shape[:1]:
        raise ValueError(
            f"{what}: got inputs {tuple(features.shape)} and labels {tuple(labels.shape)}; expected (B, D) and (B,)"
        )


def _check_pairs(features: Tensor, labels: Tensor, *, what: str) -> None:
    _check_shapes(features, labels, what=what)
    if labels.device.type != "cpu":
        return
    _, counts = labels.unique(return_counts=True)
    if len(counts) < 2 or int(counts.max()) < 2:
        raise ValueError(
            f"{what}: got {len(counts)} identities with at most {int(counts.max()) if len(counts) else 0} images each; "
            "expected two identities or more, one of them with two images; use PK batches (data.images >= 2)"
        )
