"""The training of an action classifier: from its settings to one that is ready to run, and what becomes of it."""

from __future__ import annotations

import logging
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from lightning import Trainer
from torch import nn

from mot_reid.actions import model_file
from mot_reid.actions.model_file import ClipFormat
from mot_reid.actions.networks import NETWORKS, create, fill, pretrained_licence
from mot_reid.data.action_clips import ClipSplits, ClipTable, read_clips
from mot_reid.data.origins import SYNTHETIC
from mot_reid.data.synthetic_actions import generate
from mot_reid.data.track_clips import CONTEXT
from mot_reid.files import given_by
from mot_reid.metrics.confusion import as_text
from mot_reid.settings.load import ActionConfig
from mot_reid.training.action_data import ActionDataModule
from mot_reid.training.action_module import ActionModule
from mot_reid.training.builders import build_optimisation
from mot_reid.training.clip_augment import ClipAugment
from mot_reid.training.header import device_of
from mot_reid.training.provenance import check_same_crops, fingerprint_of, go_on, own_weights, run_provenance
from mot_reid.training.published import publish
from mot_reid.training.result import FitResult, Prepared, choose, scores_of
from mot_reid.training.resuming import read_resumable

log = logging.getLogger(__name__)


def prepared_actions(config: ActionConfig, *, resumed: str | None, started: float) -> Prepared:
    """Returns the training of an action classifier, ready to run.

    Args:
        config: Of the run.
        resumed: The checkpoint that it goes on from.
        started: When, by `time.perf_counter`.

    Raises:
        FileNotFoundError: Clips or weights are missing.
        ValueError: The clips, the network or the checkpoint do not suit the settings.
        RuntimeError: Pretrained weights cannot be had.
    """
    splits = _read(config)
    clip = _clip_format(config)
    train = splits.train
    prints = fingerprint_of(train.path.tolist(), [(splits.classes[label],) for label in train.label.tolist()])
    data = ActionDataModule(
        splits,
        clip=clip,
        batch_size=config.data.batch_size,
        eval_batch_size=config.data.eval_batch_size,
        cache=config.data.cache,
        workers=config.data.workers,
        seed=config.run.seed,
    )
    module = build_action_module(config, splits.classes, clip, prints=prints)
    resumed_step = None
    if resumed is not None:
        resumed_step = read_resumable(resumed, module.state_dict(), config=asdict(config))
        check_same_crops(resumed, prints, root=config.data.root)
        module.metadata = go_on(module.metadata, resumed)
    return Prepared(
        monitor=config.run.monitor if len(splits.validation) else None,
        callbacks=(),
        resumed_step=resumed_step,
        header=lambda trainer: _header(trainer, config, module, data),
        run=lambda trainer: _run(config, trainer, module, data, resumed=resumed, started=started),
    )


def build_action_module(
    config: ActionConfig, classes: tuple[str, ...], clip: ClipFormat, *, prints: str
) -> ActionModule:
    """Returns the network with all that trains it.

    Args:
        config: Of the run.
        classes: Names of the actions.
        clip: What the network takes.
        prints: The fingerprint of the training clips.
    """
    model, optimisation = config.model, build_optimisation(config)
    network = _network(config, classes=len(classes), clip=clip)
    terms = SYNTHETIC.licence if config.data.kind == "synthetic" else "that of the clips it was trained on"
    initial = _initial(config)
    provenance = run_provenance(
        config,
        dataset=f"{config.data.kind} clips of {', '.join(classes)}",
        crops=prints,
        initial=initial,
        network_package="torchvision",
    )
    told = "; ".join(dict.fromkeys([terms] if initial is None else [terms, initial["licence"]]))
    module = ActionModule(
        network,
        name=model.network,
        clip=clip,
        classes=len(classes),
        augment=ClipAugment(**asdict(config.augment)),
        build_optimizer=optimisation.build_optimizer,
        build_schedule=optimisation.build_schedule,
        label_smoothing=config.loss.label_smoothing,
        ema_decay=config.optim.ema,
        freeze_epochs=config.optim.freeze_epochs,
        channels_last=config.engine.channels_last,
        seed=config.run.seed,
        metadata=model_file.metadata(model.network, classes, clip, provenance=provenance, licence=told),
    )
    if config.engine.compile:
        network.compile(mode=config.engine.compile_mode)
    return module


def _read(config: ActionConfig) -> ClipSplits:
    """Returns the clips; synthetic ones are drawn on first use."""
    data, drawing = config.data, config.synthetic
    if data.kind == "synthetic":
        log.info("synthetic clips: in '%s', drawn if they are not there yet", data.root)
        generate(data.root, seconds=data.seconds, **asdict(drawing))
    return read_clips(data.root, validation=data.validation)


def _clip_format(config: ActionConfig) -> ClipFormat:
    model = config.model
    return ClipFormat(
        frames=model.frames,
        height=model.height,
        width=model.width,
        seconds=config.data.seconds,
        context=CONTEXT,
        mean=model.mean,
        std=model.std,
    )


def _network(config: ActionConfig, *, classes: int, clip: ClipFormat) -> nn.Module:
    """Returns the network with its first weights; those of another run without its classifier."""
    model = config.model
    own = model.weights not in ("none", "pretrained")
    weights = "none" if own else model.weights
    network = create(model.network, classes=classes, frames=clip.frames, size=clip.size, weights=weights)
    if own:
        if not Path(model.weights).is_file():
            raise FileNotFoundError(
                f"model.weights: got '{model.weights}'; expected pretrained, none, or the model.safetensors of a run "
                "that trained an action classifier"
            )
        with given_by("model.weights"):
            fill(network, dict(model_file.load(model.weights).network.state_dict()), head=NETWORKS[model.network].head)
    return network


def _initial(config: ActionConfig) -> dict[str, Any] | None:
    """Returns what is known of the first weights; None where they are random."""
    model = config.model
    if model.weights == "none":
        return None
    if model.weights == "pretrained":
        return {"name": f"torchvision's {model.network}", "licence": pretrained_licence(model.network)}
    path = Path(model.weights)
    return own_weights(path, model_file.describe(path))


def _header(trainer: Trainer, config: ActionConfig, module: ActionModule, data: ActionDataModule) -> str:
    """Returns the first lines of a run."""
    parameters = sum(parameter.numel() for parameter in module.network.parameters())
    splits, clip = data.splits, data.clip

    def counted(table: ClipTable) -> str:
        return f"{len(table):,} clips" if len(table) else "none"

    rows = {
        "actions": ", ".join(splits.classes),
        "training": f"{counted(splits.train)}; {data.batches_per_epoch} batches in an epoch",
        "validation": counted(splits.validation),
        "test": counted(splits.test),
        "network": f"{config.model.network}, {parameters / 1e6:.2f} million parameters, {clip.frames} frames of "
        f"{clip.height}x{clip.width} from {clip.seconds:g} s",
        "device": f"{device_of(trainer)}, precision {trainer.precision}",
        "folder": config.run.dir,
    }
    return "\n".join(f"{name:<11} {text}" for name, text in rows.items())


def _run(
    config: ActionConfig,
    trainer: Trainer,
    module: ActionModule,
    data: ActionDataModule,
    *,
    resumed: str | None,
    started: float,
) -> FitResult:
    """Trains, chooses, scores and exports."""
    result = FitResult(Path(config.run.dir))
    trainer.fit(module, datamodule=data, ckpt_path=resumed)
    speed = trainer.callback_metrics.get("train/images_per_second")
    result = replace(result, images_per_second=None if speed is None else float(speed))
    if trainer.fast_dev_run:  # type: ignore[attr-defined]
        return result
    exported = choose(trainer, module)
    found: dict[str, float] = {}
    if len(data.splits.validation):
        found |= scores_of(trainer.validate(module, datamodule=data, verbose=False))
        _tell(trainer, module, data, "validation")
    if len(data.splits.test) and config.run.score_test:
        found |= scores_of(trainer.test(module, datamodule=data, verbose=False))
        _tell(trainer, module, data, "test")
    result = replace(result, scores=found, model=result.folder / "model.safetensors", exported=exported)
    if trainer.is_global_zero:
        assert result.model is not None
        minutes = round((time.perf_counter() - started) / 60, 2)
        more = {"scores": found, "minutes": minutes, "exported": asdict(exported)}
        network = create(config.model.network, classes=module.classes, frames=data.clip.frames, size=data.clip.size)
        network.load_state_dict({name: value.contiguous() for name, value in module.averaged_state().items()})
        provenance = {**module.metadata["provenance"], **more}
        model_file.save(result.model, network, {**module.metadata, "provenance": provenance})
        publish(
            trainer.loggers,
            result.folder,
            model=result.model,
            described=model_file.describe(result.model),
            name=config.run.name,
            scores=found,
            exported=asdict(exported),
            ranked=None,
            timeline=None,
            log_model=config.logger.log_model,
        )
        log.info("exported: %s", exported)
    return result


def _tell(trainer: Trainer, module: ActionModule, data: ActionDataModule, name: str) -> None:
    """Says which action was taken for which."""
    if trainer.is_global_zero:
        log.info("%s clips\n%s", name, as_text(module.confusion.cpu().numpy(), data.splits.classes))
