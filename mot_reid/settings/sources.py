"""Where values are written: YAML files in `configs/` and `experiments/`, and the words of a command line."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from functools import lru_cache
from io import StringIO
from pathlib import Path
from typing import Any

from mot_reid.names import did_you_mean

COMMAND_LINE = "command line"

_PACKAGE = Path(__file__).resolve().parent.parent
ROOT = _PACKAGE if (_PACKAGE / "configs").is_dir() else _PACKAGE.parent
"""The folder that holds `configs/` and `experiments/`: the package where it was installed, or else the checkout."""


class ConfigError(ValueError):
    """A mistake in the settings, as one line that names the layer and the key."""


def parse_arguments(argv: Sequence[str]) -> dict[str, str]:
    """Returns the arguments of a command by key.

    Args:
        argv: arguments as `key=value` or `--key=value`, without the program.

    Raises:
        ConfigError: an argument has no `=`, or comes twice.
    """
    found: dict[str, str] = {}
    for argument in argv:
        key, equals, value = argument.removeprefix("--").partition("=")
        if not equals or not key:
            raise ConfigError(f"{COMMAND_LINE}: got '{argument}'; expected key=value or --key=value")
        if key in found:
            raise ConfigError(f"{COMMAND_LINE}: {key}: got two values, '{found[key]}' and '{value}'; expected one")
        found[key] = value
    return found


def home(root: Path | None) -> Path:
    """Returns the folder that holds `configs/`.

    Args:
        root: the folder; None is `ROOT`.

    Raises:
        ConfigError: there is no `configs/` in it.
    """
    root = ROOT if root is None else Path(root)
    if not (root / "configs").is_dir():
        raise ConfigError(f"configuration: no folder 'configs' in {root}; install the package again")
    return root


def experiment_names(root: Path | None = None) -> list[str]:
    """Returns the names that `experiment=` takes, sorted.

    Args:
        root: the folder that holds `experiments/`; None is `ROOT`.
    """
    return sorted(path.stem for path in ((root or ROOT) / "experiments").glob("*.yaml"))


def experiment_path(experiment: str, root: Path) -> Path:
    """Finds the file of an experiment given by name or by path.

    Raises:
        ConfigError: there is none.
    """
    if experiment.endswith((".yaml", ".yml")):
        path = Path(experiment)
        if not path.is_file():
            raise ConfigError(f"{COMMAND_LINE}: no experiment file '{experiment}'; expected a path to a YAML file")
        return path
    names = experiment_names(root)
    if experiment not in names:
        hint = did_you_mean(experiment, names) or f"; the experiments are: {', '.join(names) or 'none'}"
        raise ConfigError(f"{COMMAND_LINE}: no experiment '{experiment}'{hint}")
    return root / "experiments" / f"{experiment}.yaml"


def base_names(root: Path) -> list[str]:
    """Returns the names that an experiment may list as its bases, such as `base` and `model/resnet50`."""
    names = [path.stem for path in sorted((root / "configs").glob("*.yaml"))]
    return names + [f"{group}/{name}" for group, inside in groups(root).items() for name in inside]


def base_path(base: str, root: Path, layer: str) -> Path:
    """Finds the file of a base that `layer` names.

    Raises:
        ConfigError: there is none.
    """
    names = base_names(root)
    if base not in names:
        near = [name for name in names if name.startswith(f"{base.partition('/')[0]}/")] or names
        hint = did_you_mean(base, near) or f"; the bases are: {', '.join(near)}"
        raise ConfigError(f"{layer}: no base '{base}'{hint}")
    return root / "configs" / f"{base}.yaml"


def groups(root: Path) -> dict[str, list[str]]:
    """Returns the groups of bases, such as `model`, with the names in each."""
    folders = sorted(path for path in (root / "configs").glob("*") if path.is_dir())
    found = {folder.name: sorted(path.stem for path in folder.glob("*.yaml")) for folder in folders}
    return {group: names for group, names in found.items() if names}


def read_yaml(path: Path, root: Path) -> dict[str, Any]:
    """Reads a YAML file as a nested mapping, interpolations left as they are.

    Raises:
        ConfigError: it cannot be read, or is no mapping.
    """
    name = shown(path, root)
    try:
        loaded = _parsed(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{name}: cannot be read: {error.strerror}") from None
    except Exception as error:  # the YAML library's own errors, which this module does not import
        problem, mark = getattr(error, "problem", error), getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{name}{place}: not valid YAML: {' '.join(str(problem).split())}") from None
    if not isinstance(loaded, dict):
        raise ConfigError(f"{name}: got a list; expected a mapping of sections")
    return deepcopy(loaded)


@lru_cache(64)
def _parsed(text: str) -> Any:
    """Returns the content of a YAML file; the bases are read again and again, and parsing takes longest."""
    from omegaconf import OmegaConf

    return OmegaConf.to_container(OmegaConf.load(StringIO(text)), resolve=False)


def shown(path: Path, root: Path) -> str:
    """Returns a path as messages name it: from `root` on where it lies there."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def yaml_text(value: Any) -> str:
    """Returns a value the way a person would write it in a file or on the command line."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(yaml_text(item) for item in value)}]"
    return f"'{value}'" if isinstance(value, str) else str(value)
