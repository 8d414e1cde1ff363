"""The command line of tools/tune_tracker.py."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mot_reid.cli import tune_tracker as tool
from mot_reid.data.motchallenge import read_detections
from mot_reid.reid.embedder import Embedder
from tests.helpers.sequences import NAMES, write_sequences

pytest.importorskip("optuna")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_sequences(tmp_path / "truth")


def test_tuning_finds_a_high_band_that_holds_the_boxes(root: Path, tmp_path: Path) -> None:
    """Fails when the objective is minimised, parameters do not reach the tracker, or defaults are reported as tuned."""
    file = tmp_path / "out" / "tuned.json"
    done = tool.main(
        [f"ground_truth={root}", "benchmark=MOT15", "parameters=high", "trials=4", "seed=1", f"json={file}"]
    )
    assert done == 0
    content = json.loads(file.read_text())
    assert content["default"]["hota"] == 0
    assert content["held_out"]["hota"] > 0.9
    assert content["parameters"]["high"] < 0.45
    assert {name: part["parameters"]["high"] < 0.45 for name, part in content["sequences"].items()} == dict.fromkeys(
        NAMES, True
    )


def test_table_shows_default_and_tuned(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tool.main([f"ground_truth={root}", "benchmark=MOT15", "parameters=low", "trials=1", "sequences=a,b"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["held", "a", "b", "combined"]
    assert "0.00 > 0.00" in lines[3]
    assert lines[-1] == "parameters tuned on all sequences: those of the preset: nothing was better"


@pytest.mark.parametrize(("extra", "runtime"), [([], "onnx"), (["runtime=torch"], "torch")])
def test_missing_embeddings_are_computed_by_the_runtime(
    root: Path, tmp_path: Path, extra: list[str], runtime: str
) -> None:
    """By default by ONNX Runtime, as in `track`, whose last digits are others than torch's."""
    pytest.importorskip("onnxruntime")
    pixels = np.random.default_rng(0).integers(0, 256, (12, 80, 300, 3), dtype=np.uint8)
    for name in NAMES[:2]:
        (root / name / "img1").mkdir()
        for number, image in enumerate(pixels, start=1):
            Image.fromarray(image[..., ::-1]).save(root / name / "img1" / f"{number:06d}.png")
    words = [f"ground_truth={root}", "benchmark=MOT15", "preset=bytetrack_reid", "parameters=high", "trials=1"]
    words += ["sequences=a,b", f"embeddings={tmp_path / 'kept'}", "reid=osnet_x0_25_taught"]
    (tmp_path / "kept").mkdir()
    assert tool.main([*words, *extra]) == 0
    table, embedder = read_detections(root / "a" / "det" / "det.txt"), Embedder("osnet_x0_25_taught", runtime=runtime)
    expected = [embedder(image, table.xyxy[table.frame == number]) for number, image in enumerate(pixels, start=1)]
    np.testing.assert_array_equal(np.load(tmp_path / "kept" / "a.npy"), np.concatenate(expected))


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["preset=bytetrak"], "preset: got 'bytetrak'; expected one of .*; did you mean 'bytetrack'?"),
        (["parameters=high,gate"], "parameters: got 'gate'; expected one of high"),
        (["objective=mt"], "objective: got 'mt'; expected one of hota"),
        (["trials=0"], "trials: got 0; expected a number of at least 1"),
        (["sequences=a"], "got only one sequence, a; expected two or more"),
        (["detections=det/gone.txt"], "det/gone.txt': no such file"),
        (["benchmark=MOT1"], "benchmark: got 'MOT1'; expected one of MOT15"),
        (["embeddings=gone"], "embeddings: got no 'gone/a.npy'; expected it, or reid=PATH"),
        (["reid=x"], "reid: got it without embeddings=DIR"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_two(
    root: Path, capsys: pytest.CaptureFixture[str], extra: list[str], message: str
) -> None:
    assert tool.main([f"ground_truth={root}", *extra]) == 2
    told = capsys.readouterr()
    assert message.split(".*")[0] in told.err and told.err.count("\n") == 1
