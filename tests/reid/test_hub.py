"""Models on the Hugging Face Hub, against a stand-in: the cache layout of the Hub, and an interface that fills it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mot_reid.cli.publish import main
from mot_reid.reid import checkpoint
from mot_reid.reid.embedder import Embedder

huggingface_hub = pytest.importorskip("huggingface_hub")
BUNDLED = "osnet_x0_25_market1501"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of a machine that is not connected."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return tmp_path


def stored(hub: Path, repo: str, files: dict[str, bytes], *, reference: str = "main") -> None:
    """Puts files where the library keeps those of a repository."""
    folder = hub / f"models--{repo.replace('/', '--')}"
    for name, content in files.items():
        path = folder / "snapshots" / COMMIT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (folder / "refs").mkdir(exist_ok=True)
    (folder / "refs" / reference).write_text(COMMIT)


@pytest.mark.parametrize("address", ["hf://ann/people", f"hf://ann/people@{COMMIT}", "hf://ann/people@main"])
def test_model_of_the_hub_is_the_model_that_was_stored(address: str, hub: Path) -> None:
    stored(hub, "ann/people", {"model.safetensors": checkpoint.find(BUNDLED).read_bytes()})
    crop = np.random.default_rng(0).integers(0, 256, (128, 64, 3), dtype=np.uint8)
    found = Embedder(address, device="cpu").embed(crop)
    np.testing.assert_array_equal(found, Embedder(BUNDLED, device="cpu").embed(crop))


@pytest.mark.parametrize("address", ["hf://ann/nobody", "hf://ann/people@v2"])
def test_model_that_is_not_at_hand_offline_is_one_sentence(address: str, hub: Path) -> None:
    stored(hub, "ann/people", {"model.safetensors": b""})
    with pytest.raises(
        FileNotFoundError, match=f"got '{address}', which is not in the local cache, and the Hub"
    ) as said:
        checkpoint.find(address)
    assert "\n" not in str(said.value)


@pytest.mark.parametrize("address", ["hf://people", "hf://a/b/c", "hf://a/b@"])
def test_address_of_another_form_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match=f"got '{address}'; expected hf://user/name or"):
        checkpoint.find(address)


def test_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match=r'huggingface_hub is not installed; pip install "mot-reid\[hub\]"'):
        checkpoint.find("hf://ann/people")


class StandIn:
    """The part of the Hub's interface that publishing needs, which stores what it is given."""

    cache: Path
    made: list[tuple[str, bool]]

    def create_repo(self, repo: str, *, private: bool, exist_ok: bool) -> None:
        self.made.append((repo, private))

    def create_commit(self, repo: str, operations: list[Any], *, commit_message: str) -> None:
        files = {}
        for one in operations:
            given = one.path_or_fileobj
            files[one.path_in_repo] = given if isinstance(given, bytes) else Path(given).read_bytes()
        stored(self.cache, repo, files)


def test_published_model_is_found_again_with_its_card(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    StandIn.cache, StandIn.made = hub, []
    monkeypatch.setattr(huggingface_hub, "HfApi", StandIn)
    assert main([f"checkpoint={BUNDLED}", "repo=ann/people"]) == 0
    assert StandIn.made == [("ann/people", True)]
    model = checkpoint.find("hf://ann/people")
    assert model.read_bytes() == checkpoint.find(BUNDLED).read_bytes()
    card = (model.parent / "README.md").read_text()
    told = checkpoint.describe(model)
    assert card.startswith("---\n") and 'Embedder("hf://ann/people")' in card
    assert f"| licence | {told['licence']} |" in card
    assert "| test, Rank-1 | 72.7 |" in card and "Cosine similarity 0.534: 0.1% of pairs of strangers" in card


def test_card_shows_measured_scores_with_intervals(tmp_path: Path) -> None:
    scores, card = tmp_path / "scores.json", tmp_path / "card.md"
    measured = {"rank1": 0.5, "mean_ap": 0.25, "intervals": {"rank1": [0.4, 0.6]}, "data": {"kind": "folders"}}
    scores.write_text(json.dumps(measured))
    assert main([f"checkpoint={BUNDLED}", "repo=ann/people", f"scores={scores}", f"card={card}"]) == 0
    assert "| Rank-1 | 50.0 | 40.0 to 60.0 |" in card.read_text() and "| mAP | 25.0 |  |" in card.read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["repo=people"], "repo: got 'people'; expected user/name"),
        (["repo=ann/people", "scores=gone.json"], "scores: got 'gone.json'; expected an existing file"),
    ],
)
def test_mistake_of_publish_is_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([f"checkpoint={BUNDLED}", *arguments]) == 2
    assert said in capsys.readouterr().err
