"""The composition root: a Config becomes objects, a Trainer runs them, a model comes out."""

from __future__ import annotations

import logging
import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from functools import partial
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, Trainer, seed_everything
from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint

from mot_reid import __version__
from mot_reid.config import Config, save_config
from mot_reid.data.identities import IdentitySplits, IdentityTable
from mot_reid.data.splits import read as read_data_set
from mot_reid.metrics.calibration import calibrate
from mot_reid.reid import checkpoint
from mot_reid.reid.network import ReIDNetwork
from mot_reid.reid.preprocess import Preprocess
from mot_reid.training.augment import BatchAugment
from mot_reid.training.checkpointing import (
    RESUMED_OPTIM,
    AtomicCheckpointIO,
    Interrupted,
    SaveOnInterrupt,
    listening,
    read_resumable,
)
from mot_reid.training.datamodule import ReIDDataModule
from mot_reid.training.loggers import build_loggers, close_loggers
from mot_reid.training.module import ReIDModule
from mot_reid.training.objective import Objective
from mot_reid.training.optim import build_optimizer, build_schedule
from mot_reid.training.progress import Bars, EpochReport, bars_can_be_seen
from mot_reid.training.tracking_metric import TrackingMetric

log = logging.getLogger(__name__)

LICENCES = {
    "market1501": "research use only: trained on Market-1501, whose owners allow academic use",
    "synthetic": "Apache-2.0: trained on drawn people",
}
OWN_DATA = "that of the data it was trained on"


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
    if config.engine.threads is not None:
        torch.set_num_threads(config.engine.threads)
    seed_everything(config.run.seed, workers=True, verbose=False)
    splits = read_splits(config)
    preprocess = build_preprocess(config)
    data = build_data(config, splits, preprocess)
    module = build_module(config, preprocess, classes=data.classes)
    resumed_step = (
        None
        if resumed is None
        else read_resumable(
            resumed, module.state_dict(), optim={name: asdict(config.optim)[name] for name in RESUMED_OPTIM}
        )
    )
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


def read_splits(config: Config) -> IdentitySplits:
    """Returns the crops that the configuration names; drawn people are drawn where they are not there yet."""
    data = config.data
    return read_data_set(data.kind, data.root, official_counts=data.official_counts, drawing=asdict(config.synthetic))


def build_preprocess(config: Config) -> Preprocess:
    """Returns what happens to a crop in training, validation and serving alike."""
    model = config.model
    return Preprocess(
        height=model.height, width=model.width, interpolation=model.interpolation, mean=model.mean, std=model.std
    )


def build_data(config: Config, splits: IdentitySplits, preprocess: Preprocess) -> ReIDDataModule:
    """Returns the batches of a run."""
    data = config.data
    return ReIDDataModule(
        splits,
        preprocess=preprocess,
        validation=data.validation,
        identities=data.identities,
        images=data.images,
        batches_per_epoch=data.batches_per_epoch,
        cache=data.cache,
        workers=data.workers,
        eval_batch_size=data.eval_batch_size,
        seed=config.run.seed,
    )


def build_network(config: Config, *, classes: int, weights: str | None = None) -> ReIDNetwork:
    """Returns the network with a classifier over the training persons, from the configuration's weights or others."""
    model = config.model
    return ReIDNetwork(
        model.backbone,
        num_classes=classes,
        pooling=model.pooling,
        neck=model.neck,
        embedding_dim=model.embedding_dim,
        last_stride=model.last_stride or 1,
        weights=model.weights if weights is None else weights,
        image_size=(model.height, model.width),
        drop_path=model.drop_path,
        embedding=model.embedding,
    )


def build_module(config: Config, preprocess: Preprocess, *, classes: int) -> ReIDModule:
    """Returns the network with all that trains it."""
    network = build_network(config, classes=classes)
    optim = asdict(config.optim)
    ema, freeze_epochs = optim.pop("ema"), optim.pop("freeze_epochs")
    schedule_names = (
        "schedule",
        "per",
        "count_from",
        "warmup_epochs",
        "warmup_factor",
        "milestones",
        "step_epochs",
        "gamma",
        "flat_epochs",
        "final_factor",
    )
    schedule = {name: optim.pop(name) for name in schedule_names}
    epochs = config.trainer.max_epochs or 1

    def make_schedule(optimizer: torch.optim.Optimizer, steps_per_epoch: int) -> Any:
        return build_schedule(optimizer, epochs=epochs, steps_per_epoch=steps_per_epoch, **schedule)

    module = ReIDModule(
        network,
        objective=Objective(classes=classes, embedding_dim=network.embedding_dim, **asdict(config.loss)),
        preprocess=preprocess,
        augment=BatchAugment(**asdict(config.augment)),
        build_optimizer=partial(build_optimizer, **optim),
        build_schedule=make_schedule,
        ema_decay=ema,
        freeze_epochs=freeze_epochs,
        channels_last=config.engine.channels_last,
        seed=config.run.seed,
        metadata=checkpoint.metadata(network, preprocess, provenance=_provenance(config), licence=_licence(config)),
    )
    if config.engine.compile:
        network.compile()
    return module


def build_trainer(
    config: Config, folder: Path, *, resumed_step: int | None = None, callbacks: Sequence[Callback] = ()
) -> Trainer:
    """Returns the Trainer, which keeps `last`, and the best by `run.monitor` where there are validation persons.

    Args:
        config: Of the run.
        folder: Where it writes.
        resumed_step: The step a resumed run goes on from.
        callbacks: Further ones.
    """
    arguments = config.trainer.arguments()
    callbacks = [EpochReport(), LearningRateMonitor("step"), *callbacks]
    if arguments["enable_progress_bar"] is not False:
        arguments["enable_progress_bar"] = bars_can_be_seen()
        callbacks += [Bars()] if bars_can_be_seen() else []
    if arguments["enable_checkpointing"] is not False and not arguments["fast_dev_run"]:
        checkpoints = folder / "checkpoints"
        kept = partial(
            ModelCheckpoint, dirpath=checkpoints, enable_version_counter=False, auto_insert_metric_name=False
        )
        callbacks.append(kept(filename="last", save_on_train_epoch_end=True))
        callbacks.append(SaveOnInterrupt(checkpoints / "last.ckpt"))
        if config.data.validation > 0:
            callbacks.append(kept(filename="best", monitor=config.run.monitor, mode="max"))
    loggers = build_loggers(config, folder, resumed_step=resumed_step)
    try:
        return Trainer(**arguments, callbacks=callbacks, logger=loggers, plugins=[AtomicCheckpointIO()])
    except TypeError as error:  # Lightning's word for some wrong settings
        raise ValueError(f"trainer: {error}") from None


def build_tracking_metric(config: Config) -> list[TrackingMetric]:
    """Returns what tracks a video at validation, where one is given.

    Raises:
        FileNotFoundError: One of its files is missing.
        ValueError: The section is incomplete, its files are bad, or `run.monitor` needs it more often than it is there.
    """
    metric, monitor, between = config.tracking_metric, config.run.monitor, config.trainer.check_val_every_n_epoch or 1
    monitored = monitor in ("val/idf1", "val/hota")
    if metric.video is None:
        if monitored:
            raise ValueError(f"run.monitor: got '{monitor}'; expected tracking_metric.video to be set with it")
        return []
    if metric.detections is None or metric.ground_truth is None:
        missing = "detections" if metric.detections is None else "ground_truth"
        raise ValueError(f"tracking_metric.{missing}: got null; expected a file that belongs to tracking_metric.video")
    if not config.data.validation:
        raise ValueError("tracking_metric.video: got no validation to track it in; set data.validation, such as 0.2")
    if monitored and between % metric.every_n_epochs:
        raise ValueError(
            f"tracking_metric.every_n_epochs: got {metric.every_n_epochs}; expected a divisor of "
            f"trainer.check_val_every_n_epoch ({between}), since run.monitor needs every validation"
        )
    return [
        TrackingMetric(
            metric.video,
            detections=metric.detections,
            ground_truth=metric.ground_truth,
            scale=metric.scale,
            every_n_epochs=metric.every_n_epochs,
            preset=metric.preset,
            false_match_rate=config.run.false_match_rate,
        )
    ]


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
        provenance=_provenance(config) | {"scores": result.scores, "minutes": round(minutes, 2)},
        licence=_licence(config),
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


def _provenance(config: Config) -> dict[str, Any]:
    """Returns how the model came about."""
    packages = ("torch", "lightning", "timm")
    return {
        "experiment": config.run.experiment,
        "config": asdict(config),
        "git": _git_commit(),
        "seed": config.run.seed,
        "dataset": config.data.kind,
        "versions": {"mot_reid": __version__} | {name: version(name) for name in packages},
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def _git_commit() -> str | None:
    """The commit of the code, with `+changes` where files differ from it; None outside a checkout."""
    here = Path(__file__).parent
    try:
        found = subprocess.run(
            ["git", "-C", str(here), "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=+changes"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip()


def _licence(config: Config) -> str:
    return LICENCES.get(config.data.kind, OWN_DATA)
