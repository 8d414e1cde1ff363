"""Writes a trained model as one portable file: `python tools/export.py checkpoint=PATH|NAME format=onnx`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from mot_reid.cli.command import Arguments, mistake, run
from mot_reid.files import check_writable
from mot_reid.settings.load import ConfigError

USAGE = """usage: python tools/export.py checkpoint=PATH|NAME [format=FORMAT] [output=PATH] [half=true]

Writes a model for use elsewhere. An ONNX or OpenVINO file is kept only if it agrees with torch at batch 1, 2 and 17.

  checkpoint  a model.safetensors, a Lightning .ckpt of a run, or the name of a model in the box
  format      safetensors (default), onnx (needs the extra 'onnx') or openvino (needs 'onnx' and 'openvino')
  output      the file to write; by default beside the checkpoint, with the format's ending
  half        true stores float16 where it can (default false)
"""
SUFFIXES = {"safetensors": ".safetensors", "onnx": ".onnx", "openvino": ".xml"}

KEYS = ("help", "checkpoint", "format", "output", "half")
log = logging.getLogger("export")


def main(argv: Sequence[str]) -> int:
    """Exports one model; returns the exit code: 0, 1 if the exported file disagrees, 2 for a mistake in the call."""
    for name in ("torch.onnx", "onnxscript", "onnx_ir"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return run(_export, argv, usage=lambda: USAGE, judge=_judge)


def _judge(error: Exception) -> tuple[str, int] | None:
    return (str(error), 1) if isinstance(error, RuntimeError) else mistake(error)


def _export(argv: Sequence[str]) -> None:
    """Does what the arguments say, and tells the size of the file written."""
    asked = Arguments(argv, KEYS)
    kind, half = asked.choice("format", tuple(SUFFIXES), "safetensors"), asked.switch("half", False)
    if "checkpoint" not in asked:
        raise ConfigError("command line: no checkpoint given; expected checkpoint=PATH or checkpoint=NAME")
    from mot_reid.reid import checkpoint
    from mot_reid.reid import export as exporters

    source = checkpoint.find(asked.given["checkpoint"])
    beside = Path(source.name) if checkpoint.WEIGHTS in source.parents else source
    output = _output(asked.text("output"), kind, beside=beside)
    writers: dict[str, Callable[..., None]] = {
        "safetensors": exporters.export_safetensors,
        "onnx": exporters.export_onnx,
        "openvino": exporters.export_openvino,
    }
    log.info("exporting %s as %s%s ...", source, kind, " in half precision" if half else "")
    writers[kind](checkpoint.load(source), output, half=half)
    print(f"{output} ({output.stat().st_size / 1e6:.2f} MB)")


def _output(given: str | None, kind: str, *, beside: Path) -> Path:
    """Returns the file to write, by default `beside` with the format's ending."""
    output = Path(given) if given is not None else beside.with_suffix(SUFFIXES[kind])
    if output.suffix != SUFFIXES[kind]:
        named = next((name for name, suffix in SUFFIXES.items() if suffix == output.suffix), None)
        hint = f"; did you mean format={named}?" if named else ""
        raise ConfigError(f"command line: output: got '{output}'; expected a name ending in {SUFFIXES[kind]}{hint}")
    if output.is_dir():
        raise ConfigError(f"command line: output: got the folder '{output}'; expected the name of a file")
    check_writable(output, "output")
    return output
