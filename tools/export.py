"""Writes a trained model as one portable file: `python tools/export.py checkpoint=PATH|NAME format=onnx`."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mot_reid.config import ConfigError, parse_arguments

USAGE = """usage: python tools/export.py checkpoint=PATH|NAME [format=FORMAT] [output=PATH] [half=true]

Writes a model for use elsewhere. An ONNX or OpenVINO file is kept only if it agrees with torch at batch 1, 2 and 17.

  checkpoint  a model.safetensors, a Lightning .ckpt of a run, or the name of a model in the box
  format      safetensors (default), onnx (needs the extra 'onnx') or openvino (needs 'onnx' and 'openvino')
  output      the file to write; by default beside the checkpoint, with the format's ending
  half        true stores float16 where it can (default false)
"""
KEYS = ("help", "checkpoint", "format", "output", "half")
SUFFIXES = {"safetensors": ".safetensors", "onnx": ".onnx", "openvino": ".xml"}

log = logging.getLogger("export")


def main(argv: Sequence[str]) -> int:
    """Exports one model; returns the exit code: 0, 1 if the exported file disagrees, 2 for a mistake in the call."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for name in ("torch.onnx", "onnxscript", "onnx_ir"):
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        arguments = parse_arguments(argv, allowed=KEYS)
        if "help" in arguments:
            print(USAGE)
            return 0
        output = export(arguments)
    except (ConfigError, ValueError, OSError, ImportError) as error:
        print(error, file=sys.stderr)
        return 2
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{output} ({output.stat().st_size / 1e6:.2f} MB)")
    return 0


def export(arguments: dict[str, str]) -> Path:
    """Does what the arguments say; returns the file written."""
    kind = _choice(arguments, "format", tuple(SUFFIXES))
    half = _choice(arguments, "half", ("false", "true")) == "true"
    if "checkpoint" not in arguments:
        raise ConfigError("command line: no checkpoint given; expected checkpoint=PATH or checkpoint=NAME")
    from mot_reid.reid import checkpoint
    from mot_reid.reid import export as exporters

    source = checkpoint.find(arguments["checkpoint"])
    beside = Path(source.name) if checkpoint.WEIGHTS in source.parents else source
    output = Path(arguments.get("output", beside.with_suffix(SUFFIXES[kind])))
    if output.suffix != SUFFIXES[kind]:
        named = next((name for name, suffix in SUFFIXES.items() if suffix == output.suffix), None)
        hint = f"; did you mean format={named}?" if named else ""
        raise ConfigError(f"command line: output: got '{output}'; expected a name ending in {SUFFIXES[kind]}{hint}")
    if output.is_dir():
        raise ConfigError(f"command line: output: got the folder '{output}'; expected the name of a file")
    writers: dict[str, Callable[..., None]] = {
        "safetensors": exporters.export_safetensors,
        "onnx": exporters.export_onnx,
        "openvino": exporters.export_openvino,
    }
    log.info("exporting %s as %s%s ...", source, kind, " in half precision" if half else "")
    writers[kind](checkpoint.load(source), output, half=half)
    return output


def _choice(arguments: dict[str, str], key: str, choices: tuple[str, ...]) -> str:
    """Returns the value of a key, by default the first of its choices."""
    value = arguments.get(key, choices[0])
    if value not in choices:
        raise ConfigError(f"command line: {key}: got '{value}'; expected one of {', '.join(choices)}")
    return value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
