"""Losses against loops written from their definitions, and against other people's code."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from pytorch_metric_learning.losses import CircleLoss as OtherCircleLoss
from pytorch_metric_learning.miners import BatchHardMiner
from pytorch_metric_learning.reducers import MeanReducer
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from mot_reid.training import losses

PK_LABELS = torch.tensor([3, 3, 3, 7, 7, 7, 1, 1, 1])
UNEVEN_LABELS = torch.tensor([0, 0, 1, 1, 1, 5])  # the last has no positive


def drawn(labels: Tensor, dim: int = 5, *, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(len(labels), dim, generator=generator, dtype=dtype)


def distances_by_loops(features: Tensor) -> list[list[float]]:
    rows = features.tolist()
    return [[math.dist(a, b) for b in rows] for a in rows]


def triplets_by_loops(features: Tensor, labels: Tensor) -> list[tuple[list[float], list[float]]]:
    """The distances to the positives and to the negatives, of each anchor that has both."""
    distance, who = distances_by_loops(features), labels.tolist()
    found = []
    for i in range(len(who)):
        positives = [distance[i][j] for j in range(len(who)) if who[j] == who[i] and j != i]
        negatives = [distance[i][j] for j in range(len(who)) if who[j] != who[i]]
        if positives and negatives:
            found.append((positives, negatives))
    return found


@pytest.mark.parametrize("labels", [PK_LABELS, UNEVEN_LABELS], ids=["pk", "uneven"])
@pytest.mark.parametrize("margin", [0.0, 0.3, 2.0, None])
def test_batch_hard_triplet_equals_loops(labels: Tensor, margin: float | None) -> None:
    """Fails for: mean over all anchors instead of those that count, max and min exchanged, margin subtracted."""
    features = drawn(labels)
    terms = []
    for positives, negatives in triplets_by_loops(features, labels):
        gap = max(positives) - min(negatives)
        terms.append(math.log1p(math.exp(gap)) if margin is None else max(0.0, gap + margin))
    expected = sum(terms) / len(terms)
    assert losses.batch_hard_triplet(features, labels, margin=margin).item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("normalise", [False, True])
def test_batch_hard_triplet_equals_torch_loss_on_mined_triplets(normalise: bool) -> None:
    """pytorch-metric-learning finds the triplets, torch scores them."""
    labels = torch.arange(6).repeat_interleave(4)
    features = drawn(labels, 16, dtype=torch.float32)
    given = torch.nn.functional.normalize(features) if normalise else features
    miner = BatchHardMiner(distance=_euclidean())
    anchor, positive, negative = miner(given, labels)
    expected = torch.nn.TripletMarginLoss(margin=0.3, eps=0)(given[anchor], given[positive], given[negative])
    actual = losses.batch_hard_triplet(features, labels, margin=0.3, normalise=normalise)
    assert actual.item() == pytest.approx(expected.item(), rel=1e-5)


def _euclidean() -> object:
    from pytorch_metric_learning.distances import LpDistance

    return LpDistance(normalize_embeddings=False, p=2)


def test_weighted_triplet_equals_loops() -> None:
    """Fails for: the anchor among its positives, weights exchanged, a hinge instead of the soft margin."""
    features = drawn(UNEVEN_LABELS)
    terms = []
    for positives, negatives in triplets_by_loops(features, UNEVEN_LABELS):
        far = np.exp(positives) / np.exp(positives).sum() @ positives
        near = np.exp(np.negative(negatives)) / np.exp(np.negative(negatives)).sum() @ negatives
        terms.append(math.log1p(math.exp(far - near)))
    assert losses.weighted_triplet(features, UNEVEN_LABELS).item() == pytest.approx(np.mean(terms), abs=1e-12)


def test_weighted_triplet_is_soft_margin_batch_hard_when_distances_are_far_apart() -> None:
    """With wide gaps, softmax weights pick the hardest pair."""
    features = torch.tensor([[0.0], [40.0], [100.0], [1000.0], [1040.0], [1100.0]])
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    assert losses.weighted_triplet(features, labels) == losses.batch_hard_triplet(features, labels, margin=None)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_equals_loops(smoothing: float) -> None:
    """Fails for fast-reid's definition, which spreads the smoothing over the wrong classes only."""
    logits, labels = drawn(torch.arange(4), 6), torch.tensor([0, 5, 2, 2])
    expected = 0.0
    for row, label in zip(logits.tolist(), labels.tolist()):
        log_sum = math.log(sum(math.exp(value) for value in row))
        for k, value in enumerate(row):
            target = (1 - smoothing) * (k == label) + smoothing / len(row)
            expected -= target * (value - log_sum) / len(labels)
    actual = losses.cross_entropy(logits, labels, label_smoothing=smoothing)
    assert actual.item() == pytest.approx(expected, abs=1e-12)


def test_centre_equals_loops() -> None:
    features, centres = drawn(PK_LABELS), drawn(torch.arange(8), seed=1)
    squares = [math.dist(f, centres[k].tolist()) ** 2 for f, k in zip(features.tolist(), PK_LABELS.tolist())]
    assert losses.centre(features, PK_LABELS, centres).item() == pytest.approx(sum(squares) / 9, abs=1e-12)


def test_centre_moves_only_the_centres_of_the_batch() -> None:
    module = losses.CentreLoss(8, 5)
    module(drawn(PK_LABELS, dtype=torch.float32), PK_LABELS).backward()
    assert module.centres.grad is not None
    moved = module.centres.grad.abs().sum(1) > 0
    assert moved.nonzero().flatten().tolist() == [1, 3, 7]


def test_centre_weight_cancels_in_the_learning_rate() -> None:
    """The docstring's rule: SGD with lr 0.5 / w on the weighted loss is BoT's lr 0.5 on the unweighted one."""
    features = drawn(PK_LABELS, dtype=torch.float32)
    results = []
    for weight in (1.0, 0.0005):
        torch.manual_seed(0)
        module = losses.CentreLoss(8, 5)
        optimizer = torch.optim.SGD(module.parameters(), lr=0.5 / weight)
        (weight * module(features, PK_LABELS)).backward()
        optimizer.step()
        results.append(module.centres.detach())
    torch.testing.assert_close(*results)


@pytest.mark.parametrize(("margin", "scale"), [(0.25, 64.0), (0.4, 8.0)])
def test_circle_equals_loops(margin: float, scale: float) -> None:
    labels = torch.tensor([0, 0, 1, 1, 1])
    unit = torch.nn.functional.normalize(drawn(labels)).tolist()
    terms = []
    for i in range(5):
        total_positive = total_negative = 0.0
        for j in range(5):
            s = sum(a * b for a, b in zip(unit[i], unit[j]))
            if i != j and labels[i] == labels[j]:
                total_positive += math.exp(-scale * max(0, 1 + margin - s) * (s - (1 - margin)))
            elif labels[i] != labels[j]:
                total_negative += math.exp(scale * max(0, s + margin) * (s - margin))
        terms.append(math.log1p(total_positive * total_negative))
    actual = losses.circle(drawn(labels), labels, margin=margin, scale=scale)
    assert actual.item() == pytest.approx(np.mean(terms), rel=1e-10)


def test_circle_and_its_gradient_equal_pytorch_metric_learning() -> None:
    """The gradient shows that the weights alpha are constants."""
    labels = torch.arange(4).repeat_interleave(3)
    ours, theirs = (drawn(labels, 8).requires_grad_() for _ in range(2))
    value = losses.circle(ours, labels, margin=0.4, scale=80)
    other = OtherCircleLoss(m=0.4, gamma=80, reducer=MeanReducer())(theirs, labels)
    value.backward()
    other.backward()
    assert value.item() == pytest.approx(other.item(), rel=1e-9)
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-7, atol=1e-9)


def test_circle_logits_by_hand() -> None:
    """Equation 7 with m = 0.25, gamma = 2: 2 (1.25 - .5) (.5 - .75) = -.375 for the own class, 2 (.45) (-.05) else."""
    actual = losses.circle_logits(torch.tensor([[0.5, 0.2, -0.9]]), torch.tensor([0]), margin=0.25, scale=2.0)
    torch.testing.assert_close(actual, torch.tensor([[-0.375, -0.045, 0.0]]))


MODULES = [
    (
        losses.BatchHardTripletLoss(margin=0.5, normalise=True),
        lambda f, y: losses.batch_hard_triplet(f, y, margin=0.5, normalise=True),
    ),
    (losses.WeightedTripletLoss(normalise=True), lambda f, y: losses.weighted_triplet(f, y, normalise=True)),
    (losses.CircleLoss(margin=0.4, scale=9.0), lambda f, y: losses.circle(f, y, margin=0.4, scale=9.0)),
    (losses.CrossEntropyLoss(label_smoothing=0.2), lambda f, y: losses.cross_entropy(f, y, label_smoothing=0.2)),
]

PAIR_LOSSES = {
    "hinge": lambda f: losses.batch_hard_triplet(f, PK_LABELS, margin=0.3),
    "soft": lambda f: losses.batch_hard_triplet(f, PK_LABELS, margin=None, normalise=True),
    "weighted": lambda f: losses.weighted_triplet(f, PK_LABELS),
    "centre": lambda f: losses.centre(f, PK_LABELS, torch.ones(8, 5, dtype=f.dtype)),
    "cross_entropy": lambda f: losses.cross_entropy(f.repeat(1, 2), PK_LABELS, label_smoothing=0.1),
}


@pytest.mark.parametrize("name", PAIR_LOSSES)
def test_gradient_equals_finite_differences(name: str) -> None:
    """Not circle: its weights are constants for the gradient, so finite differences differ by design."""
    assert torch.autograd.gradcheck(PAIR_LOSSES[name], drawn(PK_LABELS).requires_grad_())


@pytest.mark.parametrize("loss", [losses.batch_hard_triplet, losses.weighted_triplet, losses.circle])
def test_gradient_is_finite_for_equal_features(loss: object) -> None:
    """The square root of distance 0 has no derivative; a collapsed network must not turn into NaN."""
    features = torch.ones(9, 5, requires_grad=True)
    loss(features, PK_LABELS).backward()  # type: ignore[operator]
    assert features.grad is not None and features.grad.isfinite().all()


@pytest.mark.parametrize("loss", [losses.batch_hard_triplet, losses.weighted_triplet, losses.circle])
def test_anchor_without_positive_gets_no_nan_and_its_gradient_is_finite(loss: object) -> None:
    features = drawn(UNEVEN_LABELS).requires_grad_()
    value = loss(features, UNEVEN_LABELS)  # type: ignore[operator]
    value.backward()
    assert value.isfinite() and features.grad is not None and features.grad.isfinite().all()


def test_distance_under_bfloat16_autocast_is_float32_and_exact() -> None:
    """Large common offset: bfloat16, TF32 or float32 cancellation would be wrong in the first digit."""
    features = 1000 + drawn(PK_LABELS, 64).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        distance = losses.euclidean_distance(features)
        loss = losses.batch_hard_triplet(features, PK_LABELS)
    assert distance.dtype == loss.dtype == torch.float32
    expected = torch.cdist(features.double(), features.double(), compute_mode="donot_use_mm_for_euclid_dist")
    np.testing.assert_allclose(distance.numpy(), expected.clamp(min=1e-6).numpy(), rtol=1e-6)


@pytest.mark.parametrize(("module", "function"), MODULES, ids=lambda value: type(value).__name__)
def test_loss_under_bfloat16_autocast_equals_the_loss_without(module: torch.nn.Module, function: object) -> None:
    features = drawn(PK_LABELS, 8, dtype=torch.float32)
    expected = module(features, PK_LABELS)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert module(features, PK_LABELS) == expected


def test_distance_of_bfloat16_features_is_float32() -> None:
    features = drawn(PK_LABELS).bfloat16()
    torch.testing.assert_close(
        losses.euclidean_distance(features), losses.euclidean_distance(features.float()), rtol=0, atol=0
    )


@pytest.mark.parametrize("loss", [losses.batch_hard_triplet, losses.weighted_triplet, losses.circle])
def test_pair_loss_ignores_order_and_names_of_identities(loss: object) -> None:
    features, order = drawn(PK_LABELS), torch.tensor([8, 0, 5, 3, 1, 7, 2, 4, 6])
    expected = loss(features, PK_LABELS)  # type: ignore[operator]
    actual = loss(features[order], 100 - PK_LABELS[order])  # type: ignore[operator]
    torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize(("module", "function"), MODULES, ids=lambda value: type(value).__name__)
def test_module_equals_its_function(module: torch.nn.Module, function: object) -> None:
    features = drawn(PK_LABELS, 8)
    assert module(features, PK_LABELS) == function(features, PK_LABELS)  # type: ignore[operator]


@pytest.mark.parametrize("labels", [[0, 1, 2, 3], [0, 0, 0, 0]], ids=["no positive", "no negative"])
@pytest.mark.parametrize("module", [losses.BatchHardTripletLoss(), losses.WeightedTripletLoss(), losses.CircleLoss()])
def test_module_refuses_batch_without_triplets(module: torch.nn.Module, labels: list[int]) -> None:
    with pytest.raises(
        ValueError, match="expected two identities or more, one of them with two images; use PK batches"
    ):
        module(torch.rand(4, 3), torch.tensor(labels))


def test_function_gives_nan_for_batch_without_triplets() -> None:
    """So that a check for non-finite losses stops the training on devices where the labels are not looked at."""
    assert losses.batch_hard_triplet(torch.rand(4, 3), torch.arange(4)).isnan()


def test_module_refuses_shapes_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"triplet loss: got inputs \(4, 3\) and labels \(5,\)"):
        losses.BatchHardTripletLoss()(torch.rand(4, 3), torch.zeros(5))
    with pytest.raises(ValueError, match="centre loss: got features of size 3; expected 5"):
        losses.CentreLoss(2, 5)(torch.rand(4, 3), torch.zeros(4, dtype=torch.int64))


@pytest.mark.parametrize("function", [function for _, function in MODULES])
def test_function_asks_for_no_value(function: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Fake tensors have no values, so anything that made an accelerator wait for the host would raise."""
    with FakeTensorMode():
        features = torch.empty(9, 8, requires_grad=True)
        function(features, torch.empty(9, dtype=torch.int64)).backward()
    assert features.grad is not None


@pytest.mark.gpu
def test_losses_on_a_gpu_do_not_wait_and_equal_the_cpu() -> None:
    labels = torch.arange(16).repeat_interleave(4)
    features = drawn(labels, 512, dtype=torch.float32)
    there, where = features.cuda().requires_grad_(), labels.cuda()
    modules = [module for module, _ in MODULES]
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.cuda.set_sync_debug_mode("error")
    try:
        actual = [module(there, where) for module in modules]
        sum(actual).backward()  # type: ignore[union-attr]
    finally:
        torch.cuda.set_sync_debug_mode("default")
        torch.backends.cuda.matmul.allow_tf32 = False
    expected = [module(features, labels) for module in modules]
    torch.testing.assert_close([value.cpu() for value in actual], expected, rtol=1e-5, atol=1e-6)
