"""Whatever is wrong with a file, the sentence begins with the key by which it was given."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mot_reid.data.tables import write_tracks
from mot_reid.data.video_writer import VideoWriter
from mot_reid.structures import TrackTable
from tests.helpers.runs import small_arguments
from tests.helpers.sequences import write_sequences

CALLS = {
    "adapt checkpoint": "source=synthetic output={tmp}/a.safetensors",
    "benchmark reid": "what=embed",
    "compare embedders": "trackers=bytetrack_reid output={tmp}/board",
    "embed checkpoint": "source={tmp}/crop.png output={tmp}/a.npz",
    "evaluate checkpoint": "data.root={tmp}",
    "evaluate-mot reid": "ground_truth={tmp}/truth/a results={tmp}/tracks.txt benchmark=MOT15 report={tmp}/a.html",
    "export checkpoint": "output={tmp}/a.onnx format=onnx",
    "link reid": "tracks={tmp}/tracks.txt videos={tmp}/video.mp4 output={tmp}/linked",
    "publish checkpoint": "repo=ann/people card={tmp}/card.md",
    "search checkpoint": "query={tmp}/crop.png gallery={tmp}/crop.png",
    "search gallery": "query={tmp}/crop.png checkpoint=osnet_x0_25_taught",
    "track actions.classifier": "actions=true",
    "track detector.weights": "detector.kind=yolox",
    "track reid": "tracker.preset=bytetrack_reid",
    "tune-tracker reid": "ground_truth={tmp}/truth embeddings={tmp}/kept",
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the commands ask for besides the file, and files that are damaged."""
    tmp = tmp_path_factory.mktemp("files")
    for ending in (".safetensors", ".onnx", ".npz"):
        (tmp / f"damaged{ending}").write_bytes(b"no model at all")
    Image.new("RGB", (40, 80)).save(tmp / "crop.png")
    write_sequences(tmp / "truth")
    (tmp / "kept").mkdir()
    write_tracks(tmp / "tracks.txt", TrackTable([1, 2], [1, 1], [[4, 4, 24, 44]] * 2))
    with VideoWriter(tmp / "video.mp4", frame_rate=10) as writer:
        for _ in range(3):
            writer.write(np.zeros((48, 96, 3), np.uint8))
    return tmp


@pytest.mark.parametrize(
    ("call", "name"),
    # A benchmark opens the file in a process of its own, which takes seconds.
    [(call, name) for call in CALLS for name in ("gone", "damaged") if (call, name) != ("benchmark reid", "damaged")],
)
def test_refusal_begins_with_the_key(files: Path, capsys: pytest.CaptureFixture[str], call: str, name: str) -> None:
    command, key = call.split()
    ending = {"gallery": ".npz", "detector.weights": ".onnx"}.get(key, ".safetensors")
    file = files / f"{name}{ending}"
    main = import_module(f"mot_reid.cli.{command.replace('-', '_')}").main
    assert main([*CALLS[call].format(tmp=files).split(), f"{key}={file}"]) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith(f"{key}: ") and str(file) in told
    assert "checkpoint:" not in told or key == "checkpoint"


@pytest.mark.parametrize("name", ["gone", "damaged"])
@pytest.mark.parametrize("key", ["distill.teacher", "model.weights"])
def test_refusal_of_a_training_begins_with_the_key(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], key: str, name: str
) -> None:
    """The teacher of a Re-ID model, and the weights that a classifier of actions starts from."""
    from mot_reid.cli.fit import main

    run, file = tmp_path / "run", files / f"{name}.safetensors"
    words = small_arguments(tmp_path / "people", run, "distill.cosine=1")
    if key == "model.weights":
        for folder in ("sitting", "standing"):
            (tmp_path / "clips" / folder).mkdir(parents=True)
            (tmp_path / "clips" / folder / "a.mp4").touch()
        words = [
            "experiment=actions_synthetic",
            "data.kind=folders",
            f"data.root={tmp_path / 'clips'}",
            f"run.dir={run}",
        ]
    assert main([*words, f"{key}={file}"]) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith(f"{key}: ") and str(file) in told
    assert not run.exists()
