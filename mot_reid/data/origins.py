"""Where do crops come from, and what does that allow? Read from the files next to them, not from their layout."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mot_reid.data import mot_crops, prepare_market1501
from mot_reid.data.market1501 import ARCHIVE
from mot_reid.data.prepared import METADATA
from mot_reid.data.synthetic_dataset import MARKER

_LEVELS = 3
"""Folders above a crop that are asked: its own, that of a person or a split, and the data set's."""


@dataclass(frozen=True, slots=True)
class Origin:
    """A source of crops.

    Attributes:
        name: In a word or two.
        licence: What may be done with a model that is trained on them.
    """

    name: str
    licence: str


MARKET1501 = Origin("market1501", "research use only: trained on Market-1501, whose owners allow academic use")
DUKEMTMC = Origin(
    "dukemtmc", "research use only: trained on DukeMTMC-reID, which its owners gave for research and withdrew in 2019"
)
CUHK03 = Origin("cuhk03", "research use only: trained on CUHK03, whose owners allow academic use")
MSMT17 = Origin("msmt17", "research use only: trained on MSMT17, whose owners allow academic use")
VERI776 = Origin("veri776", "research use only: trained on VeRi-776, whose owners allow non-commercial use")
_PUBLISHED = {"dukemtmc": DUKEMTMC, "cuhk03": CUHK03, "msmt17": MSMT17, "veri776": VERI776}
_ARCHIVES = {
    ARCHIVE.lower(): MARKET1501,
    "dukemtmc-reid": DUKEMTMC,
    "cuhk03-np": CUHK03,
    "msmt17_v1": MSMT17,
    "msmt17_v2": MSMT17,
    "veri_776": VERI776,
}
"""What the folders are called that the archives unpack to, in small letters."""
SYNTHETIC = Origin("synthetic", "Apache-2.0: trained on synthetic people")


def find_origins(paths: Iterable[str], *, kind: str, official: bool = False) -> list[Origin]:
    """Returns where crops come from, each source once.

    Args:
        paths: Of the crops.
        kind: How they are laid out, one of `splits.KINDS`: used where no file says more.
        official: Whether their numbers were found to be those of Market-1501.
    """
    folders = {Path(path).parent for path in paths}
    known: dict[Path, Origin | None] = {}
    found: dict[Origin, None] = {}
    for folder in sorted(folders):
        above = [folder, *folder.parents][:_LEVELS]
        marked = next((origin for place in above if (origin := _cached(place, known)) is not None), None)
        found[marked or _by_layout(kind, official)] = None
    return list(found) or [_by_layout(kind, official)]


def _by_layout(kind: str, official: bool) -> Origin:
    if kind == "market1501" and official:
        return MARKET1501
    if kind == "synthetic":
        return SYNTHETIC
    if kind in _PUBLISHED:
        return _PUBLISHED[kind]
    name = "own data in the layout of Market-1501" if kind == "market1501" else f"own data ({kind})"
    return Origin(name, "that of the data it was trained on")


def _cached(folder: Path, known: dict[Path, Origin | None]) -> Origin | None:
    if folder not in known:
        known[folder] = _marked(folder)
    return known[folder]


def _marked(folder: Path) -> Origin | None:
    """What a folder says of itself; None where it says nothing."""
    if (folder / MARKER).is_file():
        return SYNTHETIC
    metadata = _read(folder / METADATA)
    if metadata.get("format") == prepare_market1501.FORMAT:
        return MARKET1501
    if metadata.get("format") == mot_crops.FORMAT:
        sequences = ", ".join(metadata.get("sequences", ()))
        return Origin(f"crops of {sequences}", f"that of the videos its crops were cut from: {sequences}")
    return _ARCHIVES.get(folder.name.lower())


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
