"""Zones and lines from a file."""

from __future__ import annotations

import pytest

from mot_reid.data.zones import Scene, read_scene


def test_zones_and_lines_are_read_by_name(tmp_path) -> None:
    path = tmp_path / "scene.json"
    path.write_text('{"zones": {"door": [[0, 0], [8, 0], [8, 6]]}}')
    assert read_scene(path) == Scene({"door": [[0, 0], [8, 0], [8, 6]]}, {})


@pytest.mark.parametrize("text", ["{", "[]", '{"zone": {}}', '{"zones": [[0, 0]]}'])
def test_something_else_is_refused_with_an_example(tmp_path, text) -> None:
    path = tmp_path / "scene.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"scene.json.*expected JSON such as"):
        read_scene(path)
    with pytest.raises(FileNotFoundError, match=r"zones: got 'nowhere\.json'"):
        read_scene("nowhere.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"zones": {"a": [], "a": []}}', r"scene\.json' \('a' stands in it twice\); expected JSON such as"),
        ('{"lines": {}, "lines": {}}', "'lines' stands in it twice"),
        ('{"zones": {"": [[0, 0], [8, 0], [8, 6]]}}', "got an empty name in .*; give it one"),
        ('{"zones": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deeply"),
    ],
)
def test_names_that_stand_there_twice_or_are_empty_are_refused(tmp_path, text, message) -> None:
    path = tmp_path / "scene.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_scene(path)
