"""The keys of `tools/fit_detector.py`: their types, what their values must satisfy, and what they mean.

Types only: every value is in `configs/fit_detector.yaml`.
"""

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

    weights: Annotated[str, "network to begin with: a .pt file, a name of Ultralytics' own, or a .yaml for none"]
    image_size: Annotated[int, Count, "side of the input in pixels"]
    freeze: Annotated[int, Between(0), "layers from the input on that stay as they are"]


@dataclass(frozen=True, kw_only=True)
class DetectorData:
    """Which frames."""

    root: Annotated[str, "folder made by tools/prepare_mot17.py"]
    batch_size: Annotated[int, Count, "frames in a step"]
    share: Annotated[float, Share, "of the training frames that are used"]
    workers: Annotated[int, Between(0), "processes that load frames"]


@dataclass(frozen=True, kw_only=True)
class DetectorOptim:
    """How the weights move."""

    name: Annotated[str, "auto (Ultralytics chooses, the learning rate too), SGD, Adam, AdamW .."]
    lr: Annotated[float | None, Positive, "learning rate; null with auto"]


@dataclass(frozen=True, kw_only=True)
class DetectorTrainer:
    """How long, and on what."""

    max_epochs: Annotated[int, Count, "passes over the training frames"]
    patience: Annotated[int, Count, "epochs without a better score after which it stops"]
    device: Annotated[str, "auto, cpu, cuda, cuda:1 or mps"]
    fast_dev_run: Annotated[bool, "one epoch on a hundredth of the frames, without services, to see that all works"]


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
