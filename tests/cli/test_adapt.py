"""The command line of tools/adapt.py: a threshold from videos without labels, or a sentence."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from mot_reid.cli.adapt import main
from mot_reid.data.synthetic_clip import walkers
from mot_reid.data.video_writer import VideoWriter
from mot_reid.reid import checkpoint
from mot_reid.reid.embedder import Embedder
from mot_reid.structures import TrackTable

MODEL = "osnet_x0_25_market1501"


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """16 synthetic people with the boxes of a detector next to them, as `walkers.avi` and `walkers.avi.csv`."""
    clip = walkers(frames=75, people=16, width=640, height=360)
    path = tmp_path_factory.mktemp("adapt") / "walkers.avi"
    with VideoWriter(path, frame_rate=clip.frame_rate) as writer:
        for image in clip.images:
            writer.write(image)
    rows = [
        TrackTable(np.full(len(one), number), np.arange(1, len(one) + 1), one.xyxy, one.score)
        for number, one in enumerate(clip.detections, start=1)
    ]
    TrackTable.concatenate(rows).save(f"{path}.csv")
    return path


def call(video: Path, *words: str) -> int:
    defaults = {"checkpoint": MODEL, "source": str(video), "detector.public": "{source}.csv", "device": "cpu"}
    given = dict(word.split("=", 1) for word in words)
    return main([f"{key}={value}" for key, value in (defaults | given).items()])


@pytest.fixture(scope="module")
def adapted(video: Path) -> Path:
    output = video.with_name("here.safetensors")
    with contextlib.redirect_stdout(io.StringIO()) as told:
        assert call(video, f"output={output}", f"json={video.with_name('figures.json')}") == 0
    video.with_name("told.txt").write_text(told.getvalue())
    return output


def test_new_model_has_the_threshold_and_says_where_it_is_from(video: Path, adapted: Path) -> None:
    figures = json.loads(video.with_name("figures.json").read_text())
    told = checkpoint.load(adapted)
    done = told.provenance["adapted"][-1]
    assert told.calibration is not None
    assert told.calibration["threshold"] == done["threshold"] == figures["threshold"] == Embedder(adapted).threshold
    assert (told.calibration["false_match_rate"], done["promised_false_match_rate"]) == (0.05, 0.05)
    assert done["interval"][0] <= done["estimate"] <= done["threshold"] <= done["interval"][1]
    assert [(one["name"], one["frames"], one["frame_rate"]) for one in done["videos"]] == [("walkers", 75, 12.5)]
    assert done["tracks"] >= 10 and done["track_pairs"] >= 20 and done["batch_norm"] == 0
    before = checkpoint.describe(checkpoint.find(MODEL))
    assert done["threshold_before"] == before["calibration"]["threshold"] == figures["before"]["threshold"]
    assert told.licence == before["licence"] and told.provenance["scores"] == before["provenance"]["scores"]
    assert done["settings"]["checkpoint"] == MODEL


def test_weights_are_those_that_they_were(adapted: Path) -> None:
    old, new = load_file(checkpoint.find(MODEL)), load_file(adapted)
    assert old.keys() == new.keys()
    assert all(old[name].dtype == new[name].dtype and np.array_equal(old[name], new[name]) for name in old)


def test_rates_are_told_in_plain_words(adapted: Path) -> None:
    told = adapted.with_name("told.txt").read_text().splitlines()
    assert told[0].startswith("walkers: 75 frames (6 s), ")
    assert "at most 5% of pairs of strangers match, with 95% confidence" in told[2]
    assert told[4].startswith("before     0.534: promised 0.1%; here ")


def test_batch_norms_move_and_scores_of_the_old_ones_are_put_aside(video: Path) -> None:
    output = video.with_name("moved.safetensors")
    assert call(video, "batch_norm=0.3", "links.images=20", f"output={output}") == 0
    old, new = load_file(checkpoint.find(MODEL)), load_file(output)
    changed = {name for name in old if not np.allclose(old[name].astype(float), new[name].astype(float), atol=1e-6)}
    assert changed and all("running_" in name or name == "probe.embedding" for name in changed)
    told = checkpoint.load(output).provenance
    assert "scores" not in told and told["adapted"][-1]["scores_before"] and told["adapted"][-1]["batch_norm"] == 0.3


def refused(capsys: pytest.CaptureFixture[str], video: Path, *words: str) -> str:
    output = video.with_name("none.safetensors")
    assert call(video, f"output={output}", *words) == 2
    assert not output.exists()
    told = capsys.readouterr().err.strip().splitlines()
    return told[-1]


def test_thin_evidence_is_refused_in_one_sentence(video: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, video, "max_frames=10") == (
        "source: got 0 tracks of people seen together with others; expected 10 or more, to learn how alike different "
        "people look; give longer videos, or more of them"
    )
    assert "expected" in (told := refused(capsys, video, "false_match_rate=0.001")) and "or 1000 pairs" in told


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["links.apart_seconds=2"], "links.apart_seconds: got 2; expected at most links.min_length_seconds, 1"),
        (["output=model.onnx"], "output: got 'model.onnx'; expected a name ending in .safetensors"),
        (["checkpoint=nobody"], "checkpoint: got 'nobody'; expected an existing file or one of the bundled models"),
        (["source=missing.mp4"], "missing.mp4"),
        (["false_match_rate=0"], "false_match_rate: got 0"),
    ],
)
def test_mistakes_are_said_in_one_line(
    video: Path, words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(video, *words) == 2
    assert expected in capsys.readouterr().err
