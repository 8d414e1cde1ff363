"""How settings become jobs."""

from __future__ import annotations

from pathlib import Path

import pytest

from mot_reid.pipeline import plan as module
from mot_reid.pipeline.plan import plan
from mot_reid.settings.load import ConfigError, load_settings
from mot_reid.settings.tracking import TrackSettings


def settings(*arguments: str) -> TrackSettings:
    return load_settings(TrackSettings, arguments, base="track")


def test_names_of_sources_tell_them_apart(tmp_path: Path) -> None:
    (tmp_path / "seq" / "img1").mkdir(parents=True)
    names = module.short_names(
        ["a/v.mp4", "b/v.mp4", "0", str(tmp_path / "seq" / "img1"), "rtsp://host/cam1", "c/v.avi"]
    )
    assert names == ["v", "v~2", "camera0", "seq", "cam1", "v~3"]


def test_pattern_stands_for_its_files(tmp_path: Path) -> None:
    for name in ("b.mp4", "a.mp4", "c.txt"):
        (tmp_path / name).touch()
    assert module._expanded(str(tmp_path / "*.mp4")) == [str(tmp_path / "a.mp4"), str(tmp_path / "b.mp4")]
    assert module._expanded("http://host/live?x=1") == ["http://host/live?x=1"]


def test_outputs_of_several_sources_are_named_after_them() -> None:
    jobs = plan(settings("source=[a.mp4,b.mp4]", "output=out", "results=res/{name}.csv"))
    assert [(job.output, job.results) for job in jobs] == [("out/a.mp4", "res/a.csv"), ("out/b.mp4", "res/b.csv")]


def test_appearance_is_the_default_with_a_model() -> None:
    assert [job.preset for job in plan(settings("reid=x"))] == ["bytetrack_reid"]
    assert [job.preset for job in plan(settings())] == ["bytetrack"]


def test_compared_presets_without_appearance_get_no_model() -> None:
    jobs = plan(settings("reid=x", "compare=[sort,botsort]"))
    assert [(job.preset, job.reid) for job in jobs] == [("bytetrack_reid", "x"), ("sort", None), ("botsort", "x")]


def test_plan_refuses_an_unknown_preset() -> None:
    with pytest.raises((ConfigError, ValueError), match="did you mean"):
        plan(settings("tracker.preset=ocsrt"))


def test_preset_that_needs_a_model_takes_the_bundled_one_where_none_is_named() -> None:
    jobs = plan(settings("tracker.preset=bytetrack_reid", "compare=[bytetrack, botsort]"))
    assert [(job.preset, job.reid) for job in jobs] == [
        ("bytetrack_reid", "osnet_x0_25_cameras"),
        ("bytetrack", None),
        ("botsort", None),
    ]
    assert [job.reid for job in plan(settings("tracker.preset=bytetrack_reid", "reid=x"))] == ["x"]
    assert [job.reid for job in plan(settings("compare=[bytetrack_reid]"))] == [None, "osnet_x0_25_cameras"]


def test_bundled_model_travels_with_the_package() -> None:
    from mot_reid.reid.checkpoint import describe, find
    from mot_reid.settings.tracker_parameters import TRACKING_MODEL

    assert describe(find(TRACKING_MODEL))["calibration"] is not None


def test_folders_with_brackets_are_taken_as_they_are_in_a_pattern(tmp_path: Path) -> None:
    folder = tmp_path / "[cam1] x*"
    folder.mkdir()
    for name in ("2.mp4", "10.mp4", "c.txt"):
        (folder / name).touch()
    assert module._expanded(str(folder / "*.mp4")) == [str(folder / "2.mp4"), str(folder / "10.mp4")]


def test_name_of_a_folder_of_digits_is_no_cameras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "0000").mkdir()
    assert module.short_names(["0000", "0"]) == ["0000", "camera0"]
