"""Where jobs are done, and what becomes of those that fail."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mot_reid.data.video_writer import VideoWriter
from mot_reid.pipeline import run_many
from mot_reid.pipeline.plan import Job, plan
from mot_reid.pipeline.run_many import run_all
from mot_reid.settings.load import load_settings
from mot_reid.settings.tracking import TrackSettings


def settings(*arguments: str) -> TrackSettings:
    return load_settings(TrackSettings, arguments, base="track")


def test_processes_give_what_one_process_gives(tmp_path: Path) -> None:
    clip = tmp_path / "clip.avi"
    with VideoWriter(clip, frame_rate=10) as writer:
        for _ in range(6):
            writer.write(np.full((48, 64, 3), 90, dtype=np.uint8))
    clip.with_suffix(".txt").write_text("".join(f"{frame},-1,{5 + frame},10,10,25,0.9\n" for frame in range(1, 7)))
    common = (f"source=[{clip},synthetic]", f"detector.public={clip.with_suffix('.txt')}", "max_frames=6")
    for folder, workers in (("one", 1), ("two", 2)):
        chosen = settings(*common, f"results={tmp_path / folder}", f"workers={workers}")
        answers = dict(run_all(chosen, plan(chosen)))
        assert {job.name for job in answers} == {"clip", "synthetic"}
        assert not any(isinstance(answer, str) for answer in answers.values()), answers
    for name in ("clip.txt", "synthetic.txt"):
        assert (tmp_path / "one" / name).read_text() == (tmp_path / "two" / name).read_text()


class FakeRay(ModuleType):
    """Ray as far as it is used: tasks run when they are waited for, the last one first."""

    def __init__(self) -> None:
        super().__init__("ray")
        self.most = 0

    def is_initialized(self) -> bool:
        return True

    def remote(self, function: Callable[..., Any]) -> Any:
        return SimpleNamespace(remote=lambda *arguments: (function, arguments))

    def wait(self, references: list[Any], *, num_returns: int) -> tuple[list[Any], list[Any]]:
        self.most = max(self.most, len(references))
        return references[-1:], references[:-1]

    def get(self, reference: Any) -> Any:
        function, arguments = reference
        if arguments[1].name == "lost":
            raise RuntimeError("the node\ndied")
        return function(*arguments)


def test_ray_has_a_task_for_each_source(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setattr(run_many, "attempt", lambda settings, job: {"done": job.name})
    jobs = [Job(name, "", "sort") for name in ("a", "lost", "c", "d")]
    answers = {job.name: answer for job, answer in run_all(settings("engine=ray", "workers=2"), jobs)}
    assert answers == {"a": {"done": "a"}, "lost": "the node died", "c": {"done": "c"}, "d": {"done": "d"}}
    assert ray.most == 2


@pytest.mark.slow
def test_real_ray_keeps_what_others_give_when_some_sources_fail(tmp_path: Path) -> None:
    ray = pytest.importorskip("ray")
    folder = tmp_path / "videos"
    folder.mkdir()
    with VideoWriter(folder / "clip.avi", frame_rate=10) as writer:
        for _ in range(6):
            writer.write(np.full((48, 64, 3), 90, dtype=np.uint8))
    (folder / "empty.avi").touch()
    (folder / "text.mp4").write_text("no video")
    rows = "".join(f"{frame},-1,{5 + frame},10,10,25,0.9\n" for frame in range(1, 7))
    (tmp_path / "det.txt").write_text(rows)
    common = (f"source=[{folder}/*]", f"detector.public={tmp_path / 'det.txt'}", "workers=2")
    written = {}
    try:
        for engine in ("ray", "local"):
            chosen = settings(*common, f"engine={engine}", f"results={tmp_path / engine}")
            answers = {job.name: answer for job, answer in run_all(chosen, plan(chosen))}
            assert isinstance(answers["clip"], dict) and answers["clip"]["frames"] == 6
            for name in ("empty", "text"):
                assert "which cannot be read as a video" in str(answers[name])
            written[engine] = (tmp_path / engine / "clip.txt").read_text()
    finally:
        ray.shutdown()
    assert written["ray"] == written["local"] != ""
