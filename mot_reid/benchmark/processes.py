"""Training in two processes that average their gradients, compared with twice what one does alone."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import distributed, multiprocessing
from torch.nn.parallel import DistributedDataParallel

from mot_reid.benchmark.machine import median_seconds
from mot_reid.benchmark.results import Figure
from mot_reid.benchmark.train import CROP, bare_step, precision
from mot_reid.settings.load import load_config
from mot_reid.training.builders import build_module, build_preprocess, prepare_host
from mot_reid.training.dataset import Batch

_CLASSES = 751
_STEPS = 30


def measure(keys: Sequence[str], *, device: str) -> Iterator[Figure]:
    """Yields the speed of one process and of two, each with one core or one accelerator and a batch of its own.

    Nothing where there is only one core or one accelerator.

    Args:
        keys: see `train.measure`.
        device: "auto", "cpu" or "cuda".
    """
    on_cuda = device != "cpu" and torch.cuda.is_available()
    if (torch.cuda.device_count() if on_cuda else os.cpu_count() or 1) < 2:
        return
    one, two = (_images_per_second(keys, count, on_cuda=on_cuda) for count in (1, 2))
    yield Figure("train/processes_1", one, "images/s")
    yield Figure("train/processes_2", two, "images/s", 2 * one, "twice one process")


def _images_per_second(keys: Sequence[str], count: int, *, on_cuda: bool) -> float:
    with tempfile.TemporaryDirectory() as folder:
        multiprocessing.spawn(_train, args=(count, keys, on_cuda, folder), nprocs=count)
        return sum(float((Path(folder) / f"speed-{rank}").read_text(encoding="utf-8")) for rank in range(count))


def _train(rank: int, count: int, keys: Sequence[str], on_cuda: bool, folder: str) -> None:
    """Trains on one fixed batch, and writes the images of this process per second."""
    config = load_config([*keys, "model.weights=none", "engine.threads=1"])
    prepare_host(config)
    device = torch.device("cuda", rank) if on_cuda else torch.device("cpu")
    distributed.init_process_group(
        "nccl" if on_cuda else "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=count
    )
    module = build_module(config, build_preprocess(config), classes=_CLASSES).to(device).train()
    size = config.data.batch_size
    batch = Batch(
        torch.randint(0, 256, (size, 3, *CROP), dtype=torch.uint8, device=device),
        torch.arange(config.data.identities, device=device).repeat_interleave(config.data.images),
        torch.arange(size, device=device),
    )
    network = DistributedDataParallel(module.network, gradient_as_bucket_view=True)
    step = bare_step(module, batch, precision(config), network=network)
    seconds = median_seconds(step, least=_STEPS, most=_STEPS)
    (Path(folder) / f"speed-{rank}").write_text(str(size / seconds), encoding="utf-8")
    distributed.destroy_process_group()
