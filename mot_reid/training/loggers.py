"""Where the curves go: a CSV file always, and the services that are asked for."""

from __future__ import annotations

import csv
import logging
import netrc
import os
from collections.abc import Callable
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from lightning.pytorch.loggers import CSVLogger, Logger, MLFlowLogger, TensorBoardLogger, WandbLogger

from mot_reid.extras import install
from mot_reid.settings.load import AnyConfig

log = logging.getLogger(__name__)

ANSWER_SECONDS = 20
MLFLOW_HINT = install("mlflow")


def build_loggers(config: AnyConfig, folder: Path, *, resumed_step: int | None = None) -> list[Logger]:
    """Returns the CSV logger, and those that the configuration names.

    Args:
        config: Of the run.
        folder: The run's own.
        resumed_step: The step a resumed run goes on from; what its CSV file holds up to there is kept.

    Raises:
        ModuleNotFoundError: The package of the logger is not installed; the message names it.
    """
    loggers: list[Logger] = [_csv(folder, resumed_step)]
    for name in dict.fromkeys(config.logger.name):
        if name not in SERVICES or config.trainer.fast_dev_run:
            continue
        service = SERVICES[name](config, folder)
        service.log_hyperparams(asdict(config))
        loggers.append(service)
    return loggers


def close_loggers(loggers: list[Logger]) -> None:
    """Ends W&B's run, which would take in the next one of this process."""
    for logger in loggers:
        if isinstance(logger, WandbLogger) and logger._experiment is not None:
            logger.experiment.finish()


def _csv(folder: Path, resumed_step: int | None) -> CSVLogger:
    """The CSV logger; Lightning's own begins with an empty file, also in a resumed run."""
    path = folder / "metrics.csv"
    logger = CSVLogger(folder, name="", version="", flush_logs_every_n_steps=1)
    if resumed_step is None or not path.is_file():
        return logger
    with path.open(newline="", encoding="utf-8") as file:
        rows = [{name: text for name, text in row.items() if text} for row in csv.DictReader(file)]
    for row in rows:
        if int(row["step"]) < resumed_step:
            logger.log_metrics({k: float(v) for k, v in row.items() if k != "step"}, step=int(row["step"]))
    return logger


def _wandb(config: AnyConfig, folder: Path) -> WandbLogger:
    """W&B's logger, offline where logging in would need a person."""
    settings = config.logger
    offline = os.environ.get("WANDB_MODE") == "offline" or not _has_wandb_key()
    if offline:
        log.warning("W&B: logging offline to %s; upload it later with `wandb sync`", folder / "wandb")
    logger = WandbLogger(
        name=config.run.name,
        project=settings.project,
        entity=settings.entity,
        group=settings.group,
        tags=list(settings.tags),
        notes=settings.notes,
        save_dir=folder,
        offline=offline,
        settings={"silent": offline},
    )
    logger._wandb_init.pop("anonymous", None)  # W&B warns of it, and Lightning always passes it
    return logger


def _tensorboard(config: AnyConfig, folder: Path) -> TensorBoardLogger:
    """TensorBoard's logger, with a folder in the run."""
    _require("tensorboard", hint="pip install tensorboard")
    return TensorBoardLogger(folder, name="tensorboard", version="", default_hp_metric=False)


def _mlflow(config: AnyConfig, folder: Path) -> MLFlowLogger:
    """MLflow's logger, with a database in the run where no address is given."""
    uri = config.logger.uri or f"sqlite:///{(folder / 'mlflow.db').absolute()}"
    _require("mlflow", *(("sqlalchemy", "alembic") if uri.startswith("sqlite:") else ()), hint=MLFLOW_HINT)
    if uri.startswith(("http:", "https:")):
        _require_answer(uri)
    return MLFlowLogger(experiment_name=config.logger.project, run_name=config.run.name, tracking_uri=uri)


def _require_answer(uri: str) -> None:
    """Refuses a server that cannot be reached, which MLflow itself would go on asking for minutes."""
    try:
        urlopen(uri, timeout=ANSWER_SECONDS).close()
    except HTTPError:  # an answer, though to another question
        return
    except (OSError, ValueError) as error:
        raise ConnectionError(
            f"logger.uri: got '{uri}' ({getattr(error, 'reason', error)}); expected a server that answers; start it, "
            "or leave logger.uri out for a database in the run"
        ) from None


def _require(*modules: str, hint: str) -> None:
    """Refuses where a package is missing, before anything of it is asked for."""
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise ModuleNotFoundError(f"logger: '{missing[0]}' is not installed; {hint}")


def _has_wandb_key() -> bool:
    """Whether W&B can log in without asking a person."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai").rpartition("/")[2]
    try:
        return netrc.netrc().authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


SERVICES: dict[str, Callable[[AnyConfig, Path], Logger]] = {
    "wandb": _wandb,
    "tensorboard": _tensorboard,
    "mlflow": _mlflow,
}
"""What builds the logger of each name except `csv`."""
