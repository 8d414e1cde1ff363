"""What the README says is true: its Python runs, its commands and tools exist."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from mot_reid.cli.main import COMMANDS
from mot_reid.data.motchallenge import Sequence, write_ground_truth, write_results, write_sequence
from mot_reid.data.synthetic_clip import walkers
from mot_reid.data.video_writer import VideoWriter
from mot_reid.detection.public import PublicDetector
from mot_reid.settings.load import experiment_names
from tests.helpers.commands import called, check, commands

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=[block.splitlines()[0] for block in BLOCKS])
def test_python_block_runs(block: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(block, "README.md", "exec"), {})
    assert capsys.readouterr().out


def test_table_lists_every_command() -> None:
    assert re.findall(r"^\| `mot-reid ([\w-]+)` \|", README, flags=re.MULTILINE) == list(COMMANDS)


def test_commands_are_what_the_command_line_takes() -> None:
    for block in re.findall(r"```bash\n(.*?)```", README, flags=re.DOTALL):
        for words in commands(block):
            check(words)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_tracking_commands_run_as_they_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a synthetic clip, with its own boxes in place of a network that would be downloaded."""
    clip = walkers(frames=30)
    with VideoWriter(tmp_path / "video.mp4", frame_rate=clip.frame_rate) as writer:
        for image in clip.images:
            writer.write(image)
    sequence = Sequence(tmp_path / "data" / "mot17" / "val" / "street", "street", "img1", 10, 30, 480, 270, ".jpg")
    sequence.folder.mkdir(parents=True)
    write_sequence(sequence)
    truth = clip.truth.replace(class_id=np.ones(len(clip.truth), dtype=np.int64))
    write_ground_truth(sequence.ground_truth_path, truth)
    write_results(tmp_path / "results" / "street.txt", truth)
    monkeypatch.setattr("mot_reid.pipeline.run.YoloDetector", lambda *_, **__: PublicDetector(clip.detections))
    monkeypatch.chdir(tmp_path)
    words = [w for b in re.findall(r"```bash\n(.*?)```", README, flags=re.DOTALL) for w in commands(b)]
    ours = [(name, argv) for name, argv in map(called, words) if name in ("track", "evaluate_mot")]
    assert {name for name, _ in ours} == {"track", "evaluate_mot"}
    for name, argv in ours:
        assert import_module(f"mot_reid.cli.{name}").main(list(argv)) == 0, f"{name} {' '.join(argv)}"
    for file in ("annotated.mp4", "tracks.txt", "mot.html"):
        assert (tmp_path / file).stat().st_size > 0, file


def test_commands_name_tools_and_experiments_that_exist() -> None:
    for tool in re.findall(r"python (tools/\w+\.py)", README):
        assert (ROOT / tool).is_file(), tool
    assert set(re.findall(r"experiment=(\w+)", README)) - {"NAME"} <= set(experiment_names())


def test_test_command_stands_alone_in_a_line_for_ci() -> None:
    assert re.findall(r"^pip install -e \"\.\[test\]\" && pytest$", README, flags=re.MULTILINE)
