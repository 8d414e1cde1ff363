"""What a Config becomes: data, network, module, Trainer; each builder reads its own sections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning import Callback, Trainer
from lightning.pytorch.callbacks import LearningRateMonitor

from mot_reid.data.identities import IdentitySplits, IdentityTable
from mot_reid.data.origins import Origin, find_origins
from mot_reid.data.sources import Source
from mot_reid.data.sources import read_sources as read_data_sets
from mot_reid.reid import checkpoint, osnet
from mot_reid.reid.network import ReIDNetwork
from mot_reid.reid.preprocess import Preprocess
from mot_reid.reid.teacher import Teacher
from mot_reid.settings.load import LEAST_SIDE, AnyConfig, Config
from mot_reid.training.augment import BatchAugment
from mot_reid.training.averaged_module import BuildOptimizer, BuildSchedule
from mot_reid.training.bars import Bars, bars_can_be_seen
from mot_reid.training.checkpointing import KeepCheckpoints, SaveOnInterrupt, trainer_plugins
from mot_reid.training.datamodule import ReIDDataModule
from mot_reid.training.distill import Distillation
from mot_reid.training.host import keep_freed_memory
from mot_reid.training.length import run_epochs
from mot_reid.training.loggers import build_loggers
from mot_reid.training.mixstyle import MixStyle
from mot_reid.training.module import ReIDModule
from mot_reid.training.objective import Objective
from mot_reid.training.optim import build_optimizer, build_schedule
from mot_reid.training.progress import Curves, EpochReport, Heartbeat
from mot_reid.training.provenance import fingerprint, initial_weights, licence, provenance
from mot_reid.training.sync_batchnorm import SyncBatchNorm
from mot_reid.training.teacher_views import TeacherViews, read_or_embed
from mot_reid.training.tracking_metric import TrackingMetric
from mot_reid.training.training_images import TrainingImages


def prepare_host(config: AnyConfig) -> None:
    """Sets the threads of torch and what becomes of freed memory, for the whole process."""
    if config.engine.threads is not None:
        torch.set_num_threads(config.engine.threads)
    if config.engine.keep_memory:
        keep_freed_memory()


def read_sources(config: Config) -> list[Source]:
    """Returns the data sets that the configuration names; synthetic people are made on first use."""
    data, drawing = config.data, asdict(config.synthetic)
    return read_data_sets(data.root, kind=data.kind, official_counts=data.official_counts, drawing=drawing)


def check_batch(config: Config, *, processes: int = 1) -> None:
    """Refuses batches that a loss cannot compare anything in, or that batch norm cannot normalise.

    Args:
        config: Of the run.
        processes: Among which the persons of a batch are shared out.

    Raises:
        ValueError: A process would get one person only, or one image of each, and a loss compares persons; or one image
            alone; or persons cannot be shared out evenly.
    """
    paired = [name for name in ("triplet", "weighted_triplet", "circle") if getattr(config.loss, name)]
    data, shared = config.data, f" for {processes} processes" if processes > 1 else ""
    if data.identities % processes:
        raise ValueError(
            f"data.identities: got {data.identities}{shared}; expected a multiple, so that each gets whole persons"
        )
    each = f" {2 * processes} or more, two for each process," if processes > 1 else " 2 or more,"
    for key, least, rule in (("identities", 2 * processes, each), ("images", 2, " 2 or more,")):
        if paired and getattr(data, key) < least:
            raise ValueError(
                f"data.{key}: got {getattr(data, key)}{shared}; expected{rule} since loss.{paired[0]} compares "
                f"images of a person with those of others; raise it, or set loss.{paired[0]}=0"
            )
    if data.batch_size // processes < 2:
        raise ValueError(
            f"data.images: got batches of one image{shared}; expected two or more in each, since batch norm compares "
            "them; raise data.images or data.identities"
        )


def check_small_images(config: Config) -> None:
    """Refuses a start with images so small that the backbone has nothing left of them.

    Raises:
        ValueError: They are.
    """
    scale, model = config.progressive.scale, config.model
    height, width = round(model.height * scale), round(model.width * scale)
    if config.progressive.share and min(height, width) < LEAST_SIDE:
        raise ValueError(
            f"progressive.scale: got {scale:g}, images of {height}x{width}; expected {LEAST_SIDE} pixels or more each "
            "way; raise it"
        )
    if config.progressive.share and model.backbone in osnet.NAMES:
        osnet.check_size(model.backbone, (height, width))


def build_preprocess(config: Config) -> Preprocess:
    """Returns what happens to a crop in training, validation and serving alike."""
    model = config.model
    return Preprocess(
        height=model.height, width=model.width, interpolation=model.interpolation, mean=model.mean, std=model.std
    )


def build_data(config: Config, splits: Sequence[IdentitySplits], preprocess: Preprocess) -> ReIDDataModule:
    """Returns the batches of a run.

    Args:
        config: Of the run.
        splits: Of each of its data sets.
        preprocess: What happens to a crop.
    """
    data = config.data
    return ReIDDataModule(
        splits,
        preprocess=preprocess,
        share=data.share,
        validation=data.validation,
        validation_cameras=data.validation_cameras,
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
        non_local=model.non_local,
        input_norm=model.input_norm,
    )


def build_distillation(config: Config, train: IdentityTable | None, *, embedding_dim: int) -> Distillation | None:
    """Returns what is learned from a teacher, who is asked now about the training crops; None without one."""
    distill = config.distill
    if distill.teacher is None or train is None:
        return None
    preprocess = None
    if distill.teacher_size is not None:
        height, width = distill.teacher_size
        preprocess = Preprocess(
            height=height, width=width, color=distill.teacher_color, mean=distill.teacher_mean, std=distill.teacher_std
        )
    embeddings = read_or_embed(
        Teacher(distill.teacher, preprocess=preprocess),
        train,
        views=distill.views,
        crops_name=fingerprint(train),
        folder=distill.cache,
    )
    return Distillation(
        TeacherViews(embeddings), embedding_dim=embedding_dim, cosine=distill.cosine, relation=distill.relation
    )


class Optimisation(NamedTuple):
    """How the weights of a run move.

    Attributes:
        build_optimizer: Of named parameters.
        build_schedule: From the optimiser and the number of steps in an epoch.
    """

    build_optimizer: BuildOptimizer
    build_schedule: BuildSchedule


def build_optimisation(config: AnyConfig) -> Optimisation:
    """Returns what makes the optimiser and its schedule."""
    optim = asdict(config.optim)
    if optim["fused"] is None:
        optim["fused"] = not config.trainer.gradient_clip_val  # Lightning refuses both in mixed precision
    del optim["ema"], optim["freeze_epochs"]
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
    max_epochs, max_steps = config.trainer.max_epochs, config.trainer.max_steps

    def make_schedule(optimizer: torch.optim.Optimizer, steps_per_epoch: int) -> Any:
        epochs = run_epochs(max_epochs=max_epochs, max_steps=max_steps, steps_per_epoch=steps_per_epoch)
        epochs = epochs or 1.0  # a run without a step has no rate
        return build_schedule(optimizer, epochs=epochs, steps_per_epoch=steps_per_epoch, **schedule)

    return Optimisation(partial(build_optimizer, **optim), make_schedule)


def build_objective(config: Config, *, classes: int, embedding_dim: int) -> Objective | None:
    """Returns what labels teach; None where only a teacher does."""
    loss = config.loss
    weights = (loss.cross_entropy, loss.triplet, loss.weighted_triplet, loss.centre, loss.circle)
    if config.distill.teacher is not None and not any(weights):
        return None
    return Objective(classes=classes, embedding_dim=embedding_dim, **asdict(loss))


def build_module(
    config: Config,
    preprocess: Preprocess,
    *,
    classes: int,
    crops: str | None = None,
    train: IdentityTable | None = None,
    origins: Sequence[Origin] = (),
) -> ReIDModule:
    """Returns the network with all that trains it.

    Args:
        config: Of the run.
        preprocess: What its checkpoints say happens to a crop.
        classes: Training persons.
        crops: The fingerprint of their crops.
        train: Those crops, which a teacher sees; None: no teacher is asked.
        origins: Where they come from; none: `data.kind` is all that is known of them.
    """
    network = build_network(config, classes=classes)
    origins = origins or find_origins((), kind=config.data.kind, official=config.data.official_counts)
    initial = initial_weights(config.model.weights, config.model.backbone)
    augment = asdict(config.augment)
    calm_share, mixstyle = augment.pop("calm_share"), None
    if probability := augment.pop("mixstyle"):
        mixstyle = MixStyle(probability)
        mixstyle.attach(network.backbone, name=config.model.backbone)
    optimisation = build_optimisation(config)
    module = ReIDModule(
        network,
        objective=build_objective(config, classes=classes, embedding_dim=network.embedding_dim),
        distillation=build_distillation(config, train, embedding_dim=network.embedding_dim),
        images=TrainingImages(
            preprocess,
            BatchAugment(**augment),
            calm_share=calm_share,
            small_share=config.progressive.share,
            small_scale=config.progressive.scale,
        ),
        build_optimizer=optimisation.build_optimizer,
        build_schedule=optimisation.build_schedule,
        ema_decay=config.optim.ema,
        freeze_epochs=config.optim.freeze_epochs,
        channels_last=config.engine.channels_last,
        mixstyle=mixstyle,
        seed=config.run.seed,
        metadata=checkpoint.metadata(
            network,
            preprocess,
            provenance=provenance(config, origins=origins, crops=crops, initial=initial),
            licence=licence(origins, initial, teacher=config.distill.teacher),
        ),
    )
    for part in _idle_parts(module):
        network.get_submodule(part).requires_grad_(False)
    if config.engine.compile:
        network.compile(mode=config.engine.compile_mode)
    return module


def _idle_parts(module: ReIDModule) -> set[str]:
    """Returns the parts of the network that no loss sees: "classifier", "neck", both or none.

    Their parameters would get no gradient, for which processes that average gradients wait in vain.
    """
    network, objective = module.network, module.objective
    idle = {"classifier", "neck"} if objective is None else set(objective.idle())
    if module.distillation is not None and network.taken == "after_neck":
        idle.discard("neck")
    return idle


def build_trainer(
    config: AnyConfig,
    folder: Path,
    *,
    monitor: str | None = None,
    resumed_step: int | None = None,
    callbacks: Sequence[Callback] = (),
) -> Trainer:
    """Returns the Trainer, which keeps `last`, and the best where it is told by which score.

    Args:
        config: Of the run.
        folder: Where it writes.
        monitor: The validation score of which the highest is the best; None keeps no best.
        resumed_step: The step a resumed run goes on from.
        callbacks: Further ones.
    """
    arguments = config.trainer.arguments()
    callbacks = [EpochReport(), Heartbeat(), Curves(folder), LearningRateMonitor("step"), *callbacks]
    if arguments["enable_progress_bar"] is not False:
        arguments["enable_progress_bar"] = bars_can_be_seen()
        # a bar shows the loss, for which an accelerator would wait at every step
        refresh = (config.trainer.log_every_n_steps or 1) if torch.cuda.is_available() else 1
        callbacks += [Bars(refresh_rate=refresh)] if bars_can_be_seen() else []
    if arguments["enable_checkpointing"] is not False and not arguments["fast_dev_run"]:
        checkpoints = folder / "checkpoints"
        callbacks.append(SaveOnInterrupt(checkpoints / "last.ckpt"))
        callbacks.append(KeepCheckpoints(checkpoints, monitor=monitor))
    loggers = build_loggers(config, folder, resumed_step=resumed_step)
    plugins = trainer_plugins()
    if arguments.pop("sync_batchnorm"):
        plugins.append(SyncBatchNorm())
    try:
        trainer = Trainer(**arguments, callbacks=callbacks, logger=loggers, plugins=plugins)
    except TypeError as error:  # Lightning's word for some wrong settings
        raise ValueError(f"trainer: {error}") from None
    if isinstance(config, Config):
        check_batch(config, processes=trainer.world_size)
    return trainer


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
