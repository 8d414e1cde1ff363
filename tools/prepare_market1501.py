"""Checks and lays out Market-1501: `python tools/prepare_market1501.py source=PATH output=FOLDER`."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mot_reid.config import ConfigError, parse_arguments
from mot_reid.data.folders import METADATA
from mot_reid.data.prepare_market1501 import prepare

USAGE = """usage: python tools/prepare_market1501.py source=PATH output=FOLDER [key=value ...]

Checks that every image of Market-1501 opens and lays the data set out in FOLDER, whole or not at all, with train.csv,
query.csv, gallery.csv (path, person_id, camera_id, label) and metadata.json. A second run verifies the folder.

  source=PATH              Market-1501-v15.09.15.zip, the folder Market-1501-v15.09.15, or its parent
  output=FOLDER            the folder to make, such as data/market1501
  data.validation=0        share of the training persons to list in val.csv instead of train.csv, such as 0.2
  data.seed=0              chooses those persons
  data.official_counts=true  require the published numbers of images and identities
  workers=N                threads; default: one for each processor

Exit code: 0 done or verified, 1 bad data, 2 wrong arguments.
"""
KEYS = ("help", "source", "output", "data.validation", "data.seed", "data.official_counts", "workers")


def main(argv: Sequence[str]) -> int:
    """Prepares Market-1501; returns the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        arguments = parse_arguments(argv, allowed=KEYS)
        if "help" in arguments:
            print(USAGE)
            return 0
        source, output, settings = _settings(arguments)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        metadata, new = prepare(source, output, **settings)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted: nothing was written", file=sys.stderr)
        return 130
    _report(metadata, output, new=new)
    return 0


def _settings(arguments: dict[str, str]) -> tuple[Path, Path, dict[str, Any]]:
    for key in ("source", "output"):
        if not arguments.get(key):
            raise ConfigError(f"command line: {key} is missing; expected {key}=PATH; see --help")
    source, output = Path(arguments["source"]), Path(arguments["output"])
    if not source.exists() and not (output / METADATA).is_file():
        raise ConfigError(
            f"command line: source: got '{source}'; expected an existing archive or folder; check the path"
        )
    settings: dict[str, Any] = {
        "validation": _number(arguments, "data.validation", float, "0", low=0.0, below=1.0),
        "seed": _number(arguments, "data.seed", int, "0", low=0),
    }
    if "workers" in arguments:
        settings["workers"] = _number(arguments, "workers", int, "", low=1)
    counts = arguments.get("data.official_counts", "true").lower()
    if counts not in ("true", "false"):
        raise ConfigError(f"command line: data.official_counts: got '{counts}'; expected true or false")
    return source, output, {**settings, "official_counts": counts == "true"}


def _number(
    arguments: dict[str, str],
    key: str,
    kind: type[int] | type[float],
    default: str,
    *,
    low: float,
    below: float = float("inf"),
) -> int | float:
    text = arguments.get(key, default)
    try:
        value = kind(text)
    except ValueError:
        value = kind(-1)
    if not low <= value < below:
        what = "a whole number" if kind is int else "a number"
        rule = f"{what} from {low:g}" + ("" if below == float("inf") else f" to below {below:g}")
        raise ConfigError(f"command line: {key}: got '{text}'; expected {rule}")
    return value


def _report(metadata: dict[str, Any], output: Path, *, new: bool) -> None:
    for name, one in metadata["lists"].items():
        cameras = len(one["images_per_camera"])
        print(f"{name:8} {one['images']:7,} images {one['identities']:5,} identities {cameras:3} cameras")
    print(f"mean {metadata['channel_mean']}, standard deviation {metadata['channel_std']} (train, RGB)")
    print(f"{'written to' if new else 'verified, nothing to do:'} {output}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
