"""The losses of a student, against loops over their definitions; and what they move."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mot_reid.reid import checkpoint
from mot_reid.settings.load import load_config
from mot_reid.training.distill import Distillation, cosine_loss, relation_loss
from mot_reid.training.fit import fit
from mot_reid.training.module import ReIDModule
from mot_reid.training.teacher_views import TeacherViews
from tests.helpers.runs import small_arguments, small_config

BUNDLED = "distill.teacher=osnet_x0_25_market1501"
NO_LABELS = ("loss.cross_entropy=0", "loss.triplet=0")


def rows(seed: int, count: int = 5, dim: int = 4) -> Tensor:
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def cosine(a: Tensor, b: Tensor) -> float:
    return float(sum(x * y for x, y in zip(a.tolist(), b.tolist()))) / math.hypot(*a.tolist()) / math.hypot(*b.tolist())


def test_cosine_loss_equals_the_loop() -> None:
    student, teacher = rows(0), rows(1)
    expected = sum(1 - cosine(a, b) for a, b in zip(student, teacher)) / 5
    assert cosine_loss(student, teacher).item() == pytest.approx(expected, rel=1e-5)


def test_relation_loss_equals_the_loop_over_pairs_and_takes_another_size() -> None:
    student, teacher = rows(0, dim=4), rows(1, dim=7)
    pairs = [(i, j) for i in range(5) for j in range(5) if i != j]
    squares = [(cosine(student[i], student[j]) - cosine(teacher[i], teacher[j])) ** 2 for i, j in pairs]
    assert relation_loss(student, teacher).item() == pytest.approx(sum(squares) / 20, rel=1e-5)


@pytest.mark.parametrize("loss", [cosine_loss, relation_loss])
def test_losses_are_zero_for_a_scaled_teacher_and_teach_only_the_student(loss: object) -> None:
    assert callable(loss)
    teacher = rows(2).requires_grad_()
    assert loss(3.0 * teacher, teacher).item() == pytest.approx(0.0, abs=1e-6)
    student = rows(3).requires_grad_()
    loss(student, teacher).backward()
    assert teacher.grad is None and student.grad is not None and bool(student.grad.any())


def test_relation_loss_does_not_see_a_rotation_but_the_cosine_does() -> None:
    student = rows(4)
    rotation = torch.linalg.qr(rows(5, 4, 4)).Q
    assert relation_loss(student @ rotation, student).item() == pytest.approx(0.0, abs=1e-6)
    assert cosine_loss(student @ rotation, student).item() > 0.1


def test_terms_are_weighted_and_the_projector_bridges_the_sizes() -> None:
    views = TeacherViews(torch.randn(2, 3, 6).half())
    distillation = Distillation(views, embedding_dim=4, cosine=2.0, relation=3.0)
    student, target = torch.randn(5, 4), torch.randn(5, 6)
    terms = distillation(student, target)
    assert terms["distill_cosine"].item() == pytest.approx(
        cosine_loss(distillation.projector(student), target).item(), rel=1e-6
    )
    assert terms["distill_relation"].item() == pytest.approx(relation_loss(student, target).item(), rel=1e-6)
    total = 2 * terms["distill_cosine"] + 3 * terms["distill_relation"]
    assert distillation.total(terms).item() == pytest.approx(total.item(), rel=1e-6)
    assert [name for name, _ in distillation.named_parameters()] == ["projector.weight"]
    assert list(distillation.state_dict()) == ["projector.weight"]  # what the teacher said is in no checkpoint


def test_one_size_needs_no_projector() -> None:
    views = TeacherViews(torch.randn(2, 3, 6).half())
    assert not list(Distillation(views, embedding_dim=6, cosine=1.0, relation=0.0).parameters())


def test_teacher_without_a_weight_is_refused() -> None:
    with pytest.raises(ValueError, match=r"distill: got a teacher and no weight above 0; expected at least one; set"):
        Distillation(TeacherViews(torch.randn(1, 3, 6)), embedding_dim=6, cosine=0.0, relation=0.0)


def test_student_without_labels_comes_to_say_what_its_teacher_says(
    people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through `fit`: the loss falls, the cache is written once, and the export has neither projector nor teacher."""
    losses: list[float] = []
    step = ReIDModule.training_step

    def training_step(self: ReIDModule, batch: object, batch_idx: int) -> Tensor:
        loss = step(self, batch, batch_idx)  # type: ignore[arg-type]
        losses.append(loss.item())
        return loss

    monkeypatch.setattr(ReIDModule, "training_step", training_step)
    cache = tmp_path / "views"
    arguments = (BUNDLED, *NO_LABELS, f"distill.cache={cache}", "model.neck=none", "model.embedding_dim=128")
    arguments += ("optim.lr=1e-2", "augment.erase=0", "trainer.max_epochs=6")
    result = fit(small_config(people, tmp_path / "run", *arguments))
    assert len(losses) == 30 and np.mean(losses[-5:]) < 0.9 * np.mean(losses[:5])
    files = sorted(path.name for path in cache.iterdir())
    assert files == ["view_0.npz", "view_1.npz"]
    assert result.model is not None
    artifact = checkpoint.load(result.model)
    assert not [name for name in artifact.network.state_dict() if "projector" in name or "embeddings" in name]
    assert artifact.provenance["teacher"]["file"] == "osnet_x0_25_market1501.safetensors"
    assert len(artifact.provenance["teacher"]["sha256"]) == 64


def test_run_without_teacher_or_labels_is_refused(people: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"loss: got no weight above 0; expected at least one; set"):
        fit(small_config(people, tmp_path / "run", *NO_LABELS))


def test_stopped_student_resumes_with_its_projector(people: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    arguments = (BUNDLED, *NO_LABELS, f"distill.cache={tmp_path / 'views'}", "optim.schedule=constant")
    fit(load_config(small_arguments(people, run, *arguments, "trainer.max_epochs=1")))
    projector = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert "distillation.projector.weight" in projector
    resumed = fit(load_config(small_arguments(people, run, *arguments, "trainer.max_epochs=2")), resume="last")
    whole = fit(load_config(small_arguments(people, tmp_path / "whole", *arguments, "trainer.max_epochs=2")))
    assert resumed.model is not None and whole.model is not None
    a, b = (checkpoint.load(model).network.state_dict() for model in (resumed.model, whole.model))
    assert all(torch.equal(a[name], b[name]) for name in b)
