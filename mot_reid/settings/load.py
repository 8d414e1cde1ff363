"""How the value of each key is found: bases, experiment, command line; then checked, resolved and frozen.

Types live in `schema.py`, values in `configs/`, differences in `experiments/`, this run on the command line. Later
layers win: schema, then the bases an experiment names, then its body, then the command line. Nothing is accepted
silently: an unknown key, a wrong type or a missing value is one `ConfigError` line that names the layer and the key.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, make_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from mot_reid.files import write_text
from mot_reid.settings.schema import LEAST_SIDE as LEAST_SIDE
from mot_reid.settings.schema import Config as Config
from mot_reid.settings.schema import Key, OneOf, did_you_mean, schema, sections

if TYPE_CHECKING:
    from omegaconf import DictConfig

ROOT = Path(__file__).resolve().parent.parent.parent
COMMAND_LINE = "command line"

_T = TypeVar("_T")
_TEXTS = tuple[str, ...]


class ConfigError(ValueError):
    """A mistake in the configuration, told in one line that names the layer and the key."""


def load_config(argv: Sequence[str], *, root: Path | None = None, tool_keys: Collection[str] = ()) -> Config:
    """Composes, checks, resolves and freezes the configuration of a run.

    Args:
        argv: Arguments as `key=value` or `--key=value`, without the program: `experiment=NAME` (or the path of a YAML
            file), `group=name` to lay `configs/group/name.yaml` over the experiment, and `section.key=value`.
        root: The folder that holds `configs/` and `experiments/`; None is the one this package lies in.
        tool_keys: Keys that belong to the calling tool and are passed over here.

    Returns:
        The configuration, with every value present and every interpolation resolved.

    Raises:
        ConfigError: If anything is unknown, missing or of the wrong type.
    """
    root = _checkout(root)
    arguments = {key: text for key, text in parse_arguments(argv).items() if key not in tool_keys}
    if "experiment" not in arguments:
        names = ", ".join(experiment_names(root)) or "none found"
        raise ConfigError(
            f"{COMMAND_LINE}: no experiment named; expected experiment=NAME, where NAME is one of: {names}"
        )
    experiment = arguments.pop("experiment")
    draft = _Draft(Config)
    path = _experiment_path(experiment, root)
    layer, body = _shown(path, root), _read(path, root)
    bases = body.pop("bases", [])
    if not isinstance(bases, list) or not all(isinstance(base, str) for base in bases):
        raise ConfigError(f"{layer}: bases: got {bases!r}; expected a list of names such as [base, model/resnet50]")
    for base in bases:
        base_path = _base_path(base, root, layer)
        draft.lay(_shown(base_path, root), _read(base_path, root))
    draft.lay(layer, {"run": {"experiment": experiment}})
    draft.lay(layer, body)
    _lay_command_line(draft, arguments, root, tool_keys)
    return draft.freeze(layer)


def load_settings(
    cls: type[_T], argv: Sequence[str], *, base: str, root: Path | None = None, tool_keys: Collection[str] = ()
) -> _T:
    """Returns the settings of a tool that has no experiments: `configs/<base>.yaml`, a file of one's own, command line.

    Args:
        cls: The schema: a frozen dataclass of sections and single keys, see `mot_reid.settings.schema`.
        argv: Arguments as `key=value` or `--key=value`, without the program; `config=PATH` names a YAML file to lay
            over the base.
        base: Name of the file in `configs/` that holds every value.
        root: The folder that holds `configs/`; None is the one this package lies in.
        tool_keys: Keys that belong to the calling tool and are passed over here.

    Raises:
        ConfigError: If anything is unknown, missing or of the wrong type.
    """
    root = _checkout(root)
    arguments = {key: text for key, text in parse_arguments(argv).items() if key not in tool_keys}
    draft = _Draft(cls)
    layers = [root / "configs" / f"{base}.yaml"]
    if "config" in arguments:
        layers.append(Path(arguments.pop("config")))
    for path in layers:
        draft.lay(_shown(path, root), _read(path, root))
    draft.lay_arguments(arguments, (*tool_keys, "config"))
    return draft.freeze(f"configs/{base}.yaml")


def save_config(config: Config, path: Path) -> None:
    """Writes every value as YAML that `load_config(["experiment=<path>"])` reads back to an equal configuration.

    The file appears whole or not at all.

    Args:
        config: What to write.
        path: The file; its folder is made where missing.
    """
    from omegaconf import OmegaConf

    write_text(path, OmegaConf.to_yaml(OmegaConf.create(_lists(asdict(config)))))


def parse_arguments(argv: Sequence[str], *, allowed: Collection[str] | None = None) -> dict[str, str]:
    """Returns the arguments of a tool by key.

    Args:
        argv: Arguments as `key=value` or `--key=value`, without the program; `--help` and `-h` become `help`.
        allowed: The keys the tool knows; None checks nothing.

    Raises:
        ConfigError: If an argument has no `=`, comes twice, or is none of `allowed`.
    """
    found: dict[str, str] = {}
    for argument in argv:
        if argument in ("--help", "-h"):
            found["help"] = ""
            continue
        key, equals, value = argument.removeprefix("--").partition("=")
        if not equals or not key:
            raise ConfigError(f"{COMMAND_LINE}: got '{argument}'; expected key=value or --key=value")
        if key in found:
            raise ConfigError(f"{COMMAND_LINE}: {key}: got two values, '{found[key]}' and '{value}'; expected one")
        if allowed is not None and key not in allowed:
            raise ConfigError(f"{COMMAND_LINE}: no key '{key}'{did_you_mean(key, allowed) or '; see --help'}")
        found[key] = value
    return found


def experiment_names(root: Path | None = None) -> list[str]:
    """Returns the names that `experiment=` takes, sorted.

    Args:
        root: The folder that holds `experiments/`; None is the one this package lies in.
    """
    return sorted(path.stem for path in ((root or ROOT) / "experiments").glob("*.yaml"))


def describe_keys(root: Path | None = None) -> str:
    """Returns the help text: experiments with the first line of their comment, bases by group, keys with their type.

    Args:
        root: The folder that holds `configs/` and `experiments/`; None is the one this package lies in.
    """
    root = root or ROOT
    lines = ["experiments (experiment=NAME, or a path to a YAML file):"]
    for name in experiment_names(root):
        first = (root / "experiments" / f"{name}.yaml").read_text(encoding="utf-8").partition("\n")[0]
        lines.append(f"  {name:<26} {first.removeprefix('#').strip() if first.startswith('#') else ''}".rstrip())
    lines += ["", "bases (GROUP=NAME lays one over the experiment):"]
    for group in _groups(root):
        lines.append(f"  {group:<10} {', '.join(_group_names(group, root))}")
    lines += ["", "keys (SECTION.KEY=VALUE; the value is that of configs/base.yaml):"]
    return "\n".join(lines) + "\n" + describe_settings(Config, base="base", root=root)


def describe_settings(cls: type, *, base: str, root: Path | None = None) -> str:
    """Returns the help text of the keys: their type, their value in `configs/<base>.yaml` and what they mean.

    Args:
        cls: The schema.
        base: Name of the file in `configs/`.
        root: The folder that holds `configs/`; None is the one this package lies in.
    """
    root = root or ROOT
    values = dict(_leaves(f"configs/{base}.yaml", _read(root / "configs" / f"{base}.yaml", root), cls))
    lines = []
    for key, spec in schema(cls).items():
        value = f" = {_yaml_text(values[key])}" if values.get(key, "???") != "???" else ""
        names = "".join(f" ({' | '.join(rule.names)})" for rule in spec.rules if isinstance(rule, OneOf))
        lines.append(f"  {key}: {spec.type_name}{value}{names}\n      {spec.meaning}")
    return "\n".join(lines)


class _Draft(Generic[_T]):
    """A configuration under construction, which remembers the layer that each value came from."""

    def __init__(self, cls: type[_T]) -> None:
        from omegaconf import OmegaConf

        self.cls = cls
        self.keys = schema(cls)
        self.origin: dict[str, str] = {}
        single = [(key, spec.hint) for key, spec in self.keys.items() if "." not in key]
        self.config: DictConfig = OmegaConf.structured(make_dataclass("Single", single))
        OmegaConf.set_struct(self.config, False)
        for name, section in sections(cls):
            self.config[name] = OmegaConf.structured(section)
            OmegaConf.set_readonly(self.config[name], False)

    def lay(self, layer: str, body: Mapping[str, Any]) -> None:
        """Sets every value of a nested mapping."""
        for key, value in _leaves(layer, body, self.cls):
            self.set(layer, key, value)

    def lay_arguments(self, arguments: Mapping[str, str], tool_keys: Collection[str]) -> None:
        """Sets the keys given on the command line."""
        for key, text in arguments.items():
            self.check_key(COMMAND_LINE, key, tool_keys)
            self.set(COMMAND_LINE, key, _parsed(text, self.keys[key], key))

    def set(self, layer: str, key: str, value: Any, tool_keys: Collection[str] = ()) -> None:
        """Sets one value after checking that its key exists and that it has the type of the schema."""
        from omegaconf import OmegaConf
        from omegaconf.errors import OmegaConfBaseException

        self.check_key(layer, key, tool_keys)
        if value == "???":
            self.origin.pop(key, None)
            return
        if self.keys[key].hint == _TEXTS and not isinstance(value, (list, tuple)):
            value = [value]
        try:
            OmegaConf.update(self.config, key, value)
        except OmegaConfBaseException:
            expected = self.keys[key].type_name
            raise ConfigError(f"{layer}: {key}: got {_yaml_text(value)}; expected {expected}") from None
        self.origin[key] = layer

    def check_key(self, layer: str, key: str, tool_keys: Collection[str] = ()) -> None:
        """Refuses a key that the schema lacks."""
        if key in self.keys:
            return
        inside = [name for name in self.keys if name.startswith(f"{key}.")]
        if inside:
            raise ConfigError(f"{layer}: '{key}' is a section; set one of its keys, such as '{inside[0]}'")
        names = [*self.keys, *tool_keys]
        raise ConfigError(f"{layer}: no key '{key}'{did_you_mean(key, names)}")

    def freeze(self, layer: str) -> _T:
        """Returns the finished configuration; a value that is still missing is the fault of `layer`."""
        from omegaconf import OmegaConf
        from omegaconf.errors import OmegaConfBaseException

        missing = [key for key in self.keys if key not in self.origin]
        if missing:
            raise ConfigError(f"{layer}: no value for '{missing[0]}'; set it here, in a base or on the command line")
        found: dict[str, dict[str, Any]] = {name: {} for name, _ in [("", None), *sections(self.cls)]}
        for key, spec in self.keys.items():
            section, _, name = key.rpartition(".")
            try:
                value = OmegaConf.select(self.config, key, throw_on_missing=True)
                value = OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
            except OmegaConfBaseException as error:
                reason = str(error).partition("\n")[0]
                raise ConfigError(f"{self.origin[key]}: {key}: {reason}") from None
            found[section][name] = value = _frozen(value)
            expected = spec.refuse(value)
            if expected is not None:
                raise ConfigError(f"{self.origin[key]}: {key}: got {_yaml_text(value)}; expected {expected}")
        return self.cls(**found[""], **{name: section(**found[name]) for name, section in sections(self.cls)})


def _lay_command_line(
    draft: _Draft[Config], arguments: Mapping[str, str], root: Path, tool_keys: Collection[str]
) -> None:
    """Lays the bases that the command line names over the draft, then its single keys."""
    groups = _groups(root)
    for group in (key for key in arguments if key in groups):
        path = _base_path(f"{group}/{arguments[group]}", root, COMMAND_LINE)
        draft.lay(_shown(path, root), _read(path, root))
    single = {key: text for key, text in arguments.items() if key not in groups}
    draft.lay_arguments(single, (*tool_keys, "experiment"))


def _parsed(text: str, spec: Key, key: str) -> Any:
    """Reads a value from the command line: as YAML, or as it stands where the key holds a string.

    `None` is null as well: W&B's agent writes Python's form.
    """
    from omegaconf import OmegaConf

    if spec.optional and text in ("null", "None", "~", ""):
        return None
    if spec.hint in (str, str | None) or text.startswith("${"):
        return text
    if spec.hint == _TEXTS and not text.startswith("["):
        return text
    try:
        return OmegaConf.to_container(OmegaConf.from_dotlist([f"value={text}"]))["value"]  # type: ignore[call-overload,index]
    except Exception:  # the YAML library's own errors, which this module does not import
        raise ConfigError(f"{COMMAND_LINE}: {key}: got '{text}'; expected {spec.type_name}") from None


def _read(path: Path, root: Path) -> dict[str, Any]:
    """Reads a YAML file as a nested mapping, interpolations left as they are."""
    from omegaconf import DictConfig, OmegaConf

    shown = _shown(path, root)
    try:
        loaded = OmegaConf.load(path)
    except OSError as error:
        raise ConfigError(f"{shown}: cannot be read: {error.strerror}") from None
    except Exception as error:  # the YAML library's own errors, which this module does not import
        problem, mark = getattr(error, "problem", error), getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{shown}{place}: not valid YAML: {' '.join(str(problem).split())}") from None
    if not isinstance(loaded, DictConfig):
        raise ConfigError(f"{shown}: got a list; expected a mapping of sections")
    return OmegaConf.to_container(loaded, resolve=False)  # type: ignore[return-value]


def _leaves(layer: str, body: Mapping[str, Any], cls: type) -> Iterator[tuple[str, Any]]:
    """Yields the values of a nested mapping as (`section.key` or `key`, value)."""
    names = [name for name, _ in sections(cls)]
    single = [key for key in schema(cls) if "." not in key]
    for section, values in body.items():
        if section in single:
            yield section, values
            continue
        if section not in names:
            kind = "section or key" if single else "section"
            raise ConfigError(f"{layer}: no {kind} '{section}'{did_you_mean(str(section), [*names, *single])}")
        if not isinstance(values, dict):
            raise ConfigError(f"{layer}: {section}: got {_yaml_text(values)}; expected a mapping of keys to values")
        for name, value in values.items():
            yield f"{section}.{name}", value


def _checkout(root: Path | None) -> Path:
    """Returns the folder that holds `configs/`."""
    root = ROOT if root is None else Path(root)
    if not (root / "configs").is_dir():
        raise ConfigError(f"configuration: no folder 'configs' in {root}; install a checkout with pip install -e .")
    return root


def _experiment_path(experiment: str, root: Path) -> Path:
    """Finds the file of an experiment given by name or by path."""
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


def _base_path(base: str, root: Path, layer: str) -> Path:
    """Finds the file of a base that `layer` names."""
    names = [path.stem for path in sorted((root / "configs").glob("*.yaml"))]
    names += [f"{group}/{name}" for group in _groups(root) for name in _group_names(group, root)]
    if base not in names:
        near = [name for name in names if name.startswith(f"{base.partition('/')[0]}/")] or names
        hint = did_you_mean(base, near) or f"; the bases are: {', '.join(near)}"
        raise ConfigError(f"{layer}: no base '{base}'{hint}")
    return root / "configs" / f"{base}.yaml"


def _groups(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "configs").glob("*") if path.is_dir())


def _group_names(group: str, root: Path) -> list[str]:
    return sorted(path.stem for path in (root / "configs" / group).glob("*.yaml"))


def _shown(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, (list, tuple)) else value


def _lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _lists(item) for key, item in value.items()}
    return [_lists(item) for item in value] if isinstance(value, tuple) else value


def _yaml_text(value: Any) -> str:
    """Returns a value the way a person would write it in a file or on the command line."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_yaml_text(item) for item in value)}]"
    return f"'{value}'" if isinstance(value, str) else str(value)
