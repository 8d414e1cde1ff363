"""`mot-reid embed` and `mot-reid search`: files, rankings and pages, against the embedder asked by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mot_reid.cli import embed, search
from mot_reid.evaluation.embedding_file import EmbeddingFile
from mot_reid.reid import checkpoint
from mot_reid.reid.embedder import Embedder
from mot_reid.reid.network import ReIDNetwork
from mot_reid.reid.preprocess import Preprocess


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    network = ReIDNetwork("osnet_x0_25", weights="none", image_size=(64, 32))
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    calibration = {"threshold": 0.99, "roc": []}
    checkpoint.save(path, network, Preprocess(64, 32), provenance={}, licence="none", calibration=calibration)
    return path


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Plain colours, two of red, in two folders."""
    root = tmp_path_factory.mktemp("crops")
    (root / "more").mkdir()
    colours = {
        "red2.png": (250, 5, 5),
        "red10.png": (245, 0, 8),
        "green.png": (0, 200, 0),
        "more/blue.png": (0, 0, 230),
    }
    for name, colour in colours.items():
        Image.new("RGB", (20, 40), colour).save(root / name)
    (root / "notes.txt").write_text("no image")
    return root


def test_embed_writes_what_the_embedder_gives(model: Path, crops: Path, tmp_path: Path) -> None:
    output = tmp_path / "made" / "embeddings.npz"
    assert embed.main([f"source={crops}", f"output={output}", f"checkpoint={model}", "device=cpu"]) == 0
    names = ["green.png", "more/blue.png", "red2.png", "red10.png"]
    with np.load(output) as content:
        assert content["path"].tolist() == [str(crops / name) for name in names]
        expected = Embedder(model, device="cpu").embed([crops / name for name in names])
        np.testing.assert_allclose(content["embedding"], expected, atol=1e-6)


def test_search_ranks_a_folder_and_a_file_of_its_embeddings_alike(
    model: Path, crops: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = [f"checkpoint={model}", "device=cpu"]
    assert embed.main([f"source={crops}", f"output={tmp_path / 'e.npz'}", *own]) == 0
    found = []
    for gallery in (crops, tmp_path / "e.npz"):
        answer, page = tmp_path / "ranks.json", tmp_path / "ranks.html"
        asked = [f"query={crops / 'red2.png'}", f"gallery={gallery}", f"json={answer}", f"report={page}", "count=2"]
        assert search.main([*asked, *own]) == 0
        found.append(json.loads(answer.read_text())["queries"])
        assert page.read_text().count("data:image/jpeg;base64,") == 3 and "red10.png" in page.read_text()
    rows = Embedder(model, device="cpu").embed([crops / "red2.png", crops / "red10.png", crops / "green.png"])
    first = found[0][0]["answers"][0]
    assert found[0] == found[1]
    assert Path(first["path"]).name == "red10.png"  # and not the query itself
    assert first["similarity"] == pytest.approx(float(rows[0] @ rows[1]), abs=1e-5) and first["same"] is True
    assert "red10.png" in capsys.readouterr().out


def test_embeddings_of_another_model_are_refused(
    model: Path, crops: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = EmbeddingFile([str(crops / "green.png")], np.eye(1, 512, dtype=np.float32), {"file": "a", "sha256": "0"})
    other.save(tmp_path / "a.npz")
    asked = [f"query={crops / 'red2.png'}", f"gallery={tmp_path / 'a.npz'}", f"checkpoint={model}"]
    assert search.main([*asked, "device=cpu"]) == 2
    assert "embedded by a; expected embeddings of the model that embeds the query" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("source", "output", "said"),
    [
        ("gone.jpg", "a.npz", "source: got 'gone.jpg'; expected an image file, a folder or a pattern"),
        ("{crops}/none*", "a.npz", "expected an image file, a folder or a pattern"),
        ("{crops}", "a.csv", "a.csv'; expected a name ending in .npz"),
        ("{empty}", "a.npz", "without images; expected .bmp"),
    ],
)
def test_mistake_of_embed_is_one_line(
    source: str, output: str, said: str, crops: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = source.format(crops=crops, empty=tmp_path)
    assert embed.main([f"source={named}", f"output={tmp_path / output}"]) == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_file_that_is_no_embeddings_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"PK nothing")
    with pytest.raises(ValueError, match=r"embeddings: got '.*a.npz' \(.*expected a file that mot-reid embed wrote"):
        EmbeddingFile.load(tmp_path / "a.npz")
