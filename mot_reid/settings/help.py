"""What can be set, for people (`--help`) and for editors (`--schema`)."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Union, get_args, get_origin

from mot_reid.settings.schema import Between, Key, OneOf, schema, sections
from mot_reid.settings.sources import base_names, experiment_names, groups, home, yaml_text

_JSON_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}
_INTERPOLATION = {"type": "string", "pattern": r"^\$\{.+\}$"}


def describe_keys(cls: type, values: Mapping[str, Any]) -> str:
    """Returns the help text of the keys: type, value, choices and meaning of each.

    Args:
        cls: the tree.
        values: the value of each key; one that is missing has to be given.
    """
    lines = []
    for key, spec in schema(cls).items():
        value = f" = {_shown(spec, values[key])}" if key in values else ", required"
        rules = "".join(f" ({rule.choices})" for rule in spec.rules)
        lines += [f"  {key}: {spec.type_name}{value}{rules}", f"      {spec.meaning}"]
    return "\n".join(line for line in lines if line.strip())


def _shown(spec: Key, value: Any) -> str:
    """Returns a value for people; that a secret is set, but not what it is."""
    return "(set, not shown)" if spec.form.secret and value is not None else yaml_text(value)


def describe_experiments(root: Path | None = None) -> str:
    """Returns the help text of the experiments, with the first line of their comment, and of the bases by group.

    Args:
        root: the folder that holds `configs/` and `experiments/`; None is that of the package or checkout.
    """
    root = home(root)
    lines = ["Experiments (experiment=NAME, or a path to a YAML file):"]
    width = max(map(len, experiment_names(root)), default=0)
    for name in experiment_names(root):
        first = (root / "experiments" / f"{name}.yaml").read_text(encoding="utf-8").partition("\n")[0]
        lines.append(f"  {name:<{width}}  {first.removeprefix('#').strip() if first.startswith('#') else ''}".rstrip())
    lines += ["", "Bases (GROUP=NAME lays one over the experiment):"]
    lines += [f"  {group:<10} {', '.join(names)}" for group, names in groups(root).items()]
    return "\n".join(lines)


def json_schema(cls: type, values: Mapping[str, Any], *, title: str) -> dict[str, Any]:
    """Returns the JSON Schema of the YAML files that set these keys, which editors complete and check with.

    Args:
        cls: the tree.
        values: the value of each key where a file does not set it.
        title: of the schema.
    """
    inside: dict[str, dict[str, Any]] = {name: {} for name, _ in [("", None), *sections(cls)]}
    for key, spec in schema(cls).items():
        section, _, name = key.rpartition(".")
        shown = key in values and not (spec.form.secret and values[key] is not None)
        inside[section][name] = _key_schema(spec) | ({"default": _plain(values[key])} if shown else {})
    properties = dict(inside.pop(""))
    for name, tree in sections(cls):
        told = (tree.__doc__ or "").partition("\n")[0]
        whole, short = _object(inside[name]), _short(cls, name)
        properties[name] = (whole if short is None else {"anyOf": [whole, *short["anyOf"]]}) | {"description": told}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title} | _object(properties)


def experiment_schema(cls: type, values: Mapping[str, Any], *, title: str, root: Path | None = None) -> dict[str, Any]:
    """Returns the JSON Schema of the YAML file of an experiment: as `json_schema`, with the list of its bases."""
    found = json_schema(cls, values, title=title)
    names = {"type": "array", "items": {"enum": base_names(home(root))}}
    found["properties"] = {"bases": names | {"description": "files of configs/, laid over each other"}} | found[
        "properties"
    ]
    return found


def _short(cls: type, section: str) -> dict[str, Any] | None:
    """Returns the schema of the key that a value of a whole section sets; None where there is none."""
    keys = schema(cls).items()
    found = next((s for key, s in keys if key.startswith(f"{section}.") and s.form.stands_for_section), None)
    return None if found is None else _key_schema(found)


def _key_schema(spec: Key) -> dict[str, Any]:
    """Returns the schema of one key; every value may also be an interpolation such as `${run.name}`, or to be given."""
    if spec.hint is Any:
        return {"description": spec.meaning}
    kinds = get_args(spec.hint) if get_origin(spec.hint) in (Union, types.UnionType) else (spec.hint,)
    found = [_type_schema(kind, spec.rules) for kind in kinds]
    if get_args(spec.plain) == (str, Ellipsis):
        found.append({"type": "string"})  # a list of one
    found += [_INTERPOLATION, {"const": "???"}]
    return {"description": spec.meaning, "anyOf": found}


def _type_schema(kind: Any, rules: Sequence[OneOf | Between]) -> dict[str, Any]:
    if get_origin(kind) is tuple:
        sizes = get_args(kind)
        array = {"type": "array", "items": _type_schema(sizes[0], rules)}
        return array if sizes[-1] is Ellipsis else array | {"minItems": len(sizes), "maxItems": len(sizes)}
    found: dict[str, Any] = {"type": _JSON_TYPES[kind]}
    for rule in rules:
        if isinstance(rule, OneOf) and kind is str:
            found = {"enum": list(rule.names)}
        elif isinstance(rule, Between) and kind in (int, float):
            found["exclusiveMinimum" if rule.above else "minimum"] = rule.low
            if rule.high != float("inf"):
                found["exclusiveMaximum" if rule.below else "maximum"] = rule.high
    return found


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties), "additionalProperties": False}


def _plain(value: Any) -> Any:
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
