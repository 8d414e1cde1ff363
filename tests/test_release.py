"""The files of a release agree with the package, and publishing has no more rights than it needs."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mot_reid.settings.load import ROOT
from mot_reid.version import __version__
from tests.test_packaging import brings, project

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def read(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def requirements() -> list[Requirement]:
    extras = project()["optional-dependencies"]
    return [
        Requirement(one) for one in [*project()["dependencies"], *(item for items in extras.values() for item in items)]
    ]


def test_citation_names_the_version_and_the_licence() -> None:
    citation = read("CITATION.cff")
    assert (citation["version"], citation["license"]) == (__version__, project()["license"])


def test_constraints_are_versions_that_the_package_allows() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if line[:1] != "#"]
    pinned = {}
    for line in lines:
        found = re.fullmatch(r"([a-z0-9-]+)==([\w.]+)", line)
        assert found, f"constraints.txt: {line}"
        pinned[found[1]] = found[2]
    asked = [(canonicalize_name(one.name), one) for one in requirements() if one.name != "mot-reid"]
    refused = [str(one) for name, one in asked if name in pinned and not one.specifier.contains(pinned[name])]
    assert refused == []
    needed = {re.split(r"[><=[]", one)[0].partition(";")[0] for one in [*project()["dependencies"], *brings("test")]}
    assert {canonicalize_name(name) for name in needed} - set(pinned) == set()


@pytest.mark.parametrize(
    ("package", "unsafe"),
    [
        ("torch", "2.5.1"),  # CVE-2025-32434: torch.load with weights_only=True can run code
        ("pillow", "10.2.0"),  # CVE-2024-28219: buffer overflow
        ("opencv-python", "4.8.0.76"),  # CVE-2023-4863: libwebp
        ("onnx", "1.16.2"),  # CVE-2024-7776: path traversal
        *[("ultralytics", f"8.3.{patch}") for patch in (41, 42, 45, 46)],  # published with a miner inside
    ],
)
def test_unsafe_versions_are_not_allowed(package: str, unsafe: str) -> None:
    found = [one for one in requirements() if one.name == package]
    assert found and [str(one) for one in found if one.specifier.contains(unsafe)] == []


def test_only_publishing_may_ask_for_an_identity_and_nothing_writes() -> None:
    assert {path.stem for path in WORKFLOWS} == {"release", "tests"}
    for path in WORKFLOWS:
        workflow = read(str(path.relative_to(ROOT)))
        assert workflow["permissions"] == {"contents": "read"}
        rights = {name: job["permissions"] for name, job in workflow["jobs"].items() if "permissions" in job}
        assert rights == ({"publish": {"id-token": "write"}} if path.stem == "release" else {})


def test_workflows_hold_no_secret_and_install_the_floors_of_the_package() -> None:
    floors = {one.name: str(one.specifier) for one in requirements()}
    for path in WORKFLOWS:
        text = path.read_text(encoding="utf-8")
        assert "secrets." not in text
        for name, floor in re.findall(r'"(torch|torchvision)(>=[\d.]+)"', text):
            assert floors[name] == floor


def test_oldest_python_is_tested() -> None:
    versions = read(".github/workflows/tests.yml")["jobs"]["tests"]["strategy"]["matrix"]["python"]
    assert f">={versions[0]}" == project()["requires-python"]
