"""Videos of a site through a real server: joined when their jobs are done, named by a gallery, forgotten on request.

All show the same clip, so that the same box is the same person, and each track has the same number in all of them.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from mot_reid.data.synthetic_clip import walkers
from mot_reid.serving.looks import LOOKS, SITE, Looks, write_tracklets
from mot_reid.serving.sites import Site
from tests.helpers.server import Scene, Server, draw_scene
from tests.linking.test_link import CALIBRATION, tracklets
from tests.serving.test_live import ask, session

LIMITS = ("nice=0", "limits.callers=1", "limits.jobs=1", "limits.live_frames_per_second=10000", "limits.free_bytes=0")
FRAMES = 20


@pytest.fixture(scope="module")
def long_scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return draw_scene(tmp_path_factory.mktemp("long"), frames=FRAMES, repeat=75)


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_scene(tmp_path_factory.mktemp("short"), frames=FRAMES).video


@pytest.fixture(scope="module")
def server(long_scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("site") / "served", *long_scene.arguments, *LIMITS) as running:
        yield running


def add(server: Server, video: Path, site: str) -> str:
    return str(server.upload(video, site=site, preset="bytetrack")["id"])


def kept_tracks(job: Path) -> set[int]:
    with np.load(job / LOOKS) as stored:
        return set(stored["track_id"].tolist())


def joined(server: Server, site: str) -> dict[str, dict[int, int]]:
    """The identities of the tracks of each video of a site, all of which are done."""
    told = server.client.get(f"/api/sites/{site}/videos").json()
    assert told["done"] and {one["state"] for one in told["videos"]} == {"done"}
    return {one["job"]: {row["track_id"]: row["global_id"] for row in one["tracks"]} for one in told["videos"]}


def persons(server: Server, site: str, query: str = "") -> dict[int, dict[str, object]]:
    told = server.client.get(f"/api/sites/{site}/persons{query}").json()["persons"]
    return {one["global_id"]: one for one in told}


def test_videos_are_joined_when_no_job_of_the_site_waits_or_runs(
    long_scene: Scene, short: Path, tmp_path: Path
) -> None:
    given = (*long_scene.arguments, *LIMITS)
    with Server(tmp_path / "served", *given) as server:
        stopped, first = add(server, long_scene.video, "mall"), add(server, short, "mall")
        server.running(stopped)
        told = server.client.get("/api/sites/mall/videos").json()
        assert not told["done"] and [one["job"] for one in told["videos"]] == [stopped, first]
        assert [one["tracks"] for one in told["videos"]] == [None, None]
        assert server.client.post(f"/api/jobs/{stopped}/cancel").status_code == 200
        second = add(server, short, "mall")
        server.ended(first)
        server.ended(second)

        found = joined(server, "mall")
        assert list(found) == [first, second] and found[first] == found[second]
        assert len(set(found[first].values())) == len(found[first]) > 2
        assert {one["cameras"] for one in persons(server, "mall").values()} == {2}

        gone = min(found[first].values())
        assert server.client.delete(f"/api/sites/mall/persons/{gone}").status_code == 204
        assert server.client.delete(f"/api/sites/mall/persons/{gone}").status_code == 404
        left = {track: one for track, one in found[first].items() if one != gone}
        assert joined(server, "mall") == {first: left, second: left} and gone not in persons(server, "mall")
        assert kept_tracks(server.folder / "jobs" / first) == set(left)

        broken = add(server, long_scene.video, "mall")
        server.running(broken)
        psutil.Process(server.workers()["jobs-1"]).kill()
        assert server.ended(broken)["state"] == "failed"
        third = add(server, short, "mall")
        server.ended(third)
        found = joined(server, "mall")
        assert list(found) == [first, second, third] and found[first] == found[second] == left
        assert left.items() < found[third].items() and gone not in found[third].values()

    with Server(tmp_path / "served", *given) as server:
        again = joined(server, "mall")
        assert again.keys() == found.keys()
        for job in again:
            assert {track: again[third][track] for track in again[job]} == again[job] and again[job].keys() == found[
                job
            ].keys()
        assert server.client.delete("/api/sites/mall").status_code == 204
        assert server.client.get("/api/sites/mall/videos").status_code == 404
        assert server.client.delete("/api/sites/mall").status_code == 404
        assert not {path for path in server.files() if path.endswith((SITE, LOOKS))}
        assert server.client.get(f"/api/jobs/{first}").json()["state"] == "done"


def test_a_deleted_job_takes_its_tracks_out_of_the_site(server: Server, short: Path) -> None:
    first, second = add(server, short, "shop"), add(server, short, "shop")
    server.ended(second)
    assert set(joined(server, "shop")) == {first, second}
    assert server.client.delete(f"/api/jobs/{first}").status_code == 204
    assert set(joined(server, "shop")) == {second}
    assert {one["cameras"] for one in persons(server, "shop").values()} == {1}


def test_a_gallery_names_the_people_of_a_site_and_who_is_deleted_there_is_forgotten_here(
    server: Server, short: Path
) -> None:
    """Somebody is enrolled from a frame, found in the video and in a live session, and deleted from the gallery."""
    clip = walkers(frames=FRAMES)
    job = add(server, short, "office")
    server.ended(job)
    tracks = np.loadtxt(io.StringIO(server.client.get(f"/api/jobs/{job}/mot").text), delimiter=",")
    always = [set(tracks[tracks[:, 0] == frame, 1].astype(int).tolist()) for frame in (1, 11, FRAMES)]
    track = min(set.intersection(*always))
    ada = joined(server, "office")[job][track]
    for frame in (1, 11):  # those in which a live session looks at people
        x, y, w, h = tracks[(tracks[:, 0] == frame) & (tracks[:, 1] == track)][0, 2:6].tolist()
        told = server.client.post(
            "/api/galleries/staff/persons",
            files={"file": ("a.png", encoded(clip.images[frame - 1], "PNG"))},
            data={"name": "Ada", "where": str([x, y, x + w, y + h])},
        )
        assert told.status_code == 201, told.text
    named = {one["global_id"]: one["name"] for one in persons(server, "office", "?gallery=staff").values()}
    assert named[ada] == "Ada" and list(named.values()).count("Ada") == 1 and None in named.values()
    assert {one["name"] for one in persons(server, "office").values()} == {None}
    assert server.client.get("/api/sites/office/persons?gallery=nobody").status_code == 404

    with session(server, "preset=bytetrack&frame_rate=12.5&site=office&gallery=staff") as live:
        for image in clip.images:
            answer = ask(live, encoded(image, "JPEG"))
        seen = [one["global_id"] for one in answer["tracks"] if one["name"] == "Ada"]
        assert len(seen) == 1 < len(answer["tracks"])
        person = told.json()["id"]
        assert server.client.delete(f"/api/galleries/staff/persons/{person}").status_code == 204
        answer = ask(live, encoded(clip.images[-1], "JPEG"))
        assert {one["name"] for one in answer["tracks"]} == {None}
        assert seen[0] not in [one["global_id"] for one in answer["tracks"]]
    assert ada not in persons(server, "office") and ada not in joined(server, "office")[job].values()


@pytest.mark.parametrize(
    ("site", "status", "message"), [("a b", 422, "site: got 'a b'; expected up to 64"), ("x" * 65, 422, "site: got 'x")]
)
def test_an_upload_to_what_is_no_site_is_refused(server: Server, short: Path, site, status, message) -> None:
    with short.open("rb") as file:
        answer = server.client.post("/api/inference/video", files={"file": file}, data={"site": site})
    assert answer.status_code == status and message in answer.json()["error"]


def encoded(image, kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image[..., ::-1]).save(buffer, kind)
    return buffer.getvalue()


def test_videos_and_sessions_of_a_site_share_identities_and_a_video_that_goes_is_forgotten() -> None:
    site = Site(CALIBRATION, max_false_links=0.05, most_tracklets=100)
    camera, _ = site.join()
    faces = tracklets([0, 1, 2, 3]).embedding
    assert site.see(camera, {1: faces[0].tolist(), 2: faces[1].tolist()}, seconds=0.0, visible=[1, 2]) == [1, 2]
    asked: list[str] = []

    def read(video: str):
        asked.append(video)
        rows = {"a": [1, 2], "b": [2, 3], "empty": []}[video]
        seen = tracklets([0, 1, 2, 3])[rows]
        return seen.replace(camera_id=np.zeros(len(seen))) if rows else None

    site.join_videos(["a", "empty", "b"], read)
    assert (site.in_video("a"), site.in_video("empty"), site.in_video("b")) == ({1: 2, 2: 3}, {}, {2: 3, 3: 4})
    site.join_videos(["a", "empty", "b"], read)
    assert asked == ["a", "empty", "b"]
    site.join_videos(["b"], read)
    assert site.in_video("a") is None and [one.global_id for one in site.persons()] == [1, 2, 3, 4]
    site.join_videos([], read)
    assert [one.global_id for one in site.persons()] == [1, 2]


def test_kept_tracks_are_those_that_were_written_and_damaged_ones_are_none(tmp_path: Path) -> None:
    looks, seen = Looks(tmp_path), tracklets([0, 1, 2])
    for job in "ab":
        (tmp_path / job).mkdir()
        (tmp_path / job / SITE).write_text("mall")
    write_tracklets(tmp_path / "a" / LOOKS, seen, model="m@1")
    for column in seen.COLUMNS:
        np.testing.assert_array_equal(getattr(looks.of("a", model="m@1"), column), getattr(seen, column))
    looks.forget_tracks("a", [1])
    assert looks.of("a", model="m@1").track_id.tolist() == [0, 2]
    (tmp_path / "b" / LOOKS).write_bytes((tmp_path / "a" / LOOKS).read_bytes()[:-30])
    assert looks.of("b", model="m@1") is None and looks.of("c", model="m@1") is None
    assert sorted(looks.jobs("mall")) == ["a", "b"] and looks.jobs("other") == [] and looks.sites() == {"mall"}
    looks.forget_site("mall")
    assert not list(tmp_path.glob("*/*"))


def test_kept_tracks_of_another_model_are_not_joined_but_can_be_forgotten(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A server that is started again with another model, or after an update with another default."""
    looks, seen = Looks(tmp_path), tracklets([0, 1, 2])
    for job in ("named", "older"):
        (tmp_path / job).mkdir()
        write_tracklets(tmp_path / job / LOOKS, seen, model="taught@1")
    columns = {name: getattr(seen, name) for name in seen.COLUMNS}
    np.savez(tmp_path / "older" / LOOKS, **columns)  # as it was written before models were named
    assert looks.of("named", model="cameras@2") is None and looks.of("older", model="cameras@2") is None
    assert [record.message for record in caplog.records] == [
        "tracks of a video were embedded by another model and are not joined; upload the video again"
    ] * 2
    for job in ("named", "older"):
        looks.forget_tracks(job, [1])
        assert kept_tracks(tmp_path / job) == {0, 2}
    assert looks.of("named", model="taught@1").track_id.tolist() == [0, 2]
    assert looks.of("named", model="cameras@2") is None
