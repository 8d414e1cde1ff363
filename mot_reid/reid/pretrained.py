"""Where a backbone's first weights come from: timm's pretrained ones, a local file, or nowhere."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from mot_reid.names import did_you_mean
from mot_reid.reid import bundled, osnet, short_mobilenet
from mot_reid.reid.checksums import load_sealed
from mot_reid.reid.non_local import KEY, add_non_local

_CLASSIFIERS = ("fc.", "head.", "classifier.")
_NAMED = 8
_log = logging.getLogger(__name__)


def create_backbone(
    name: str,
    *,
    weights: str = "pretrained",
    image_size: tuple[int, int] = (256, 128),
    drop_path: float = 0.0,
    non_local: Sequence[int] = (),
    input_norm: bool = False,
) -> nn.Module:
    """Returns a backbone without classifier or pooling; its `forward_features` gives the feature map.

    Args:
        name: A timm model, one of `osnet.NAMES`, or `short_mobilenet.NAME`.
        weights: "pretrained" (timm's own), "none" (random), the path of a safetensors or torch state dict, or the name
            of a bundled model.
        image_size: Height and width in pixels of the images it will see; fixes the position embedding of a ViT.
        drop_path: Stochastic depth rate in [0, 1).
        non_local: Non-local blocks of each of a ResNet's four stages, see `add_non_local`.
        input_norm: Whether each image is normalised by its own colours before.

    Raises:
        ValueError: If the name is unknown, the backbone does not offer drop path or non-local blocks, or the file does
            not fit it.
        FileNotFoundError: If `weights` names no file.
        RuntimeError: If the pretrained weights cannot be had, for instance without a network.
    """
    if name in osnet.NAMES:
        if drop_path:
            raise ValueError(
                f"drop_path: got {drop_path} for '{name}'; expected 0, since OSNet has no stochastic depth"
            )
        if weights == "pretrained":
            raise RuntimeError(_no_pretrained(name, "no ImageNet weights of it are published in a safe format"))
        osnet.check_size(name, image_size)
        backbone: nn.Module = osnet.create(name)
    else:
        backbone = _create_timm(timm_name(name), weights == "pretrained", image_size, drop_path)
        if name == short_mobilenet.NAME:
            backbone = short_mobilenet.shorten(backbone)
    add_non_local(backbone, non_local, name=name)
    if weights not in ("pretrained", "none"):
        load_backbone(backbone, weights, name=name, input_norm=input_norm)
    return backbone


def timm_name(name: str) -> str:
    """Returns the name of timm's network that a backbone is, or is cut from."""
    return short_mobilenet.WHOLE if name == short_mobilenet.NAME else name


def pretrained_licence(name: str) -> str:
    """Returns the terms of timm's pretrained weights of a backbone, as timm records them."""
    import timm

    config = timm.models.get_pretrained_cfg(timm_name(name))
    recorded = None if config is None else config.license
    return recorded or "unknown: that of timm's weights of this name"


def load_backbone(backbone: nn.Module, path: str | Path, *, name: str, input_norm: bool = False) -> None:
    """Fills the backbone from a file; only the classifier may be left over, only non-local blocks may be missing.

    A warning says so where the weights were trained behind an `InputNorm` and get none.

    Args:
        backbone: Filled in place.
        path: A `.safetensors` file or a torch state dict (read with `weights_only=True`) with the weights of the bare
            backbone; or a model or a Lightning checkpoint of ours, whose backbone is taken (averaged over the steps
            where it has an average).
        name: The backbone's name, for the message.
        input_norm: Whether each image is normalised by its own colours before.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is no state dict, or its keys or shapes are not the backbone's; all are named.
    """
    state = read_state_dict(path)
    if "input_norm.weight" in state and not input_norm:
        _log.warning(
            "model.weights: '%s' was trained with model.input_norm=true, and sees other colours without it; set it "
            "here as well",
            path,
        )
    if any(key.startswith("backbone.") for key in state):
        state = {key.removeprefix("backbone."): value for key, value in state.items() if key.startswith("backbone.")}
    wanted = backbone.state_dict()
    state = {key: value for key, value in state.items() if key in wanted or not key.startswith(_CLASSIFIERS)}
    state = _fit_positions(state, backbone)
    if name == short_mobilenet.NAME:
        state = short_mobilenet.cut(state, wanted)
    if not any(KEY in key for key in state):  # of a network without such blocks, which start as the identity
        state |= {key: value for key, value in wanted.items() if KEY in key}
    _check_keys(state, wanted, f"model.weights: '{path}' does not fit backbone '{name}'")
    backbone.load_state_dict(state, strict=True)


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """Reads tensors by name from a safetensors file, a torch state dict or a bundled model, never running code in it.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file holds anything but tensors by name.
    """
    path = bundled.resolve(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"model.weights: got '{path}'; expected 'pretrained', 'none', an existing file of weights or a bundled "
            f"model ({', '.join(bundled.names())})"
        )
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        content, _ = load_sealed(path)
    except Exception as error:
        raise ValueError(f"model.weights: '{path}' cannot be read as weights ({_first_line(error)})") from error
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = _of_a_run(content) if "mot_reid" in content else content["state_dict"]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise ValueError(
            f"model.weights: '{path}' holds a {type(content).__name__}; expected a dict of tensors by name"
        )
    return content


def _of_a_run(content: dict[str, Any]) -> Any:
    """Returns the network's tensors in a Lightning checkpoint of ours, averaged over the steps where it has them so."""
    if content.get("ema_state_dict"):
        return content["ema_state_dict"]
    prefix = "network."
    return {key.removeprefix(prefix): value for key, value in content["state_dict"].items() if key.startswith(prefix)}


def _create_timm(name: str, pretrained: bool, image_size: tuple[int, int], drop_path: float) -> nn.Module:
    """Returns a timm model with neither classifier nor pooling."""
    import timm

    if not timm.is_model(name):
        own = [*osnet.NAMES, short_mobilenet.NAME]
        hint = did_you_mean(name, [*own, *timm.list_models()], most=3)
        raise ValueError(f"backbone: got '{name}'; expected a timm model or one of {', '.join(own)}{hint}")
    options: dict[str, Any] = {"num_classes": 0, "global_pool": ""}
    if drop_path:
        options["drop_path_rate"] = drop_path
    config = timm.models.get_pretrained_cfg(name)
    if config is not None and config.fixed_input_size:
        options["img_size"] = tuple(image_size)
    try:
        backbone = timm.create_model(name, pretrained=pretrained, **options)
    except TypeError as error:
        if not drop_path:
            raise
        raise ValueError(f"drop_path: got {drop_path}; expected 0, since '{name}' has no stochastic depth") from error
    except Exception as error:
        if not pretrained:
            raise
        raise RuntimeError(_no_pretrained(name, _first_line(error))) from error
    if hasattr(backbone, "head"):
        backbone.head = nn.Identity()  # parts that only the classifier used would be parameters without gradient
    return backbone


def _no_pretrained(name: str, reason: str) -> str:
    """Returns the one sentence for weights that cannot be had."""
    return (
        f"backbone '{name}': its pretrained weights could not be loaded ({reason}); "
        f"give a file with model.weights=<file> or train from scratch with model.weights=none"
    )


def _first_line(error: Exception) -> str:
    """Returns the first line of an error's message, without its closing dot."""
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].rstrip(". ")


def _fit_positions(state: dict[str, Tensor], backbone: nn.Module) -> dict[str, Tensor]:
    """Returns the state with a ViT's position embedding resampled to the backbone's grid of patches."""
    wanted = getattr(backbone, "pos_embed", None)
    given = state.get("pos_embed")
    if wanted is None or given is None or given.shape == wanted.shape or given.shape[-1] != wanted.shape[-1]:
        return state
    from timm.layers import resample_abs_pos_embed

    prefix = 0 if getattr(backbone, "no_embed_class", False) else int(getattr(backbone, "num_prefix_tokens", 1))
    grid = list(backbone.patch_embed.grid_size)  # type: ignore[union-attr, arg-type]
    return {**state, "pos_embed": resample_abs_pos_embed(given, new_size=grid, num_prefix_tokens=prefix)}


def _check_keys(given: dict[str, Tensor], wanted: dict[str, Tensor], what: str) -> None:
    """Raises ValueError that names every missing, unexpected and differently shaped tensor."""
    shapes = [
        f"{key} is {tuple(given[key].shape)}, not {tuple(wanted[key].shape)}"
        for key in wanted
        if key in given and given[key].shape != wanted[key].shape
    ]
    groups = {
        "missing": [key for key in wanted if key not in given],
        "unexpected": [key for key in given if key not in wanted],
        "of another shape": shapes,
    }
    found = [f"{len(names)} {word}: {_listed(names)}" for word, names in groups.items() if names]
    if found:
        raise ValueError(f"{what}; {'; '.join(found)}")


def _listed(names: list[str]) -> str:
    """Returns the names joined, the tail of a long list counted."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
