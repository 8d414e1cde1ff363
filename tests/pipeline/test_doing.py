"""What people of the synthetic clip are doing, through the whole pipeline, against how they were made to move."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mot_reid import boxes
from mot_reid.actions.classifier import ActionClassifier
from mot_reid.actions.model_file import ClipFormat
from mot_reid.data.synthetic_clip import walkers
from mot_reid.pipeline.doing import Doing
from mot_reid.pipeline.plan import Job
from mot_reid.pipeline.run import run
from mot_reid.settings.load import ConfigError, load_settings
from mot_reid.settings.tracking import TrackSettings

SETTINGS = load_settings(TrackSettings, ["detector.min_score=0.1", "actions=true"], base="track")


def test_tracked_people_are_described_as_they_were_made_to_move(tmp_path) -> None:
    """Known: the place of each person half a second before and after; at least 90 % of the frames are right."""
    scene = tmp_path / "scene.json"
    scene.write_text(
        '{"zones": {"left": [[0, 0], [240, 0], [240, 270], [0, 270]]}, "lines": {"m": [[240, 0], [240, 270]]}}'
    )
    job = Job("clip", "synthetic", "bytetrack", results=str(tmp_path / "a.csv"))
    summary = run(replace(SETTINGS, zones=str(scene)), job)
    truth, rate = walkers().truth, walkers(frames=1).frame_rate
    found = pd.read_csv(tmp_path / "a.csv", keep_default_na=False)
    right = total = 0
    for row in found.itertuples():
        here = truth[truth.frame == row.frame]
        overlap = boxes.iou(np.array([[row.x1, row.y1, row.x2, row.y2]]), here.xyxy)[0]
        if overlap.max() < 0.5:
            continue
        mine = truth[truth.track_id == here.track_id[overlap.argmax()]]
        near = mine[np.abs(mine.frame - row.frame) <= 6]
        height = np.diff(near.xyxy[0, [1, 3]])[0]
        x = near.xyxy[:, [0, 2]].mean(axis=1)
        seconds = np.ptp(near.frame) / rate
        speed = np.abs(x[-1] - x[0]) / height / seconds
        if abs(speed - 0.2) < 0.05 or abs(speed - 1.3) < 0.05:
            continue  # too near to a threshold to be known
        right += row.action == ("standing" if speed < 0.2 else "walking" if speed < 1.3 else "running")
        total += 1
    assert total > 300 and right / total > 0.9
    inside = (found.x1 + found.x2) / 2 < 240
    assert ((found.zone == "left") == inside).mean() > 0.95
    told = summary["actions"]
    assert sum(told["seconds"].values()) == pytest.approx(len(found) / rate)
    assert {one["line"] for one in told["crossings"]} == {"m"} and {one["zone"] for one in told["visits"]} == {"left"}


def test_a_zone_that_is_none_is_refused_before_any_frame(tmp_path) -> None:
    scene = tmp_path / "scene.json"
    scene.write_text('{"zones": {"door": [[0, 0], [8, 0]]}}')
    with pytest.raises(ConfigError, match=r"zones: zone 'door': got .*; expected three or more corners"):
        run(replace(SETTINGS, zones=str(scene)), Job("clip", "synthetic", "sort"))


class _Second(ActionClassifier):
    """Says "second" of every clip."""

    def __init__(self, path: str, *, device: str) -> None:
        self.clip = ClipFormat(frames=4, height=16, width=16, seconds=2.0, context=2.0, mean=(0.0,) * 3, std=(1.0,) * 3)
        self.classes = ("first", "second")

    def __call__(self, clips):
        found = np.zeros((len(clips), 2), np.float32)
        found[:, 1] = 1
        return found


def test_a_classifier_adds_its_label_to_each_row_and_each_window_to_the_summary(tmp_path, monkeypatch) -> None:
    """Windows of 25 frames; a track has as many as fit, and one more where something is left."""
    monkeypatch.setattr("mot_reid.actions.classifier.ActionClassifier", _Second)
    chosen = replace(SETTINGS, actions=replace(SETTINGS.actions, classifier="model.safetensors"))
    job = Job("clip", "synthetic", "bytetrack", results=str(tmp_path / "a.csv"))
    summary = run(chosen, job)
    found = pd.read_csv(tmp_path / "a.csv", keep_default_na=False)
    told = summary["actions"]["classified"]
    expected = 0
    for _, rows in found.groupby("track_id"):
        length = rows.frame.max() - rows.frame.min() + 1
        expected += 0 if length < 25 else -(-length // 25)
        labels = set(rows.label)
        assert labels == ({""} if length < 25 else {"second"}) or labels == {"", "second"}
    assert 0 < len(told["windows"]) <= expected
    assert {one["label"] for one in told["windows"]} == {"second"} and told["windows"][0]["probability"] == 1.0
    assert told["seconds"]["second"] == pytest.approx((found.label == "second").sum() / walkers(frames=1).frame_rate)


@pytest.mark.parametrize(
    ("chosen", "source", "message"),
    [
        (
            {"describe": False, "classifier": "x.safetensors"},
            "synthetic",
            "classifier: got 'x.safetensors' without act",
        ),
        ({"describe": True, "classifier": "x.safetensors"}, "synthetic", "got 'x.safetensors'; expected an existing"),
    ],
)
def test_a_classifier_that_cannot_be_used_is_refused(chosen, source, message) -> None:
    with pytest.raises((ConfigError, FileNotFoundError), match=message):
        run(replace(SETTINGS, actions=replace(SETTINGS.actions, **chosen)), Job("clip", source, "sort"))


def test_a_classifier_is_refused_for_what_is_live(monkeypatch) -> None:
    monkeypatch.setattr("mot_reid.actions.classifier.ActionClassifier", _Second)
    doing = Doing(replace(SETTINGS, actions=replace(SETTINGS.actions, classifier="model.safetensors")))
    with pytest.raises(ConfigError, match=r"actions.classifier: got it for '0', which is live; expected a video that"):
        doing.refuse_live("0", live=True)
    doing.refuse_live("a.mp4", live=False)
