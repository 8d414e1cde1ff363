"""The weighted sum, and where each term looks, against torch's own losses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mot_reid.reid.network import NetworkOutput, ReIDNetwork
from mot_reid.training.losses import batch_hard_triplet, centre, circle, circle_logits, weighted_triplet
from tests.helpers.values import build_objective

LABEL = torch.tensor([0, 0, 1, 1, 2, 2])
OFF = {"cross_entropy": 0.0, "triplet": 0.0}


def output(seed: int = 0, *, classes: int = 3, dim: int = 4) -> tuple[NetworkOutput, torch.Tensor]:
    """What a network might give for LABEL, and its class weights."""
    generator = torch.Generator().manual_seed(seed)
    feature, embedding = torch.randn(2, len(LABEL), dim, generator=generator)
    weight = torch.randn(classes, dim, generator=generator)
    return NetworkOutput(feature, embedding, embedding @ weight.T), weight


def test_total_is_the_weighted_sum() -> None:
    found, weight = output()
    objective = build_objective(classes=3, embedding_dim=4, cross_entropy=2.0, triplet=0.5, label_smoothing=0.1)
    total = objective.total(objective(found, LABEL, weight))
    assert found.logits is not None
    entropy = nn.CrossEntropyLoss(label_smoothing=0.1)(found.logits, LABEL)
    triplet = batch_hard_triplet(found.feature, LABEL, margin=0.3)
    assert total.item() == pytest.approx(2.0 * entropy.item() + 0.5 * triplet.item(), rel=1e-6)


def test_default_terms_are_those_of_bot() -> None:
    found, weight = output()
    objective = build_objective(classes=3, embedding_dim=4)
    assert list(objective(found, LABEL, weight)) == ["cross_entropy", "triplet"]


@pytest.mark.parametrize(("place", "field"), [("before_neck", "feature"), ("after_neck", "embedding")])
def test_metric_losses_look_where_they_are_told(place: str, field: str) -> None:
    found, weight = output()
    objective = build_objective(
        classes=3, embedding_dim=4, triplet=1, weighted_triplet=1, circle=1, centre=1, triplet_on=place
    )
    terms = objective(found, LABEL, weight)
    vector = getattr(found, field)
    centres = objective.terms["centre"].get_parameter("centres")
    expected = {
        "triplet": batch_hard_triplet(vector, LABEL, margin=0.3),
        "weighted_triplet": weighted_triplet(vector, LABEL),
        "circle": circle(vector, LABEL, margin=0.25, scale=64.0),
        "centre": centre(vector, LABEL, centres),
    }
    for name, value in expected.items():
        assert torch.equal(terms[name], value), name


def test_triplets_are_mined_on_unit_vectors_where_asked() -> None:
    found, weight = output()
    objective = build_objective(classes=3, embedding_dim=4, triplet_normalise=True)
    expected = batch_hard_triplet(F.normalize(found.feature), LABEL, margin=0.3)
    assert objective(found, LABEL, weight)["triplet"].item() == pytest.approx(expected.item(), rel=1e-6)


def test_no_margin_is_the_soft_margin() -> None:
    found, weight = output()
    objective = build_objective(classes=3, embedding_dim=4, triplet_margin=None)
    assert torch.equal(
        objective(found, LABEL, weight)["triplet"], batch_hard_triplet(found.feature, LABEL, margin=None)
    )


def test_circle_classifier_works_on_cosines_to_the_class_weights() -> None:
    """By loops: the cosine of each row to each class, the circle logits of it, and torch's cross-entropy."""
    found, weight = output()
    objective = build_objective(
        classes=3, embedding_dim=4, classifier="circle", circle_margin=0.35, circle_scale=32.0, label_smoothing=0.0
    )
    cosine = torch.tensor([[float(F.cosine_similarity(row, w, dim=0)) for w in weight] for row in found.embedding])
    expected = F.cross_entropy(circle_logits(cosine, LABEL, margin=0.35, scale=32.0), LABEL)
    assert objective(found, LABEL, weight)["cross_entropy"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_circle_classifier_does_not_depend_on_lengths() -> None:
    found, weight = output()
    objective = build_objective(classes=3, embedding_dim=4, classifier="circle")
    longer = found._replace(embedding=3 * found.embedding)
    one, other = objective(found, LABEL, weight), objective(longer, LABEL, 2 * weight)
    assert one["cross_entropy"].item() == pytest.approx(other["cross_entropy"].item(), rel=1e-5)


def test_nothing_to_minimise_is_refused() -> None:
    with pytest.raises(ValueError, match="loss: got no weight above 0"):
        build_objective(classes=3, embedding_dim=4, **OFF)


# Centres


@pytest.mark.parametrize(("weight", "scale"), [(5e-4, 1.0), (1.0, 1.0), (5e-4, 65536.0)])
def test_centres_move_as_in_bot(weight: float, scale: float) -> None:
    """BoT steps SGD of lr 0.5 on the centres, after dividing the weight of the loss out of their gradient."""
    found, class_weight = output()
    objective = build_objective(classes=3, embedding_dim=4, centre=weight)
    centres = objective.terms["centre"].get_parameter("centres")
    theirs = centres.detach().clone().requires_grad_()
    optimizer = torch.optim.SGD([theirs], lr=0.5)
    for step in range(3):
        found, class_weight = output(step)
        (scale * objective.total(objective(found, LABEL, class_weight))).backward()
        objective.move_centres(loss_scale=scale)
        optimizer.zero_grad()
        (found.feature - theirs[LABEL]).square().sum(1).mean().backward()
        optimizer.step()
        torch.testing.assert_close(centres, theirs, rtol=1e-4, atol=1e-5)
    assert centres.grad is None


def test_centres_stay_where_float16_overflowed() -> None:
    objective = build_objective(classes=3, embedding_dim=4, centre=1.0)
    centres = objective.terms["centre"].get_parameter("centres")
    before = centres.detach().clone()
    centres.grad = torch.full_like(centres, torch.inf)
    objective.move_centres(loss_scale=65536.0)
    assert torch.equal(centres, before) and centres.grad is None


def test_absent_centres_do_not_move() -> None:
    objective = build_objective(classes=3, embedding_dim=4)
    objective.move_centres()
    assert list(objective.parameters()) == []


def test_cosines_of_the_circle_classifier_keep_float32_under_autocast() -> None:
    """bfloat16 would be off by up to 1/512, which the scale of 64 makes 1/8."""
    found, weight = output()
    objective = build_objective(classes=3, embedding_dim=4, triplet=0.0, classifier="circle")
    exact = objective(found, LABEL, weight)["cross_entropy"]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert objective(found, LABEL, weight)["cross_entropy"].item() == exact.item()


@pytest.mark.parametrize(
    ("settings", "idle"),
    [
        ({}, ()),
        ({"classifier": "circle"}, ()),
        ({"cross_entropy": 0.0}, ("classifier", "neck")),
        ({"cross_entropy": 0.0, "triplet_on": "after_neck"}, ("classifier",)),
    ],
)
def test_parts_that_no_term_sees_get_no_gradient(settings: dict[str, Any], idle: tuple[str, ...]) -> None:
    """Under DDP a parameter that waits for a gradient stops the run."""
    network = ReIDNetwork("osnet_x0_25", weights="none", num_classes=3, image_size=(32, 16))
    objective = build_objective(classes=3, embedding_dim=128, **settings)
    assert objective.idle() == idle
    assert network.classifier is not None
    terms = objective(network(torch.randn(6, 3, 32, 16)), LABEL, network.classifier.weight)
    objective.total(terms).backward()
    waiting = {name.partition(".")[0] for name, p in network.named_parameters() if p.requires_grad and p.grad is None}
    assert waiting == set(idle)
