"""Weights of other libraries as a model of ours: read without running code, recognised, and written as a checkpoint."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mot_reid.reid import checkpoint, key_maps
from mot_reid.reid.key_maps import Recognised, State
from mot_reid.reid.network import ReIDNetwork
from mot_reid.reid.preprocess import IMAGENET_MEAN, IMAGENET_STD, Preprocess

UNKNOWN = "unknown: that of the authors of the weights"
_HOLDERS = ("state_dict", "model", "net", "model_state_dict")
"""Under which keys libraries keep the tensors."""
_TENSORS = "expected the tensors of one network by name"


def import_weights(
    source: str | Path,
    output: str | Path,
    *,
    kind: str,
    backbone: str | None = None,
    height: int | None = None,
    width: int | None = None,
    pooling: str | None = None,
    last_stride: int | None = None,
    licence: str | None = None,
) -> str:
    """Writes weights of another library as a checkpoint of ours.

    Args:
        source: a file that torch or safetensors wrote.
        output: the checkpoint, replaced if it exists.
        kind: "torchreid", "fastreid", "boxmot" or "timm".
        backbone: name in timm, for kind "timm"; None to recognise it.
        height: of the network's input in pixels; None for the library's own.
        width: of the network's input in pixels; None for the library's own.
        pooling: "avg", "gem" or "token"; None for what the weights say.
        last_stride: of a ResNet's last stage; None for that of the library's configurations.
        licence: one sentence; None for unknown.

    Returns:
        What was recognised, one line.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file cannot be read safely, or its network is none that is known.
    """
    what = f"'{source}'"
    if backbone is not None and kind != "timm":
        raise ValueError(f"backbone: got '{backbone}' for kind={kind}; expected it with kind=timm only; leave it out")
    state = read_tensors(Path(source))
    _check_values(state, what)
    found = _recognised(state, kind, backbone, what)
    preprocess = _preprocess(state, found.backbone, kind, height, width)
    options = {"pooling": "avg", "last_stride": _stride(found, kind), **found.options}
    options |= {key: value for key, value in (("pooling", pooling), ("last_stride", last_stride)) if value is not None}
    network = ReIDNetwork(found.backbone, weights="none", image_size=preprocess.size, **options)
    _fill(network, found, what)
    checked = _compare_with_timm(network, found, preprocess, what) if kind == "timm" else ""
    digest = hashlib.sha256(Path(source).read_bytes()).hexdigest()
    checkpoint.save(
        output,
        network.eval(),
        preprocess,
        provenance={"imported": {"kind": kind, "file": Path(source).name, "sha256": digest}},
        licence=licence or UNKNOWN,
    )
    head = f"{options.get('head', 'no')} head, {options['neck']} neck"
    size = f"{preprocess.height}x{preprocess.width}"
    return (
        f"{found.backbone}, {options['pooling']} pooling, last stride {options['last_stride']}, {head}, input {size}, "
        f"embedding of {network.embedding_dim}{checked}; no threshold: find one with mot-reid adapt"
    )


def read_tensors(path: Path) -> State:
    """Returns the tensors of a file by name, without the prefix of a network that several GPUs shared.

    Args:
        path: a safetensors file, or one of `torch.save`, in which nothing is run.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be read, or holds something else.
    """
    if not path.is_file():
        raise FileNotFoundError(f"source: got '{path}'; expected an existing file; check the path")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            content: Any = load_file(path)
        else:
            with torch.serialization.safe_globals(_numbers()):
                content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        code = reason.partition("WeightsUnpickler error: ")[2]
        if code.startswith("Unsupported global"):
            raise ValueError(
                f"'{path}': cannot be read without running code in it ({code[:200].rstrip('. ')}); {_TENSORS}; save "
                "its state_dict by itself"
            ) from None
        raise ValueError(
            f"'{path}': got no whole file of torch or safetensors ({(code or reason)[:200].rstrip('. ')}); {_TENSORS}; "
            "download it again, or save the state_dict by itself"
        ) from None
    for key in _HOLDERS:
        if isinstance(content, dict) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not content or not all(isinstance(v, Tensor) for v in content.values()):
        raise ValueError(
            f"'{path}': got a {type(content).__name__} with other things than tensors, or with none; {_TENSORS}; save "
            "the state_dict by itself"
        )
    return {str(key).removeprefix("module.").removeprefix("model."): value for key, value in content.items()}


def _check_values(state: State, what: str) -> None:
    """Refuses tensors that no network computes with: of a quantised one, sparse, not finite, or variances below 0."""
    for key, value in state.items():
        if key.endswith("num_batches_tracked"):
            continue
        if value.layout != torch.strided or not value.is_floating_point():
            kind = str(value.layout if value.layout != torch.strided else value.dtype).removeprefix("torch.")
            raise ValueError(
                f"{what}: {key}: got {kind}; expected dense floating point; import the network as it was before it "
                "was quantised or pruned"
            )
        if not value.isfinite().all() or (key.endswith("running_var") and (value < 0).any()):
            raise ValueError(
                f"{what}: {key}: got values that are not finite, or a variance below 0; expected the weights of a "
                "trained network; download the file again"
            )


def _numbers() -> list[Any]:
    """Returns how NumPy pickles a number, since torchreid keeps Rank-1 beside the tensors."""
    scalar: Any = np.float64(0).__reduce__()[0]
    kinds = [type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64)]
    return [(scalar, "numpy.core.multiarray.scalar"), (scalar, "numpy._core.multiarray.scalar"), np.dtype, *kinds]


def _recognised(state: State, kind: str, backbone: str | None, what: str) -> Recognised:
    """Returns the network that the tensors are of."""
    readers: dict[str, Callable[..., Recognised]] = {
        "torchreid": key_maps.torchreid,
        "boxmot": key_maps.torchreid,
        "fastreid": key_maps.fastreid,
    }
    if kind in readers:
        return readers[kind](state, what=what)
    classifiers = ("fc.", "head.", "classifier.")
    trunk = {key: value for key, value in state.items() if not key.startswith(classifiers)}
    name = backbone or key_maps.recognise(trunk, key_maps.TIMM, what)
    pooling = {"pooling": "token"} if "cls_token" in trunk else {}
    return Recognised(name, {"neck": "none", **pooling}, trunk, {})


def _stride(found: Recognised, kind: str) -> int:
    """Returns the last stride of the library's own configurations: torchreid's ResNets have 1 with a head, else 2."""
    if kind == "fastreid":
        return 1
    return 1 if kind != "timm" and "embedding_dim" in found.options else 2


def _preprocess(state: State, backbone: str, kind: str, height: int | None, width: int | None) -> Preprocess:
    """Returns how the library prepares an image; fast-reid keeps mean and deviation among its tensors, in bytes."""
    size, mean, std = (256, 128), IMAGENET_MEAN, IMAGENET_STD
    if kind == "timm":
        import timm

        config = timm.models.get_pretrained_cfg(backbone)
        if config is not None:
            mean, std = config.mean, config.std  # type: ignore[assignment]
            size = tuple(config.input_size[1:]) if config.fixed_input_size else size  # type: ignore[assignment]
    if "pixel_mean" in state and "pixel_std" in state:
        mean, std = (tuple((state[key].flatten() / 255).tolist()) for key in ("pixel_mean", "pixel_std"))  # type: ignore[assignment]
    return Preprocess(
        height=height or size[0],
        width=width or size[1],
        interpolation="bicubic" if kind == "fastreid" else "bilinear",
        mean=mean,
        std=std,
    )


def _fill(network: ReIDNetwork, found: Recognised, what: str) -> None:
    """Puts the weights into the network, all of them and nothing else."""
    given = {f"backbone.{key}": value for key, value in found.backbone_state.items()} | found.rest
    wanted = network.state_dict()
    for key, value in wanted.items():
        if key.endswith("num_batches_tracked") or (key == "pool.p" and "pool.p" not in given):
            given.setdefault(key, value)  # a fixed exponent of 3, as the network starts with
    wrong = sorted({*given} ^ {*wanted}) or [key for key in wanted if given[key].shape != wanted[key].shape]
    if wrong:
        sizes = [tuple(tensors[wrong[0]].shape) if wrong[0] in tensors else "none" for tensors in (given, wanted)]
        raise ValueError(
            f"{what}: {wrong[0]}: got {sizes[0]}; expected {sizes[1]} of {found.backbone} ({len(wrong)} tensors differ)"
            "; check kind=, backbone=, height= and width="
        )
    network.load_state_dict(given)


@torch.inference_mode()
def _compare_with_timm(network: ReIDNetwork, found: Recognised, preprocess: Preprocess, what: str) -> str:
    """Returns the agreement with timm's own embedding, or refuses a network that pools in another way."""
    import timm

    sized: dict[str, Any] = {"img_size": preprocess.size} if "pos_embed" in found.backbone_state else {}
    theirs: nn.Module = timm.create_model(found.backbone, num_classes=0, **sized).eval()
    theirs.load_state_dict(found.backbone_state, strict=False)
    images = preprocess(torch.stack([checkpoint.probe_image(), checkpoint.probe_image().flip(2)]))
    cosine = float((network.eval()(images) * F.normalize(theirs(images))).sum(1).min())
    if not cosine > checkpoint.PROBE_AGREEMENT and network.config["pooling"] != "gem":
        raise ValueError(
            f"{what}: the embedding has cosine {cosine:.5f} to timm's own of '{found.backbone}'; expected above "
            f"{checkpoint.PROBE_AGREEMENT}; this network pools in a way that is not known here: export it to ONNX"
        )
    return f", cosine {cosine:.6f} to timm's own embedding"
