"""Tracks of two drawn cameras: who is where in which frame is known, and an embedding is the colour of a box."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from mot_reid.cli.link import main
from mot_reid.data.tables import write_tracks
from mot_reid.data.video_writer import VideoWriter
from mot_reid.linking.link import Link, Linked, link
from mot_reid.pipeline.link import look, outline, read_cameras, read_constraints, report, write_linked
from mot_reid.reid import checkpoint
from mot_reid.reid.network import ReIDNetwork
from mot_reid.reid.preprocess import Preprocess
from mot_reid.structures import TrackTable
from tests.linking.test_link import CALIBRATION

COLOURS = {"red": (0, 0, 250), "green": (0, 250, 0), "blue": (250, 0, 0)}
BOX = {"red": [4, 4, 24, 44], "green": [34, 4, 54, 44], "blue": [64, 4, 84, 44]}


def by_colour(image, xyxy):
    """The mean colour in the middle of each box, of unit length."""
    rows = [image[int(y1) + 8 : int(y2) - 8, int(x1) + 6 : int(x2) - 6].mean(axis=(0, 1)) for x1, y1, x2, y2 in xyxy]
    return (np.array(rows) / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def files(tmp_path: Path) -> tuple[list[str], list[str]]:
    """Camera a shows red as 5 and green as 2, camera b green as 1 and blue as 9, each in frames 3 to 12 of 15."""
    seen = {"a": {"red": 5, "green": 2}, "b": {"green": 1, "blue": 9}}
    for name, people in seen.items():
        with VideoWriter(tmp_path / f"{name}.mp4", frame_rate=10) as writer:
            for _ in range(15):
                image = np.full((48, 96, 3), 90, np.uint8)
                for colour in people:
                    x1, y1, x2, y2 = BOX[colour]
                    image[y1:y2, x1:x2] = COLOURS[colour]
                writer.write(image)
        frames = np.repeat(np.arange(3, 13), 2)
        table = TrackTable(frames, list(people.values()) * 10, [BOX[colour] for colour in people] * 10)
        write_tracks(tmp_path / f"{name}.txt", table)
    return [str(tmp_path / f"{n}.txt") for n in "ab"], [str(tmp_path / f"{n}.mp4") for n in "ab"]


def test_tracklets_hold_what_the_videos_show(files) -> None:
    cameras = read_cameras(*files)
    tracklets, pictures = look(cameras, outline(cameras), by_colour, crops=3)
    assert tracklets.camera_id.tolist() == [0, 0, 1, 1] and tracklets.track_id.tolist() == [2, 5, 1, 9]
    np.testing.assert_allclose(tracklets.begin_seconds, 0.2)
    np.testing.assert_allclose(tracklets.end_seconds, 1.1)
    assert tracklets.crops.tolist() == [10] * 4
    similarity = tracklets.embedding @ tracklets.embedding.T
    assert similarity[0, 2] > 0.99 and similarity[0, 1] < 0.3 and similarity[0, 3] < 0.3
    assert [int(np.argmax(picture[64, 32])) for picture in pictures] == [1, 2, 1, 0]


def test_files_hold_the_global_identities(files, tmp_path: Path) -> None:
    cameras = read_cameras(*files)
    tracklets, pictures = look(cameras, outline(cameras), by_colour, crops=3)
    linked = Linked(np.array([1, 2, 1, 3]), (Link(0, 2, 0.9, 0.9, None, 0.01, -0.9),), 0.8, 0.05)
    paths = write_linked(tmp_path / "out", cameras, tracklets, linked, pictures=pictures)
    assert [path.name for path in paths] == ["a.txt", "b.txt", "montage.jpg", "links.html"] and all(
        p.is_file() for p in paths
    )
    a, b = (TrackTable.load(path) for path in paths[:2])
    for table, boxes in ((a, {1: BOX["green"], 2: BOX["red"]}), (b, {1: BOX["green"], 3: BOX["blue"]})):
        assert set(table.track_id.tolist()) == set(boxes)
        for identity, box in boxes.items():
            np.testing.assert_allclose(table.xyxy[table.track_id == identity], [box] * 10)
    told = report(cameras, tracklets, linked)
    assert told["identities"] == {"1": ["a:2", "b:1"], "2": ["a:5"], "3": ["b:9"]}
    assert told["links"][0]["left"] == "a:2" and told["links"][0]["right"] == "b:1"


def test_known_pairs_are_found_by_their_names(files, tmp_path: Path) -> None:
    cameras = read_cameras(*files)
    tracklets = outline(cameras)
    known = tmp_path / "known.json"
    known.write_text('{"must": [["a:5", "b:9"]], "cannot": [["a:2", "b:1"]]}')
    assert read_constraints(str(known), tracklets, cameras) == {"must": [(1, 3)], "cannot": [(0, 2)]}
    for text, message in (
        ('{"must": [["a:5", "b:7"]]}', "constraints: got 'b:7' in .* such as 'a:2'"),
        ('{"may": [["a:5", "b:9"]]}', "constraints: got 'may'"),
        ("{", "expected JSON such as"),
        ("[]", "expected JSON such as"),
        ('{"must": [], "must": [["a:5", "b:9"]]}', "'must' stands in it twice"),
        ('{"must": [["a:5", "a:5"]]}', "got 'a:5' twice in a pair"),
        ('{"must": [["a:5", "b:9"]], "cannot": [["b:9", "a:5"]]}', "got 'a:5' and 'b:9' under must and under cannot"),
    ):
        known.write_text(text)
        with pytest.raises(ValueError, match=message):
            read_constraints(str(known), tracklets, cameras)


@pytest.mark.skipif(shutil.which("node") is None, reason="node runs the page's script")
def test_of_two_answers_on_one_pair_the_later_is_saved(files, tmp_path: Path) -> None:
    cameras = read_cameras(*files)
    tracklets, pictures = look(cameras, outline(cameras), by_colour, crops=3)
    linked = link(tracklets, CALIBRATION, max_false_links=0.05)
    write_linked(tmp_path, cameras, tracklets, linked, pictures=pictures)
    answers: list[dict[str, object]] = [
        {"pair": ["a:5", "b:9"], "kind": "must"},
        {"pair": ["b:9", "a:5"], "kind": "cannot"},
    ]
    found = saved_by_page((tmp_path / "links.html").read_text(encoding="utf-8"), answers)
    assert found == {"must": [], "cannot": [["b:9", "a:5"]]}


def saved_by_page(page: str, answers: list[dict[str, object]]) -> dict[str, list[list[str]]]:
    """What the page's own script writes into known.json when these answers are given."""
    script = page.rpartition("<script>")[2].partition("</script>")[0]
    known = page.partition('id="known">')[2].partition("</script>")[0]
    call = f"{script}\nconsole.log(JSON.stringify(merged({known}, {json.dumps(answers)})))"
    return json.loads(subprocess.run(["node", "-e", call], capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(shutil.which("node") is None, reason="node runs the page's script")
def test_answers_of_the_page_are_kept_by_the_next_run_and_by_those_after_it(files, tmp_path: Path) -> None:
    """Green is joined by its looks and split, red and blue are confirmed to be one, then green is as well."""
    cameras = read_cameras(*files)
    tracklets, pictures = look(cameras, outline(cameras), by_colour, crops=3)
    known = {"must": [], "cannot": []}
    found = []
    for answer in (
        {"pair": ["b:1", "a:2"], "kind": "cannot"},
        {"pair": ["a:5", "b:9"], "kind": "must"},
        {"pair": ["a:2", "b:1"], "kind": "must"},
        None,
    ):
        linked = link(tracklets, CALIBRATION, max_false_links=0.05, **known)
        found.append(linked.global_id.tolist())
        write_linked(tmp_path, cameras, tracklets, linked, pictures=pictures, known=known)
        page = (tmp_path / "links.html").read_text(encoding="utf-8")
        (tmp_path / "known.json").write_text(json.dumps(saved_by_page(page, [answer] if answer else [])))
        known = read_constraints(str(tmp_path / "known.json"), tracklets, cameras)
    # Rows: a:2 green, a:5 red, b:1 green, b:9 blue.
    assert found == [[1, 2, 1, 3], [1, 2, 3, 4], [1, 2, 3, 2], [1, 2, 1, 2]]


def test_tracks_of_another_video_are_refused(files) -> None:
    (a, b), videos = files
    TrackTable([99], [1], [BOX["red"]]).save(a)
    with pytest.raises(ValueError, match=r"a: got track 1 in frame 99, which '.*a.mp4' does not have"):
        cameras = read_cameras([a, b], videos)
        look(cameras, outline(cameras), by_colour, crops=1)


def test_command_writes_files_and_keeps_what_is_known(files, tmp_path: Path, capsys) -> None:
    known = tmp_path / "known.json"
    known.write_text('{"must": [["a:2", "b:1"]], "cannot": [["a:5", "b:9"]]}')
    (a, b), (one, two) = files
    call = [
        f"tracks={a},{b}",
        f"videos={one},{two}",
        f"output={tmp_path / 'out'}",
        f"constraints={known}",
        "device=cpu",
    ]
    assert main(call) == 0
    assert "4 tracks of 2 videos" in capsys.readouterr().out
    told = json.loads((tmp_path / "out" / "links.json").read_text())
    identity = {name: number for number, names in told["identities"].items() for name in names}
    assert identity["a:2"] == identity["b:1"] and identity["a:5"] != identity["b:9"]


@pytest.mark.parametrize(
    ("known", "output", "reid", "message"),
    [
        ('{"must": [["a:2", "c:1"]]}', "out", "null", "constraints: got 'c:1' in"),
        ('{"must": [["a:2", "a:5"]]}', "out", "null", "must: got 'a:2' and 'a:5' as one person, which"),
        ('{"must": [["a:2", "b:1"], ["b:1", "b:9"]]}', "out", "null", "must: got 'b:1' and 'b:9' as one person"),
        ("{}", "known.json", "null", "output: got 'known.json"),
        ("{}", "out", "uncalibrated.safetensors", "calibration: got none; expected the calibration of a model"),
    ],
)
def test_bad_input_is_found_before_a_frame_is_read(
    files, tmp_path: Path, capsys, monkeypatch, known, output, reid, message
) -> None:
    """`look` reads and embeds; it is never called."""
    monkeypatch.setattr("mot_reid.pipeline.link.look", lambda *_, **__: pytest.fail("the videos were read"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "known.json").write_text(known)
    network = ReIDNetwork("osnet_x0_25", weights="none", image_size=(64, 32))
    checkpoint.save(tmp_path / "uncalibrated.safetensors", network, Preprocess(64, 32), provenance={}, licence="none")
    (a, b), (one, two) = files
    call = [f"tracks={a},{b}", f"videos={one},{two}", "constraints=known.json", "device=cpu"]
    assert main([*call, f"output={output}", f"reid={reid}"]) == 2
    told = capsys.readouterr().err
    assert message in told and "Traceback" not in told


def test_model_is_run_by_the_runtime_that_is_asked_for(files, tmp_path: Path, monkeypatch) -> None:
    asked = []

    def opened(name, *, device, runtime):
        asked.append(runtime)
        raise ValueError("seen enough")

    monkeypatch.setattr("mot_reid.reid.embedder.Embedder", opened)
    (a, b), (one, two) = files
    call = [f"tracks={a},{b}", f"videos={one},{two}", f"output={tmp_path / 'out'}"]
    assert main(call) == main([*call, "runtime=openvino"]) == 2
    assert asked == ["auto", "openvino"]


def test_mistakes_are_one_line_and_exit_code_two(files, tmp_path: Path, capsys) -> None:
    (a, b), (one, _) = files
    for call, message in (
        ([f"tracks={a},{b}", f"videos={one}"], "videos: got 1 for 2 files of tracks"),
        ([f"tracks={a},{a}", f"videos={one},{one}"], "tracks: got two files called 'a'"),
        ([f"tracks={a}", "videos=none.mp4"], "videos: got 'none.mp4'"),
    ):
        assert main([*call, f"output={tmp_path / 'out'}"]) == 2
        assert message in capsys.readouterr().err
