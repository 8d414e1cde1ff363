"""The artifact: weights, preprocessing, calibration and provenance in one safe file that tests itself.

A `model.safetensors` holds the network's tensors without the classifier, two probe tensors (an image and the embedding
it must give) and one JSON string in the header. Nothing in it can run code; JSON and tensors carry a checksum each.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mot_reid.arrays import Image
from mot_reid.files import whole
from mot_reid.names import did_you_mean
from mot_reid.reid import bundled, hub
from mot_reid.reid.checksums import DamagedError, canonical, digest_tensors, load_sealed, sha256, signed
from mot_reid.reid.preprocess import Preprocess

if TYPE_CHECKING:  # files are found and described without torch
    import torch
    from torch import Tensor

    from mot_reid.reid.network import NetworkConfig, ReIDNetwork

FORMAT = "mot_reid.reid"
FORMAT_VERSION = 1
KINDS = {FORMAT: "a model that recognises people", "mot_reid.actions": "an action classifier"}
"""What a file of each of our formats holds."""
METADATA_KEY = "mot_reid"
PROBE_AGREEMENT = 0.9999
"""The least cosine between the stored and the recomputed embedding of the probe."""

_FIELDS = {"format", "format_version", "network", "preprocess", "embedding", "calibration", "provenance", "licence"}
_CHECKSUMS = {"tensors_sha256", "metadata_sha256"}
_MAX_HEADER = 100_000_000


class CheckpointError(ValueError):
    """A file that is no checkpoint of ours, or no longer the one that was written."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A Re-ID model as it was exported.

    Attributes:
        network: In evaluation mode, without classifier, float32.
        preprocess: What the network was validated with.
        metadata: All that the file says of itself.
    """

    network: ReIDNetwork
    preprocess: Preprocess
    metadata: dict[str, Any]

    @property
    def calibration(self) -> dict[str, Any] | None:
        """The calibrated threshold and how it was found, or None."""
        return self.metadata["calibration"]

    @property
    def provenance(self) -> dict[str, Any]:
        """Where the weights come from."""
        return self.metadata["provenance"]

    @property
    def licence(self) -> str:
        """The terms under which the weights may be used."""
        return self.metadata["licence"]


def metadata(
    network: ReIDNetwork,
    preprocess: Preprocess,
    *,
    provenance: Mapping[str, Any],
    licence: str,
    calibration: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Returns what a checkpoint says of itself, as JSON can hold it.

    Raises:
        ValueError: If a value cannot be written as JSON, NaN and infinity included.
    """
    content = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "network": dict(network.config),
        "preprocess": preprocess.to_dict(),
        "embedding": {"taken": network.taken, "unit_length": True, "metric": "cosine"},
        "calibration": None if calibration is None else dict(calibration),
        "provenance": dict(provenance),
        "licence": licence,
    }
    return json.loads(canonical(content))


def save(
    path: str | Path,
    network: ReIDNetwork,
    preprocess: Preprocess,
    *,
    provenance: Mapping[str, Any],
    licence: str,
    calibration: Mapping[str, Any] | None = None,
    dtype: str = "float32",
) -> None:
    """Writes a checkpoint, whole or not at all.

    Args:
        path: Usually `model.safetensors`; replaced if it exists.
        network: Its classifier is left out. A compiled network is taken as it was before.
        preprocess: What the network was validated with.
        provenance: Any JSON, such as experiment, config, git, seed, dataset, scores, versions, created.
        licence: One sentence on the terms of use.
        calibration: From `metrics.calibration`: threshold, false_match_rate, true_match_rate, roc, identities.
        dtype: "float32", or "float16" for half the size; batch norm's variances, which may be tiny, stay float32.

    Raises:
        ValueError: If the dtype is unknown, a weight is not finite in it, or a value cannot be written as JSON.
    """
    network = getattr(network, "_orig_mod", network)
    described = metadata(network, preprocess, provenance=provenance, licence=licence, calibration=calibration)
    tensors = _exported(network, dtype)
    image = probe_image()
    tensors["probe.image"] = image
    tensors["probe.embedding"] = _probe(_rebuild(described, tensors), preprocess, image)
    write(path, tensors, described)


def recalibrate(
    source: str | Path, path: str | Path, *, calibration: Mapping[str, Any], provenance: Mapping[str, Any]
) -> None:
    """Writes a checkpoint again with another threshold and origin, its weights bit by bit as they are.

    Args:
        source: A `model.safetensors`, or a Lightning `.ckpt` of ours, of which a `model.safetensors` is made.
        path: Replaced if it exists; may be the source.
        calibration: As in `save`.
        provenance: As in `save`.

    Raises:
        FileNotFoundError: If there is no such file.
        CheckpointError: As `load`.
    """
    artifact = load(source)
    if Path(source).suffix == ".ckpt":
        save(
            path,
            artifact.network,
            artifact.preprocess,
            provenance=provenance,
            licence=artifact.licence,
            calibration=calibration,
        )
        return
    changed = {**artifact.metadata, "calibration": dict(calibration), "provenance": dict(provenance)}
    write(path, read_tensors(Path(source)), changed)


def load(path: str | Path, *, device: str | torch.device = "cpu") -> Artifact:
    """Reads a checkpoint and lets it embed its probe before anything else.

    Args:
        path: A `model.safetensors`, or a Lightning `.ckpt` of ours (see `from_lightning`; it has no probe).
        device: Where the network goes.

    Raises:
        FileNotFoundError: If there is no such file.
        CheckpointError: If the file is foreign, newer than this version, truncated, changed, or fails its probe.
    """
    path = Path(path)
    if path.suffix == ".ckpt":
        artifact = from_lightning(path)
        artifact.network.to(device)
        return artifact
    metadata = describe(path)
    tensors = read_tensors(path)
    if digest_tensors(tensors) != metadata["tensors_sha256"]:
        raise CheckpointError(f"'{path}': the weights do not match their checksum; get the file again")
    image, expected = tensors.get("probe.image"), tensors.get("probe.embedding")
    if image is None or expected is None:
        raise CheckpointError(f"'{path}': the probe is missing; expected the tensors probe.image and probe.embedding")
    network, preprocess = _built(path, metadata, tensors)
    agreement = float((_probe(network, preprocess, image) * expected).sum())
    if not agreement > PROBE_AGREEMENT:
        raise CheckpointError(
            f"'{path}': the probe's embedding has cosine {agreement:.5f} to the stored one; expected above "
            f"{PROBE_AGREEMENT}; this version computes other embeddings than the one that wrote the file"
        )
    return Artifact(network.to(device), preprocess, metadata)


def find(path_or_name: str | os.PathLike[str]) -> Path:
    """Returns the file of a checkpoint: by its path, a bundled model's name, or its address hf://user/name[@revision].

    Raises:
        FileNotFoundError: If it is none of them.
        ValueError: If an address has another form.
        ImportError: If huggingface_hub is not installed, for an address.
    """
    if str(path_or_name).startswith(hub.PREFIX):
        return hub.download(str(path_or_name))
    path = bundled.resolve(path_or_name)
    if path.is_file():
        return path
    names = bundled.names()
    if (path / "model.safetensors").is_file():
        raise FileNotFoundError(
            f"checkpoint: got the folder '{path}'; expected a file; did you mean '{path / 'model.safetensors'}'?"
        )
    hint = did_you_mean(str(path_or_name), names)
    known = f"one of the bundled models: {', '.join(names)}" if names else "a bundled model (there is none)"
    raise FileNotFoundError(f"checkpoint: got '{path_or_name}'; expected an existing file or {known}{hint}")


def identify(path_or_name: str | os.PathLike[str]) -> dict[str, str]:
    """Returns the file name and the SHA-256 of a model, also of others; of an OpenVINO network that of its weights."""
    path = find(path_or_name)
    weights = path.with_suffix(".bin") if path.suffix == ".xml" else path
    return {"file": path.name, "sha256": hashlib.sha256(weights.read_bytes()).hexdigest()}


def describe(path: str | Path) -> dict[str, Any]:
    """Returns what a checkpoint says of itself, reading its header alone.

    Raises:
        FileNotFoundError: If there is no such file.
        CheckpointError: If the file is foreign, newer than this version, truncated, or its header was changed.
    """
    path = Path(path)
    return parse_metadata(read_header(path).get("__metadata__", {}).get(METADATA_KEY), path)


def parse_metadata(
    text: object, path: str | Path, *, kind: str = FORMAT, fields: Collection[str] = _FIELDS
) -> dict[str, Any]:
    """Returns the checked content of a checkpoint's JSON string.

    Args:
        text: The string found in the file, or None.
        path: The file it was found in, for the message.
        kind: The format that is expected.
        fields: What a file of that format says of itself.

    Raises:
        CheckpointError: As `describe`.
    """
    if not isinstance(text, str):
        raise CheckpointError(f"'{path}': not a checkpoint of mot_reid (no '{METADATA_KEY}' in its header)")
    try:
        metadata = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"'{path}': its description is not valid JSON; get the file again") from error
    if not isinstance(metadata, dict) or metadata.get("format") != kind:
        other = metadata.get("format") if isinstance(metadata, dict) else None
        if other in KINDS and kind in KINDS:
            raise CheckpointError(f"'{path}': got {KINDS[other]}; expected {KINDS[kind]}; give another file")
        raise CheckpointError(f"'{path}': not a checkpoint of mot_reid (its format is not '{kind}')")
    version = metadata.get("format_version")
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise CheckpointError(
            f"'{path}': written in format version {version}; this mot_reid reads up to {FORMAT_VERSION}; upgrade it"
        )
    content = {key: value for key, value in metadata.items() if key != "metadata_sha256"}
    if set(metadata) != {*fields, *_CHECKSUMS} or sha256(canonical(content)) != metadata["metadata_sha256"]:
        raise CheckpointError(f"'{path}': its description does not match its checksum; get the file again")
    return metadata


def from_lightning(path: str | Path) -> Artifact:
    """Reads a Lightning checkpoint of ours as a model, its averaged weights where it has them.

    It must hold, under "mot_reid", what `metadata` gives; under "state_dict", the network's tensors with the
    prefix "network."; optionally, under "ema_state_dict", averaged tensors without a prefix, which go before those.

    Raises:
        FileNotFoundError: If there is no such file.
        CheckpointError: If the file is no Lightning checkpoint of ours, or its tensors do not fit.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"checkpoint: got '{path}'; expected an existing file")
    try:
        content, _ = load_sealed(path)
    except DamagedError as error:
        raise CheckpointError(f"'{path}': {error}; get the file again, or take another checkpoint") from None
    except Exception as error:
        raise CheckpointError(f"'{path}': cannot be read as a Lightning checkpoint without running code") from error
    if not isinstance(content, dict) or not {METADATA_KEY, "state_dict"} <= set(content):
        raise CheckpointError(f"'{path}': not a checkpoint of mot_reid (no '{METADATA_KEY}' and 'state_dict' in it)")
    try:
        checked = parse_metadata(signed({**content[METADATA_KEY], "tensors_sha256": ""}), path)
        metadata = {key: value for key, value in checked.items() if key not in _CHECKSUMS}
        tensors = {
            key.removeprefix("network.").removeprefix("_orig_mod."): value
            for key, value in content["state_dict"].items()
            if key.startswith("network.")
        }
        averaged = content.get("ema_state_dict") or {}
        tensors.update({key.removeprefix("_orig_mod."): value for key, value in averaged.items()})
    except CheckpointError:
        raise
    except Exception as error:
        raise CheckpointError(f"'{path}': '{METADATA_KEY}' or 'state_dict' is not as mot_reid writes it") from error
    tensors = {key: value for key, value in tensors.items() if not key.startswith("classifier.")}
    network, preprocess = _built(path, metadata, tensors)
    return Artifact(network, preprocess, metadata)


def write(path: str | Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Writes tensors and metadata with their checksums: a temporary sibling, synchronised, then renamed."""
    from safetensors.torch import save as serialise

    content = {key: value for key, value in metadata.items() if key not in _CHECKSUMS}
    text = signed({**content, "tensors_sha256": digest_tensors(tensors)})
    with whole(path) as partial, partial.open("wb") as file:
        file.write(serialise(dict(tensors), metadata={METADATA_KEY: text}))
        file.flush()
        os.fsync(file.fileno())


def probe_image() -> Tensor:
    """Returns the (3, 96, 40) uint8 picture of the self-test."""
    import torch

    return torch.from_numpy(probe_pixels().transpose(2, 0, 1).copy())


def probe_pixels() -> Image:
    """Returns the (96, 40, 3) uint8 picture of the self-test: smooth colours under fine noise, the same everywhere."""
    generator = np.random.Generator(np.random.PCG64(1501))
    coarse = generator.integers(0, 256, (3, 8, 4)).repeat(12, axis=1).repeat(10, axis=2)
    noise = generator.integers(-32, 33, (3, 96, 40))
    return (coarse + noise).clip(0, 255).astype(np.uint8).transpose(1, 2, 0)


def _exported(network: ReIDNetwork, dtype: str) -> dict[str, Tensor]:
    """Returns copies of the network's tensors in the type asked for, without the classifier."""
    import torch

    if dtype not in ("float32", "float16"):
        raise ValueError(f"dtype: got {dtype!r}; expected 'float32' or 'float16'")
    tensors = {}
    for name, tensor in network.state_dict().items():
        if name.startswith("classifier."):
            continue
        half = dtype == "float16" and tensor.is_floating_point() and not name.endswith("running_var")
        tensor = tensor.detach().cpu().to(torch.float16 if half else tensor.dtype).contiguous().clone()
        if not torch.isfinite(tensor).all():
            raise ValueError(f"'{name}': holds values that are not finite in {dtype}; expected finite weights")
        tensors[name] = tensor
    return tensors


def _rebuild(metadata: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> ReIDNetwork:
    """Returns the network of the metadata in evaluation mode, every one of its tensors taken from those given."""
    from mot_reid.reid.network import from_config

    preprocess = Preprocess.from_dict(metadata["preprocess"])
    config: NetworkConfig = metadata["network"]
    network = from_config(config, image_size=preprocess.size, embedding=metadata["embedding"]["taken"])
    state = {name: tensor for name, tensor in tensors.items() if not name.startswith("probe.")}
    network.load_state_dict(
        {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    )
    return network.eval()


def _built(path: Path, metadata: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> tuple[ReIDNetwork, Preprocess]:
    """Returns network and preprocessing, or raises CheckpointError if metadata and tensors do not belong together."""
    try:
        return _rebuild(metadata, tensors), Preprocess.from_dict(metadata["preprocess"])
    except Exception as error:
        reason = " ".join(str(error).split())
        reason = reason if len(reason) <= 400 else reason[:400] + ".."
        raise CheckpointError(f"'{path}': its weights and its description do not fit each other ({reason})") from error


def _probe(network: ReIDNetwork, preprocess: Preprocess, image: Tensor) -> Tensor:
    """Returns the (D,) embedding of the probe image."""
    import torch

    with torch.inference_mode():
        embedding = network(preprocess(image[None]))
    assert isinstance(embedding, torch.Tensor)
    return embedding[0].clone()


def read_header(path: Path) -> dict[str, Any]:
    """Returns the JSON header of a safetensors file after checking that the file is as long as the header says."""
    if not path.is_file():
        raise FileNotFoundError(f"checkpoint: got '{path}'; expected an existing file")
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else _MAX_HEADER + 1
        if length > _MAX_HEADER:
            raise CheckpointError(f"'{path}': not a safetensors file")
        raw = file.read(length)
    try:
        header = json.loads(raw.decode())
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        expected = 8 + length + max(ends, default=0)
        header["__metadata__"] = dict(header.get("__metadata__") or {})
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"'{path}': not a safetensors file, or its header was cut or changed") from error
    size = path.stat().st_size
    if size != expected:
        raise CheckpointError(f"'{path}': {size} bytes long; expected {expected}; the file was cut or changed")
    return header


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Returns the tensors of a safetensors file."""
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except Exception as error:
        raise CheckpointError(f"'{path}': its tensors cannot be read; the file was cut or changed") from error
