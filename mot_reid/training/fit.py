"""The composition root: a Config becomes objects, a Trainer runs them, a model comes out."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import torch
from lightning import Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint

from mot_reid.data.identities import IdentityTable
from mot_reid.files import writing
from mot_reid.metrics.calibration import calibrate
from mot_reid.reid import checkpoint
from mot_reid.settings.load import Config, save_config
from mot_reid.training.builders import (
    build_data,
    build_module,
    build_network,
    build_preprocess,
    build_tracking_metric,
    build_trainer,
    check_batch,
    check_small_images,
    prepare_host,
    read_splits,
)
from mot_reid.training.checkpointing import Interrupted, listening, read_resumable
from mot_reid.training.datamodule import ReIDDataModule
from mot_reid.training.loggers import close_loggers
from mot_reid.training.module import ReIDModule
from mot_reid.training.provenance import check_same_crops, fingerprint, licence, provenance

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FitResult:
    """What a run gave.

    Attributes:
        folder: Where it wrote.
        model: The exported model; None where the run was interrupted or only tried out.
        scores: By name, such as `test/mAP`; fractions.
        untrained: The same of the network before training, where asked for.
        images_per_second: In the last epoch of training; None where none was completed.
        minutes: From the start to the exported model.
        interrupted: Whether it was stopped; it can then be resumed.
    """

    folder: Path
    model: Path | None = None
    scores: dict[str, float] = field(default_factory=dict)
    untrained: dict[str, float] = field(default_factory=dict)
    images_per_second: float | None = None
    minutes: float = 0.0
    interrupted: bool = False


def fit(config: Config, *, resume: str | None = None) -> FitResult:
    """Trains, chooses, scores and exports a model as the configuration says.

    Args:
        config: Every setting.
        resume: "last" or the path of a checkpoint to go on from.

    Returns:
        Where things are and how good the model is.

    Raises:
        FileNotFoundError: Data, weights or the checkpoint to resume are missing.
        ValueError: A setting does not suit the data.
        FloatingPointError: The loss became infinite or undefined.
    """
    started = time.perf_counter()
    folder = Path(config.run.dir)
    resumed = _find_resume(folder, resume)
    prepare_host(config)
    seed_everything(config.run.seed, workers=True, verbose=False)
    check_batch(config)
    check_small_images(config)
    splits = read_splits(config)
    preprocess = build_preprocess(config)
    data = build_data(config, splits, preprocess)
    crops = fingerprint(data.train)
    module = build_module(config, preprocess, classes=data.classes, crops=crops, train=data.train)
    resumed_step = None
    if resumed is not None:
        resumed_step = read_resumable(resumed, module.state_dict(), config=asdict(config))
        check_same_crops(resumed, crops, root=config.data.root)
    tracking = build_tracking_metric(config)
    with _open_folder(config, keep=resumed is not None):
        trainer = build_trainer(config, folder, resumed_step=resumed_step, callbacks=tracking)
        try:
            with listening():
                result = _run(config, trainer, module, data, resumed=resumed, started=started)
        except (Interrupted, KeyboardInterrupt):
            result = FitResult(folder, interrupted=True)
        finally:
            close_loggers(trainer.loggers)
    return replace(result, minutes=(time.perf_counter() - started) / 60)


def _run(
    config: Config,
    trainer: Trainer,
    module: ReIDModule,
    data: ReIDDataModule,
    *,
    resumed: str | None,
    started: float,
) -> FitResult:
    """Trains, chooses, calibrates, scores and exports."""
    result = FitResult(Path(config.run.dir))
    if config.run.score_untrained and resumed is None and data.test is not None:
        result = replace(result, untrained=_scores(trainer.test(module, datamodule=data, verbose=False)))
    trainer.fit(module, datamodule=data, ckpt_path=resumed)
    speed = trainer.callback_metrics.get("train/images_per_second")
    result = replace(result, images_per_second=None if speed is None else float(speed))
    if trainer.fast_dev_run:  # type: ignore[attr-defined]
        return result
    _choose(trainer, module, config.run.monitor)
    found: dict[str, float] = {}
    calibration = None
    if data.validation is not None:
        found |= _scores(trainer.validate(module, datamodule=data, verbose=False))
        calibration = _calibrate(module, data, config.run.false_match_rate)
    if data.test is not None and config.run.score_test:
        found |= _scores(trainer.test(module, datamodule=data, verbose=False))
    result = replace(result, scores=found, model=result.folder / "model.safetensors")
    if trainer.is_global_zero:
        _export(config, module, result, calibration, minutes=(time.perf_counter() - started) / 60)
    return result


def _scores(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: float(value) for name, value in found[0].items()}


def _choose(trainer: Trainer, module: ReIDModule, monitor: str) -> None:
    """Gives the module the weights of the best checkpoint, where one was kept."""
    best = next((c for c in trainer.checkpoint_callbacks if getattr(c, "monitor", None) == monitor), None)
    if not isinstance(best, ModelCheckpoint) or not best.best_model_path:
        return
    state = torch.load(best.best_model_path, map_location=module.device, weights_only=True)
    module.on_load_checkpoint(state)
    module.load_state_dict(state["state_dict"])


def _calibrate(module: ReIDModule, data: ReIDDataModule, false_match_rate: float) -> dict[str, Any] | None:
    """Returns the threshold found on the validation persons, as stored; None where they are too few."""
    assert data.validation is not None and module.embeddings is not None
    people = IdentityTable.concatenate(data.validation)
    try:
        found = calibrate(
            module.embeddings,
            person_id=people.person_id,
            camera_id=people.camera_id,
            false_match_rate=false_match_rate,
        )
    except ValueError as error:
        log.warning("no calibrated threshold (set run.false_match_rate, or a larger data.validation): %s", error)
        return None
    return found.to_dict()


def _export(
    config: Config, module: ReIDModule, result: FitResult, calibration: dict[str, Any] | None, *, minutes: float
) -> None:
    """Writes the weights that were scored, with all that is known of them."""
    assert result.model is not None and module.network.classifier is not None
    network = build_network(config, classes=module.network.classifier.out_features, weights="none")
    network.load_state_dict(module.averaged_state())
    checkpoint.save(
        result.model,
        network,
        module.preprocess,
        provenance=provenance(config, crops=module.metadata["provenance"]["crops"])
        | {"scores": result.scores, "minutes": round(minutes, 2)},
        licence=licence(config),
        calibration=calibration,
    )


@contextmanager
def _open_folder(config: Config, *, keep: bool) -> Iterator[None]:
    """Makes the run's folder and writes its configuration; an earlier run there moves aside, unless it goes on.

    A run that fails before it has anything to show, by a mistake in a setting say, gives an earlier one its place back.
    """
    folder = Path(config.run.dir)
    if int(os.environ.get("LOCAL_RANK", "0")) > 0 or int(os.environ.get("NODE_RANK", "0")) > 0:
        yield
        return
    aside: Path | None = None
    if not keep and (folder / "config.yaml").exists():
        names = (folder.with_name(f"{folder.name}~{number}") for number in count(1))
        aside = next(path for path in names if not path.exists())
        with writing(folder):
            folder.rename(aside)
        log.warning("%s: an earlier run was there; it is now in %s", folder, aside)
    save_config(config, folder / "config.yaml")
    try:
        yield
    except Exception:
        if aside is not None and [path.name for path in folder.iterdir()] == ["config.yaml"]:
            (folder / "config.yaml").unlink()
            folder.rmdir()
            aside.rename(folder)
            log.warning("%s: nothing was trained; the earlier run is back", folder)
        raise


def _find_resume(folder: Path, resume: str | None) -> str | None:
    if resume is None:
        return None
    path = folder / "checkpoints" / "last.ckpt" if resume == "last" else Path(resume)
    if not path.is_file():
        raise FileNotFoundError(f"ckpt: got '{resume}', but there is no '{path}'; check run.dir, or leave ckpt out")
    return str(path)
