"""The demo in a real browser: what people click, and what they see then."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mot_reid.data.synthetic_clip import Clip, walkers
from tests.helpers.server import Server

pytestmark = pytest.mark.slow

NAME = "Zoë <b>渡辺</b> ${1+1}"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
PLAYS = "() => { const v = document.querySelector('#result video'); return v.readyState >= 2 && v.currentTime > 0.2; }"
OVERFLOW = "() => document.documentElement.scrollWidth - window.innerWidth"


@pytest.fixture(scope="module")
def clip() -> Clip:
    """The sample clip of the demo."""
    return walkers(width=640, height=360)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, clip: Clip) -> Iterator[Server]:
    for package in ("gradio", "av"):
        pytest.importorskip(package, reason=f"the demo needs {package}")
    folder = tmp_path_factory.mktemp("demo")
    rows = [
        f"{number},-1,{x1:.2f},{y1:.2f},{x2 - x1:.2f},{y2 - y1:.2f},{score:.4f}"
        for number, found in enumerate(clip.detections, 1)
        for (x1, y1, x2, y2), score in zip(found.xyxy, found.score)
    ]
    (folder / "det.txt").write_text("\n".join(rows))
    with Server(
        folder / "served", f"detector.public={folder / 'det.txt'}", "demo=true", "limits.free_bytes=0"
    ) as running:
        yield running


@pytest.fixture(params=[(1280, 900), (390, 844)], ids=["desktop", "phone"])
def page(request: pytest.FixtureRequest, demo: Server) -> Iterator[Any]:
    """The demo in a fresh browser, which fails the test if the page asks other hosts for anything or breaks."""
    playwright = pytest.importorskip("playwright.sync_api", reason="the clicks need Playwright")
    if CHROMIUM is None:
        pytest.skip("the clicks need Chromium")
    width, height = request.param
    asked: list[str] = []
    broken: list[str] = []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        opened = browser.new_page(viewport={"width": width, "height": height})
        opened.on("request", lambda sent: asked.append(sent.url))
        opened.on("pageerror", lambda error: broken.append(str(error)))
        opened.on("console", lambda line: broken.append(line.text) if line.type == "error" else None)
        opened.goto(f"{demo.url}/demo/")
        opened.get_by_role("button", name="Follow the people").wait_for()
        yield opened
        browser.close()
    assert not [url for url in asked if not url.startswith((demo.url, "data:", "blob:"))]
    assert not broken


def crop(folder: Path, clip: Clip, number: int, person: int) -> Path:
    """A picture of one person of a frame."""
    found = (clip.truth.frame == number) & (clip.truth.track_id == person)
    x1, y1, x2, y2 = np.clip(clip.truth.xyxy[found][0], 0, 640).round().astype(int)
    path = folder / f"{number}-{person}.png"
    Image.fromarray(clip.images[number - 1][y1:y2, x1:x2, ::-1]).save(path)
    return path


def test_sample_clip_is_followed_and_its_result_plays(page: Any, demo: Server) -> None:
    page.get_by_role("button", name="Follow the people").click()
    page.locator("#state .problem").wait_for()
    assert page.locator("#state").inner_text().strip() == "video: got none; choose one first"
    page.get_by_role("button", name="Take the sample clip").click()
    page.locator("#video-in video").wait_for()
    page.get_by_label("Fast and steady (ByteTrack)").check()
    page.get_by_role("button", name="Follow the people").click()
    video = page.locator("#result video")
    video.wait_for(timeout=120_000)
    video.scroll_into_view_if_needed()
    page.wait_for_function(PLAYS)
    assert demo.client.get("/api/jobs").json() == {"jobs": []}  # which is for those who use the API
    job = demo.client.get(video.get_attribute("src").rpartition("/")[0]).json()
    assert job["preset"] == "bytetrack"
    assert page.locator("#result .rows tr").count() == 1 + job["result"]["total_tracks"]
    rows = demo.client.get(f"/api/jobs/{job['id']}/mot").text.splitlines()
    people = {row.split(",")[1] for row in rows}
    bars = page.locator("#result .timeline rect title").all_text_contents()
    assert {bar.split(",")[0].removeprefix("person ") for bar in bars} == people
    assert page.evaluate(OVERFLOW) <= 0


def test_person_is_enrolled_found_and_forgotten(page: Any, demo: Server, clip: Clip, tmp_path: Path) -> None:
    page.get_by_role("tab", name="People").click()
    page.get_by_role("button", name="Enrol").click()
    page.locator("#enrolled .problem").wait_for()
    pictures = [crop(tmp_path, clip, number, 1) for number in (1, 4)]
    page.locator("#images input[type=file]").set_input_files(pictures)
    page.wait_for_function("() => document.querySelectorAll('#images a[download]').length == 2")
    page.locator("#name input, #name textarea").fill(NAME)
    page.get_by_role("button", name="Enrol").click()
    page.locator("#enrolled .note").wait_for()
    assert NAME in page.locator("#known").inner_text()
    for number, person, answer in ((8, 1, f"This is {NAME}"), (8, 2, "Nobody I know")):
        clear = page.locator("#asked button[aria-label='Clear']")
        if clear.count():
            clear.first.click()
        page.locator("#asked input[type=file]").set_input_files(crop(tmp_path, clip, number, person))
        page.locator("#asked img").wait_for()
        page.get_by_role("button", name="Search").click()
        page.locator("#found strong").get_by_text(answer).wait_for()
    page.locator("#whom input").click()
    page.get_by_role("option", name=NAME).click()
    page.get_by_role("button", name="Forget this person").click()
    page.locator("#forgotten .note").wait_for()
    assert "Nobody is in this gallery yet" in page.locator("#known").inner_text()
    assert page.evaluate(OVERFLOW) <= 0
    assert not list((demo.folder / "demo").rglob("*.png"))
    assert NAME.encode() not in (demo.folder / "galleries" / "galleries.sqlite").read_bytes()


def test_file_of_the_server_cannot_be_named(demo: Server) -> None:
    before = demo.files()
    for path in (demo.folder / "jobs.sqlite", demo.folder.parent / "det.txt"):
        file = {"path": str(path), "meta": {"_type": "gradio.FileData"}}
        sent = {"data": [file, "sort"], "fn_index": 1, "session_hash": "a"}
        answer = demo.client.post("/demo/gradio_api/queue/join", json=sent)
        assert (answer.status_code, answer.json()["kind"]) == (422, "invalid")
    assert demo.files() == before


def test_file_that_is_no_video_is_a_sentence(page: Any, tmp_path: Path) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"no video at all" * 100)
    page.locator("#video-in input[type=file]").set_input_files(bad)
    page.locator("#video-in video").wait_for(state="attached")
    page.get_by_role("button", name="Follow the people").click()
    page.locator("#state .problem").wait_for()
    assert page.locator("#state").inner_text().startswith("video: got a file of another kind")
