"""The settings of the tracking tool: values, layers, and what a mistake is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from mot_reid.settings.load import ConfigError, load_settings
from mot_reid.settings.tracking import TrackerSettings, TrackSettings


def load(*arguments: str, root: Path | None = None) -> TrackSettings:
    return load_settings(TrackSettings, arguments, base="track", root=root)


def refusal(*arguments: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_defaults_track_the_drawn_clip_with_the_roadmaps_filters() -> None:
    settings = load()
    assert settings.source == ("synthetic",)
    assert (settings.min_track_length, settings.min_score) == (3, 0.3)
    assert settings.detector.classes == (0,)


def test_file_of_ones_own_wins_over_the_defaults_and_yields_to_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text("workers: 3\nmin_score: 0.1\ntracker: {high: 0.5, low: 0.2}\n")
    settings = load(f"config={tmp_path / 'my.yaml'}", "tracker.low=0.3", "--workers=4")
    assert (settings.workers, settings.min_score) == (4, 0.1)
    assert (settings.tracker.high, settings.tracker.low, settings.tracker.birth) == (0.5, 0.3, None)


@pytest.mark.parametrize(
    ("text", "sources"),
    [
        ("a, b.mp4", ("a, b.mp4",)),
        ("[a.mp4, 0]", ("a.mp4", "0")),
        ("0", ("0",)),
        ("rtsp://u:p@h/1", ("rtsp://u:p@h/1",)),
    ],
)
def test_one_source_or_a_list_of_them(text: str, sources: tuple[str, ...]) -> None:
    assert load(f"source={text}").source == sources


def test_one_source_in_a_file_needs_no_list(tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text("source: a.mp4\n")
    assert load(f"config={tmp_path / 'my.yaml'}").source == ("a.mp4",)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("sorce=a", "command line: no key 'sorce'; did you mean 'source'?"),
        ("tracker.hihg=1", "command line: no key 'tracker.hihg'; did you mean 'tracker.high'?"),
        ("tracker=sort", "command line: 'tracker' is a section; set one of its keys, such as 'tracker.preset'"),
        ("workers=two", "command line: workers: got 'two'; expected int"),
        ("min_score=2", "command line: min_score: got 2.0; expected a number of at least 0 and at most 1"),
        ("engine=rey", "command line: engine: got 'rey'; expected one of local, ray; did you mean 'ray'?"),
        ("config=nowhere.yaml", "nowhere.yaml: cannot be read: No such file or directory"),
    ],
)
def test_mistake_is_one_line(argument: str, message: str) -> None:
    assert refusal(argument) == message


def test_mistake_in_a_file_names_it(tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text("montag: a.mp4\n")
    assert refusal(f"config={tmp_path / 'my.yaml'}").endswith(
        "my.yaml: no section or key 'montag'; did you mean 'montage'?"
    )


def test_parameters_are_all_keys_but_preset_and_frame_rate() -> None:
    settings = load("tracker.high=0.5").tracker
    parameters = settings.parameters(reid=True)
    assert {"preset", "frame_rate", *parameters} == set(TrackerSettings.__dataclass_fields__)
    assert (parameters["high"], parameters["low"], parameters["appearance"]) == (0.5, None, "on_demand")
    assert parameters.keys() - settings.parameters(reid=False).keys() == {"appearance"}
