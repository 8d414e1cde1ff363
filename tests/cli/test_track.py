"""The command line of tools/track.py."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mot_reid import boxes
from mot_reid.data.motchallenge import read_results
from mot_reid.data.synthetic_clip import CAMERAS, FRAME_RATE, walkers_seen_by
from mot_reid.data.tables import read_tracks
from mot_reid.data.video import VideoReader
from mot_reid.data.video_writer import VideoWriter
from mot_reid.metrics.linking import evaluate_links
from mot_reid.reid.file_backend import FileBackend
from tests.helpers.calls import Call, caller

tool: Any = importlib.import_module("mot_reid.cli.track")


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """Runs the tool in this process: exit code, standard output, standard error."""
    for name, value in (("YOLO_AUTOINSTALL", "false"), ("YOLO_VERBOSE", "false"), ("OMP_WAIT_POLICY", "passive")):
        monkeypatch.setenv(name, value)
    return caller(tool.main, capsys)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A video of 12 grey frames with detections of one person walking: `clip.avi` and `clip.txt`."""
    with VideoWriter(tmp_path / "clip.avi", frame_rate=10) as writer:
        for _ in range(12):
            writer.write(np.full((48, 64, 3), 90, dtype=np.uint8))
    lines = [f"{frame},-1,{5 + frame},10,10,25,0.9\n" for frame in range(1, 13)]
    lines += ["2,-1,50,10,8,20,0.9\n", "3,-1,50,10,8,20,0.9\n"]
    (tmp_path / "clip.txt").write_text("".join(lines))
    return tmp_path / "clip.avi"


# The whole way


def test_fresh_machine_tracks_the_drawn_clip(say: Call) -> None:
    code, told, complaint = say("max_frames=20")
    assert code == 0, complaint
    assert "tracks in 20 frames" in told


def test_every_output_of_a_video_is_written(say: Call, clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, told, _ = say(
        f"source={clip}", f"detector.public={clip.with_suffix('.txt')}", f"output={out / 'a.mp4'}",
        f"results={out / 'a.txt'}", f"json={out / 'a.json'}", "draw.scores=true",
    )  # fmt: skip
    assert code == 0
    assert "clip: 1 tracks in 12 frames (1 short or unsure left out; min_track_length=1 min_score=0 keeps them)" in told
    table = read_results(out / "a.txt")
    assert table.frame.tolist() == list(range(1, 13)) and set(table.track_id.tolist()) == {1}
    with VideoReader(out / "a.mp4") as reader:
        pictures = [frame.image for frame in reader]
        assert reader.frame_rate == pytest.approx(10)
    assert len(pictures) == 12 and pictures[-1].std() > 5
    summary = json.loads((out / "a.json").read_text())
    assert (summary["frames"], summary["tracks"], summary["failed"]) == (12, 1, {})
    source = summary["sources"]["clip"]
    assert source["lengths"] == {"1": 12} and source["tracks_left_out"] == 1
    assert set(source["stages"]) == {"decode", "detect", "associate", "draw", "write"}
    assert sorted(path.name for path in out.iterdir()) == ["a.json", "a.mp4", "a.txt"]


def test_filters_are_options(say: Call, clip: Path, tmp_path: Path) -> None:
    arguments = (f"source={clip}", f"detector.public={clip.with_suffix('.txt')}", f"results={tmp_path / 'a.txt'}")
    say(*arguments, "min_track_length=1")
    assert set(read_results(tmp_path / "a.txt").track_id.tolist()) == {1, 2}
    say(*arguments, "min_score=0.95")
    assert len(read_results(tmp_path / "a.txt")) == 0


def test_folder_of_images_and_a_pattern_of_detections(say: Call, clip: Path, tmp_path: Path) -> None:
    from PIL import Image

    folder = tmp_path / "seq"
    (folder / "det").mkdir(parents=True)
    for number in range(1, 4):
        Image.new("RGB", (64, 48)).save(folder / f"{number:06d}.png")
    (folder / "det" / "det.txt").write_text(clip.with_suffix(".txt").read_text())
    code, told, problem = say(f"source={folder}", "detector.public={source}/det/det.txt", "tracker.frame_rate=10")
    assert (code, problem) == (0, "") and "seq: 1 tracks in 3 frames" in told


def test_presets_are_compared_in_one_montage(say: Call, clip: Path, tmp_path: Path) -> None:
    code, told, _ = say(
        f"source={clip}", f"detector.public={clip.with_suffix('.txt')}", "compare=[sort,ocsort]",
        f"montage={tmp_path / 'side.mp4'}", f"results={tmp_path / 'res'}",
    )  # fmt: skip
    assert code == 0 and "montage" in told
    assert sorted(path.name for path in (tmp_path / "res").iterdir()) == [
        "clip-bytetrack.txt", "clip-ocsort.txt", "clip-sort.txt"
    ]  # fmt: skip
    with VideoReader(tmp_path / "side.mp4") as reader:
        assert (reader.width, reader.height, reader.length) == (2 * 64, 2 * 48, 12)


def test_failed_sources_are_reported_and_the_rest_is_kept(say: Call, clip: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.avi").write_bytes(b"")
    code, told, problem = say(
        f"source=[{tmp_path / 'bad.avi'},{clip}]", f"detector.public={clip.with_suffix('.txt')}",
        f"results={tmp_path / 'res'}", f"json={tmp_path / 'a.json'}",
    )  # fmt: skip
    assert code == 1
    assert problem.count("\n") == 1 and problem.startswith("bad: video: got ")
    assert "clip: 1 tracks" in told and (tmp_path / "res" / "clip.txt").is_file()
    summary = json.loads((tmp_path / "a.json").read_text())
    assert list(summary["sources"]) == ["clip"] and list(summary["failed"]) == ["bad"]


# Mistakes


def test_missing_ray_is_one_sentence(say: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    code, _, problem = say("engine=ray", "max_frames=1")
    assert (code, problem) == (2, 'engine: ray is not installed; pip install "mot-reid[ray]"\n')


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sorce=x"], "command line: no key 'sorce'; did you mean 'source'?"),
        (["source"], "command line: got 'source'; expected key=value or --key=value"),
        (["source="], "source: got nothing; expected a video file"),
        (["source=no*where"], "source: got 'no*where', which no file matches"),
        (
            ["source=nowhere.mp4"],
            "video: got 'nowhere.mp4'; expected an existing file, folder, camera index or address",
        ),
        (["source={tmp}/empty.mp4"], "which cannot be read as a video"),
        (["source={tmp}/text.mp4"], "which cannot be read as a video"),
        (["source={tmp}"], "without images; expected .bmp"),
        (["detector.public={tmp}/nan.txt"], "nan.txt' line 2: score: got nan; expected"),
        (["detector.public={tmp}/nan.txt", "detector.weights=a"], "detector: got weights and public; expected one"),
        (["detector.weights={tmp}/none.pt"], "none.pt', which is not there; expected a YOLO model"),
        (["output={tmp}/text.mp4/a.mp4"], "output: got '{tmp}/text.mp4/a.mp4' (Not a directory); expected a folder"),
        (["output={tmp}/a.gif"], "video output: got '{tmp}/a.gif'; expected a name ending in"),
        (["output={tmp}"], "output: got '{tmp}', which cannot be written; choose another place"),
        (["results={tmp}/a.xls"], "results: got '{tmp}/a.xls'; expected a name ending in .txt, .csv, .parquet"),
        (["source=[a,b]", "results=a.txt"], "results: got 'a.txt' for several results; expected a folder"),
        (["tracker.preset=bytetrak"], "did you mean 'bytetrack'?"),
        (["compare=sortt"], "did you mean 'sort'?"),
        (["tracker.gate=0.5"], "tracker: gate: preset 'bytetrack' does not use it"),
        (["tracker.appearance=always"], "tracker.appearance: got 'always' without a model; expected reid=PATH"),
    ],
)
def test_mistake_is_one_line_and_exit_code_two(say: Call, tmp_path: Path, arguments: list[str], message: str) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("hello")
    (tmp_path / "nan.txt").write_text("1,-1,1,2,3,4,0.5\n2,-1,1,2,3,4,nan\n")
    code, _, problem = say(*[argument.replace("{tmp}", str(tmp_path)) for argument in arguments])
    assert code == 2
    assert message.replace("{tmp}", str(tmp_path)) in problem.replace("confidence: ", "score: ")
    assert problem.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty.mp4", "nan.txt", "text.mp4"]


def test_failed_run_leaves_no_video(say: Call, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mot_reid.viewing import draw

    def fail(*_: object) -> None:
        raise ValueError("no more ink")

    monkeypatch.setattr(draw.Annotator, "__call__", fail)
    code, _, problem = say(
        f"source={clip}", f"detector.public={clip.with_suffix('.txt')}", f"output={tmp_path / 'out' / 'a.mp4'}"
    )
    assert (code, problem) == (2, "no more ink\n")
    assert list((tmp_path / "out").iterdir()) == []


def test_lost_stream_keeps_what_was_seen(say: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mot_reid.data import video

    class Stream:
        frame_rate, length, live = 10.0, None, True

        def __init__(self) -> None:
            self._left = 8

        def read(self) -> video.Frame | None:
            self._left -= 1
            number = 8 - self._left
            return video.Frame(number, number / 10, np.zeros((48, 64, 3), np.uint8)) if self._left >= 0 else None

        def reopen(self) -> bool:
            return False

        def close(self) -> None:
            pass

    monkeypatch.setattr(video, "_open", lambda source, frame_rate: Stream())
    monkeypatch.setattr(video, "_WAIT_SECONDS", 0.001)
    lines = [f"{frame},-1,{5 + frame},10,10,25,0.9\n" for frame in range(1, 9)]
    (tmp_path / "det.txt").write_text("".join(lines))
    code, told, _ = say(
        "source=rtsp://host/live", f"detector.public={tmp_path / 'det.txt'}", f"json={tmp_path / 'a.json'}"
    )
    assert code == 0 and "live: 1 tracks in 8 frames" in told
    assert "stream: lost" in json.loads((tmp_path / "a.json").read_text())["sources"]["live"]["ended"]


def test_help_lists_every_key(say: Call) -> None:
    code, told, _ = say("--help")
    assert code == 0
    for key in ("source:", "output:", "tracker.preset:", "draw.trails:", "engine:", "min_track_length:"):
        assert key in told


# Real


@pytest.mark.data
def test_real_people_are_tracked(say: Call, real_data: Path, tmp_path: Path) -> None:
    """The first 20 frames of PETS09-S2L1 with a real network: nearly all its people, nobody twice."""
    weights = real_data.parent / "models" / "yolov8n_int8_openvino_model"
    if not weights.is_dir():
        pytest.skip("real data: no YOLOv8n beside it")
    pytest.importorskip("openvino")
    from mot_reid.data.motchallenge import read_ground_truth
    from mot_reid.metrics.mot import evaluate_mot

    code, _, problem = say(
        f"source={real_data / 'video' / 'pets09-s2l1.avi'}", f"detector.weights={weights}", "max_frames=20",
        f"results={tmp_path / 'a.txt'}",
    )  # fmt: skip
    assert code == 0, problem
    truth = read_ground_truth(real_data / "MOT15" / "train" / "PETS09-S2L1" / "gt" / "gt.txt")
    truth = truth[truth.frame <= 20]
    result = read_results(tmp_path / "a.txt")
    scores = evaluate_mot(truth.replace(xyxy=0.625 * truth.xyxy), result, benchmark="MOT15").combined
    assert scores.clear.mota > 0.6 and scores.clear.idsw == 0


# What real input is like


def _folder_with_another_size(folder: Path) -> tuple[Path, Path]:
    """40 images, the 21st wider than the others, and a det.txt of one person walking in all of them."""
    from PIL import Image

    (folder / "frames").mkdir()
    for number in range(1, 41):
        size = (80, 48) if number == 21 else (64, 48)
        Image.new("RGB", size, (200, 200, 200)).save(folder / "frames" / f"{number}.png")
    lines = [f"{number},-1,{number},10,10,25,0.9\n" for number in range(1, 41)]
    (folder / "det.txt").write_text("".join(lines))
    return folder / "frames", folder / "det.txt"


@pytest.mark.parametrize("preset", ["bytetrack", "botsort"])
def test_frame_of_another_size_loses_nothing(
    say: Call, tmp_path: Path, caplog: pytest.LogCaptureFixture, preset: str
) -> None:
    frames, detections = _folder_with_another_size(tmp_path)
    code, out, err = say(
        f"source={frames}", f"detector.public={detections}", f"tracker.preset={preset}",
        f"output={tmp_path / 'a.avi'}", f"results={tmp_path / 'a.txt'}", f"json={tmp_path / 'a.json'}",
    )  # fmt: skip
    assert code == 0, out + err
    assert read_results(tmp_path / "a.txt").frame.max() == 40
    with VideoReader(tmp_path / "a.avi") as reader:
        read = [frame.image for frame in reader]
    assert len(read) == 40 and all(image.shape == (48, 64, 3) for image in read)
    assert read[20][:3].mean() < 20 < 150 < read[20][24].mean()
    summary = json.loads((tmp_path / "a.json").read_text())["sources"]["frames"]
    assert summary["video_frames_scaled"] == 1
    assert "frame 21 has another size (80 x 48) than the first" in caplog.text


@pytest.mark.parametrize("name", ["[cam1] street.avi", "a, b.avi", "100%d.avi", "12:30.avi", "0000", "[cam1]"])
def test_source_that_exists_is_taken_whatever_its_name(
    say: Call, clip: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    from PIL import Image

    monkeypatch.chdir(clip.parent)
    if name.endswith(".avi"):
        clip.rename(name)
    else:
        Path(name).mkdir()
        for number in range(1, 13):
            Image.new("RGB", (64, 48)).save(Path(name) / f"{number}.png")
    code, out, err = say(f"source={name}", "detector.public=clip.txt", "results=a.txt", "json=a.json", "output=a.avi")
    assert code == 0, out + err
    (summary,) = json.loads(Path("a.json").read_text())["sources"].values()
    assert summary["frames"] == 12 and summary["tracks"] >= 1


def test_file_that_was_cut_off_is_named_in_the_summary(say: Call, clip: Path, caplog: pytest.LogCaptureFixture) -> None:
    noise = np.random.default_rng(0)
    with VideoWriter(clip, frame_rate=10) as writer:
        for _ in range(12):
            writer.write(noise.integers(0, 255, (48, 64, 3), dtype=np.uint8))
    content = clip.read_bytes()
    clip.write_bytes(content[: len(content) * 3 // 4])
    code, _, _ = say(f"source={clip}", f"detector.public={clip.with_suffix('.txt')}", f"json={clip.parent / 'a.json'}")
    summary = json.loads((clip.parent / "a.json").read_text())["sources"]["clip"]
    assert code == 0 and summary["truncated"] and summary["expected_frames"] == 12
    assert summary["frames"] + summary["lost"] + summary["broken"] == 12 and summary["frames"] < 12
    assert f"truncated: ended after {summary['frames']} of 12 frames" in caplog.text


def test_runtime_changes_what_runs_the_model_and_not_the_tracks(
    say: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when the key does not reach the embedder, or the ONNX file of the bundled model is not the same network."""
    pytest.importorskip("onnxruntime")
    used = []
    opened = FileBackend.__init__

    def remember(self: FileBackend, path: Path, *, device: str) -> None:
        used.append(path.suffix)
        opened(self, path, device=device)

    monkeypatch.setattr(FileBackend, "__init__", remember)
    for runtime in ("torch", "onnx"):
        code, _, err = say("reid=osnet_x0_25_taught", "device=cpu", f"runtime={runtime}", "max_frames=20",
                           f"results={tmp_path / runtime}.txt")  # fmt: skip
        assert code == 0, err
    assert used == [".onnx"]
    assert (tmp_path / "torch.txt").read_text() == (tmp_path / "onnx.txt").read_text() != ""


def test_link_gives_a_person_one_identity_in_three_synthetic_cameras(say: Call, tmp_path: Path) -> None:
    """Whom a track shows is looked up in the truth: nobody is joined to somebody else, and most are joined.

    What people do is told by the same identities.
    """
    scene = tmp_path / "scene.json"
    scene.write_text('{"lines": {"middle": [[240, 0], [240, 270]]}}')
    files = (("results", "r/{name}.csv"), ("output", "v"), ("json", "s.json"), ("zones", "scene.json"))
    wanted = [f"{key}={tmp_path / value}" for key, value in files]
    model = ("tracker.preset=bytetrack", "reid=person_small", "device=cpu")
    code, out, err = say("link=true", "actions=true", *model, *wanted)
    assert code == 0, err
    assert "linked       " in out and out.count("actions      ") == CAMERAS
    sources = json.loads((tmp_path / "s.json").read_text())["sources"]
    person, identity = [], []
    for camera in range(CAMERAS):
        name = f"synthetic-{camera + 1}"
        assert (tmp_path / "v" / f"{name}.mp4").stat().st_size > 1000
        truth, found = walkers_seen_by(camera).truth, read_tracks(tmp_path / "r" / f"{name}.csv")
        done = sources[name]["actions"]
        assert {int(track) for track in done["tracks"]} == set(found.track_id.tolist())
        assert sum(done["seconds"].values()) == pytest.approx(len(found) / FRAME_RATE)
        assert (
            (tmp_path / "r" / f"{name}.csv").read_text().startswith("frame,track_id,x1,y1,x2,y2,score,class_id,action")
        )
        for track in np.unique(found.track_id):
            rows = found[found.track_id == track]
            seen = []
            for frame, box in zip(rows.frame, rows.xyxy):
                here = truth[truth.frame == frame]
                seen.append(here.track_id[boxes.iou(box[None], here.xyxy)[0].argmax()])
            person.append(np.bincount(seen).argmax())
            identity.append(track)
    scores = evaluate_links(person, identity)
    assert scores.precision == 1 and scores.recall > 0.5
    told = json.loads((tmp_path / "s.json").read_text())["linked"]
    assert len(told["identities"]) == len(set(identity)) and told["links"][0]["expected_false"] <= 0.05


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("source=rtsp://door/1", "link: got it for 'rtsp://door/1', which is live; expected videos that end"),
        ("compare=[sort]", "link: got it with compare; expected one preset"),
    ],
)
def test_link_is_refused_where_it_makes_no_sense(say: Call, more: str, message: str) -> None:
    code, _, err = say("link=true", more)
    assert code == 2 and message in err
