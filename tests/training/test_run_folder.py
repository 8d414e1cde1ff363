"""One run in a folder at a time, and nothing left of those that were killed."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mot_reid.files import locked, remove_partial
from mot_reid.settings.load import ROOT
from mot_reid.training.fit import fit
from mot_reid.training.run_folder import own_folder
from tests.helpers.runs import small_config

pytestmark = pytest.mark.filterwarnings("ignore")


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("resume", [None, "auto"])
def test_second_run_in_a_folder_is_refused_and_touches_nothing(resume: str | None, tmp_path: Path) -> None:
    config = small_config(tmp_path / "people", tmp_path / "run")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("run: {}")
    with own_folder(config):
        before = files(tmp_path)
        with pytest.raises(ValueError, match=r"run\.dir: got '.*run', which another run is using; expected"):
            fit(config, resume=resume)
        assert files(tmp_path) == before


def test_folder_is_the_same_by_another_name(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "run")
    with own_folder(small_config(tmp_path, tmp_path / "run")):
        with pytest.raises(ValueError, match="another run"), own_folder(small_config(tmp_path, tmp_path / "link")):
            pass
        with own_folder(small_config(tmp_path, tmp_path / "other")):
            pass


def test_lock_is_free_again_after_the_block_and_leaves_no_file(tmp_path: Path) -> None:
    for _ in range(2):
        with locked(tmp_path / "lock"):
            with pytest.raises(BlockingIOError), locked(tmp_path / "lock"):
                pass
            assert (tmp_path / "lock").exists()
        assert list(tmp_path.iterdir()) == []


HOLD = """
import sys
from mot_reid.files import locked, whole
with locked(sys.argv[1]), whole(sys.argv[2]) as partial:
    partial.write_text("half")
    print("locked", flush=True)
    sys.stdin.read()
"""


def test_killed_process_leaves_its_lock_and_its_partial_file_is_removed(tmp_path: Path) -> None:
    lock, partial = tmp_path / "lock", tmp_path / "run" / "last.ckpt"
    command = [sys.executable, "-c", HOLD, str(lock), str(partial)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, text=True, **pipes) as process:  # type: ignore[call-overload]
        assert process.stdout.readline() == "locked\n"
        with pytest.raises(BlockingIOError), locked(lock):
            pass
        remove_partial(tmp_path / "run")
        assert len(os.listdir(tmp_path / "run")) == 1  # it lives and writes
        process.send_signal(signal.SIGKILL)
        process.wait()
    with locked(lock):
        remove_partial(tmp_path / "run")
    assert os.listdir(tmp_path / "run") == []


def test_start_removes_what_killed_runs_left_and_nothing_else(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    gone = process.pid
    folder = tmp_path / "run"
    (folder / "checkpoints").mkdir(parents=True)
    partial = [f"checkpoints/.last.{gone}.part.ckpt", f".model.{gone}.part.safetensors", f".curves.{gone}.part.png"]
    kept = ["checkpoints/last.ckpt", ".notes.part", f".writing.{os.getppid()}.part.txt", "notes.1.part.txt"]
    for name in (*partial, *kept):
        (folder / name).write_text("x")
    with own_folder(small_config(tmp_path, folder)):
        assert set(files(folder)) == set(kept)


def test_checkpoint_that_lightning_would_load_under_slurm_takes_another_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "hpc_ckpt_2.ckpt").write_text("x")
    with caplog.at_level(logging.WARNING), own_folder(small_config(tmp_path, tmp_path / "run")):
        assert set(files(tmp_path / "run")) == {"slurm_2.ckpt"}
    assert "go on from it with ckpt=" in caplog.text


@pytest.mark.parametrize("variable", ["RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"])
def test_other_processes_of_a_run_share_its_folder(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small_config(tmp_path, tmp_path / "run")
    with own_folder(config):
        monkeypatch.setenv(variable, "1")
        with own_folder(config):
            pass
