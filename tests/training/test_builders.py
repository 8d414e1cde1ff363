"""What is refused before anything is built, and what of a configuration reaches the objects."""

from __future__ import annotations

from pathlib import Path

import pytest
from lightning import Trainer

from mot_reid.training import builders
from mot_reid.training.builders import build_module, build_preprocess, build_trainer, check_batch
from mot_reid.training.sync_batchnorm import SyncBatchNorm
from tests.helpers.runs import small_config

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize(
    ("settings", "processes", "message"),
    [
        (
            ("data.identities=4",),
            4,
            "data.identities: got 4 for 4 processes; expected 8 or more, two for each process, since loss.triplet",
        ),
        (("data.identities=4",), 3, "data.identities: got 4 for 3 processes; expected a multiple"),
        (("data.identities=1",), 1, "data.identities: got 1; expected 2 or more, since loss.triplet"),
        (("data.images=1",), 2, "data.images: got 1 for 2 processes; expected 2 or more, since loss.triplet"),
        (
            ("data.identities=2", "data.images=1", "loss.triplet=0"),
            2,
            "data.images: got batches of one image for 2 processes; expected two or more in each",
        ),
    ],
)
def test_batch_that_a_process_can_learn_nothing_from_is_refused(
    settings: tuple[str, ...], processes: int, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError) as caught:
        check_batch(small_config(tmp_path, tmp_path / "run", *settings), processes=processes)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(("settings", "processes"), [((), 2), (("data.images=1", "loss.triplet=0"), 2), ((), 1)])
def test_batch_with_two_persons_for_each_process_is_allowed(
    settings: tuple[str, ...], processes: int, tmp_path: Path
) -> None:
    check_batch(small_config(tmp_path, tmp_path / "run", *settings), processes=processes)


def test_trainer_counts_its_processes_before_a_run_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = small_config(tmp_path, tmp_path / "run", "trainer.devices=4", "trainer.strategy=ddp")
    with pytest.raises(ValueError, match=r"data.identities: got 4 for 4 processes"):
        build_trainer(config, tmp_path / "run")


def test_synchronised_batch_norm_is_our_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, object] = {}

    def noting(**named: object) -> Trainer:
        given.update(named)
        return Trainer(accelerator="cpu", logger=False)

    monkeypatch.setattr(builders, "Trainer", noting)
    build_trainer(small_config(tmp_path, tmp_path / "run", "trainer.sync_batchnorm=true"), tmp_path / "run")
    assert [type(plugin) for plugin in given["plugins"]][-1] is SyncBatchNorm  # type: ignore[attr-defined]
    assert "sync_batchnorm" not in given


def test_parts_without_a_loss_are_not_trained(tmp_path: Path) -> None:
    config = small_config(tmp_path, tmp_path / "run", "loss.cross_entropy=0")
    module = build_module(config, build_preprocess(config), classes=4)
    idle = {name for name, parameter in module.network.named_parameters() if not parameter.requires_grad}
    assert idle == {"classifier.weight", "neck.weight", "neck.bias"}
