"""The artifact for other runtimes: ONNX and OpenVINO files that describe themselves and are proven to agree."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mot_reid.arrays import Float32Array
from mot_reid.extras import missing
from mot_reid.files import writing
from mot_reid.reid import checkpoint
from mot_reid.reid.checkpoint import Artifact
from mot_reid.reid.checksums import digest_tensors, signed
from mot_reid.reid.inference import InferenceNetwork
from mot_reid.reid.network import ReIDNetwork
from mot_reid.reid.own_files import PROBE_KEY, open_own
from mot_reid.reid.quantise import quantise, read_crops
from mot_reid.reid.runtimes import Forward, open_runtime

AGREEMENT = 0.9999
"""The least cosine between the embeddings of torch and of the exported file."""
BATCHES = (1, 2, 17)
"""The batch sizes at which they are compared."""
INT8_AGREEMENT = 0.95
"""The least median cosine between the embeddings of torch and of a file in 8 bits, on pictures it was not made with."""
_OPSET = 18


class DisagreementError(RuntimeError):
    """An exported file that does not give the embeddings of the network it came from."""


def export_safetensors(artifact: Artifact, path: str | Path, *, half: bool = False) -> None:
    """Writes the artifact as a `model.safetensors`; with `half`, in float16 but for the variances of batch norm."""
    checkpoint.save(
        path,
        artifact.network,
        artifact.preprocess,
        provenance=artifact.provenance,
        licence=artifact.licence,
        calibration=artifact.calibration,
        dtype="float16" if half else "float32",
    )


def export_onnx(artifact: Artifact, path: str | Path, *, half: bool = False, quick: bool = False) -> None:
    """Writes the artifact as an ONNX file with any batch size and the artifact's JSON inside, whole or not at all.

    The file takes "images" (B, 3, H, W) float32, preprocessed, and gives "embedding" (B, D) float32 of unit length.

    Args:
        artifact: What is exported.
        path: Usually ending in `.onnx`; replaced if it exists.
        half: Compute the backbone in float16.
        quick: Trace the network instead of having torch analyse it: a few seconds in place of a minute.

    Raises:
        DisagreementError: If the file's embeddings are not the network's; nothing is written.
        ImportError: If the packages of the extra `onnx` are not installed.
    """
    path = Path(path)
    with _folder_beside(path) as folder:
        written = folder / path.name
        _write_onnx(artifact, written, half=half, quick=quick)
        _, runtime = open_own(written)
        require_agreement(artifact, lambda images: runtime.run(images.numpy()), path)
        os.replace(written, path)


def export_int8(artifact: Artifact, path: str | Path, crops: str | Path) -> float:
    """Writes the artifact as an ONNX or OpenVINO file that works on 8-bit whole numbers; the embedding is float32.

    Args:
        artifact: What is exported.
        path: Ending in `.onnx` or `.xml`; replaced if it exists.
        crops: Folder with pictures of one person each, on which the ranges are measured. A fifth of those that are
            used are left out of that, and show what was lost.

    Returns:
        The median cosine between the file's embeddings and torch's on the pictures left out.

    Raises:
        ValueError: If there are too few pictures.
        DisagreementError: If the median is not above `INT8_AGREEMENT`; nothing is written.
        ImportError: If the packages of the extra `onnx`, and for OpenVINO of `openvino`, are not installed.
    """
    path, given = Path(path), read_crops(Path(crops), artifact.preprocess)
    with _folder_beside(path) as folder:
        source, whole_numbers, written = folder / "float.onnx", folder / "int8.onnx", folder / path.name
        _write_onnx(artifact, source)
        quantise(source, whole_numbers, given.ranges)
        run = open_runtime(whole_numbers, "cpu", what="int8").run
        cosine = _median_cosine(artifact, run, given.check)
        if not cosine > INT8_AGREEMENT:
            raise DisagreementError(
                f"'{path}': in 8 bits, embeddings of {len(given.check)} pictures have a median cosine of {cosine:.4f} "
                f"to torch's; expected above {INT8_AGREEMENT}; nothing was written"
            )
        told = {"pictures": len(given.ranges), "folder": given.folder, "median_cosine": round(cosine, 6)}
        quantised = replace(
            artifact,
            metadata={**artifact.metadata, "provenance": {**artifact.provenance, "int8": told}},
        )
        _keep_int8(quantised, whole_numbers, written)
        open_own(written)
        if path.suffix == ".xml":
            shutil.move(str(written.with_suffix(".bin")), path.with_suffix(".bin"))
        os.replace(written, path)
    return cosine


def _keep_int8(artifact: Artifact, source: Path, written: Path) -> None:
    """Writes a file in 8 bits with its description, and with the embedding of the probe that it gives itself."""
    if written.suffix == ".xml":
        import openvino

        model = openvino.convert_model(str(source))
        openvino.save_model(model, str(written.with_name("plain.xml")), compress_to_fp16=False)
        probe = _own_probe(artifact, written.with_name("plain.xml"))
        model.set_rt_info(_text(artifact), checkpoint.METADATA_KEY)
        model.set_rt_info(probe, PROBE_KEY)
        openvino.save_model(model, str(written), compress_to_fp16=False)
        return
    import onnx

    model = onnx.load(str(source))
    onnx.helper.set_model_props(
        model, {checkpoint.METADATA_KEY: _text(artifact), PROBE_KEY: _own_probe(artifact, source)}
    )
    onnx.save(model, str(written))


def _own_probe(artifact: Artifact, path: Path) -> str:
    """Returns the embedding that a file gives of the probe, as JSON."""
    images = artifact.preprocess(checkpoint.probe_image()[None]).numpy()
    found = open_runtime(path, "cpu", what="int8").run(images)[0]
    return json.dumps([round(float(x), 7) for x in found])


@torch.inference_mode()
def _median_cosine(artifact: Artifact, run: Forward, inputs: Float32Array) -> float:
    """Returns the median cosine between the embeddings of torch and of another runtime."""
    expected = artifact.network.cpu().eval()(torch.from_numpy(inputs)).numpy()
    return float(np.median((expected * run(inputs)).sum(axis=1)))


def export_openvino(artifact: Artifact, path: str | Path, *, half: bool = False, quick: bool = False) -> None:
    """Writes the artifact as an OpenVINO pair of files, `.xml` and `.bin`, with its JSON as run-time information.

    Args:
        artifact: What is exported.
        path: Ending in `.xml`; the weights go next to it.
        half: Store the weights in float16.
        quick: As for `export_onnx`.

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
    except ImportError:
        raise missing("openvino", "export") from None
    with _folder_beside(path) as folder:
        source, written = folder / "model.onnx", folder / path.name
        _write_onnx(artifact, source, quick=quick)
        model = openvino.convert_model(str(source))
        model.set_rt_info(_text(artifact), checkpoint.METADATA_KEY)
        model.set_rt_info(_probe_text(artifact), PROBE_KEY)
        openvino.save_model(model, str(written), compress_to_fp16=half)
        _, runtime = open_own(written)
        require_agreement(artifact, lambda images: runtime.run(images.numpy()), path)
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


def _write_onnx(artifact: Artifact, path: Path, *, half: bool = False, quick: bool = False) -> None:
    """Writes an ONNX file with the artifact's JSON and the probe's embedding in its metadata."""
    try:
        import onnx
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise missing(error.name or "onnx", "ONNX export", "onnx") from None
    network = artifact.network
    assert isinstance(network, ReIDNetwork)
    module = InferenceNetwork(network.cpu(), dtype=torch.float16 if half else torch.float32).eval()
    if half:
        module.network.get_submodule("backbone").half()  # ONNX Runtime has no normalisation of mixed types
    example = artifact.preprocess(checkpoint.probe_image()[None].repeat(2, 1, 1, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (_trace if quick else _analyse)(module, example, path)
    model = onnx.load(str(path))
    for node in model.graph.node:  # where in the source a node comes from: more bytes than the weights of a small model
        del node.metadata_props[:]
        node.doc_string = ""
    onnx.helper.set_model_props(model, {checkpoint.METADATA_KEY: _text(artifact), PROBE_KEY: _probe_text(artifact)})
    onnx.save(model, str(path))


def _analyse(module: InferenceNetwork, example: Tensor, path: Path) -> None:
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


def _trace(module: InferenceNetwork, example: Tensor, path: Path) -> None:
    """Uses the older exporter of torch, which a network without branches needs no more than."""
    batch = {0: "batch"}
    torch.onnx.export(
        module,
        (example,),
        str(path),
        input_names=["images"],
        output_names=["embedding"],
        dynamic_axes={"images": batch, "embedding": batch},
        opset_version=_OPSET,
        dynamo=False,
    )


def _text(artifact: Artifact) -> str:
    """Returns the artifact's JSON, as its own file holds it."""
    digest = artifact.metadata.get("tensors_sha256") or digest_tensors(artifact.network.state_dict())
    return signed({**artifact.metadata, "tensors_sha256": digest})


@torch.inference_mode()
def _probe_text(artifact: Artifact) -> str:
    """Returns the embedding that the probe must give, as JSON."""
    probe = artifact.network.eval()(artifact.preprocess(checkpoint.probe_image()[None]))[0]
    return json.dumps([round(float(x), 7) for x in probe])
