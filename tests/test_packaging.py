"""The Conda environment is in step with pyproject.toml."""

from __future__ import annotations

import sys
from typing import Any

import yaml

from mot_reid.settings.load import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # comes with pytest there


def project() -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return found


def environment() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    return found


def test_environment_has_the_name_of_the_distribution() -> None:
    assert environment()["name"] == project()["name"]


def test_environment_asks_for_the_same_python() -> None:
    assert f"python{project()['requires-python']}" in environment()["dependencies"]


def test_environment_has_the_same_packages_and_floors() -> None:
    pip = environment()["dependencies"][-1]["pip"]
    assert pip == [*project()["dependencies"], "-e ."]


def test_every_dependency_has_a_floor() -> None:
    extras = [item for items in project()["optional-dependencies"].values() for item in items]
    assert [item for item in (*project()["dependencies"], *extras) if ">=" not in item] == []


def test_version_is_that_of_the_package() -> None:
    import mot_reid

    assert project()["version"] == mot_reid.__version__
