"""What a model says of the crops it was trained on."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mot_reid.data.identities import IdentityTable
from mot_reid.data.origins import MARKET1501, SYNTHETIC
from mot_reid.reid import checkpoint
from mot_reid.reid.network import ReIDNetwork
from mot_reid.reid.preprocess import Preprocess
from mot_reid.training.provenance import check_same_crops, fingerprint, go_on, initial_weights, licence


@pytest.fixture
def crops(tmp_path: Path) -> IdentityTable:
    """Four files of different sizes."""
    (tmp_path / "data").mkdir()
    paths = [tmp_path / "data" / f"{number}.jpg" for number in range(4)]
    for number, path in enumerate(paths):
        path.write_bytes(bytes(number))
    return IdentityTable([str(path) for path in paths], [1, 1, 2, 2], camera_id=[1, 2, 1, 2])


def test_fingerprint_is_the_same_in_another_order_and_place(crops: IdentityTable, tmp_path: Path) -> None:
    moved = shutil.copytree(tmp_path / "data", tmp_path / "moved")
    there = crops.replace(path=np.array([str(moved / Path(path).name) for path in crops.path]))
    assert fingerprint(crops) == fingerprint(crops[[2, 0, 3, 1]]) == fingerprint(there)


def test_fingerprint_changes_with_files_persons_and_cameras(crops: IdentityTable) -> None:
    others = [crops[:3], crops.replace(person_id=[1, 2, 1, 2]), crops.replace(camera_id=[1, 2, 1, 1])]
    found = {fingerprint(table) for table in (crops, *others)}
    Path(crops.path[0]).write_bytes(b"another picture")
    assert len(found | {fingerprint(crops)}) == 5


def save(path: Path, **provenance: str) -> str:
    torch.save({"mot_reid": {"provenance": provenance}}, path)
    return str(path)


def test_checkpoint_of_other_crops_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.ckpt", crops="abc")
    check_same_crops(path, "abc", root="here")
    with pytest.raises(ValueError, match="trained on other crops than those of 'here'; expected the same; set"):
        check_same_crops(path, "abd", root="here")


def test_checkpoint_that_does_not_say_its_crops_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        check_same_crops(save(tmp_path / "a.ckpt"), "abc", root="here")
    assert "does not say which crops it was trained on" in caplog.text


RESEARCH = "research use only: trained on Market-1501, whose owners allow academic use"


@pytest.fixture
def research(tmp_path: Path) -> Path:
    """A model of ours that was trained on Market-1501."""
    network = ReIDNetwork("osnet_x0_25", weights="none")
    path = tmp_path / "market.safetensors"
    told = {"experiment": "e", "dataset": "market1501", "crops": "abc", "initial": None}
    checkpoint.save(path, network, Preprocess(64, 32), provenance=told, licence=RESEARCH)
    return path


def test_research_weights_stay_research_weights_on_drawn_people(research: Path) -> None:
    """Caught: "Apache-2.0" for a model that began with Market-1501."""
    initial = initial_weights(str(research), "osnet_x0_25")
    assert initial is not None
    assert {key: initial[key] for key in ("name", "licence", "dataset", "crops")} == {
        "name": "market.safetensors",
        "licence": RESEARCH,
        "dataset": "market1501",
        "crops": "abc",
    }
    assert licence([SYNTHETIC], initial) == (
        f"{RESEARCH} (of its initial weights, market.safetensors); Apache-2.0: trained on synthetic people"
    )
    assert licence([MARKET1501], initial) == RESEARCH


def test_weights_of_weights_are_carried_on(research: Path, tmp_path: Path) -> None:
    second = {"licence": "x", "provenance": {"dataset": "synthetic", "initial": initial_weights(str(research), "-")}}
    torch.save({"mot_reid": second, "state_dict": {}}, tmp_path / "second.ckpt")
    third = initial_weights(str(tmp_path / "second.ckpt"), "-")
    assert third is not None
    assert (third["dataset"], third["initial"]["dataset"]) == ("synthetic", "market1501")


def test_weights_of_others_are_named(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pth")
    assert initial_weights(str(tmp_path / "other.pth"), "-") == {
        "name": "other.pth",
        "licence": "unknown: that of this file",
    }
    assert initial_weights("none", "resnet50") is None
    assert initial_weights("pretrained", "mobilenetv2_100.ra_in1k") == {
        "name": "timm's mobilenetv2_100.ra_in1k",
        "licence": "apache-2.0",
    }


def part(lr: float, **more: Any) -> dict[str, Any]:
    return {"config": {"optim": {"lr": lr}}, "git": "g", "versions": {}, "created": "now", "initial": None, **more}


def test_resumed_run_lists_every_configuration_that_trained(tmp_path: Path) -> None:
    """Of three parts, the second with another rate, the third with the rate of the second."""
    path = str(tmp_path / "last.ckpt")
    new = {"licence": "a", "provenance": part(0.2)}
    torch.save({"mot_reid": {"licence": "b", "provenance": part(0.1, initial={"name": "w"})}, "global_step": 7}, path)
    second = go_on(new, path)
    assert second["licence"] == "b"
    assert second["provenance"]["initial"] == {"name": "w"}
    assert second["provenance"]["config"] == {"optim": {"lr": 0.2}}
    (first,) = second["provenance"]["earlier"]
    assert (first["config"], first["until_step"]) == ({"optim": {"lr": 0.1}}, 7)
    torch.save({"mot_reid": second, "global_step": 9}, path)
    assert go_on(new, path)["provenance"]["earlier"] == [first]


def test_a_term_is_said_once_however_long_the_line_of_models() -> None:
    """ImageNet to a first cycle, that to a second, and this as the teacher of a third: three terms, four files."""
    first = licence(
        [MARKET1501], {"licence": "MIT: weights of a library (as they say; no more)", "name": "imagenet.pth"}
    )
    assert (
        first == f"{RESEARCH}; MIT: weights of a library (as they say; no more) (of its initial weights, imagenet.pth)"
    )
    assert licence([MARKET1501], {"licence": first, "name": "first.safetensors"}) == first
    apart = licence([SYNTHETIC], {"licence": f"{first}; not for sale", "name": "second.safetensors"})
    assert apart.count(RESEARCH) == apart.count("MIT") == 1
    assert f"{RESEARCH} (of its initial weights, second.safetensors)" in apart
    assert "not for sale (of its initial weights, second.safetensors)" in apart


def test_licence_names_the_teacher_and_its_terms(tmp_path: Path) -> None:
    foreign = tmp_path / "net.onnx"
    foreign.write_bytes(b"")
    assert licence([SYNTHETIC], teacher=str(foreign)).startswith("taught by net.onnx, whose own terms apply as well")
    zoo = licence([MARKET1501], teacher="somewhere/person-reidentification-retail-0277.xml")
    assert zoo.startswith("research use only") and "(Apache-2.0; what it was trained on is not published)" in zoo
    of_ours = licence([SYNTHETIC], teacher="osnet_x0_25_market1501")
    assert of_ours.startswith("research use only") and "(of its teacher, osnet_x0_25_market1501.safetensors)" in of_ours
