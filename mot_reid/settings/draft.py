"""A tree of settings under construction: layers are laid over each other, then it is checked, resolved and frozen."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from copy import deepcopy
from dataclasses import make_dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, get_args, get_origin

from mot_reid.names import did_you_mean
from mot_reid.settings.schema import Key, computed, schema, sections
from mot_reid.settings.sources import COMMAND_LINE, ConfigError, yaml_text

if TYPE_CHECKING:
    from omegaconf import DictConfig

_T = TypeVar("_T")


class Draft(Generic[_T]):
    """Settings under construction, which remember the layer that each value came from.

    Args:
        cls: the tree.
        others: keys that are none of the tree's: a layer may hold them, and they are passed over.

    Attributes:
        keys: what the tree says of each key.
        origin: the layer of each value, by key.
    """

    def __init__(self, cls: type[_T], *, others: Collection[str] = ()) -> None:
        self.cls, self.others = cls, others
        self.keys, empty = _empty(cls)  # type: ignore[arg-type]
        self.origin: dict[str, str] = {}
        self._short = {key.partition(".")[0]: key for key, spec in self.keys.items() if spec.form.stands_for_section}
        self._config = deepcopy(empty)

    def lay(self, layer: str, body: Mapping[str, Any]) -> None:
        """Sets every value of a nested mapping, such as the content of a file.

        Args:
            layer: what messages call it.
            body: values by section and key.

        Raises:
            ConfigError: a key is unknown, or a value has the wrong type.
        """
        for key, value in self._leaves(layer, body):
            self.set(layer, key, value)

    def lay_arguments(self, arguments: Mapping[str, str], *, known: Collection[str] = ()) -> None:
        """Sets the keys given on the command line.

        Args:
            arguments: their texts, by key.
            known: further keys to offer to a misspelt one.

        Raises:
            ConfigError: as in `lay`, or a key is given twice.
        """
        for short, text in arguments.items():
            key = self._short.get(short, short)
            if key != short and key in arguments:
                raise ConfigError(
                    f"{COMMAND_LINE}: {key}: got two values, '{text}' and '{arguments[key]}'; expected one"
                )
            self._check_key(COMMAND_LINE, key, known)
            self.set(COMMAND_LINE, key, parsed(text, self.keys[key], key))

    def set(self, layer: str, key: str, value: Any) -> None:
        """Sets one value.

        Args:
            layer: what messages call its source.
            key: such as `optim.lr`.
            value: as YAML reads it; interpolations such as `${run.name}` are resolved in the end.

        Raises:
            ConfigError: there is no such key, or the value has the wrong type.
        """
        from omegaconf import OmegaConf
        from omegaconf.errors import OmegaConfBaseException

        self._check_key(layer, key)
        if value == "???":
            self.origin.pop(key, None)
            return
        spec = self.keys[key]
        if get_args(spec.plain) == (str, Ellipsis):
            value = _strings(value)
        if spec.plain is bool and not isinstance(value, (bool, str, type(None))):
            raise _wrong(layer, key, value, spec)
        try:
            OmegaConf.update(self._config, key, value, merge=False)  # converts; since 2.4 an assignment warns of it
        except OmegaConfBaseException:
            raise _wrong(layer, key, value, spec) from None
        self.origin[key] = layer

    def values(self) -> dict[str, Any]:
        """Returns the values there are so far by key, resolved where that is possible already."""
        from omegaconf import OmegaConf
        from omegaconf.errors import OmegaConfBaseException

        plain = OmegaConf.to_container(self._config, resolve=False)
        found = {}
        for key in (key for key in self.keys if key in self.origin):
            section, _, name = key.rpartition(".")
            try:
                found[key] = self._value(key)
            except OmegaConfBaseException:
                found[key] = (plain[section] if section else plain)[name]  # type: ignore[index,call-overload]
        return found

    def freeze(self, layer: str) -> _T:
        """Returns the finished settings.

        Args:
            layer: where a value that is still missing should have been.

        Raises:
            ConfigError: a value is missing, breaks its rule, or cannot be resolved.
        """
        from omegaconf.errors import OmegaConfBaseException

        self._check_complete(layer)
        found: dict[str, dict[str, Any]] = {name: {} for name, _ in [("", None), *sections(self.cls)]}
        for key, spec in self.keys.items():
            section, _, name = key.rpartition(".")
            try:
                value = self._value(key)
            except OmegaConfBaseException as error:
                reason = _UNRESOLVED if spec.form.secret else str(error).partition("\n")[0]
                raise ConfigError(f"{self.origin[key]}: {key}: {reason}") from None
            expected = spec.refuse(value)
            if expected is not None:
                raise ConfigError(f"{self.origin[key]}: {key}: got {_said(value, spec)}; expected {expected}")
            found[section][name] = value
        return self.cls(**found[""], **{name: section(**found[name]) for name, section in sections(self.cls)})

    def _value(self, key: str) -> Any:
        from omegaconf import OmegaConf

        value = OmegaConf.select(self._config, key, throw_on_missing=True)
        return _frozen(OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value)

    def _check_complete(self, layer: str) -> None:
        missing = next((key for key in self.keys if key not in self.origin), None)
        if missing is None:
            return
        if layer == COMMAND_LINE:
            meaning = self.keys[missing].meaning
            raise ConfigError(f"{COMMAND_LINE}: {missing} is missing; add {missing}=VALUE ({meaning}), or see --help")
        raise ConfigError(f"{layer}: no value for '{missing}'; set it here, in a base or on the command line")

    def _check_key(self, layer: str, key: str, known: Collection[str] = ()) -> None:
        """Refuses a key that the tree lacks."""
        if key in self.keys:
            return
        inside = [name for name in self.keys if name.startswith(f"{key}.")]
        if inside:
            raise ConfigError(f"{layer}: '{key}' is a section; set one of its keys, such as '{inside[0]}'")
        for name, meaning in computed(self.cls).items():
            if key in (name, name.partition(".")[2]):
                said = meaning.rstrip(".").replace("`", "")
                raise ConfigError(f"{layer}: no key '{key}', which is {said}; set those")
        raise ConfigError(f"{layer}: no key '{key}'{did_you_mean(key, [*self.keys, *self.others, *known])}")

    def _leaves(self, layer: str, body: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        """Yields the values of a nested mapping as (`section.key` or `key`, value)."""
        names = [name for name, _ in sections(self.cls)]
        single = [key for key in self.keys if "." not in key]
        for section, values in body.items():
            if section in single:
                yield section, values
            elif section in self._short and not isinstance(values, Mapping):
                yield self._short[section], values
            elif section in names:
                if not isinstance(values, Mapping):
                    raise ConfigError(
                        f"{layer}: {section}: got {yaml_text(values)}; expected a mapping of keys to values"
                    )
                yield from ((f"{section}.{name}", value) for name, value in values.items())
            elif section not in self.others:
                kind = "section or key" if single else "section"
                raise ConfigError(f"{layer}: no {kind} '{section}'{did_you_mean(str(section), [*names, *single])}")


_UNRESOLVED = "what it refers to by ${...} is not there"


@cache
def _empty(cls: type) -> tuple[dict[str, Key], DictConfig]:
    """Returns what a tree says of its keys, and the tree without a value: it is copied, as making one takes longer."""
    from omegaconf import OmegaConf

    keys = schema(cls)
    single = [(key, spec.hint) for key, spec in keys.items() if "." not in key]
    empty: DictConfig = OmegaConf.structured(make_dataclass("Single", single))
    OmegaConf.set_struct(empty, False)
    for name, section in sections(cls):
        empty[name] = OmegaConf.structured(section)
        OmegaConf.set_readonly(empty[name], False)
    return keys, empty


def parsed(text: str, spec: Key, key: str) -> Any:
    """Reads a value from the command line: as YAML, or as it stands where the key holds a string.

    `None` is null as well: W&B's agent writes Python's form.

    Args:
        text: what was given.
        spec: what the tree says of the key.
        key: its name, for messages.

    Raises:
        ConfigError: it cannot be read.
    """
    from omegaconf import OmegaConf

    if spec.optional and text in ("null", "None", "~", ""):
        return None
    if spec.plain is str or text.startswith("${"):
        return text
    # A file may be named "[cam1] street.mp4", and a folder "[cam1]".
    listed = text.startswith("[") and text.endswith("]") and not Path(text).exists()
    if get_origin(spec.plain) is tuple and not listed:
        if spec.form.commas:
            text = f"[{text}]"
        elif get_args(spec.plain) == (str, Ellipsis):
            return text
    if get_args(spec.plain) == (str, Ellipsis) and "{" in text and not set(text) & set("\"'"):
        return [part.strip() for part in text[1:-1].split(",")]  # paths with {sequence}, a mapping in YAML
    try:
        return OmegaConf.to_container(OmegaConf.from_dotlist([f"value={text}"]))["value"]  # type: ignore[call-overload,index]
    except Exception:  # the YAML library's own errors, which this module does not import
        raise ConfigError(f"{COMMAND_LINE}: {key}: got '{text}'; expected {spec.type_name}") from None


def _strings(value: object) -> object:
    """Returns a list of strings for a string, a path or a list with paths in it; anything else as it is."""
    if isinstance(value, (list, tuple)):
        return [str(item) if isinstance(item, Path) else item for item in value]
    if isinstance(value, Path) or (isinstance(value, str) and not value.startswith("${")):
        return [str(value)]
    return value


def _wrong(layer: str, key: str, value: object, spec: Key) -> ConfigError:
    return ConfigError(f"{layer}: {key}: got {_said(value, spec)}; expected {spec.type_name}")


def _said(value: object, spec: Key) -> str:
    """Returns a value as a message has it; not that of a secret."""
    return "a value that is not shown" if spec.form.secret and value else yaml_text(value)


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, (list, tuple)) else value
