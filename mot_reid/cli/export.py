"""Writes a trained model as one portable file: `mot-reid export checkpoint=PATH|NAME format=onnx`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from mot_reid.cli.command import Command, Given, mistake
from mot_reid.files import check_writable, given_by
from mot_reid.settings.export import ExportSettings
from mot_reid.settings.load import ConfigError

COMMAND = Command(
    "export",
    ExportSettings,
    usage="checkpoint=PATH|NAME [format=FORMAT] [output=PATH] [half=true] [int8=FOLDER]",
    about="""
Writes a model for use elsewhere. An ONNX or OpenVINO file is kept only if it
agrees with torch at batch 1, 2 and 17. One in 8 bits (int8=FOLDER with crops of
people) is kept if it agrees with torch on crops that it was not made with; the
median cosine is printed and stands in the file.""",
    examples=(
        "checkpoint=runs/quickstart/model.safetensors format=onnx",
        "checkpoint=runs/quickstart/checkpoints/last.ckpt output=model.safetensors half=true",
        "checkpoint=osnet_x0_25_cameras format=openvino int8=data/market1501/bounding_box_train",
    ),
    exits="0 done, 1 the exported file disagrees with torch, 2 a mistake in the arguments",
)
SUFFIXES = {"safetensors": ".safetensors", "onnx": ".onnx", "openvino": ".xml", "tensorrt": ".engine"}
log = logging.getLogger("export")


def main(argv: Sequence[str]) -> int:
    """Exports one model; returns the exit code: 0, 1 if the exported file disagrees, 2 for a mistake in the call."""
    for name in ("torch.onnx", "onnxscript", "onnx_ir"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return COMMAND.run(_export, argv, judge=_judge)


def _judge(error: Exception) -> tuple[str, int] | None:
    return (str(error), 1) if isinstance(error, RuntimeError) else mistake(error)


def _export(settings: ExportSettings, given: Given) -> None:
    """Writes the model, and prints the size of the file."""
    kind = settings.format
    _check_int8(settings)
    if settings.output is not None:
        _check_output(Path(settings.output), kind)
    from mot_reid.reid import bundled, checkpoint
    from mot_reid.reid import export as exporters
    from mot_reid.reid.tensorrt import export_tensorrt

    source = checkpoint.find(settings.checkpoint)
    beside = bundled.beside(source)
    output = Path(settings.output) if settings.output is not None else beside.with_suffix(SUFFIXES[kind])
    _check_output(output, kind)
    writers: dict[str, Callable[..., None]] = {
        "safetensors": exporters.export_safetensors,
        "onnx": exporters.export_onnx,
        "openvino": exporters.export_openvino,
        "tensorrt": export_tensorrt,
    }
    precision = " in half precision" if settings.half else " in 8 bits" if settings.int8 else ""
    log.info("exporting %s as %s%s ...", source, kind, precision)
    with given_by("checkpoint"):
        artifact = checkpoint.load(source)
    if settings.int8 is not None:
        cosine = exporters.export_int8(artifact, output, settings.int8)
        log.info("median cosine to torch on crops left out of it: %.4f", cosine)
    else:
        writers[kind](artifact, output, half=settings.half)
    print(f"{output} ({output.stat().st_size / 1e6:.2f} MB)")


def _check_int8(settings: ExportSettings) -> None:
    """Refuses 8 bits where they are not to be had."""
    if settings.int8 is None:
        return
    if settings.format not in ("onnx", "openvino") or settings.half:
        raise ConfigError(
            f"command line: int8: got '{settings.int8}' with format={settings.format} half={settings.half}; expected "
            "format=onnx or format=openvino, without half"
        )
    if not Path(settings.int8).is_dir():
        raise ConfigError(f"command line: int8: got '{settings.int8}'; expected a folder with crops of people")


def _check_output(output: Path, kind: str) -> None:
    """Refuses a file whose name does not say what is in it, or that cannot be written."""
    if output.suffix != SUFFIXES[kind]:
        named = next((name for name, suffix in SUFFIXES.items() if suffix == output.suffix), None)
        hint = f"; did you mean format={named}?" if named else ""
        raise ConfigError(f"command line: output: got '{output}'; expected a name ending in {SUFFIXES[kind]}{hint}")
    if output.is_dir():
        raise ConfigError(f"command line: output: got the folder '{output}'; expected the name of a file")
    check_writable(output, "output")
