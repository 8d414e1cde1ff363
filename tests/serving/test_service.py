"""The service without HTTP, before its models are loaded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mot_reid.serving.refusal import Refusal
from mot_reid.serving.service import Service
from mot_reid.settings.load import load_settings
from mot_reid.settings.serving import ServeSettings
from mot_reid.settings.tracking import TrackSettings


def build(folder: Path, *arguments: str, tracking: tuple[str, ...] = ()) -> Service:
    return Service(
        load_settings(ServeSettings, [f"folder={folder}", *arguments], base="serve"),
        load_settings(TrackSettings, tracking, base="track"),
    )


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    service = build(tmp_path / "served")
    yield service
    service.close()


def test_preset_of_those_who_name_none(tmp_path: Path) -> None:
    cases = {
        "bytetrack_reid": build(tmp_path / "a"),
        "bytetrack": build(tmp_path / "b", "reid=null"),
        "ocsort": build(tmp_path / "c", tracking=("tracker.preset=ocsort",)),
    }
    for expected, service in cases.items():
        assert service.default_preset == expected
        service.close()


def test_service_that_has_not_started_is_not_ready(service: Service) -> None:
    state = service.readiness()
    assert (state.ready, state.facts, state.problem) == (False, {}, None)
    with pytest.raises(Refusal, match="being loaded"):
        _ = service.facts


def test_service_that_stops_takes_no_work(service: Service, tmp_path: Path) -> None:
    service.stop_accepting()
    for work in (lambda: service.submit_video(tmp_path / "a"), lambda: service.track_image(tmp_path / "a"),
                 lambda: service.open_live()):  # fmt: skip
        with pytest.raises(Refusal, match="being stopped"):
            work()


def test_file_that_is_no_video_stays_where_it_is(service: Service, tmp_path: Path) -> None:
    path = tmp_path / "notes.avi"
    path.write_text("notes")
    with pytest.raises(Refusal, match="expected AVI") as caught:
        service.submit_video(path)
    assert caught.value.kind == "unsupported" and path.read_text() == "notes"


def test_preset_that_needs_a_model_is_refused_without_one(tmp_path: Path) -> None:
    service = build(tmp_path / "served", "reid=null")
    with pytest.raises(Refusal, match="has no Re-ID model"):
        service.submit_video(tmp_path / "a", preset="bytetrack_reid")
    service.close()


def test_folder_is_free_again_after_the_end(tmp_path: Path) -> None:
    first = build(tmp_path / "served")
    with pytest.raises(OSError, match="another server works in"):
        build(tmp_path / "served")
    first.close()
    build(tmp_path / "served").close()
