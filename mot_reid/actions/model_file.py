"""An action classifier as one safe file that says what it is and tests itself, like that of a Re-ID model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mot_reid.reid import checkpoint
from mot_reid.reid.checkpoint import FORMAT_VERSION, METADATA_KEY, CheckpointError
from mot_reid.reid.checksums import canonical, digest_tensors

if TYPE_CHECKING:  # files are described without torch
    import torch
    from torch import Tensor, nn

FORMAT = "mot_reid.actions"
_FIELDS = {"format", "format_version", "network", "clip", "provenance", "licence"}
_PROBE = "probe.probability"
_PROBE_DIFFERENCE = 1e-3
"""The largest difference between the stored and the recomputed probabilities of the probe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipFormat:
    """What a clip must be for a network.

    Attributes:
        frames: T.
        height: H in pixels.
        width: W in pixels.
        seconds: Length of a clip.
        context: Side of the square that it shows, in heights of the person's box.
        mean: Of each channel in RGB order, for values from 0 to 1.
        std: The same of the standard deviation.
    """

    frames: int
    height: int
    width: int
    seconds: float
    context: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.height, self.width

    def normalised(self, clips: Tensor) -> Tensor:
        """Returns (B, 3, T, H, W) float32 for a network, of (B, T, H, W, 3) values from 0 to 255."""
        values = clips.float()
        mean, std = values.new_tensor(self.mean), values.new_tensor(self.std)
        return ((values / 255 - mean) / std).permute(0, 4, 1, 2, 3).contiguous()

    def to_dict(self) -> dict[str, Any]:
        """Returns what JSON can hold."""
        return {name: list(v) if isinstance(v := getattr(self, name), tuple) else v for name in self.__slots__}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> ClipFormat:
        """Returns what `to_dict` was made from."""
        fields: dict[str, Any] = {n: tuple(value) if isinstance(value, list) else value for n, value in content.items()}
        return cls(**fields)


@dataclass(frozen=True, slots=True, eq=False)
class ActionModel:
    """An action classifier as it was exported.

    Attributes:
        network: In evaluation mode; gives logits.
        clip: What it takes.
        classes: Names of the actions, in the order of the logits.
        metadata: All that the file says of itself.
    """

    network: nn.Module
    clip: ClipFormat
    classes: tuple[str, ...]
    metadata: dict[str, Any]


def metadata(
    name: str, classes: tuple[str, ...], clip: ClipFormat, *, provenance: Mapping[str, Any], licence: str
) -> dict[str, Any]:
    """Returns what a file says of itself, as JSON can hold it.

    Args:
        name: Of the network.
        classes: Names of the actions.
        clip: What the network takes.
        provenance: Where its weights come from.
        licence: The terms of use.
    """
    content = {"format": FORMAT, "format_version": FORMAT_VERSION, "clip": clip.to_dict(), "licence": licence}
    content |= {"network": {"name": name, "classes": list(classes)}, "provenance": dict(provenance)}
    told: dict[str, Any] = json.loads(canonical(content))
    return told


def save(path: str | Path, network: nn.Module, described: Mapping[str, Any]) -> None:
    """Writes a model, whole or not at all.

    Args:
        path: Usually `model.safetensors`; replaced if it exists.
        network: That of `described`.
        described: From `metadata`.

    Raises:
        ValueError: A weight is not finite.
    """
    import torch

    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in network.state_dict().items()}
    wrong = next((n for n, value in tensors.items() if not bool(torch.isfinite(value.float()).all())), None)
    if wrong is not None:
        raise ValueError(f"'{wrong}': holds values that are not finite; expected finite weights")
    tensors[_PROBE] = _probe(_built(described, tensors), ClipFormat.from_dict(described["clip"]))
    checkpoint.write(path, tensors, described)


def describe(path: str | Path) -> dict[str, Any]:
    """Returns what a model says of itself, reading its header alone.

    Raises:
        FileNotFoundError: There is no such file.
        CheckpointError: The file is no action classifier of ours, newer than this version, cut or changed.
    """
    path = Path(path)
    text = checkpoint.read_header(path).get("__metadata__", {}).get(METADATA_KEY)
    return checkpoint.parse_metadata(text, path, kind=FORMAT, fields=_FIELDS)


def load(path: str | Path, *, device: str | torch.device = "cpu") -> ActionModel:
    """Reads a model and lets it classify its probe before anything else.

    Args:
        path: A `model.safetensors`.
        device: Where the network goes.

    Raises:
        FileNotFoundError: There is no such file.
        CheckpointError: As `describe`, or it no longer gives what it gave when it was written.
    """
    path = Path(path)
    told = describe(path)
    tensors = checkpoint.read_tensors(path)
    if digest_tensors(tensors) != told["tensors_sha256"]:
        raise CheckpointError(f"'{path}': the weights do not match their checksum; get the file again")
    try:
        clip = ClipFormat.from_dict(told["clip"])
        network = _built(told, tensors)
        difference = float((_probe(network, clip) - tensors[_PROBE]).abs().max())
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:400]
        raise CheckpointError(f"'{path}': its weights and its description do not fit each other ({reason})") from error
    if not difference < _PROBE_DIFFERENCE:
        raise CheckpointError(
            f"'{path}': the probabilities of the probe differ by {difference:.5f} from the stored ones; expected below "
            f"{_PROBE_DIFFERENCE}; this version computes something else than the one that wrote the file"
        )
    return ActionModel(network.to(device), clip, tuple(told["network"]["classes"]), told)


def probe_clip(clip: ClipFormat) -> NDArray[np.uint8]:
    """Returns the (T, H, W, 3) uint8 clip of the self-test: coloured squares that drift, the same everywhere."""
    generator = np.random.Generator(np.random.PCG64(400))
    coarse = generator.integers(0, 256, (8, 8, 3)).astype(np.uint8)
    rows, columns = (np.arange(side) * 8 // side for side in clip.size)
    still = coarse[rows[:, None], columns]
    return np.stack([np.roll(still, 2 * time, axis=1) for time in range(clip.frames)])


def _built(described: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> nn.Module:
    """Returns the network of the description with these weights, in evaluation mode."""
    from mot_reid.actions.networks import create

    clip, network = ClipFormat.from_dict(described["clip"]), described["network"]
    built = create(network["name"], classes=len(network["classes"]), frames=clip.frames, size=clip.size)
    built.load_state_dict({name: value for name, value in tensors.items() if name != _PROBE})
    return built.eval()


def _probe(network: nn.Module, clip: ClipFormat) -> Tensor:
    """Returns the (C,) probabilities of the probe."""
    import torch

    with torch.inference_mode():
        probability: Tensor = network(clip.normalised(torch.from_numpy(probe_clip(clip))[None])).softmax(dim=1)[0]
    return probability.clone()
