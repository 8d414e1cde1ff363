"""Clips cut by the labels of tracks, through the command, against what can be counted by hand."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from mot_reid.cli import convert
from mot_reid.data.action_clips import read_frames
from tests.data.test_action_clips import clip_file
from tests.helpers.calls import Call, caller


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Call:
    return caller(convert.main, capsys)


def labelled(path: Path) -> Path:
    """Track 1 walks for 20 frames and waves for 12; track 2 has no label; track 3 walks too shortly."""
    lines = ["frame,track_id,x1,y1,x2,y2,label"]
    tracks = ((1, 1, 20, "walking"), (1, 21, 32, "waving"), (2, 1, 32, ""), (3, 1, 8, "walking"))
    for track, first, last, label in tracks:
        lines += [f"{frame},{track},{10 * track},5,{10 * track + 4},25,{label}" for frame in range(first, last + 1)]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_labelled_tracks_become_clips_of_each_label(tmp_path: Path, say: Call) -> None:
    """A clip is a second, ten frames: two of walking; of twelve frames of waving one, and one that ends with it."""
    video = clip_file(tmp_path / "street.avi", frames=32, size=(40, 64), step=7)
    source, clips = labelled(tmp_path / "a.csv"), tmp_path / "clips"
    arguments = [f"source={source}", f"video={video}", f"output={clips}", "format=clips"]
    code, out, err = say(*arguments)
    assert code == 0 and "2 clips of walking, 2 clips of waving" in out, err
    names = sorted(f"{path.parent.name} {path.stem}" for path in clips.rglob("*.mp4"))
    assert names == ["walking street-1-1", "walking street-1-11", "waving street-1-21", "waving street-1-23"]
    second = read_frames(clips / "walking/street-1-11.mp4", seconds=1.0, frames=10, size=(16, 16))
    np.testing.assert_allclose(second.mean(axis=(1, 2, 3)), 7 * np.arange(10, 20), atol=4)
    code, _, err = say(*arguments)
    assert code == 2 and "street-1-1.mp4', which is there already" in err


@pytest.mark.parametrize(
    ("header", "label", "message"),
    [
        ("frame,track_id,x1,y1,x2,y2,action", "walking", "line 1: got columns .*; expected label as well"),
        ("frame,track_id,x1,y1,x2,y2,label", "", "label: got no label in any row"),
        ("frame,track_id,x1,y1,x2,y2,label", "../up", "label: got '../up'; expected a word that can be the name"),
        ("frame,track_id,x1,y1,x2,y2,label", "walking", "got no track with one label for as long as a clip; lower"),
    ],
)
def test_tables_that_give_no_clips_are_refused(tmp_path: Path, say: Call, header, label, message) -> None:
    video = clip_file(tmp_path / "street.avi")
    (tmp_path / "a.csv").write_text(f"{header}\n1,1,10,5,14,25,{label}\n")
    code, _, err = say(f"source={tmp_path / 'a.csv'}", f"video={video}", f"output={tmp_path / 'clips'}", "format=clips")
    assert code == 2 and re.search(message, err)
