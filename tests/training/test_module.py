"""One training step, seen from outside: what moves, when, and by which random numbers."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Trainer

from mot_reid.reid.network import ReIDNetwork
from mot_reid.reid.preprocess import Preprocess
from mot_reid.training.augment import BatchAugment
from mot_reid.training.averaging import EMA
from mot_reid.training.builders import read_sources
from mot_reid.training.datamodule import ReIDDataModule
from mot_reid.training.loss_watch import LossWatch
from mot_reid.training.module import ReIDModule
from mot_reid.training.training_images import TrainingImages
from tests.helpers.runs import small_config
from tests.helpers.values import build_objective, build_optimizer, build_schedule

pytestmark = pytest.mark.filterwarnings("ignore")
PREPROCESS = Preprocess(height=32, width=16)


def build(
    backbone: str = "test_efficientnet",
    *,
    lr: float = 1e-3,
    drop_path: float = 0.0,
    small_share: float = 0.0,
    small_scale: float = 1.0,
    **settings: Any,
) -> ReIDModule:
    torch.manual_seed(0)
    network = ReIDNetwork(backbone, num_classes=10, weights="none", image_size=(32, 16), drop_path=drop_path)
    return ReIDModule(
        network,
        objective=build_objective(classes=10, embedding_dim=network.embedding_dim),
        images=TrainingImages(
            PREPROCESS, BatchAugment(pad=2, erase=0.5), small_share=small_share, small_scale=small_scale
        ),
        build_optimizer=partial(build_optimizer, name="adam", lr=lr),
        build_schedule=lambda optimizer, steps: build_schedule(
            optimizer, schedule="constant", epochs=9, steps_per_epoch=steps
        ),
        **settings,
    )


def train(module: ReIDModule, people: Path, **settings: Any) -> Trainer:
    """Trains on the synthetic people, five batches in an epoch."""
    splits = read_sources(small_config(people, people.parent))[0].splits
    data = ReIDDataModule(splits, preprocess=PREPROCESS, identities=4, images=2, workers=0)
    named: dict[str, Any] = {"max_epochs": 1, **settings}
    trainer = Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        **named,
    )
    trainer.fit(module, datamodule=data)
    return trainer


def snapshot(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def moved(module: torch.nn.Module, before: dict[str, torch.Tensor]) -> set[str]:
    return {name for name, value in module.state_dict().items() if not torch.equal(value, before[name])}


@pytest.mark.parametrize(("epochs", "freeze", "frozen"), [(1, 1.0, True), (1, 0.6, False), (2, 1.0, False)])
def test_frozen_backbone_stays_as_it_is_running_statistics_included(
    epochs: int, freeze: float, frozen: bool, people: Path
) -> None:
    module = build(freeze_epochs=freeze)
    before = snapshot(module.network)
    train(module, people, max_epochs=epochs)
    changed = {name.partition(".")[0] for name in moved(module.network, before)}
    assert {"neck", "classifier"} <= changed
    assert ("backbone" not in changed) is frozen
    if frozen:
        assert not any(name.startswith("backbone.") for name in moved(module.network, before))


def test_average_follows_every_step_of_the_optimiser(people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The average is recomputed from the weights after each step; with accumulation there are fewer steps."""
    weights: list[dict[str, torch.Tensor]] = []
    module = build(ema_decay=0.9)
    start = snapshot(module.network)
    original = ReIDModule.optimizer_step

    def optimizer_step(self: ReIDModule, *arguments: Any, **named: Any) -> None:
        original(self, *arguments, **named)
        weights.append(snapshot(self.network))

    monkeypatch.setattr(ReIDModule, "optimizer_step", optimizer_step)
    train(module, people, max_epochs=2, accumulate_grad_batches=2)
    assert len(weights) == 6  # of five batches each: two, two and the last one alone
    expected = EMA(module.network, decay=0.9)
    name = "classifier.weight"
    average = start[name]
    for count, step in enumerate(weights):
        decay = min(0.9, (1 + count) / (10 + count))
        average = decay * average + (1 - decay) * step[name]
    torch.testing.assert_close(module.averaged_state()[name], average, rtol=1e-5, atol=1e-7)
    assert module.average.ema is not None and module.average.ema.updates == 6
    assert expected.state_dict()["average"].keys() == module.averaged_state().keys()


def test_averaged_weights_are_what_is_scored(people: Path) -> None:
    module = build(ema_decay=0.99, lr=0.01)
    train(module, people)
    module.eval()
    image = torch.randn(3, 3, 32, 16)
    with torch.inference_mode():
        raw, averaged = module.network(image), module.embed(image)
        twin = build().network.eval()
        twin.load_state_dict(module.averaged_state())
        assert torch.equal(averaged, twin(image))
    assert not torch.allclose(raw, averaged)


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        ({}, 5),
        ({"accumulate_grad_batches": 2}, 3),
        ({"limit_train_batches": 2}, 2),
        ({"limit_train_batches": 0.8}, 4),
        ({"limit_train_batches": 50}, 5),
        ({"overfit_batches": 3}, 3),
    ],
)
def test_schedule_counts_the_steps_that_are_taken(settings: dict[str, Any], steps: int, people: Path) -> None:
    told: list[int] = []
    module = build()
    original = module.build_schedule
    module.build_schedule = lambda optimizer, count: told.append(count) or original(optimizer, count)  # type: ignore[func-returns-value]
    assert train(module, people, **settings).global_step == steps
    assert told == [steps]


def transferred(
    module: ReIDModule, people: Path, monkeypatch: pytest.MonkeyPatch, **settings: Any
) -> list[torch.Tensor]:
    """The images of a run's batches as the network sees them."""
    seen: list[torch.Tensor] = []
    original = ReIDModule.training_step

    def training_step(self: ReIDModule, batch: Any, batch_idx: int) -> torch.Tensor:
        seen.append(batch.image.clone())
        return original(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(ReIDModule, "training_step", training_step)
        train(module, people, **settings)
    return seen


def test_augmentation_depends_on_the_seed_and_the_batch_alone(people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = transferred(build(seed=1), people, monkeypatch)
    torch.manual_seed(99)
    assert all(torch.equal(a, b) for a, b in zip(one, transferred(build(seed=1, lr=1.0), people, monkeypatch)))
    other = transferred(build(seed=2), people, monkeypatch)
    assert not any(torch.equal(a, b) for a, b in zip(one, other))


def test_batches_of_one_step_are_augmented_each_in_its_own_way(people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same crops in both batches, by overfitting one, and one step for both, which cannot tell them apart."""
    module = build()
    batches = transferred(module, people, monkeypatch, max_epochs=2, overfit_batches=1, accumulate_grad_batches=2)
    assert len(batches) == 2 and not torch.equal(*batches)


def test_validation_and_test_images_are_not_augmented(people: Path) -> None:
    module = build().eval()
    splits = read_sources(small_config(people, people.parent))[0].splits
    data = ReIDDataModule(splits, preprocess=PREPROCESS, identities=4, workers=0)
    batch = next(iter(data.test_dataloader()))
    assert torch.equal(module.on_after_batch_transfer(batch, 0).image, PREPROCESS(batch.image))


def test_stochastic_depth_repeats_with_the_seed(people: Path) -> None:
    """It takes no generator, so the global one is seeded with every batch: a resumed run drops the same paths."""
    states = []
    for disturbance in (5, 6):
        module = build("test_vit", drop_path=0.5)
        torch.manual_seed(disturbance)
        train(module, people)
        states.append(module.network.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_channels_last_changes_the_order_and_not_the_numbers(people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = transferred(build(), people, monkeypatch)
    module = build(channels_last=True)
    other = transferred(module, people, monkeypatch)
    assert all(image.is_contiguous(memory_format=torch.channels_last) for image in other)
    assert all(torch.equal(a, b) for a, b in zip(plain, other))
    stem = next(p for p in module.network.parameters() if p.ndim == 4)
    assert stem.is_contiguous(memory_format=torch.channels_last)


def test_first_epochs_see_smaller_images_and_validation_never_does(
    people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = build(small_share=0.5, small_scale=0.75)
    seen = transferred(module, people, monkeypatch, max_epochs=2)
    assert [tuple(image.shape[2:]) for image in seen] == [(24, 12)] * 5 + [(32, 16)] * 5
    module.eval()
    whole = ReIDDataModule(
        read_sources(small_config(people, people.parent))[0].splits, preprocess=PREPROCESS, identities=4
    )
    batch = next(iter(whole.test_dataloader()))
    assert module.on_after_batch_transfer(batch, 0).image.shape[2:] == (32, 16)


def test_smaller_images_hold_the_whole_picture() -> None:
    """Without augmentation they are the crops resized, as the network's own preprocessing of that size does it."""
    images = TrainingImages(PREPROCESS, BatchAugment(flip=0.0, pad=0, erase=0.0), small_share=0.5, small_scale=0.5)
    images.begin(2)
    crops = torch.randint(0, 256, (4, 3, 32, 16), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    torch.testing.assert_close(images(crops, epoch=0, seed=0), Preprocess(height=16, width=8)(crops))
    torch.testing.assert_close(images(crops, epoch=1, seed=0), PREPROCESS(crops))


def test_smaller_images_are_refused_for_a_backbone_of_one_size() -> None:
    with pytest.raises(ValueError, match=r"progressive\.share: got 0\.25, .* for 'test_vit', whose input has one size"):
        build("test_vit", small_share=0.25, small_scale=0.5)


def test_losses_that_are_looked_at_together_name_the_step_that_went_wrong(
    people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on an accelerator: at the end of the epoch at the latest, and with the images of that step."""
    module, rows = build(), []
    add, step = LossWatch.add, ReIDModule.training_step

    def late(self: LossWatch, *arguments: Any, **named: Any) -> bool:
        add(self, *arguments, **named)
        return False

    def training_step(self: ReIDModule, batch: Any, batch_idx: int) -> torch.Tensor:
        rows.append(batch.row)
        if batch_idx == 2:
            batch = batch._replace(image=batch.image * torch.inf)
        return step(self, batch, batch_idx)

    monkeypatch.setattr(LossWatch, "add", late)
    monkeypatch.setattr(ReIDModule, "training_step", training_step)
    with pytest.raises(FloatingPointError, match=r"loss: got .*=nan.* in step 2, epoch 0") as told:
        train(module, people)
    paths = module.trainer.datamodule.train.path[rows[2].numpy()]
    assert str(told.value).endswith(", ".join(paths))


def test_limited_validation_is_refused(people: Path) -> None:
    module = build()
    splits = read_sources(small_config(people, people.parent))[0].splits
    data = ReIDDataModule(splits, preprocess=PREPROCESS, identities=4, eval_batch_size=4, workers=0)
    trainer = Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, limit_test_batches=1)
    with pytest.raises(RuntimeError, match=r"retrieval: got 4 of \d+ embeddings; .* do not limit validation batches"):
        trainer.test(module, datamodule=data)
