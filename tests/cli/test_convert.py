"""`mot-reid convert`: tracks to a tool and back, and to a sequence that is scored."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mot_reid.cli import convert, evaluate_mot
from mot_reid.data.motchallenge import read_ground_truth, read_sequence
from mot_reid.structures import TrackTable

SIZE = ["width=640", "height=360", "frame_rate=25", "frames=4"]


@pytest.fixture
def tracks(tmp_path: Path) -> Path:
    frame, track_id = np.repeat([1, 2, 3, 4], 2), np.tile([1, 2], 4)
    left = 20.0 * frame + 200 * (track_id - 1)
    xyxy = np.stack([left, 50 + 0 * left, left + 40, 150 + 0 * left], axis=1)
    return TrackTable(frame, track_id, xyxy).save(tmp_path / "tracks.txt")


@pytest.mark.parametrize("output", [["task.zip"], ["a.json", "format=coco"], ["a.json", "format=label_studio", *SIZE]])
def test_tracks_come_back_from_every_tool(tracks: Path, output: list[str], tmp_path: Path) -> None:
    there, back = tmp_path / output[0], tmp_path / "back.csv"
    assert convert.main([f"source={tracks}", f"output={there}", *output[1:]]) == 0
    assert convert.main([f"source={there}", f"output={back}", *SIZE]) == 0
    found, expected = TrackTable.load(back), TrackTable.load(tracks)
    assert found.track_id.tolist() == expected.track_id.tolist() and found.frame.tolist() == expected.frame.tolist()
    np.testing.assert_allclose(found.xyxy, expected.xyxy, atol=1e-6)


def test_corrected_zip_becomes_a_sequence_on_which_its_own_tracks_score_everything(
    tracks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert convert.main([f"source={tracks}", f"output={tmp_path / 'task.zip'}", "label=walker"]) == 0
    assert convert.main([f"source={tmp_path / 'task.zip'}", f"output={tmp_path / 'walk'}", *SIZE]) == 0
    assert capsys.readouterr().out.endswith("walk: 2 people, 8 boxes\n")
    sequence = read_sequence(tmp_path / "walk")
    assert (sequence.name, sequence.length, sequence.width, sequence.frame_rate) == ("walk", 4, 640, 25)
    assert set(read_ground_truth(sequence.ground_truth_path).class_id.tolist()) == {1}
    scores = tmp_path / "scores.json"
    scored = [f"ground_truth={tmp_path / 'walk'}", f"results={tracks}", f"json={scores}", "benchmark=MOT17"]
    assert evaluate_mot.main(scored) == 0
    assert json.loads(scores.read_text())["combined"]["hota"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["output=a.json"], "format: got none for 'a.json'; expected format=coco or another"),
        (["output=seq"], "width, height, frame_rate, frames: got none; a sequence needs it; expected video=FILE"),
        (
            ["output=a.json", "format=label_studio", "width=5"],
            "height, frame_rate, frames: got none; Label Studio needs",
        ),
        (
            ["output=a.zip", "format=submission"],
            "benchmark: got none; expected the benchmark that format=submission is",
        ),
        (
            ["output=a.txt", "format=submission", "benchmark=MOT20"],
            "got 'a.txt'; expected a .zip for format",
        ),
        (["output=a.zip", "format=submission", "benchmark=MOT20"], "expected a folder with a file for each sequence"),
        (["output=a.zip", "benchmark=MOT20"], "benchmark: got no format=submission; expected both"),
        (["output=a.zip", "video=gone.mp4"], "video: got 'gone.mp4'; expected an existing file"),
    ],
)
def test_mistake_is_one_line(
    arguments: list[str], said: str, tracks: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tracks.parent)
    assert convert.main([f"source={tracks}", *arguments]) == 2
    assert said in capsys.readouterr().err
    assert sorted(path.name for path in tracks.parent.iterdir()) == ["tracks.txt"]


def test_folder_of_results_becomes_a_submission(
    tracks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "results").mkdir()
    tracks.rename(tmp_path / "results" / "dancetrack0003.txt")
    submission = [f"output={tmp_path / 'tracker.zip'}", "format=submission", "benchmark=DanceTrack"]
    assert convert.main([f"source={tmp_path / 'results'}", *submission]) == 0
    assert "1 files for DanceTrack" in capsys.readouterr().out
    with zipfile.ZipFile(tmp_path / "tracker.zip") as archive:
        assert archive.namelist() == ["tracker/dancetrack0003.txt"]
        assert archive.read(archive.namelist()[0]) == (tmp_path / "results" / "dancetrack0003.txt").read_bytes()


@pytest.mark.data
def test_real_video_says_its_size_and_length(real_data: Path, tmp_path: Path) -> None:
    video, truth = real_data / "video" / "tud-campus.mp4", real_data / "MOT15/train/TUD-Campus/gt/gt.txt"
    output = tmp_path / "tasks.json"
    made = [f"source={truth}", f"output={output}", "format=label_studio", f"video={video}", "url=/data/v.mp4"]
    assert convert.main(made) == 0
    task = json.loads(output.read_text())[0]
    assert task["data"] == {"video": "/data/v.mp4"}
    assert {one["value"]["framesCount"] for one in task["predictions"][0]["result"]} == {71}
    assert len(task["predictions"][0]["result"]) == 8
