"""The artifact for other runtimes: ONNX and OpenVINO files that describe themselves and are proven to agree."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from mot_reid.arrays import Float32Array
from mot_reid.files import writing
from mot_reid.reid import checkpoint
from mot_reid.reid.checkpoint import Artifact
from mot_reid.reid.checksums import digest_tensors, signed
from mot_reid.reid.inference import PROBE_KEY, InferenceNetwork, open_onnx
from mot_reid.reid.network import ReIDNetwork

AGREEMENT = 0.9999
"""The least cosine between the embeddings of torch and of the exported file."""
BATCHES = (1, 2, 17)
"""The batch sizes at which they are compared."""


class DisagreementError(RuntimeError):
    """An exported file that does not give the embeddings of the network it came from."""


def export_safetensors(artifact: Artifact, path: str | Path, *, half: bool = False) -> None:
    """Writes the artifact as a `model.safetensors`; with `half`, matrices and filters in float16."""
    checkpoint.save(
        path,
        artifact.network,
        artifact.preprocess,
        provenance=artifact.provenance,
        licence=artifact.licence,
        calibration=artifact.calibration,
        dtype="float16" if half else "float32",
    )


def export_onnx(artifact: Artifact, path: str | Path, *, half: bool = False) -> None:
    """Writes the artifact as an ONNX file with any batch size and the artifact's JSON inside, whole or not at all.

    The file takes "images" (B, 3, H, W) float32, preprocessed, and gives "embedding" (B, D) float32 of unit length.

    Args:
        artifact: What is exported.
        path: Usually ending in `.onnx`; replaced if it exists.
        half: Compute the backbone in float16.

    Raises:
        DisagreementError: If the file's embeddings are not the network's; nothing is written.
        ImportError: If the packages of the extra `onnx` are not installed.
    """
    path = Path(path)
    with _folder_beside(path) as folder:
        written = folder / path.name
        _write_onnx(artifact, written, half)
        _, forward = open_onnx(written)
        require_agreement(artifact, lambda images: forward(images).numpy(), path)
        os.replace(written, path)


def export_openvino(artifact: Artifact, path: str | Path, *, half: bool = False) -> None:
    """Writes the artifact as an OpenVINO pair of files, `.xml` and `.bin`, with its JSON as run-time information.

    Args:
        artifact: What is exported.
        path: Ending in `.xml`; the weights go next to it.
        half: Store the weights in float16.

    Raises:
        ValueError: If the path does not end in `.xml`.
        DisagreementError: If the file's embeddings are not the network's; nothing is written.
        ImportError: If the packages of the extras `onnx` and `openvino` are not installed.
    """
    path = Path(path)
    if path.suffix != ".xml":
        raise ValueError(f"output: got '{path}'; expected a name that ends in .xml, OpenVINO's format")
    try:
        import openvino
    except ImportError as error:
        raise ImportError("OpenVINO is not installed; pip install 'mot-reid[openvino]'") from error
    with _folder_beside(path) as folder:
        source, written = folder / "model.onnx", folder / path.name
        _write_onnx(artifact, source, half=False)
        model = openvino.convert_model(str(source))
        model.set_rt_info(_text(artifact), checkpoint.METADATA_KEY)
        openvino.save_model(model, str(written), compress_to_fp16=half)
        compiled = openvino.compile_model(str(written), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        require_agreement(artifact, lambda images: compiled(images.numpy())[0], path)
        shutil.move(str(written.with_suffix(".bin")), path.with_suffix(".bin"))
        os.replace(written, path)


@contextmanager
def _folder_beside(path: Path) -> Iterator[Path]:
    """A folder to make a file in that is then moved to its place, which is one step on the same disk."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
            yield Path(folder)


@torch.inference_mode()
def require_agreement(artifact: Artifact, forward: Callable[[Tensor], Float32Array], path: Path) -> float:
    """Returns the least cosine between the network's embeddings and those of another forward pass.

    Raises:
        DisagreementError: If it is not above `AGREEMENT` at each of the batch sizes `BATCHES`.
    """
    least = 1.0
    generator = torch.Generator().manual_seed(0)
    for batch in BATCHES:
        pictures = torch.randint(0, 256, (batch, 3, 12, 6), dtype=torch.uint8, generator=generator)
        images = artifact.preprocess(pictures)
        expected = artifact.network.cpu().eval()(images)
        found = torch.as_tensor(forward(images))
        cosine = float((expected * found).sum(dim=1).min()) if found.shape == expected.shape else float("nan")
        if not cosine > AGREEMENT:
            raise DisagreementError(
                f"'{path}': the exported model's embeddings have cosine {cosine:.6f} to torch's at batch {batch}; "
                f"expected above {AGREEMENT}; nothing was written"
            )
        least = min(least, cosine)
    return least


def _write_onnx(artifact: Artifact, path: Path, half: bool) -> None:
    """Writes an ONNX file with the artifact's JSON and the probe's embedding in its metadata."""
    try:
        import onnx
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ImportError(f"ONNX export needs {error.name}; pip install 'mot-reid[onnx]'") from error
    network = artifact.network
    assert isinstance(network, ReIDNetwork)
    module = InferenceNetwork(network.cpu(), dtype=torch.float16 if half else torch.float32).eval()
    if half:
        module.network.get_submodule("backbone").half()  # ONNX Runtime has no normalisation of mixed types
    example = artifact.preprocess(checkpoint.probe_image()[None].repeat(2, 1, 1, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (example,),
            str(path),
            input_names=["images"],
            output_names=["embedding"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    with torch.inference_mode():
        probe = artifact.network.eval()(example[:1])[0]
    model = onnx.load(str(path))
    for node in model.graph.node:  # where in the source a node comes from: more bytes than the weights of a small model
        del node.metadata_props[:]
        node.doc_string = ""
    onnx.helper.set_model_props(
        model, {checkpoint.METADATA_KEY: _text(artifact), PROBE_KEY: json.dumps([round(float(x), 7) for x in probe])}
    )
    onnx.save(model, str(path))


def _text(artifact: Artifact) -> str:
    """Returns the artifact's JSON, as its own file holds it."""
    digest = artifact.metadata.get("tensors_sha256") or digest_tensors(artifact.network.state_dict())
    return signed({**artifact.metadata, "tensors_sha256": digest})
