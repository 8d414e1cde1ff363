"""Networks for clips, their files, and what a classifier says of tracks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from mot_reid.actions import model_file, networks
from mot_reid.actions.classifier import ActionClassifier
from mot_reid.actions.model_file import ClipFormat
from mot_reid.data.frame import Frame
from mot_reid.reid.checkpoint import CheckpointError
from mot_reid.structures import TrackTable

CLIP = ClipFormat(frames=4, height=16, width=16, seconds=1.0, context=2.0, mean=(0.5,) * 3, std=(0.25,) * 3)


class Brightness(nn.Module):
    """Calls a clip light where its mean, normalised, is above 0, and the surer the farther it is from that."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([-1.0, 1.0]))

    def forward(self, clip: torch.Tensor) -> torch.Tensor:
        return clip.mean(dim=(1, 2, 3, 4))[:, None] * self.scale


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of a network whose answers are known."""
    monkeypatch.setattr(networks, "create", lambda *_, **__: Brightness())
    told = model_file.metadata("r3d_small", ("dark", "light"), CLIP, provenance={"seed": 0}, licence="none")
    model_file.save(tmp_path / "model.safetensors", Brightness(), told)
    return tmp_path / "model.safetensors"


def video(levels: list[int]) -> list[Frame]:
    return [Frame(n, n / 10, np.full((40, 60, 3), level, np.uint8)) for n, level in enumerate(levels, 1)]


def test_labels_are_those_of_the_frames_of_each_window(model: Path) -> None:
    """Twenty dark frames, then ten light ones; track 1 is there all the time, 2 in the last ten, 3 too shortly."""
    table = TrackTable.concatenate(
        [
            TrackTable(
                np.arange(first, last + 1),
                np.full(last - first + 1, who),
                np.tile([20.0, 10, 30, 30], (last - first + 1, 1)),
            )
            for who, first, last in ((1, 1, 30), (2, 21, 30), (3, 21, 26))
        ]
    )
    found = ActionClassifier(model).label(video([10] * 20 + [250] * 10), table, frame_rate=10)
    assert [(w.track_id, w.first_frame) for w in found.windows] == [(1, 1), (1, 11), (1, 21), (2, 21)]
    assert found.label.tolist() == ["dark", "dark", "light", "light"]
    dark = 1 / (1 + np.exp(2 * (10 / 255 - 0.5) / 0.25))
    np.testing.assert_allclose(found.probability[0], dark, atol=1e-6)
    label, probability = found.of_rows(table)
    assert label.tolist() == ["dark"] * 20 + ["light"] * 20 + [""] * 6
    assert np.isnan(probability[-6:]).all() and not np.isnan(probability[:-6]).any()


def test_rows_under_two_windows_have_the_answer_of_the_earlier_one(model: Path) -> None:
    table = TrackTable(np.arange(1, 16), np.ones(15, int), np.tile([20.0, 10, 30, 30], (15, 1)))
    found = ActionClassifier(model).label(video([10] * 10 + [250] * 5), table, frame_rate=10)
    assert [w.first_frame for w in found.windows] == [1, 6]
    assert found.of_rows(table)[0].tolist() == ["dark"] * 10 + [str(found.label[1])] * 5


def test_no_tracks_are_no_labels(model: Path) -> None:
    found = ActionClassifier(model).label(video([0] * 3), TrackTable.empty(), frame_rate=10)
    assert len(found.windows) == 0 and found.of_rows(TrackTable.empty())[0].shape == (0,)


def test_a_file_comes_back_with_all_that_it_says(model: Path) -> None:
    loaded = model_file.load(model)
    assert loaded.clip == CLIP and loaded.classes == ("dark", "light")
    assert loaded.metadata["provenance"] == {"seed": 0} and loaded.metadata["licence"] == "none"


def test_changed_weights_are_refused(model: Path) -> None:
    content = bytearray(model.read_bytes())
    content[-3] ^= 1
    model.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"do not match their checksum|fit each other"):
        model_file.load(model)


def test_a_network_that_computes_something_else_is_refused(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Other(Brightness):
        def forward(self, clip: torch.Tensor) -> torch.Tensor:
            return -super().forward(clip)

    monkeypatch.setattr(networks, "create", lambda *_, **__: Other())
    with pytest.raises(CheckpointError, match="probabilities of the probe differ"):
        model_file.load(model)


def test_models_of_the_other_kind_are_refused_by_both_readers(model: Path) -> None:
    from mot_reid.reid import bundled, checkpoint

    with pytest.raises(CheckpointError, match="got an action classifier; expected a model that recognises people"):
        checkpoint.describe(model)
    person = bundled.resolve("person_small")
    with pytest.raises(CheckpointError, match="got a model that recognises people; expected an action classifier"):
        ActionClassifier(person)


def test_clips_of_another_shape_are_refused(model: Path) -> None:
    with pytest.raises(ValueError, match=r"clips: got uint8 of shape \(1, 4, 8, 8, 3\); expected uint8 of"):
        ActionClassifier(model)(np.zeros((1, 4, 8, 8, 3), np.uint8))


@pytest.mark.parametrize("name", [networks.SMALL, "r3d_18"])
def test_networks_give_a_logit_for_each_class(name: str) -> None:
    network = networks.create(name, classes=3, frames=4, size=(32, 32))
    assert network(torch.zeros(2, 3, 4, 32, 32)).shape == (2, 3)


def test_weights_are_taken_without_the_classifier() -> None:
    """From a network of seven classes into one of three: all but `fc` is that of the first."""
    first, second = (networks.create(networks.SMALL, classes=n, frames=4, size=(32, 32)) for n in (7, 3))
    own = second.fc.weight.clone()
    networks.fill(second, first.state_dict(), head="fc.")
    same = {
        name: torch.equal(value, first.state_dict()[name])
        for name, value in second.state_dict().items()
        if "fc" not in name
    }
    assert all(same.values()) and torch.equal(second.fc.weight, own)
    with pytest.raises(ValueError, match="got those of another network"):
        networks.fill(second, networks.create("r3d_18", classes=3, frames=4, size=(32, 32)).state_dict(), head="fc.")


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("r3d", {}, "model.network: got 'r3d'; expected one of r3d_small, r3d_18"),
        ("mvit_v2_s", {}, "got 'mvit_v2_s' for 8 frames of 64x64; it takes 16 frames of 224x224 only"),
        ("s3d", {}, "got 's3d' for 8 frames of 64x64, of which nothing is left .* made for 16 frames of 224x224"),
        (networks.SMALL, {"weights": "pretrained"}, "pretrained weights could not be loaded \\(nobody has published"),
    ],
)
def test_networks_that_cannot_be_are_refused_in_a_sentence(name, arguments, message) -> None:
    with pytest.raises((ValueError, RuntimeError), match=message):
        networks.create(name, classes=2, frames=8, size=(64, 64), **arguments)


def test_pretrained_weights_that_cannot_be_had_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    from urllib.error import URLError

    def unreachable(*_: object, **__: object) -> None:
        raise URLError("Name or service not known")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", unreachable)
    with pytest.raises(
        RuntimeError, match=r"'mc3_18': its pretrained weights could not be loaded \(.*not known.*none$"
    ):
        networks.create("mc3_18", classes=2, frames=4, size=(32, 32), weights="pretrained")
