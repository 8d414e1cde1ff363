"""The keys of `mot-reid fit-detector`: types, rules and meanings; the values are in `configs/fit_detector.yaml`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated

from mot_reid.settings.schema import Between, Count, OneOf, Positive, Share
from mot_reid.settings.training import Logger


@dataclass(frozen=True, kw_only=True)
class DetectorRun:
    """Which run this is, and where it writes."""

    name: Annotated[str, "name of the run"]
    dir: Annotated[str, "folder the run writes to"]
    seed: Annotated[int, Between(0), "seed of every random number"]


@dataclass(frozen=True, kw_only=True)
class DetectorModel:
    """Which network."""

    weights: Annotated[
        str, "network to start from: a .pt file, a model name of Ultralytics, or a .yaml to start without weights"
    ]
    image_size: Annotated[int, Count, "side of the network's input in pixels"]
    freeze: Annotated[int, Between(0), "number of layers, from the input on, that are frozen"]


@dataclass(frozen=True, kw_only=True)
class DetectorData:
    """Which frames."""

    root: Annotated[str, "folder made by mot-reid prepare-mot17"]
    batch_size: Annotated[int, Count, "frames in a batch"]
    share: Annotated[float, Share, "share of the training frames that is used"]
    workers: Annotated[int, Between(0), "processes that load frames"]


@dataclass(frozen=True, kw_only=True)
class DetectorOptim:
    """How the weights move."""

    name: Annotated[str, "optimiser: auto (Ultralytics chooses it and the learning rate), SGD, Adam, AdamW and others"]
    lr: Annotated[float | None, Positive, "learning rate; null with the optimiser auto"]


@dataclass(frozen=True, kw_only=True)
class DetectorTrainer:
    """How long, and on what."""

    max_epochs: Annotated[int, Count, "passes over the training frames"]
    patience: Annotated[int, Count, "stop after this many epochs without a better score"]
    device: Annotated[str, "auto, cpu, cuda, cuda:1 or mps"]
    fast_dev_run: Annotated[
        bool, "train one epoch on a hundredth of the frames, without services, to see that everything works"
    ]


@dataclass(frozen=True, kw_only=True)
class FitDetectorSettings:
    """Every setting of a detector's training."""

    run: DetectorRun
    model: DetectorModel
    data: DetectorData
    optim: DetectorOptim
    trainer: DetectorTrainer
    logger: Logger


@dataclass(frozen=True, kw_only=True)
class FitDetectorCall(FitDetectorSettings):
    """The settings of a run, and what belongs to the call alone."""

    ckpt: Annotated[str | None, OneOf(("last",)), "last: resume the run in run.dir"]
    json: Annotated[str | None, "file for the scores, as fractions"]

    def settings(self) -> FitDetectorSettings:
        """Returns the settings of the run, without what belongs to the call."""
        return FitDetectorSettings(**{f.name: getattr(self, f.name) for f in fields(FitDetectorSettings)})
