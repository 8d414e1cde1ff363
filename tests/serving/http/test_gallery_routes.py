"""Galleries over HTTP: enrolled, found, renamed, forgotten."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mot_reid.data.synthetic_clip import walkers
from mot_reid.data.synthetic_dataset import draw_crop, random_camera
from mot_reid.data.synthetic_people import random_person
from tests.helpers.server import Scene, Server

GALLERY = "/api/galleries/office"


def crops(seed: int, count: int) -> list[bytes]:
    """Pictures of one drawn person by one camera."""
    rng = np.random.default_rng(seed)
    person, camera = random_person(rng), random_camera(rng)
    found = []
    for _ in range(count):
        buffer = io.BytesIO()
        Image.fromarray(draw_crop(person, camera, rng)).save(buffer, "PNG")
        found.append(buffer.getvalue())
    return found


ADA, BOB = crops(1, 3), crops(2, 2)


@pytest.fixture
def office(server: Server) -> Iterator[Server]:
    """The server with Ada in the gallery."""
    answer = enrol(server, "Ada", ADA[:2])
    assert answer.status_code == 201, answer.text
    yield server
    server.client.delete(GALLERY)


def enrol(server: Server, name: str, images: list[bytes]) -> Any:
    return server.client.post(f"{GALLERY}/persons", files=[("files", image) for image in images], data={"name": name})


def search(server: Server, image: bytes, **fields: str) -> Any:
    return server.client.post(f"{GALLERY}/search", files={"file": image}, data=fields)


def test_largest_person_of_a_scene_is_enrolled_and_found(server: Server, scene: Scene) -> None:
    """The detections of the server are those of the synthetic clip, of whose first frame this is a picture."""
    buffer = io.BytesIO()
    Image.fromarray(walkers(frames=60).images[0][..., ::-1]).save(buffer, "PNG")
    image, url = buffer.getvalue(), "/api/galleries/street"
    answer = server.client.post(f"{url}/persons", files={"files": image}, data={"name": "Ada", "where": "largest"})
    assert answer.status_code == 201, answer.text
    found = server.client.post(f"{url}/search", files={"file": image}, data={"where": "largest"}).json()
    x1, y1, x2, y2 = found["xyxy"]
    assert found["person"]["name"] == "Ada" and 0 <= x1 < x2 <= 480 and 0 <= y1 < y2 <= 270
    by_box = server.client.post(f"{url}/search", files={"file": image}, data={"where": str(found["xyxy"])}).json()
    assert by_box["matches"][0]["similarity"] == pytest.approx(1, abs=1e-5)
    huge = f"[0, 0, 1{'0' * 400}, 60]"
    for bad in ("smallest", "[1, 2, 3]", "{}", "[1, 2, 3, null]", "[0, 0, NaN, 9]", "[0, 0, Infinity, 9]", huge):
        refused = server.client.post(f"{url}/search", files={"file": image}, data={"where": bad})
        assert refused.status_code == 422 and refused.json()["error"].startswith("where: got")
    server.client.delete(url)


def test_enrolled_image_is_found_and_others_are_nobody_at_the_highest_threshold(office: Server) -> None:
    found = search(office, ADA[0]).json()
    assert found["person"]["name"] == "Ada" and found["person"]["crops"] == 2
    assert found["matches"][0]["similarity"] == pytest.approx(1, abs=1e-5)
    assert found["threshold"] == office.client.get("/ready").json()["threshold"]
    stranger = search(office, BOB[0], threshold="0.9999").json()
    assert stranger["person"] is None and stranger["matches"][0]["person"]["name"] == "Ada"


def test_most_similar_of_several_people_is_found(office: Server) -> None:
    enrol(office, "Bob", BOB[:1])
    assert office.client.get("/api/galleries").json()["galleries"] == [{"name": "office", "persons": 2}]
    assert search(office, ADA[2], threshold="0").json()["person"]["name"] == "Ada"
    assert search(office, BOB[1], threshold="0").json()["person"]["name"] == "Bob"


def test_further_images_go_to_the_same_person(office: Server) -> None:
    first = office.client.get(f"{GALLERY}/persons").json()["persons"]
    again = enrol(office, "Ada", ADA[2:]).json()
    assert [person["id"] for person in first] == [again["id"]] and again["crops"] == 3


def test_person_is_renamed_and_forgotten(office: Server) -> None:
    id = office.client.get(f"{GALLERY}/persons").json()["persons"][0]["id"]
    assert office.client.patch(f"{GALLERY}/persons/{id}", json={"name": "Ada L."}).json()["name"] == "Ada L."
    assert office.client.delete(f"{GALLERY}/persons/{id}").status_code == 204
    assert office.client.delete(f"{GALLERY}/persons/{id}").status_code == 404
    nobody = search(office, ADA[0]).json()
    assert (nobody["person"], nobody["matches"]) == (None, [])
    assert office.client.delete(GALLERY).status_code == 204
    assert search(office, ADA[0]).json()["kind"] == "not_found"


def test_names_of_people_are_not_in_the_log(office: Server) -> None:
    enrol(office, "Grace Unmistakable", BOB)
    search(office, BOB[0])
    office.client.get("/api/galleries", headers={"X-Request-ID": "after-the-names"})
    assert office.logged("request_id", "after-the-names")
    assert "Unmistakable" not in office.log.read_text()


@pytest.mark.parametrize(
    "fields", [{}, {"name": ""}, {"name": "a\nb"}, {"name": "a\u2028b"}, {"name": "\u200d"}, {"name": "x" * 101}]
)
def test_person_without_a_name_is_refused(server: Server, fields: dict[str, str]) -> None:
    answer = server.client.post(f"{GALLERY}/persons", files={"files": ADA[0]}, data=fields)
    assert answer.status_code == 422 and answer.json()["error"].startswith("name: ")


@pytest.mark.parametrize("threshold", ["high", "nan", "2", "-1.1"])
def test_threshold_that_is_none_is_refused(server: Server, threshold: str) -> None:
    assert search(server, ADA[0], threshold=threshold).json()["error"].startswith("threshold: got")


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=b"])
def test_long_body_where_no_form_is_taken_is_refused(server: Server, kind: str) -> None:
    body = b'{"name": "' + b"a" * 100_000 + b'"}'
    answer = server.client.patch(f"{GALLERY}/persons/{'a' * 24}", content=body, headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["kind"]) == (413, "too_large")
    assert answer.json()["error"] == "request: got more than 65,536 bytes; expected a form, or less"
