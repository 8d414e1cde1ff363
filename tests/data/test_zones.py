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
