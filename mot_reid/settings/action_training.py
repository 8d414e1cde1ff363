"""The keys of `mot-reid fit` for an experiment with `task: actions`: types, rules and meanings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from mot_reid.settings.schema import Between, Count, OneOf, Positive, Share, Weight
from mot_reid.settings.training import AnyRun, Engine, Logger, Optim, Trainer


@dataclass(frozen=True, kw_only=True)
class ActionRun(AnyRun):
    """Which run this is, and where it writes."""

    monitor: Annotated[
        str,
        OneOf(("val/accuracy", "val/balanced_accuracy")),
        "validation score by which the best checkpoint is chosen; balanced: the mean over the actions",
    ]


@dataclass(frozen=True, kw_only=True)
class ActionNetwork:
    """Which network, and what it sees."""

    network: Annotated[
        str,
        "r3d_small, or torchvision's r3d_18, mc3_18, r2plus1d_18, s3d, mvit_v1_b, mvit_v2_s, swin3d_t, swin3d_s or "
        "swin3d_b",
    ]
    weights: Annotated[
        str, "pretrained (torchvision's, of Kinetics-400), none, or the model.safetensors of another run"
    ]
    frames: Annotated[int, Between(2), "frames of a clip that the network sees"]
    height: Annotated[int, Between(16), "height of those frames in pixels"]
    width: Annotated[int, Between(16), "width of those frames in pixels"]
    mean: Annotated[tuple[float, float, float], "RGB mean that is subtracted, for values from 0 to 1"]
    std: Annotated[tuple[float, float, float], Positive, "RGB standard deviation to divide by, for values from 0 to 1"]


@dataclass(frozen=True, kw_only=True)
class ActionData:
    """Which clips, and how they become batches."""

    kind: Annotated[
        str,
        OneOf(("folders", "synthetic")),
        "folders: root/CLASS/*.mp4, or root/train/CLASS, root/val/CLASS and root/test/CLASS; synthetic: drawn people",
    ]
    root: Annotated[str, "folder of the clips"]
    seconds: Annotated[
        float, Positive, "length of what the network sees; of a longer clip a part, and tracks are cut into such parts"
    ]
    validation: Annotated[
        float, Between(0, 0.9), "share of each class held out to choose a model, where root has no folder val"
    ]
    batch_size: Annotated[int, Between(2), "clips in a training batch"]
    eval_batch_size: Annotated[int, Count, "clips per batch in validation and test"]
    cache: Annotated[
        str, OneOf(("memory", "none")), "whether decoded clips stay in memory; none: decoded again in every epoch"
    ]
    workers: Annotated[int, Between(0), "processes that decode clips where they are not cached"]


@dataclass(frozen=True, kw_only=True)
class SyntheticActions:
    """The synthetic people of `data.kind=synthetic`: each does each of the actions."""

    train: Annotated[int, Between(2), "persons to train on"]
    validation: Annotated[int, Count, "persons to choose a model by"]
    test: Annotated[int, Count, "persons to score on"]
    seed: Annotated[int, Between(0), "seed of the drawing"]


@dataclass(frozen=True, kw_only=True)
class ActionAugment:
    """What happens to a training clip; to all of its frames alike."""

    flip: Annotated[float, Share, "probability of a horizontal flip; 0 where left and right are different actions"]
    pad: Annotated[int, Between(0), "pixels of repeated border added before a random crop back to size; 0 for none"]
    brightness: Annotated[float, Weight, "largest relative change of brightness"]
    contrast: Annotated[float, Weight, "largest relative change of contrast"]


@dataclass(frozen=True, kw_only=True)
class ActionLoss:
    """The loss: cross-entropy."""

    label_smoothing: Annotated[float, Share, "share of the target that is spread over all actions"]


@dataclass(frozen=True, kw_only=True)
class ActionConfig:
    """Every setting of the training of an action classifier, resolved and frozen."""

    task: Annotated[str, OneOf(("actions",)), "what is trained; fixed by the experiment's bases"]
    run: ActionRun
    model: ActionNetwork
    data: ActionData
    synthetic: SyntheticActions
    augment: ActionAugment
    loss: ActionLoss
    optim: Optim
    engine: Engine
    trainer: Trainer
    logger: Logger
