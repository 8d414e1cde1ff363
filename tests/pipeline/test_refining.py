"""Tracks refined after the last frame of a job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mot_reid import TrackTable
from mot_reid.data.video import VideoReader
from mot_reid.pipeline.plan import Job
from mot_reid.pipeline.refining import Looks, refuse_live
from mot_reid.pipeline.run import run
from mot_reid.pipeline.steps import Step
from mot_reid.settings.load import ConfigError, load_settings
from mot_reid.settings.tracking import TrackSettings
from mot_reid.structures import Detections, Tracks


def job(folder: Path, *given: str, preset: str = "bytetrack") -> tuple[dict[str, Any], TrackTable]:
    settings = load_settings(TrackSettings, ["min_track_length=1", *given], base="track")
    summary = run(settings, Job("clip", "synthetic", preset, results=str(folder / "tracks.csv")))
    return summary, TrackTable.load(folder / "tracks.csv")


def test_refined_job_says_so_in_summary_and_table(tmp_path: Path) -> None:
    online, plain = job(tmp_path)
    assert "refined" not in online and plain.filled is None
    offline, table = job(tmp_path, "refine=fill_linear")
    assert table.filled is not None
    added = len(table) - len(plain)
    assert added > 0
    assert int(table.filled.sum()) == added
    assert offline["refined"] == {
        "offline": True, "parts": ["fill_linear"], "tracks_before": online["tracks"], "boxes_filled": added,
    }  # fmt: skip


def test_video_shows_the_refined_tracks(tmp_path: Path) -> None:
    """The first frame that has a filled box differs from that of a run without refinement, and none is missing."""
    _, table = job(tmp_path, "refine=fill_linear")
    first = int(table.frame[table.filled].min()) if table.filled is not None else 0
    pictures = []
    for number, given in enumerate(([], ["refine=fill_linear"])):
        settings = load_settings(TrackSettings, ["draw.trails=false", *given], base="track")
        file = str(tmp_path / f"{number}.mp4")
        run(settings, Job("clip", "synthetic", "bytetrack", output=file))
        with VideoReader(file) as reader:
            pictures.append([frame.image for frame in reader])
    assert [len(part) for part in pictures] == [100, 100]
    assert np.abs(pictures[0][first - 1].astype(int) - pictures[1][first - 1]).max() > 100


def test_split_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="got 'split' without embeddings"):
        job(tmp_path, "refine=split")


def test_live_source_is_refused() -> None:
    with pytest.raises(ConfigError, match="refine: got it for 'rtsp://x', which is live; expected a video that ends"):
        refuse_live("rtsp://x", live=True)


class Constant:
    """Embeds everybody alike, and counts."""

    threshold = 0.6
    asked = 0

    def __call__(self, image: Any, xyxy: Any) -> Any:
        self.asked += 1
        return np.tile(np.array([[1, 0]], np.float32), (len(xyxy), 1))


def step(number: int, embedding: Any = None) -> Step:
    boxes = np.array([[0, 0, 4, 9.0], [5, 0, 9, 9]])
    found = Detections(boxes, np.ones(2), embedding=embedding)
    return Step(number, None, np.zeros((9, 9, 3), np.uint8), found, Tracks(boxes[:1], np.array([1]), detection=[1]))


def test_looks_are_taken_in_every_fifth_frame() -> None:
    embedder = Constant()
    looks = Looks(embedder)
    for number in range(1, 12):
        looks.add(step(number))
    table = looks.table()
    assert table is not None
    assert np.flatnonzero(~np.isnan(table[:, 0])).tolist() == [0, 5, 10]
    assert (embedder.asked, looks.threshold) == (3, 0.6)


def test_embeddings_that_are_there_are_taken_by_the_row_of_the_track() -> None:
    embedder = Constant()
    looks = Looks(embedder)
    looks.add(step(1, np.eye(2, dtype=np.float32)))
    np.testing.assert_array_equal(looks.table(), [[0, 1]])
    assert embedder.asked == 0


def test_without_a_model_there_are_no_looks() -> None:
    looks = Looks(None)
    looks.add(step(1))
    assert looks.table() is None
    assert looks.threshold == 0.5
