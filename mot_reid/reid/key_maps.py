"""Names and shapes of the tensors of other libraries' Re-ID networks, and what they are called here.

Reference: torchreid (KaiyangZhou/deep-person-reid), models/osnet.py and models/resnet.py, whose files BoxMOT reads too;
fast-reid (JDAI-CV/fast-reid), modeling/backbones/resnet.py and modeling/heads/embedding_head.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from mot_reid.reid import osnet

State = dict[str, Tensor]

RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "resnext101_32x8d")
"""The networks of timm that the libraries share, under the same names of their tensors."""
TIMM = (*RESNETS, "mobilenetv2_100", "vit_tiny_patch16_224", "vit_small_patch16_224", "vit_base_patch16_224")
"""The networks that kind=timm recognises; others have to be named."""

_STREAM = "abcd"
_OSNET = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (r"^conv1\.conv\.", "stem.0.conv."),
        (r"^conv1\.bn\.", "stem.0.norm."),
        (r"^conv5\.conv\.", "stages.2.2.conv."),
        (r"^conv5\.bn\.", "stages.2.2.norm."),
        (r"^conv([23])\.2\.0\.conv\.", "stages.{0}.2.conv."),
        (r"^conv([23])\.2\.0\.bn\.", "stages.{0}.2.norm."),
        (r"^conv([234])\.([01])\.conv1\.conv\.", "stages.{0}.{1}.reduce.conv."),
        (r"^conv([234])\.([01])\.conv1\.bn\.", "stages.{0}.{1}.reduce.norm."),
        (r"^conv([234])\.([01])\.conv3\.conv\.", "stages.{0}.{1}.expand.conv."),
        (r"^conv([234])\.([01])\.conv3\.bn\.", "stages.{0}.{1}.expand.norm."),
        (r"^conv([234])\.([01])\.downsample\.conv\.", "stages.{0}.{1}.shortcut.conv."),
        (r"^conv([234])\.([01])\.downsample\.bn\.", "stages.{0}.{1}.shortcut.norm."),
        (r"^conv([234])\.([01])\.gate\.fc1\.", "stages.{0}.{1}.gate.squeeze."),
        (r"^conv([234])\.([01])\.gate\.fc2\.", "stages.{0}.{1}.gate.expand."),
        (r"^conv([234])\.([01])\.conv2a\.conv1\.", "stages.{0}.{1}.streams.0.0.pointwise."),
        (r"^conv([234])\.([01])\.conv2a\.conv2\.", "stages.{0}.{1}.streams.0.0.depthwise."),
        (r"^conv([234])\.([01])\.conv2a\.bn\.", "stages.{0}.{1}.streams.0.0.norm."),
        (r"^conv([234])\.([01])\.conv2([bcd])\.(\d)\.conv1\.", "stages.{0}.{1}.streams.{2}.{3}.pointwise."),
        (r"^conv([234])\.([01])\.conv2([bcd])\.(\d)\.conv2\.", "stages.{0}.{1}.streams.{2}.{3}.depthwise."),
        (r"^conv([234])\.([01])\.conv2([bcd])\.(\d)\.bn\.", "stages.{0}.{1}.streams.{2}.{3}.norm."),
    )
)


@dataclass(frozen=True)
class Recognised:
    """A network of another library in our words.

    Attributes:
        backbone: its name here.
        options: of `ReIDNetwork`, those that the weights decide.
        backbone_state: tensors of the backbone, under our names.
        rest: tensors of pooling, projection and neck, under our names.
    """

    backbone: str
    options: dict[str, Any]
    backbone_state: State
    rest: State


def torchreid(state: State, *, what: str) -> Recognised:
    """Returns a network of torchreid or BoxMOT: an OSNet or a ResNet.

    Args:
        state: its tensors.
        what: the file, for messages.

    Raises:
        ValueError: it is another network.
    """
    state = {key: value for key, value in state.items() if not key.startswith("classifier.")}
    head = {key: value for key, value in state.items() if key.startswith("fc.")}
    trunk = {key: value for key, value in state.items() if key not in head}
    options: dict[str, Any] = {"neck": "none"}
    if head:
        if "fc.0.weight" not in head or any(not key.startswith(("fc.0.", "fc.1.")) for key in head):
            raise _unknown(what, sorted(head)[-1], "one layer fc.0 with batch normalisation fc.1 before the embedding")
        options |= {"head": "linear_bn_relu", "embedding_dim": len(head["fc.0.weight"])}
    rest = {key.replace("fc.", "projection."): value for key, value in head.items()}
    if "conv1.conv.weight" in trunk:
        return Recognised(_osnet_name(trunk, what), options, _osnet_state(trunk, what), rest)
    return Recognised(resnet_name(trunk, what), options, trunk, rest)


def fastreid(state: State, *, what: str) -> Recognised:
    """Returns a network of fast-reid: a ResNet without non-local blocks or instance normalisation, with its head.

    Args:
        state: its tensors.
        what: the file, for messages.

    Raises:
        ValueError: it is another network.
    """
    trunk = {key.removeprefix("backbone."): value for key, value in state.items() if key.startswith("backbone.")}
    ours: State = {}
    options: dict[str, Any] = {"neck": "none", "max_pool": "ceil"}
    for key, value in state.items():
        place = re.match(r"heads\.bottleneck\.(\d)\.(\w+)$", key)
        if key == "heads.pool_layer.p":
            options["pooling"], ours["pool.p"] = "gem", value
        elif place and value.ndim == 4:
            options |= {"head": "linear", "embedding_dim": len(value)}
            ours["projection.0.weight"] = value.flatten(1)
        elif place:
            options["neck"] = "bnneck"
            ours[f"neck.{place[2]}"] = value
        elif not key.startswith(("backbone.", "heads.weight", "heads.classifier", "pixel_")):
            raise _unknown(what, key, "backbone, heads.pool_layer and heads.bottleneck of an EmbeddingHead")
    return Recognised(resnet_name(trunk, what), options, trunk, ours)


def _osnet_name(trunk: State, what: str) -> str:
    """Returns the published size of an OSNet, by the channels of its first layer."""
    channels = len(trunk["conv1.conv.weight"])
    for size, width in osnet.SIZES.items():
        if channels == int(64 * width):
            return f"osnet_{size}"
    names = ", ".join(f"osnet_{size}" for size in osnet.SIZES)
    raise ValueError(f"{what}: conv1.conv.weight has {channels} channels; expected 64, 48, 32 or 16, as {names}")


def _osnet_state(trunk: State, what: str) -> State:
    """Returns torchreid's tensors of an OSNet under our names."""
    ours = {}
    for key, value in trunk.items():
        for pattern, name in _OSNET:
            if found := pattern.match(key):
                places = found.groups()
                groups = [str(int(places[0]) - 2), *map(_number, places[1:])] if places else []
                gate = ".gate." in key and value.ndim == 4  # torchreid's gates are 1x1 convolutions
                ours[name.format(*groups) + key[found.end() :]] = value.flatten(1) if gate else value
                break
        else:
            raise _unknown(what, key, "OSNet as published at ICCV 2019, without instance normalisation (IBN, AIN)")
    return ours


def _number(text: str) -> str:
    """Returns the place of a stream (b is 1), or a digit as it is."""
    return str(_STREAM.index(text)) if text in _STREAM else text


def resnet_name(trunk: Mapping[str, Tensor], what: str) -> str:
    """Returns which ResNet has these tensors.

    Args:
        trunk: tensors by name, without a classifier.
        what: the file, for the message.

    Raises:
        ValueError: none of `RESNETS` has them.
    """
    for mark, about in ((".IN.", "instance normalisation (IBN)"), ("NL_", "non-local blocks"), (".se.", "SE blocks")):
        found = next((key for key in trunk if mark in key), None)
        if found:
            raise ValueError(
                f"{what}: got {found}, of {about}; expected a network without; train or export it elsewhere"
            )
    return recognise(trunk, RESNETS, what)


def recognise(state: Mapping[str, Tensor], names: Sequence[str], what: str) -> str:
    """Returns the timm model whose tensors have these names and shapes; a position embedding may have any size.

    Args:
        state: tensors by name, without a classifier.
        names: the models to choose from.
        what: the file, for the message.

    Raises:
        ValueError: none of them has; the message names the tensor that differs from the most similar one.
    """
    given = _shapes({key: tuple(value.shape) for key, value in state.items()})
    closest: tuple[int, str, str] | None = None
    for name in names:
        wanted = _shapes(timm_shapes(name))
        different = sorted(key for key in {*given, *wanted} if given.get(key) != wanted.get(key))
        if not different:
            return name
        if closest is None or len(different) < closest[0]:
            key = different[0]
            closest = len(different), name, f"{key}: got {given.get(key, 'none')}; expected {wanted.get(key, 'none')}"
    assert closest is not None
    raise ValueError(
        f"{what}: no known network ({', '.join(names)}); the most similar is {closest[1]}, but {closest[2]}"
    )


def timm_shapes(name: str) -> dict[str, tuple[int, ...]]:
    """Returns the shapes of the tensors of a timm model without classifier, which costs no memory.

    Args:
        name: of the model.
    """
    import timm
    import torch

    with torch.device("meta"):
        return {key: tuple(value.shape) for key, value in timm.create_model(name, num_classes=0).state_dict().items()}


def _shapes(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Returns the shapes that tell networks apart."""
    return {
        key: shape for key, shape in shapes.items() if key != "pos_embed" and not key.endswith("num_batches_tracked")
    }


def _unknown(what: str, key: str, expected: str) -> ValueError:
    return ValueError(f"{what}: got a tensor {key}; expected {expected}; check kind=")
