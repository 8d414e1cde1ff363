"""How a finished network is run: folded and typed for speed in torch, or from an ONNX file by ONNX Runtime."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mot_reid.reid import checkpoint
from mot_reid.reid.network import ReIDNetwork
from mot_reid.reid.osnet_inference import for_inference
from mot_reid.reid.preprocess import Preprocess

PROBE_KEY = "mot_reid_probe"
"""Where an ONNX file keeps the embedding its probe must give."""


class InferenceNetwork(nn.Module):
    """A copy of a network that only embeds: OSNet's layers merged, channels last, the backbone in the type given.

    Args:
        network: Left as it is.
        dtype: Of the backbone. Batch normalisations and all that follows the backbone stay float32.
    """

    def __init__(self, network: ReIDNetwork, *, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        folded = for_inference(network).to(memory_format=torch.channels_last).requires_grad_(False)
        folded.get_submodule("backbone").apply(lambda module: _cast(module, dtype))
        self.network = folded
        self.dtype = dtype

    def forward(self, images: Tensor) -> Tensor:
        """Maps (B, 3, H, W) normalised float32 images to (B, D) float32 unit-length embeddings."""
        return self.network(images.to(self.dtype)).float()


def open_onnx(path: Path, *, device: str = "cpu") -> tuple[dict[str, Any], Callable[[Tensor], Tensor]]:
    """Opens an ONNX file of ours with ONNX Runtime and lets it embed its probe.

    Args:
        path: What `export_onnx` wrote.
        device: "cuda" runs on a GPU if ONNX Runtime can; anything else on the CPU.

    Returns:
        The metadata, and the forward pass from (B, 3, H, W) float32 to (B, D) float32.

    Raises:
        CheckpointError: If the file is foreign, newer than this version, changed, or fails its probe.
        ImportError: If ONNX Runtime is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(f"'{path}': ONNX Runtime is not installed; pip install 'mot-reid[onnx]'") from error
    providers = ["CPUExecutionProvider"]
    if device == "cuda" and "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        providers.insert(0, "CUDAExecutionProvider")
    try:
        options = onnxruntime.SessionOptions()
        # Idle threads otherwise spin on the cores that the detector works on.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session = onnxruntime.InferenceSession(str(path), options, providers=providers)
        stored = session.get_modelmeta().custom_metadata_map
    except Exception as error:
        raise checkpoint.CheckpointError(f"'{path}': ONNX Runtime cannot open it; get the file again") from error
    metadata = checkpoint.parse_metadata(stored.get(checkpoint.METADATA_KEY), path)
    name = session.get_inputs()[0].name

    def forward(images: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {name: images.cpu().contiguous().numpy()})[0])

    expected = np.array(json.loads(stored.get(PROBE_KEY, "[]")), dtype=np.float32)
    found = forward(Preprocess.from_dict(metadata["preprocess"])(checkpoint.probe_image()[None]))[0].numpy()
    if expected.shape != found.shape or not float(expected @ found) > checkpoint.PROBE_AGREEMENT:
        raise checkpoint.CheckpointError(f"'{path}': its probe does not give the stored embedding; get the file again")
    return metadata, forward


def _cast(module: nn.Module, dtype: torch.dtype) -> None:
    """Gives a module's own floating-point tensors the type, in place, unless they are statistics of a batch."""
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        return
    for parameter in module.parameters(recurse=False):
        parameter.data = parameter.data.to(dtype)
    for name, buffer in module.named_buffers(recurse=False):
        if buffer.is_floating_point():
            setattr(module, name, buffer.to(dtype))
