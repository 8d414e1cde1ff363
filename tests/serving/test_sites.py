"""Sites: one identity over live sessions, by hand and through a real server."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from fastapi import FastAPI
from PIL import Image

from mot_reid.data.synthetic_clip import walkers
from mot_reid.serving.http import site_routes, video_routes
from mot_reid.serving.refusal import Refusal
from mot_reid.serving.site_people import SitePeople
from mot_reid.serving.sites import Camera, Site, Sites
from mot_reid.settings.load import load_settings
from mot_reid.settings.serving import ServeSettings
from tests.helpers.server import Server, draw_scene
from tests.linking.test_link import CALIBRATION, tracklets
from tests.serving.test_live import ask, session

LIMITS = load_settings(ServeSettings, ["limits.sites=1"], base="serve").limits
FACES = tracklets([0, 1, 2, 3]).embedding.tolist()


def answer(*rows: tuple[int, list[float] | None]) -> dict[str, object]:
    """What a worker says of tracks, with an embedding of those it looked at."""
    tracks = [{"track_id": n} | ({} if face is None else {"embedding": face}) for n, face in rows]
    return {"frame": 1, "tracks": tracks}


@pytest.fixture
def site() -> Site:
    return Site(CALIBRATION, max_false_links=0.05, most_tracklets=100)


def test_a_gallery_names_nobody_where_the_server_has_no_model() -> None:
    """Which was a KeyError, also of the live session that asked for it."""
    people = SitePeople(Sites(LIMITS, max_false_links=0.05), None, None, lambda: {"device": "cpu"})  # type: ignore[arg-type]
    with pytest.raises(Refusal, match=r"gallery: got 'office', but the server has no Re-ID model; set reid="):
        people.names("office")


def test_routes_that_may_begin_a_site_say_that_there_may_be_too_many() -> None:
    """A video that is uploaded for a site, and questions about one whose videos are on disk, get 409 then."""
    app, service = FastAPI(), SimpleNamespace(limits=LIMITS)
    for routes in (site_routes, video_routes):
        app.include_router(routes.build_router(service))  # type: ignore[arg-type]
    paths = app.openapi()["paths"]
    for path, method in (
        ("/api/inference/video", "post"),
        ("/api/sites/{site}/persons", "get"),
        ("/api/sites/{site}/videos", "get"),
        ("/api/sites/{site}/persons/{global_id}", "delete"),
    ):
        assert "409" in paths[path][method]["responses"], path


def ids(told: dict[str, object]) -> list[int | None]:
    return [row["global_id"] for row in told["tracks"]]  # type: ignore[index,attr-defined]


def test_a_person_has_one_identity_in_both_sessions_and_answers_hold_no_embedding(site: Site) -> None:
    door, hall = Camera(site), Camera(site)
    assert ids(door.identify(answer((1, FACES[0]), (2, FACES[1])))) == [1, 2]
    told = hall.identify(answer((1, FACES[1]), (2, FACES[2])))
    assert ids(told) == [2, 3]
    assert all(set(row) == {"track_id", "global_id"} for row in told["tracks"]) and "events" not in told
    assert ids(door.identify(answer((2, None), (1, None)))) == [2, 1]
    assert [(one.global_id, one.tracks, one.cameras) for one in site.persons()] == [(1, 1, 1), (2, 2, 2), (3, 1, 1)]


def test_a_late_merge_is_an_event_of_every_session_and_of_each_once(site: Site) -> None:
    """Track 1 of the hall looks like nobody at first, and in four later looks like track 1 of the door."""
    door, hall = Camera(site), Camera(site)
    door.identify(answer((1, FACES[0]), (2, FACES[1])))
    assert ids(hall.identify(answer((1, FACES[3])))) == [3]
    told = [hall.identify(answer((1, FACES[0]))) for _ in range(4)]
    merged = [one["events"] for one in told if "events" in one]
    assert merged == [[{"kind": "merge", "global_id": 1, "other": 3}]]
    assert ids(told[-1]) == [1]
    assert door.identify(answer((1, None)))["events"] == merged[0]
    assert "events" not in door.identify(answer((1, None)))


def test_two_tracks_that_a_camera_shows_at_a_time_are_never_one_person(site: Site) -> None:
    """Track 1 was looked at in an earlier frame only, and is still there when its double comes."""
    door = Camera(site)
    assert ids(door.identify(answer((1, FACES[0]), (2, FACES[1]), (3, FACES[2])))) == [1, 2, 3]
    assert ids(door.identify(answer((1, None), (4, FACES[0])))) == [1, 4]
    assert ids(door.identify(answer((5, FACES[1])))) == [2]  # track 2 was gone, and is back


def test_sessions_of_a_deleted_site_remember_nobody() -> None:
    sites = Sites(LIMITS, max_false_links=0.05)
    old = sites.open("shop", CALIBRATION)
    door = Camera(old)
    door.identify(answer((1, FACES[0]), (2, FACES[1])))
    sites.delete("shop")
    assert old.persons() == [] and old._looks == {} and len(old._linker.tracklets) == 0
    assert ids(door.identify(answer((1, FACES[0]), (3, FACES[2])))) == [None, None]
    assert old.persons() == [] and old._looks == {} and sites.open("shop", CALIBRATION) is not old


def test_a_person_who_is_deleted_is_nobody_until_seen_again_and_then_somebody_new(site: Site) -> None:
    door = Camera(site)
    door.identify(answer((1, FACES[0]), (2, FACES[1])))
    assert site.forget(1) == 1 and site.forget(1) == 0
    assert not any(np.allclose(look.total, FACES[0]) for look in site._looks.values())
    assert ids(door.identify(answer((1, None), (2, None)))) == [None, 2]
    assert ids(door.identify(answer((1, FACES[0])))) == [3]


def test_sites_are_bounded_named_and_deleted() -> None:
    sites = Sites(LIMITS, max_false_links=0.05)
    for name, calibration, message in (
        ("a b", CALIBRATION, "site: got 'a b'; expected up to 64 letters"),
        ("shop", None, "site: got 'shop', but the server has no calibrated Re-ID model"),
    ):
        with pytest.raises(Refusal, match=message):
            sites.open(name, calibration)
    assert sites.open("shop", CALIBRATION) is sites.open("shop", CALIBRATION)
    with pytest.raises(Refusal, match="there are 1, which is the limit"):
        sites.open("other", CALIBRATION)
    sites.delete("shop")
    assert sites.names() == []
    for call in (lambda: sites.find("shop"), lambda: sites.delete("shop")):
        with pytest.raises(Refusal, match="site: there is none of this name"):
            call()


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that waits for slow clients."""
    folder: Path = tmp_path_factory.mktemp("site")
    scene = draw_scene(folder, frames=20)
    limits = ("limits.callers=1", "limits.jobs=1", "limits.live_frames_per_second=10000", "limits.free_bytes=0")
    with Server(folder / "served", *scene.arguments, "nice=0", *limits) as running:
        yield running


def test_two_live_sessions_of_one_site_share_their_people_through_a_real_server(patient: Server) -> None:
    """Both cameras show the same clip, so the same box is the same person; deleting one removes it from the answers."""
    frames = []
    for image in walkers(frames=20).images:
        buffer = io.BytesIO()
        Image.fromarray(image[..., ::-1]).save(buffer, "JPEG", quality=95)
        frames.append(buffer.getvalue())
    query = "preset=bytetrack&frame_rate=12.5&site=street"
    with session(patient, query) as one, session(patient, query) as other:
        for frame in frames[:-2]:
            first, second = ask(one, frame), ask(other, frame)
        seen = {row["track_id"]: row["global_id"] for row in first["tracks"]}
        assert len(seen) > 2 and {row["track_id"]: row["global_id"] for row in second["tracks"]} == seen
        assert len(set(seen.values())) == len(seen) and None not in seen.values()
        persons = patient.client.get("/api/sites/street/persons").json()["persons"]
        assert {one["global_id"]: one["cameras"] for one in persons}.items() >= dict.fromkeys(seen.values(), 2).items()
        gone = min(seen.values())
        assert patient.client.delete(f"/api/sites/street/persons/{gone}").status_code == 204
        assert patient.client.delete(f"/api/sites/street/persons/{gone}").status_code == 404
        for frame in frames[-2:]:
            for socket in (one, other):
                assert gone not in [row["global_id"] for row in ask(socket, frame)["tracks"]]
        assert gone not in [
            row["global_id"] for row in patient.client.get("/api/sites/street/persons").json()["persons"]
        ]
    assert patient.client.delete("/api/sites/street").status_code == 204
    assert patient.client.get("/api/sites/street/persons").status_code == 404
