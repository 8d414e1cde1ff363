"""What packages are told through the environment before they are imported."""

from __future__ import annotations

import os

import pytest

from mot_reid import environment
from mot_reid.cli import main


def test_what_the_user_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    monkeypatch.delenv("YOLO_AUTOINSTALL", raising=False)
    environment.prepare()
    assert (os.environ["OMP_WAIT_POLICY"], os.environ["YOLO_AUTOINSTALL"]) == ("active", "false")


@pytest.mark.parametrize("command", main.COMMANDS)
def test_every_command_prepares_the_environment(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    assert main.main([command, "--help"]) == 0
    assert os.environ["OMP_WAIT_POLICY"] == "passive"
