"""The service without HTTP, before its models are loaded."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from mot_reid.serving.refusal import STATUS, Refusal
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


def test_service_whose_jobs_cannot_be_written_down_is_not_ready(service: Service) -> None:
    service.jobs._runner.problem = "storage: the disk is full"
    assert service.readiness().problem == "storage: the disk is full" and not service.readiness().ready


@pytest.mark.parametrize("path", ["jobs.sqlite", "galleries/galleries.sqlite"])
def test_damaged_database_is_one_sentence_at_the_start(tmp_path: Path, path: str) -> None:
    (tmp_path / "served" / "galleries").mkdir(parents=True)
    (tmp_path / "served" / path).write_bytes(b"damaged" * 1000)
    with pytest.raises(ValueError, match=rf"got {Path(path).name} that cannot be used .*; move it away$"):
        build(tmp_path / "served")


def full(service: Service) -> sqlite3.Connection:
    """Lets the list of jobs grow no further, as on a full disk."""
    database = service.jobs._store._database.connection
    database.execute("PRAGMA max_page_count = 1")
    return database


def test_upload_and_deletion_on_a_full_disk_are_told_and_leave_no_folder(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.jobs, "_look_into", lambda path: {"frames": 1})
    video, jobs = tmp_path / "a.avi", tmp_path / "served" / "jobs"
    taken = []
    for _ in range(400):  # until the pages that are there are full
        video.write_bytes(b"RIFF\0\0\0\0AVI ")
        full(service)
        try:
            taken.append(service.jobs.submit(video, preset="sort" * 100, visualize=False).id)
        except Refusal as refusal:
            assert refusal.kind == "disk_full" and STATUS[refusal.kind] == 507
            break
    else:
        raise AssertionError("the list never filled up")
    assert {folder.name for folder in jobs.iterdir()} == set(taken)
    full(service).execute("PRAGMA max_page_count = 1000")
    for id in taken:
        service.jobs.delete(id)
    assert list(jobs.iterdir()) == []
