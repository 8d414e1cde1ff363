"""Synthetic people, once for all tests of training."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from mot_reid.data import synthetic_dataset
from mot_reid.training.progress import Curves, Heartbeat


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Small tensors gain nothing from a second thread, and the machine may be busy."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def heard_interrupts() -> Iterator[None]:
    """Ctrl-C as in front of a terminal, also where the tests run in the background and would ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session", autouse=True)
def no_lines_and_no_pictures() -> Iterator[None]:
    """Runs of seconds need neither lines between epochs, which a busy machine would get, nor a picture each time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Heartbeat, "setup", lambda *arguments, **named: None)
        patch.setattr(Curves, "on_validation_end", lambda *arguments: None)
        yield


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten drawn persons to train on and three to test on, as `helpers.runs.PEOPLE` says."""
    root = tmp_path_factory.mktemp("drawn") / "people"
    return synthetic_dataset.generate(
        root, identities=10, test_identities=3, cameras=2, images_per_camera=2, progress=False
    )
