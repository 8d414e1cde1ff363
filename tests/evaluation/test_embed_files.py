"""Embeddings of image files are those of the network, with and without mirror images, from a cache or not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mot_reid.data.images import decode
from mot_reid.evaluation.embed_files import cached_embeddings, embed_crops
from mot_reid.reid import checkpoint
from mot_reid.reid.embedder import Embedder
from mot_reid.reid.network import ReIDNetwork
from mot_reid.reid.preprocess import Preprocess


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    network = ReIDNetwork("osnet_x0_25", weights="none", image_size=(64, 32))
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    checkpoint.save(path, network, Preprocess(64, 32), provenance={}, licence="none")
    return path


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Six pictures, more than a batch of four."""
    rng, root = np.random.default_rng(0), tmp_path_factory.mktemp("crops")
    for number in range(6):
        Image.fromarray(rng.integers(0, 256, (40, 20, 3), dtype=np.uint8)).save(root / f"{number}.png")
    return sorted(str(path) for path in root.iterdir())


def test_flip_averages_a_crop_and_its_mirror_image(model: Path, crops: list[str]) -> None:
    found = embed_crops(Embedder(model, device="cpu", batch_size=4), crops, flip=True)
    artifact = checkpoint.load(model)
    with torch.inference_mode():
        for row, path in zip(found, crops, strict=True):
            crop = artifact.preprocess(torch.from_numpy(decode(path)).permute(2, 0, 1)[None])
            both = artifact.network(crop) + artifact.network(crop.flip(3))
            assert np.allclose(row, torch.nn.functional.normalize(both)[0].numpy(), atol=1e-5)


def test_cache_tells_flips_and_changed_crops_apart(model: Path, crops: list[str], tmp_path: Path) -> None:
    embedder = Embedder(model, device="cpu")
    plain, flipped = (
        cached_embeddings(tmp_path, embedder, crops, model=model, precision="float32", flip=flip)
        for flip in (False, True)
    )
    assert len(list(tmp_path.iterdir())) == 2 and not np.array_equal(plain, flipped)
    changed = tmp_path / "new.png"
    Image.new("RGB", (20, 40), "red").save(changed)
    first = cached_embeddings(tmp_path, embedder, [str(changed)], model=model, precision="float32")
    Image.new("RGB", (20, 40), "green").save(changed, compress_level=0)
    second = cached_embeddings(tmp_path, embedder, [str(changed)], model=model, precision="float32")
    assert not np.array_equal(first, second)
