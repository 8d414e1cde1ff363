"""Published data sets with a person and a camera in every file name, other than Market-1501: where their images lie.

References:
    DukeMTMC-reID: Ristani et al., ECCV workshops 2016; Zheng et al., ICCV 2017. Withdrawn by its authors in 2019.
    CUHK03-NP: Li et al., CVPR 2014; the new protocol (767 persons to train on, 700 to test): Zhong et al., CVPR 2017.
    VeRi-776: Liu et al., ICME and ECCV 2016. Vehicles, not persons.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mot_reid.data import market1501
from mot_reid.data.file_names import visible
from mot_reid.data.identities import IdentitySplits

_VEHICLES: Mapping[str, str] = {"train": "image_train", "query": "image_query", "gallery": "image_test"}
_UNREADABLE = ("cuhk-03.mat", "cuhk03_release/cuhk-03.mat")
Counts = tuple[int, int, int, int, int]
COUNTED = ("train images", "train identities", "query images", "query identities", "gallery images")


@dataclass(frozen=True, slots=True)
class Published:
    """A published data set.

    Attributes:
        name: Of the data set.
        folders: Where train, query and gallery lie.
        example: A file name.
        counts: The published numbers, in the order of `COUNTED`; several where there are several versions.
    """

    name: str
    folders: Mapping[str, str]
    example: str
    counts: tuple[Counts, ...]


PUBLISHED: Mapping[str, Published] = {
    "dukemtmc": Published(
        "DukeMTMC-reID", market1501.FOLDERS, "0005_c2_f0046985.jpg", ((16_522, 702, 2_228, 702, 17_661),)
    ),
    "cuhk03": Published(
        "CUHK03-NP",
        market1501.FOLDERS,
        "0003_c1_21.png",
        ((7_365, 767, 1_400, 700, 5_332), (7_368, 767, 1_400, 700, 5_328)),  # detected, labeled
    ),
    "veri776": Published("VeRi-776", _VEHICLES, "0002_c002_00030600_0.jpg", ((37_778, 576, 1_678, 200, 11_579),)),
}


def recognise(root: Path) -> str | None:
    """Returns which of `PUBLISHED` a folder is, by its folders and the names in it; None for none of them."""
    if _complete(root, _VEHICLES):
        return "veri776"
    if not _complete(root, market1501.FOLDERS):
        return None
    first = next((path.name for path in market1501.list_images(root / "query")), "")
    if market1501.matches(first, rest=r"_f\d+\."):
        return "dukemtmc"
    return "cuhk03" if any("cuhk03" in part.lower() for part in (root.name, root.resolve().parent.name)) else None


def read(kind: str, root: str | Path, *, official_counts: bool = True) -> IdentitySplits:
    """Returns train, query and gallery of a published data set; junk (-1) leaves the gallery.

    Args:
        kind: One of `PUBLISHED`.
        root: The folder that holds its three folders.
        official_counts: Require the published numbers of images and identities.

    Raises:
        FileNotFoundError: `root` has not the layout.
        ValueError: An unknown file name, an empty part, or counts other than the published ones.
    """
    root, data = Path(root), PUBLISHED[kind]
    if not _complete(root, data.folders):
        raise FileNotFoundError(
            f"{data.name}: got '{root}'; expected a folder with {', '.join(data.folders.values())}; "
            f"{_nearby(root, data.folders) or 'check the path'}"
        )
    found = {
        part: market1501.read_folder(root / folder, what=data.name, example=data.example)
        for part, folder in data.folders.items()
    }
    for part, table in found.items():
        if not len(table):
            raise ValueError(
                f"{data.name}: got no image in '{root / data.folders[part]}'; expected files such as {data.example}; "
                "unpack the archive again"
            )
    gallery = found["gallery"]
    splits = IdentitySplits(found["train"], found["query"], gallery[gallery.person_id != -1])
    if official_counts:
        check_counts(splits, data.counts, name=data.name, root=root)
    return splits


def counts(splits: IdentitySplits) -> Counts:
    """Returns the numbers of a data set in the order of `COUNTED`."""
    train, query, gallery = splits
    persons = (len(np.unique(table.person_id)) for table in (train, query))
    return (len(train), next(persons), len(query), next(persons), len(gallery))


def check_counts(splits: IdentitySplits, published: tuple[Counts, ...], *, name: str, root: Path) -> None:
    """Refuses numbers that are none of the published ones.

    Args:
        splits: The data set.
        published: What is allowed.
        name: Of the data set.
        root: Where it is.

    Raises:
        ValueError: They are not; every number that differs from the nearest of the published ones is named.
    """
    found = counts(splits)
    nearest = min(published, key=lambda one: sum(a != b for a, b in zip(found, one)))
    wrong = [
        f"{got:,} {what} (expected {right:,})" for what, got, right in zip(COUNTED, found, nearest) if got != right
    ]
    if wrong:
        raise ValueError(
            f"{name} in '{root}': got {'; '.join(wrong)}; unpack the archive again, or set data.official_counts=false "
            "for a part of it"
        )


def refuse_wrong_level(root: Path) -> None:
    """Refuses a folder whose child or parent is a data set in one of the published layouts.

    Raises:
        ValueError: It is; the sentence names the folder that was meant.
    """
    for folders in (market1501.FOLDERS, _VEHICLES):
        meant = _nearby(root, folders)
        if meant:
            raise ValueError(
                f"data.root: got '{root}'; expected the folder that holds {', '.join(folders.values())}; {meant}"
            )


def _complete(root: Path, folders: Mapping[str, str]) -> bool:
    return all((root / folder).is_dir() for folder in folders.values())


def _nearby(root: Path, folders: Mapping[str, str]) -> str:
    """Says which folder was meant, where one just above or below has the layout; otherwise nothing."""
    if any((root / name).is_file() for name in _UNREADABLE):
        return "its images are still inside cuhk-03.mat: write them out by the new protocol (CUHK03-NP) first"
    if root.resolve().name in folders.values() and _complete(root.resolve().parent, folders):
        return f"set data.root={root.parent}"
    below = [path for path in (visible(root) if root.is_dir() else ()) if path.is_dir() and _complete(path, folders)]
    return "set data.root=" + " or data.root=".join(str(path) for path in below) if below else ""
