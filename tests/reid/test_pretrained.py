"""First weights: where they come from, and what is said when they do not come."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from mot_reid.reid import checkpoint, osnet
from mot_reid.reid.network import ReIDNetwork
from mot_reid.reid.pretrained import create_backbone, load_backbone


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    return osnet.create("osnet_x0_25").state_dict()


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_file_fills_the_backbone_without_its_classifier(
    tmp_path: Path, weights: dict[str, torch.Tensor], suffix: str
) -> None:
    path = tmp_path / f"weights{suffix}"
    content = {**weights, "fc.weight": torch.zeros(1000, 128), "fc.bias": torch.zeros(1000)}
    save_file(content, path) if suffix == ".safetensors" else torch.save(content, path)
    found = create_backbone("osnet_x0_25", weights=str(path)).state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in weights.items())


def test_file_of_a_whole_network_gives_its_backbone(tmp_path: Path) -> None:
    network = ReIDNetwork("osnet_x0_25", weights="none", num_classes=3)
    save_file(network.state_dict(), tmp_path / "network.safetensors")
    found = create_backbone("osnet_x0_25", weights=str(tmp_path / "network.safetensors")).state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in network.backbone.state_dict().items())


def test_file_under_state_dict_is_found(tmp_path: Path, weights: dict[str, torch.Tensor]) -> None:
    torch.save({"state_dict": weights, "epoch": 3}, tmp_path / "weights.pt")
    found = create_backbone("osnet_x0_25", weights=str(tmp_path / "weights.pt")).state_dict()
    assert torch.equal(found["stem.0.conv.weight"], weights["stem.0.conv.weight"])


@pytest.mark.parametrize("averaged", [False, True])
def test_checkpoint_of_a_run_gives_the_weights_it_would_be_scored_with(tmp_path: Path, averaged: bool) -> None:
    """`last.ckpt`, as Lightning writes it: a prefix, the objective's centres, and the average where there is one."""
    network, average = (ReIDNetwork("osnet_x0_25", weights="none", num_classes=3) for _ in range(2))
    state = {f"network.{name}": value for name, value in network.state_dict().items()}
    content = {"mot_reid": {}, "state_dict": {**state, "objective.terms.centre.centres": torch.zeros(3, 128)}}
    if averaged:
        content["ema_state_dict"] = average.state_dict()
    torch.save(content, tmp_path / "last.ckpt")
    found = create_backbone("osnet_x0_25", weights=str(tmp_path / "last.ckpt")).state_dict()
    wanted = (average if averaged else network).backbone.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in wanted.items())


def test_position_embedding_is_resampled_to_the_images_grid(tmp_path: Path) -> None:
    square = timm.create_model("vit_tiny_patch16_224", num_classes=0)
    torch.nn.init.constant_(square.pos_embed, 0.25)
    torch.save(square.state_dict(), tmp_path / "vit.pt")
    tall = create_backbone("vit_tiny_patch16_224", weights=str(tmp_path / "vit.pt"), image_size=(256, 128))
    assert tall.pos_embed.shape == (1, 1 + 16 * 8, 192)
    torch.testing.assert_close(tall.pos_embed, torch.full_like(tall.pos_embed, 0.25))


def test_mismatches_are_all_named(weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    wrong = {name: tensor for name, tensor in weights.items() if name != "stem.0.norm.weight"}
    wrong |= {"extra": torch.zeros(1), "stem.0.norm.bias": torch.zeros(5)}
    torch.save(wrong, tmp_path / "wrong.pt")
    with pytest.raises(ValueError, match="does not fit backbone 'osnet_x0_25'") as caught:
        load_backbone(osnet.create("osnet_x0_25"), tmp_path / "wrong.pt", name="osnet_x0_25")
    message = str(caught.value)
    assert "1 missing: stem.0.norm.weight" in message
    assert "1 unexpected: extra" in message
    assert "1 of another shape: stem.0.norm.bias is (5,), not (16,)" in message


def test_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    torch.save({"a": Path("x")}, tmp_path / "pickle.pt")
    with pytest.raises(ValueError, match="cannot be read as weights"):
        create_backbone("osnet_x0_25", weights=str(tmp_path / "pickle.pt"))


def test_file_without_tensors_is_refused(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "state.pt")
    with pytest.raises(ValueError, match="expected a dict of tensors by name"):
        create_backbone("osnet_x0_25", weights=str(tmp_path / "state.pt"))


def test_missing_file_is_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"model.weights: got 'nowhere.pt'"):
        create_backbone("resnet18", weights="nowhere.pt")


@pytest.mark.parametrize(("wrong", "nearest"), [("resnet5O", "resnet50"), ("osnet_x025", "osnet_x0_25")])
def test_unknown_backbone_offers_the_nearest(wrong: str, nearest: str) -> None:
    with pytest.raises(ValueError, match=f"backbone: got '{wrong}'.*did you mean .*'{nearest}'"):
        create_backbone(wrong, weights="none")


def test_unreachable_pretrained_weights_are_one_sentence_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*arguments: object, **options: object) -> None:
        raise OSError("Name or service not known.\nlong story")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(RuntimeError) as caught:
        create_backbone("resnet18")
    assert str(caught.value) == (
        "backbone 'resnet18': its pretrained weights could not be loaded (Name or service not known); "
        "give a file with model.weights=<file> or train from scratch with model.weights=none"
    )


def test_osnet_has_no_pretrained_weights() -> None:
    with pytest.raises(RuntimeError, match=r"backbone 'osnet_x1_0': .*model\.weights=none"):
        create_backbone("osnet_x1_0")


def test_drop_path_reaches_a_backbone_that_has_it() -> None:
    dropped = create_backbone("vit_tiny_patch16_224", weights="none", drop_path=0.5)
    assert any(type(module).__name__ == "DropPath" for module in dropped.modules())


@pytest.mark.parametrize("name", ["osnet_x0_25", "vgg11"])
def test_drop_path_is_refused_by_a_backbone_without(name: str) -> None:
    with pytest.raises(ValueError, match=r"drop_path: got 0\.1"):
        create_backbone(name, weights="none", drop_path=0.1)


def test_name_of_a_bundled_model_gives_its_backbone() -> None:
    backbone = create_backbone("osnet_x0_25", weights="osnet_x0_25_market1501")
    stored = checkpoint.load(checkpoint.find("osnet_x0_25_market1501")).network.backbone.state_dict()
    assert all(torch.equal(value, stored[key]) for key, value in backbone.state_dict().items())


@pytest.mark.parametrize(
    ("weights", "input_norm", "warned"),
    [
        ("osnet_x0_25_cameras", False, True),
        ("osnet_x0_25_cameras", True, False),
        ("osnet_x0_25_market1501", True, False),  # how such models begin
        ("osnet_x0_25_market1501", False, False),
    ],
)
def test_weights_trained_with_input_norm_are_warned_of_where_there_is_none(
    weights: str, input_norm: bool, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    ReIDNetwork("osnet_x0_25", weights=weights, input_norm=input_norm)
    assert ("set it here as well" in caplog.text) == warned
