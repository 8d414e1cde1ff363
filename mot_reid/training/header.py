"""What a run says of itself before its first step: who is in it, what is trained, where and on what."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from lightning import Trainer

from mot_reid.data.identities import IdentityTable
from mot_reid.training.datamodule import ReIDDataModule
from mot_reid.training.module import ReIDModule


def header(trainer: Trainer, module: ReIDModule, data: ReIDDataModule, folder: Path) -> str:
    """Returns the first lines of a run.

    Args:
        trainer: Its devices and precision.
        module: What is trained.
        data: Who is in it.
        folder: Where the run writes.
    """
    parameters = sum(parameter.numel() for parameter in module.network.parameters())
    every = trainer.check_val_every_n_epoch
    nobody = "nobody is held out (data.validation=0)"
    if every is not None:
        nobody += f", so trainer.check_val_every_n_epoch={every} does nothing"
    batch = f"{data.batches_per_epoch} batches of {data.identities} persons x {data.images} images in an epoch"
    shares = data.sampler.in_a_batch()
    if len(shares) > 1:
        batch += f"; {len(shares)} data sets, at most {', '.join(map(str, shares))} persons of each in a batch"
    size = f"{module.preprocess.height}x{module.preprocess.width}"
    rows = {
        "training": f"{_people(data.train)}; {batch}",
        "validation": nobody if data.validation is None else _people(*data.validation),
        "test": "none" if data.test is None else _people(*data.test),
        "network": f"{module.network.config['backbone']}, {parameters / 1e6:.2f} million parameters, images of {size}",
        "device": f"{device_of(trainer)}, precision {trainer.precision}",
        "folder": str(folder),
    }
    return "\n".join(f"{name:<11} {text}" for name, text in rows.items())


def slow_precision(trainer: Trainer) -> str:
    """Returns a sentence where a CPU trains in bfloat16 without instructions for it, and an empty text elsewhere."""
    slow = trainer.strategy.root_device.type == "cpu" and not torch.ops.mkldnn._is_mkldnn_bf16_supported()
    if not slow or not str(trainer.precision).startswith("bf16"):
        return ""
    return (
        f"trainer.precision: {trainer.precision} takes many times longer than 32-true on this CPU, which has no "
        "instructions for bfloat16; stop and give trainer.precision=32-true"
    )


def _people(*tables: IdentityTable) -> str:
    """Counts persons, images and cameras; junk and distractors, whose numbers are below 1, count as images only."""
    person = np.concatenate([table.person_id for table in tables])
    persons, images = np.unique(person[person > 0]).size, len(person)
    cameras = [table.camera_id for table in tables if table.camera_id is not None]
    known = _counted(np.unique(np.concatenate(cameras)).size, "camera") if cameras else "cameras unknown"
    return f"{_counted(persons, 'person')}, {_counted(images, 'image')}, {known}"


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def device_of(trainer: Trainer) -> str:
    """Names the kind of device, and how many there are of it."""
    device = trainer.strategy.root_device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type.upper()
    name += f", {torch.get_num_threads()} threads" if device.type == "cpu" else ""
    return f"{trainer.world_size} x {name}" if trainer.world_size > 1 else name
