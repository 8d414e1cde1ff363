"""The composition root: a Config becomes objects, a Trainer runs them, a model comes out."""

from __future__ import annotations

import logging
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from lightning import Trainer, seed_everything

from mot_reid.data.identities import IdentityTable
from mot_reid.metrics.calibration import calibrate
from mot_reid.reid import checkpoint
from mot_reid.settings.load import AnyConfig, Config
from mot_reid.training.action_fit import prepared_actions
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
    read_sources,
)
from mot_reid.training.checkpointing import Interrupted, listening
from mot_reid.training.datamodule import ReIDDataModule, telling_of_dead_workers
from mot_reid.training.header import header, slow_precision
from mot_reid.training.host import is_first_process
from mot_reid.training.length import check_length
from mot_reid.training.loggers import close_loggers
from mot_reid.training.module import ReIDModule
from mot_reid.training.own_callbacks import own_callbacks
from mot_reid.training.provenance import check_same_crops, fingerprint, go_on
from mot_reid.training.published import Ranked, publish
from mot_reid.training.result import FitResult as FitResult
from mot_reid.training.result import Prepared, choose, scores_of
from mot_reid.training.resuming import find_checkpoint, read_resumable
from mot_reid.training.run_folder import LOG_NAME, opened, own_folder
from mot_reid.training.run_log import written_to
from mot_reid.training.tracking_metric import TrackingMetric

log = logging.getLogger(__name__)


def fit(config: AnyConfig, *, resume: str | None = None) -> FitResult:
    """Trains, chooses, scores and exports a model as the configuration says.

    Args:
        config: Every setting.
        resume: The path of a checkpoint to go on from; "last" for the latest of `run.dir`; "auto" for the same if there
            is one.

    Returns:
        Where things are and how good the model is.

    Raises:
        FileNotFoundError: Data, weights or the checkpoint to resume are missing.
        ValueError: A setting does not suit the data, or another run is in the folder.
        FloatingPointError: The loss became infinite or undefined.
    """
    started = time.perf_counter()
    check_length(config)
    if isinstance(config, Config):
        check_batch(config)
        check_small_images(config)
    with own_folder(config):
        result = _prepare_and_run(config, resume=resume, started=started)
    return replace(result, minutes=(time.perf_counter() - started) / 60)


def _prepare_and_run(config: AnyConfig, *, resume: str | None, started: float) -> FitResult:
    """Builds everything before the folder is touched, so that a mistake leaves it as it is; then runs."""
    folder = Path(config.run.dir)
    resumed = find_checkpoint(folder, resume)
    prepare_host(config)
    seed_everything(config.run.seed, workers=True, verbose=False)
    if isinstance(config, Config):
        task = _prepared(config, resumed=resumed, started=started)
    else:
        task = prepared_actions(config, resumed=resumed, started=started)
    own = own_callbacks(config.run.callbacks)
    with opened(config, keep=resumed is not None), _logged(folder, going_on=resumed is not None):
        trainer = build_trainer(
            config, folder, monitor=task.monitor, resumed_step=task.resumed_step, callbacks=[*task.callbacks, *own]
        )
        if trainer.is_global_zero:
            log.info(task.header(trainer))
            if slow := slow_precision(trainer):
                log.warning(slow)
        try:
            with listening(), telling_of_dead_workers():
                return task.run(trainer)
        except (Interrupted, KeyboardInterrupt):
            return FitResult(folder, interrupted=True)
        finally:
            close_loggers(trainer.loggers)


def _prepared(config: Config, *, resumed: str | None, started: float) -> Prepared:
    """Returns the training of a Re-ID model, ready to run."""
    sources = read_sources(config)
    preprocess = build_preprocess(config)
    data = build_data(config, [source.splits for source in sources], preprocess)
    crops = fingerprint(data.train)
    origins = list(dict.fromkeys(origin for source in sources for origin in source.origins))
    module = build_module(config, preprocess, classes=data.classes, crops=crops, train=data.train, origins=origins)
    resumed_step = None
    if resumed is not None:
        resumed_step = read_resumable(resumed, module.state_dict(), config=asdict(config))
        check_same_crops(resumed, crops, root=", ".join(config.data.root))
        module.metadata = go_on(module.metadata, resumed)
    return Prepared(
        monitor=config.run.monitor if config.data.validation else None,
        callbacks=build_tracking_metric(config),
        resumed_step=resumed_step,
        header=lambda trainer: header(trainer, module, data, Path(config.run.dir)),
        run=lambda trainer: _run(config, trainer, module, data, resumed=resumed, started=started),
    )


def _logged(folder: Path, *, going_on: bool) -> AbstractContextManager[None]:
    """Keeps what the run says in its folder, by the process that writes there."""
    return written_to(folder / LOG_NAME, going_on=going_on) if is_first_process() else nullcontext()


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
        module.test_name = "untrained"  # in the curves, where test/mAP is that of the model
        first = scores_of(trainer.test(module, datamodule=data, verbose=False))
        first = {name.replace("untrained/", "test/"): value for name, value in first.items()}
        result = replace(result, untrained=first)
        module.test_name = "test"
    trainer.fit(module, datamodule=data, ckpt_path=resumed)
    speed = trainer.callback_metrics.get("train/images_per_second")
    result = replace(result, images_per_second=None if speed is None else float(speed))
    if trainer.fast_dev_run:  # type: ignore[attr-defined]
        return result
    exported = choose(trainer, module)
    found: dict[str, float] = {}
    calibration = None
    if data.validation is not None:
        found |= scores_of(trainer.validate(module, datamodule=data, verbose=False))
        calibration = _calibrate(module, data, config.run.false_match_rate)
    if data.test is not None and config.run.score_test:
        found |= scores_of(trainer.test(module, datamodule=data, verbose=False))
    result = replace(result, scores=found, model=result.folder / "model.safetensors", exported=exported)
    if trainer.is_global_zero:
        _export(config, module, result, calibration, minutes=(time.perf_counter() - started) / 60)
        _publish(config, trainer, module, data, result)
        log.info("exported: %s", exported)
        if len(config.data.root) > 1 and config.run.score_test:
            log.info("test: several data sets are scored one by one: mot-reid evaluate checkpoint=%s", result.model)
        if data.validation is None:
            log.warning(
                "no calibrated threshold: nobody was held out to find it on; train with data.validation=0.1, find one "
                "on videos of your own by `mot-reid adapt`, or set the tracker's gate yourself"
            )
    return result


def _publish(config: Config, trainer: Trainer, module: ReIDModule, data: ReIDDataModule, result: FitResult) -> None:
    """Gives the services what they keep of a run besides its curves."""
    assert result.model is not None
    tables = data.test if data.test is not None and config.run.score_test else data.validation
    embedding = module.gathering.embeddings
    untrained = {name.replace("test/", "untrained/"): value for name, value in result.untrained.items()}
    publish(
        trainer.loggers,
        result.folder,
        model=result.model,
        described=checkpoint.describe(result.model),
        name=config.run.name,
        scores={**untrained, **result.scores},
        exported=None if result.exported is None else asdict(result.exported),
        ranked=None if tables is None or embedding is None else Ranked(*tables, embedding),
        timeline=next((c.timeline() for c in trainer.callbacks if isinstance(c, TrackingMetric)), None),  # type: ignore[attr-defined]
        log_model=config.logger.log_model,
    )


def _calibrate(module: ReIDModule, data: ReIDDataModule, false_match_rate: float) -> dict[str, Any] | None:
    """Returns the threshold found on the validation persons, as stored; None where they are too few."""
    assert data.validation is not None and module.gathering.embeddings is not None
    people = IdentityTable.concatenate(data.validation)
    try:
        found = calibrate(
            module.gathering.embeddings,
            person_id=people.person_id,
            camera_id=people.camera_id,
            source=data.validation_source,
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
    exported = None if result.exported is None else asdict(result.exported)
    checkpoint.save(
        result.model,
        network,
        module.preprocess,
        provenance=module.metadata["provenance"]
        | {"scores": result.scores, "minutes": round(minutes, 2), "exported": exported},
        licence=module.metadata["licence"],
        calibration=calibration,
    )
