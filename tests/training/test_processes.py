"""Runs of two processes on a CPU: they agree on what is validated and exported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mot_reid.reid import checkpoint
from mot_reid.settings.load import ROOT
from tests.helpers.runs import small_arguments

TRAIN = """
import sys, torch
from mot_reid.training.averaging import Averaging
from mot_reid.training.fit import fit
from mot_reid.settings.load import load_config

share, times = Averaging.share, []

def watched(self, network):
    rank, times[len(times):] = torch.distributed.get_rank(), [None]
    for when in ("before", "after"):
        state = {"network": network.state_dict(), "average": dict(self.state(network))}
        torch.save(state, f"{sys.argv[1]}/{when}{len(times)}_{rank}.pt")
        if when == "before":
            share(self, network)

Averaging.share = watched
fit(load_config(sys.argv[2:]))
"""


@pytest.mark.slow
def test_two_processes_have_the_same_statistics_whenever_they_are_used(people: Path, tmp_path: Path) -> None:
    """At both validations, at the end of training, when the best is scored and at the test. Every process sees other
    images, so before that their running means and variances differ, in the network and in the average."""
    script = tmp_path / "train.py"
    script.write_text(TRAIN)
    settings = ("trainer.max_epochs=2", "trainer.devices=2", "trainer.strategy=ddp", "optim.ema=0.9")
    arguments = small_arguments(people, tmp_path / "run", *settings, "data.validation=0.2")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(script), str(tmp_path), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = {}
    for time in range(1, 6):
        for when in ("before", "after"):
            one, other = (torch.load(tmp_path / f"{when}{time}_{rank}.pt", weights_only=True) for rank in (0, 1))
            for part in ("network", "average"):
                found[when, time, part] = {k for k in one[part] if not torch.equal(one[part][k], other[part][k])}
    assert not (tmp_path / "before6_0.pt").exists()
    differ = found["before", 1, "average"]
    print(f"{len(differ)} of {len(one['average'])} tensors differed")
    assert differ == found["before", 1, "network"] != set()
    assert {name.rpartition(".")[2] for name in differ} == {"running_mean", "running_var"}
    assert all(not names for (when, _, _), names in found.items() if when == "after")
    exported = checkpoint.load(tmp_path / "run" / "model.safetensors").network.state_dict()
    last = torch.load(tmp_path / "after5_1.pt", weights_only=True)["average"]
    assert all(torch.equal(exported[name], last[name]) for name in exported)
