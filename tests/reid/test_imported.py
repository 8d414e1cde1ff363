"""Weights of other libraries: the embeddings of the network they come from, and one sentence where that cannot be."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from mot_reid.cli import import_
from mot_reid.reid import checkpoint
from mot_reid.reid.embedder import Embedder
from mot_reid.reid.imported import import_weights, read_tensors
from tests.golden.record_torchreid import NETWORKS, SIZE
from tests.helpers.drawn_weights import draw_inputs, draw_weights

RECORDED = np.load(Path(__file__).parents[1] / "golden" / "torchreid.npz")
INPUTS = draw_inputs(4, SIZE, seed=1)
SIZES = {"height": SIZE[0], "width": SIZE[1]}


def agreement(path: Path, embedding: Tensor) -> float:
    """The least cosine between the embeddings of a model of ours and others, of their difference to the mean one.

    Embeddings by drawn weights are all alike, so that their cosine would be high for a wrong network as well.
    """
    network = checkpoint.load(path).network
    with torch.inference_mode():
        ours, theirs = network(INPUTS), F.normalize(embedding)
    return float(F.cosine_similarity(ours - ours.mean(0), theirs - theirs.mean(0)).min())


def torchreid_state(name: str) -> dict[str, Tensor]:
    shapes = {key: tuple(shape) for key, shape in json.loads(str(RECORDED[f"{name}.shapes"])).items()}
    return draw_weights(shapes, seed=0)


@pytest.mark.parametrize(
    ("name", "kind", "head"),
    [
        ("osnet_x0_25", "torchreid", "linear_bn_relu"),
        ("osnet_x0_5", "boxmot", "linear_bn_relu"),
        ("resnet50", "torchreid", "no"),
        ("resnet50_fc512", "boxmot", "linear_bn_relu"),
    ],
)
def test_torchreid_weights_give_the_embeddings_that_torchreid_gave(
    tmp_path: Path, name: str, kind: str, head: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Fails for another head, last stride, order of streams, or a gate or a shortcut that is left out."""
    source, output = tmp_path / "model.pth.tar", tmp_path / "model.safetensors"
    state = {f"module.{key}": value for key, value in torchreid_state(name).items()}
    torch.save({"state_dict": state, "epoch": 60, "rank1": np.float64(0.9)}, source)
    found = import_weights(source, output, kind=kind, **SIZES)
    assert found.startswith(f"{name.removesuffix('_fc512')}, avg pooling") and f"{head} head" in found
    cosine = agreement(output, torch.from_numpy(RECORDED[f"{name}.embedding"]))
    with capsys.disabled():
        print(f"\n{kind} {name}: cosine {cosine:.6f}")
    assert cosine > 0.9999
    assert set(NETWORKS) == {key.partition(".")[0] for key in RECORDED.files}


class FastReID(nn.Module):
    """fast-reid's Baseline with a ResNet-50 of torchvision as trunk, from the definition of its parts."""

    def __init__(self, *, gem: bool, reduced: int | None) -> None:
        super().__init__()
        self.backbone = torchvision.models.resnet50()
        self.backbone.maxpool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        for layer in (self.backbone.layer4[0].conv2, self.backbone.layer4[0].downsample[0]):
            layer.stride = (1, 1)
        self.backbone.fc = self.backbone.avgpool = nn.Identity()
        self.gem, dim = gem, reduced or 2048
        self.heads = nn.Module()
        self.heads.pool_layer = nn.Module()
        if gem:
            self.heads.pool_layer.p = nn.Parameter(torch.tensor([3.0]))
        reduction = [nn.Conv2d(2048, dim, 1, bias=False)] if reduced else []
        self.heads.bottleneck = nn.Sequential(*reduction, nn.BatchNorm2d(dim))
        self.heads.weight = nn.Parameter(torch.zeros(5, dim))
        self.register_buffer("pixel_mean", torch.tensor([[[123.675]], [[116.28]], [[103.53]]])[None])
        self.register_buffer("pixel_std", torch.tensor([[[58.395]], [[57.12]], [[57.375]]])[None])

    def forward(self, images: Tensor) -> Tensor:
        trunk = self.backbone
        x = trunk.maxpool(trunk.relu(trunk.bn1(trunk.conv1(images))))
        x = trunk.layer4(trunk.layer3(trunk.layer2(trunk.layer1(x))))
        p = self.heads.pool_layer.p if self.gem else 1
        x = x.clamp(min=1e-6).pow(p).mean((2, 3), keepdim=True).pow(1 / p)
        return self.heads.bottleneck(x)[:, :, 0, 0]


@pytest.mark.parametrize(("gem", "reduced"), [(False, None), (True, 64)])
def test_fastreid_weights_give_the_embeddings_of_its_definition(
    tmp_path: Path, gem: bool, reduced: int | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Fails for padded max pooling, a last stride of 2, the embedding before the neck, or an average for GeM."""
    network = FastReID(gem=gem, reduced=reduced).eval()
    kept = ("pixel_mean", "pixel_std", "heads.pool_layer.p")
    drawn = draw_weights({key: tuple(v.shape) for key, v in network.state_dict().items()}, seed=0)
    network.load_state_dict({key: v for key, v in drawn.items() if key not in kept}, strict=False)
    torch.save({"model": network.state_dict(), "iteration": 9}, tmp_path / "bot.pth")
    found = import_weights(tmp_path / "bot.pth", tmp_path / "bot.safetensors", kind="fastreid", **SIZES)
    assert f"resnet50, {'gem' if gem else 'avg'} pooling, last stride 1" in found and "bnneck neck" in found
    with torch.inference_mode():
        cosine = agreement(tmp_path / "bot.safetensors", network(INPUTS))
    with capsys.disabled():
        print(f"\nfastreid {'gem' if gem else 'avg'}: cosine {cosine:.6f}")
    assert cosine > 0.9999
    preprocess = checkpoint.load(tmp_path / "bot.safetensors").preprocess
    assert preprocess.interpolation == "bicubic"
    assert preprocess.mean == pytest.approx((0.485, 0.456, 0.406)) and preprocess.std == pytest.approx(
        (0.229, 0.224, 0.225)
    )


@pytest.mark.parametrize(
    ("name", "given", "size"),
    [("resnet18", None, SIZE), ("mobilenetv2_100", None, SIZE), ("regnetx_002", "regnetx_002", SIZE)],
)
def test_timm_weights_give_timms_own_embedding(tmp_path: Path, name: str, given: str | None, size: tuple) -> None:
    network = timm.create_model(name, num_classes=7).eval()
    save_file(network.state_dict(), tmp_path / "a.safetensors")
    found = import_weights(tmp_path / "a.safetensors", tmp_path / "b.safetensors", kind="timm", backbone=given, **SIZES)
    assert found.startswith(f"{name}, avg pooling, last stride 2") and "cosine 1.0000" in found
    with torch.inference_mode():
        pooled = network.forward_head(network.forward_features(INPUTS), pre_logits=True)
    assert agreement(tmp_path / "b.safetensors", pooled) > 0.9999


def test_vit_takes_its_class_token(tmp_path: Path) -> None:
    network = timm.create_model("vit_tiny_patch16_224", num_classes=3, img_size=SIZE)
    torch.save(network.state_dict(), tmp_path / "vit.pth")
    found = import_weights(tmp_path / "vit.pth", tmp_path / "vit.safetensors", kind="timm", **SIZES)
    assert found.startswith("vit_tiny_patch16_224, token pooling") and "cosine 1.0000" in found


def test_model_embeds_and_says_where_it_comes_from(tmp_path: Path) -> None:
    torch.save(torchreid_state("osnet_x0_25"), tmp_path / "osnet.pth")
    import_weights(tmp_path / "osnet.pth", tmp_path / "m.safetensors", kind="torchreid", licence="MIT")
    embedder = Embedder(tmp_path / "m.safetensors")
    assert embedder.embed([np.full((90, 40, 3), 90, np.uint8)]).shape == (1, 512) and embedder.threshold is None
    described = checkpoint.describe(tmp_path / "m.safetensors")
    assert described["provenance"]["imported"]["file"] == "osnet.pth" and described["licence"] == "MIT"
    assert described["network"]["head"] == "linear_bn_relu"


class Attack:
    def __reduce__(self) -> tuple[Callable[..., None], tuple[str]]:
        return print, ("attacked",)


def test_code_in_a_file_is_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"state_dict": {}, "x": Attack()}, tmp_path / "evil.pth")
    with pytest.raises(ValueError, match=r"evil\.pth': cannot be read without running code in it .*print"):
        read_tensors(tmp_path / "evil.pth")
    assert "attacked" not in capsys.readouterr().out


def without(key: str) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    return lambda state: {name: value for name, value in state.items() if name != key}


def renamed(old: str, new: str) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    return lambda state: {name.replace(old, new): value for name, value in state.items()}


@pytest.mark.parametrize(
    ("name", "kind", "change", "said"),
    [
        (
            "osnet_x0_25",
            "torchreid",
            renamed("conv2.0.conv3", "conv2.0.IN"),
            r"got a tensor conv2\.0\.IN\.\w+.*; expec",
        ),
        (
            "osnet_x0_25",
            "torchreid",
            without("conv5.bn.bias"),
            r"stages\.2\.2\.norm\.bias: got none; expected \(128,\)",
        ),
        (
            "osnet_x0_25",
            "torchreid",
            lambda state: {**state, "fc.0.weight": torch.zeros(512, 64)},
            r"projection\.0\.weight: got \(512, 64\); expected \(512, 128\) of osnet_x0_25 \(1 tensors differ\)",
        ),
        ("osnet_x0_25", "fastreid", dict, r"got a tensor \w[\w.]+; expected backbone, heads\.pool_layer"),
        ("osnet_x0_25", "timm", dict, r"no known network \(resnet18, .*the most similar is"),
        (
            "resnet50",
            "torchreid",
            renamed("layer1.0.bn1", "layer1.0.bn1.IN"),
            r"layer1\.0\.bn1\.IN\.\w+, of instance norm",
        ),
        (
            "resnet50",
            "torchreid",
            without("layer2.0.bn3.bias"),
            r"most similar is resnet50, but layer2\.0\.bn3\.bias: got n",
        ),
    ],
)
def test_network_that_is_not_known_is_refused_by_the_tensor(
    tmp_path: Path, name: str, kind: str, change: Callable[[dict[str, Tensor]], dict[str, Tensor]], said: str
) -> None:
    torch.save(change(torchreid_state(name)), tmp_path / "w.pth")
    with pytest.raises(ValueError, match=said) as error:
        import_weights(tmp_path / "w.pth", tmp_path / "m.safetensors", kind=kind)
    assert "\n" not in str(error.value) and not (tmp_path / "m.safetensors").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"epoch": 3}, "got a dict with other things than tensors, or with none;.*; save the state_dict by itself"),
        ([1, 2], "got a list with other"),
        ({}, "got a dict with other"),
    ],
)
def test_file_without_tensors_is_refused(tmp_path: Path, content: object, said: str) -> None:
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(ValueError, match=said):
        read_tensors(tmp_path / "w.pth")


@pytest.mark.parametrize(
    ("key", "change", "said"),
    [
        ("conv5.conv.weight", lambda value: value.to(torch.int8), "got int8; expected dense floating point"),
        ("conv5.bn.bias", torch.Tensor.to_sparse, "got sparse_coo; expected dense floating point"),
        ("conv5.conv.weight", lambda value: value * float("nan"), "got values that are not finite"),
        ("conv5.bn.running_var", torch.neg, "or a variance below 0"),
    ],
)
def test_tensor_that_no_network_computes_with_is_refused(
    tmp_path: Path, key: str, change: Callable[[Tensor], Tensor], said: str
) -> None:
    state = torchreid_state("osnet_x0_25")
    torch.save({**state, key: change(state[key])}, tmp_path / "w.pth")
    with pytest.raises(ValueError, match=rf"w\.pth': {re.escape(key)}: .*{said}"):
        import_weights(tmp_path / "w.pth", tmp_path / "m.safetensors", kind="torchreid")
    assert not (tmp_path / "m.safetensors").exists()


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
@pytest.mark.parametrize("content", [b"", b"hello\n", b"PK\x03\x04 cut"])
def test_damaged_file_is_not_called_code(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=r"got no whole file of torch or safetensors \(.*download it again"):
        read_tensors(tmp_path / name)


@pytest.mark.parametrize(("output", "said"), [("w.safetensors", "the source itself"), ("m.onnx", "ending in .safet")])
def test_output_is_another_file_than_the_source_and_named_for_what_it_is(
    tmp_path: Path, output: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "w.safetensors").write_bytes(b"precious")
    words = [f"source={tmp_path / 'w.safetensors'}", "kind=timm", f"output={tmp_path / output}"]
    assert import_.main(words) == 2
    assert said in capsys.readouterr().err
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("w.safetensors", b"precious")]
