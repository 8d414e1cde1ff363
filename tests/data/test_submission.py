"""The zips that the servers of benchmarks take."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from mot_reid.data.submission import write_submission
from mot_reid.structures import TrackTable

LINES = "1,2,0.00,1.50,10.00,20.00,0.75,-1,-1,-1\n2,1,5.00,6.00,7.00,8.00,1,-1,-1,-1\n"


def _tracks(track_id: tuple[int, int] = (1, 2)) -> TrackTable:
    return TrackTable(frame=[2, 1], track_id=track_id, xyxy=[[5, 6, 12, 14], [0, 1.5, 10, 21.5]], score=[1.0, 0.75])


def _content(path: Path) -> dict[str, str]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


@pytest.mark.parametrize(
    ("benchmark", "sequence", "file"),
    [
        ("MOT20", "MOT20-04", "MOT20-04.txt"),
        ("SportsMOT", "v_-9kabh1K8UA_c008", "v_-9kabh1K8UA_c008.txt"),
        ("DanceTrack", "dancetrack0003", "tracker/dancetrack0003.txt"),
    ],
)
def test_submission_has_the_layout_of_the_server(tmp_path: Path, benchmark: str, sequence: str, file: str) -> None:
    names = write_submission(tmp_path / "a.zip", {sequence: _tracks()}, benchmark=benchmark)
    assert names == [file] and _content(tmp_path / "a.zip") == {file: LINES}


def test_submission_of_mot17_has_every_detector(tmp_path: Path) -> None:
    """One result stands for all three; three stand for themselves."""
    three = {f"MOT17-03-{detector}": _tracks((n, n + 1)) for n, detector in enumerate(("DPM", "FRCNN", "SDP"), 1)}
    names = write_submission(tmp_path / "a.zip", {"MOT17-01-SDP": _tracks(), **three}, benchmark="MOT17")
    content = _content(tmp_path / "a.zip")
    assert names == [f"MOT17-{number}-{copy}.txt" for number in ("01", "03") for copy in ("DPM", "FRCNN", "SDP")]
    assert {content[f"MOT17-01-{copy}.txt"] for copy in ("DPM", "FRCNN", "SDP")} == {LINES}
    assert [content[name].split(",")[1] for name in names[3:]] == ["2", "3", "4"]
    del three["MOT17-03-SDP"]
    with pytest.raises(ValueError, match="got MOT17-03-DPM, MOT17-03-FRCNN; expected one file of a sequence, or one"):
        write_submission(tmp_path / "b.zip", three, benchmark="MOT17")


def test_submission_is_the_same_bytes_again(tmp_path: Path) -> None:
    for name in ("a.zip", "b.zip"):
        write_submission(tmp_path / name, {"MOT20-04": _tracks()}, benchmark="MOT20")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


@pytest.mark.parametrize(
    ("results", "message"),
    [
        ({}, "results: got none; expected the tracks of every sequence"),
        ({"MOT17-01": _tracks()}, "results: got 'MOT17-01'; expected a sequence of DanceTrack, such as dancetrack0003"),
        ({"dancetrack0003": _tracks((0, 1))}, "dancetrack0003: track_id: got 0; expected 1 or more"),
    ],
)
def test_submission_refuses_what_the_server_would(tmp_path: Path, results: dict[str, TrackTable], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        write_submission(tmp_path / "a.zip", results, benchmark="DanceTrack")
    assert not list(tmp_path.iterdir())
