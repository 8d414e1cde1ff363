"""How the value of each key is found: bases, experiment, command line; then checked, resolved and frozen.

Types live in the trees of this room, values in `configs/`, differences in `experiments/`, this run on the command line.
Later layers win: the bases an experiment names, then its body, then the command line. Nothing is accepted silently: an
unknown key, a wrong type or a missing value is one `ConfigError` line that names the layer and the key.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from mot_reid.files import write_text
from mot_reid.settings.action_training import ActionConfig as ActionConfig
from mot_reid.settings.draft import Draft
from mot_reid.settings.sources import COMMAND_LINE as COMMAND_LINE
from mot_reid.settings.sources import ROOT as ROOT
from mot_reid.settings.sources import ConfigError as ConfigError
from mot_reid.settings.sources import (
    base_path,
    experiment_path,
    groups,
    home,
    parse_arguments,
    read_yaml,
    shown,
)
from mot_reid.settings.sources import experiment_names as experiment_names
from mot_reid.settings.training import LEAST_SIDE as LEAST_SIDE
from mot_reid.settings.training import Config as Config

_T = TypeVar("_T")
AnyConfig = Config | ActionConfig
"""What an experiment may be about: recognising people, or saying what they do."""
_TASKS: dict[str, type[ActionConfig]] = {"actions": ActionConfig}
"""The tree of each task; an experiment without one recognises people."""


def load_config(argv: Sequence[str], *, root: Path | None = None, tool_keys: Collection[str] = ()) -> Config:
    """Returns the configuration of a run that trains a Re-ID model; otherwise as `load_training`.

    Args:
        argv: as in `load_training`.
        root: as in `load_training`.
        tool_keys: as in `load_training`.

    Raises:
        ConfigError: as `load_training`, or the experiment has another task.
    """
    config = load_training(argv, root=root, tool_keys=tool_keys)
    if not isinstance(config, Config):
        raise ConfigError(
            f"{COMMAND_LINE}: experiment: got '{config.run.experiment}', whose task is {config.task}; expected one "
            "that trains a Re-ID model; choose another"
        )
    return config


def load_training(argv: Sequence[str], *, root: Path | None = None, tool_keys: Collection[str] = ()) -> AnyConfig:
    """Composes, checks, resolves and freezes the configuration of a training run.

    Args:
        argv: arguments as `key=value` or `--key=value`, without the program: `experiment=NAME` (or the path of a YAML
            file), `group=name` to lay `configs/group/name.yaml` over the experiment, and `section.key=value`.
        root: the folder that holds `configs/` and `experiments/`; None is that of the package or checkout.
        tool_keys: keys that belong to the calling command and are passed over here.

    Returns:
        The configuration of the experiment's task, with every value present and every interpolation resolved.

    Raises:
        ConfigError: anything is unknown, missing or of the wrong type.
    """
    draft, layer = draft_config(argv, root=root, tool_keys=tool_keys)
    if layer is None:
        names = ", ".join(experiment_names(home(root))) or "none found"
        raise ConfigError(
            f"{COMMAND_LINE}: no experiment named; expected experiment=NAME, where NAME is one of: {names}"
        )
    return draft.freeze(layer)


def load_experiment(
    experiment: str | Path, overrides: Mapping[str, object] | None = None, *, root: Path | None = None
) -> AnyConfig:
    """Returns the configuration of an experiment, with values of your own.

    Args:
        experiment: its name, or the path of a YAML file.
        overrides: values by key, such as `{"optim.lr": 1e-3, "data": "folders"}`; they win over the experiment's.
        root: as in `load_config`.

    Raises:
        ConfigError: anything is unknown, missing or of the wrong type.
    """
    root, given = home(root), dict(overrides or {})
    draft, layer = _draft_experiment(str(experiment), root)
    for group in given.keys() & groups(root).keys():
        draft.lay(*_layer(base_path(f"{group}/{given.pop(group)}", root, "overrides"), root))
    for key, value in given.items():
        draft.set("overrides", key, value)
    return draft.freeze(layer)


def load_settings(
    cls: type[_T], argv: Sequence[str], *, base: str, root: Path | None = None, tool_keys: Collection[str] = ()
) -> _T:
    """Returns the settings of a command without experiments: `configs/<base>.yaml`, a file of one's own, command line.

    Args:
        cls: the tree: a frozen dataclass of sections and single keys, see `mot_reid.settings.schema`.
        argv: arguments as `key=value` or `--key=value`, without the program; `config=PATH` names a YAML file to lay
            over the base.
        base: name of the file in `configs/` that holds every value; `???` there is one that the command line must give.
        root: the folder that holds `configs/`; None is that of the package or checkout.
        tool_keys: keys that belong to the calling command and are passed over here.

    Raises:
        ConfigError: anything is unknown, missing or of the wrong type.
    """
    return draft_settings(cls, argv, base=base, root=root, tool_keys=tool_keys).freeze(COMMAND_LINE)


def draft_config(
    argv: Sequence[str], *, root: Path | None = None, tool_keys: Collection[str] = ()
) -> tuple[Draft[Any], str | None]:
    """Returns the configuration of a run before it is checked for completeness, and the layer of its experiment.

    Args:
        argv: as in `load_config`; without an experiment, values are those of `configs/base.yaml` and the layer is None.
        root: as in `load_config`.
        tool_keys: as in `load_config`.
    """
    root = home(root)
    arguments = {key: text for key, text in parse_arguments(argv).items() if key not in tool_keys}
    experiment = arguments.pop("experiment", None)
    if experiment is None:
        draft, layer = Draft[Any](Config), None
        draft.lay(*_layer(root / "configs" / "base.yaml", root))
    else:
        draft, layer = _draft_experiment(experiment, root)
    for group in [key for key in arguments if key in groups(root)]:
        draft.lay(*_layer(base_path(f"{group}/{arguments.pop(group)}", root, COMMAND_LINE), root))
    draft.lay_arguments(arguments, known=(*tool_keys, "experiment"))
    return draft, layer


def draft_settings(
    cls: type[_T], argv: Sequence[str], *, base: str, root: Path | None = None, tool_keys: Collection[str] = ()
) -> Draft[_T]:
    """Returns the settings of a command before they are checked for completeness; arguments as in `load_settings`."""
    root = home(root)
    arguments = {key: text for key, text in parse_arguments(argv).items() if key not in tool_keys}
    draft = Draft(cls)
    draft.lay(*_layer(root / "configs" / f"{base}.yaml", root))
    if "config" in arguments:
        draft.lay(*_layer(Path(arguments.pop("config")), root))
    draft.lay_arguments(arguments, known=(*tool_keys, "config"))
    return draft


def save_config(settings: Any, path: Path) -> None:
    """Writes every value as YAML that reads back to equal settings, as `experiment=PATH` or `config=PATH`.

    The file appears whole or not at all.

    Args:
        settings: what to write: a dataclass of sections and single keys.
        path: the file; its folder is made where missing.
    """
    from omegaconf import OmegaConf

    write_text(path, OmegaConf.to_yaml(OmegaConf.create(_lists(asdict(settings)))))


def by_key(settings: Any) -> dict[str, Any]:
    """Returns the values of settings by their keys, such as `optim.lr`.

    Args:
        settings: a dataclass of sections and single keys.
    """
    found: dict[str, Any] = {}
    for name, value in asdict(settings).items():
        found |= {f"{name}.{key}": one for key, one in value.items()} if isinstance(value, dict) else {name: value}
    return found


def _draft_experiment(experiment: str, root: Path) -> tuple[Draft[Any], str]:
    """Returns the bases of an experiment and its body, laid over each other, and the name of its layer."""
    layer, body = _layer(experiment_path(experiment, root), root)
    bases = body.pop("bases", [])
    if not isinstance(bases, list) or not all(isinstance(base, str) for base in bases):
        raise ConfigError(f"{layer}: bases: got {bases!r}; expected a list of names such as [base, model/resnet50]")
    layers = [_layer(base_path(base, root, layer), root) for base in bases]
    draft = Draft[Any](_tree([*layers, (layer, body)]))
    for base in layers:
        draft.lay(*base)
    draft.lay(layer, {"run": {"experiment": experiment}})
    draft.lay(layer, body)
    return draft, layer


def _tree(layers: Sequence[tuple[str, dict[str, Any]]]) -> type[AnyConfig]:
    """Returns the tree of the task that layers name."""
    named = [(layer, body["task"]) for layer, body in layers if "task" in body]
    if not named:
        return Config
    layer, task = named[-1]
    if task not in _TASKS:
        raise ConfigError(f"{layer}: task: got '{task}'; expected {', '.join(_TASKS)}, or no task for a Re-ID model")
    return _TASKS[task]


def _layer(path: Path, root: Path) -> tuple[str, dict[str, Any]]:
    """Returns what messages call a file, and its content."""
    return shown(path, root), read_yaml(path, root)


def _lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _lists(item) for key, item in value.items()}
    return [_lists(item) for item in value] if isinstance(value, tuple) else value
