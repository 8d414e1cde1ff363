"""Prints what an image holds, Python's and Debian's packages, as a CycloneDX document; run inside of it."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path

_STATUS = Path("/var/lib/dpkg/status")


def document() -> dict[str, object]:
    """Returns the document, without a date, so that the same packages give the same bytes."""
    found = {one["purl"]: one for one in (*_python(), *_debian(_STATUS))}  # a package may lie in two folders of a path
    components = [found[purl] for purl in sorted(found)]
    return {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "components": components}


def _python() -> Iterator[dict[str, str]]:
    for found in distributions():
        name = re.sub(r"[-_.]+", "-", found.metadata["Name"]).lower()
        yield _component(name, found.version, f"pkg:pypi/{name}@{found.version}")


def _debian(status: Path) -> Iterator[dict[str, str]]:
    for entry in status.read_text(encoding="utf-8").split("\n\n") if status.is_file() else []:
        said = dict(re.findall(r"^(Package|Version|Status): (.*)$", entry, re.MULTILINE))
        if said.get("Status", "").endswith(" installed"):
            version = said["Version"].replace("+", "%2B").replace(":", "%3A")
            yield _component(said["Package"], said["Version"], f"pkg:deb/debian/{said['Package']}@{version}")


def _component(name: str, version: str, purl: str) -> dict[str, str]:
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


if __name__ == "__main__":
    json.dump(document(), sys.stdout, indent=1)
