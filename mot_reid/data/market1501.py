"""Market-1501: its folders as train, query and gallery tables, and the counts that must hold.

Reference:
    Zheng et al., "Scalable Person Re-identification: A Benchmark", ICCV 2015. Junk images (id -1) are neither right nor
    wrong answers, so they leave the gallery; distractors (id 0000) are wrong answers, so they stay.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mot_reid.data.file_names import visible, warn_passed_over
from mot_reid.data.identities import IdentitySplits, IdentityTable

ARCHIVE = "Market-1501-v15.09.15"
FOLDERS: Mapping[str, str] = {"train": "bounding_box_train", "query": "query", "gallery": "bounding_box_test"}
OFFICIAL_COUNTS: Mapping[str, int] = {
    "train images": 12_936,
    "train identities": 751,
    "query images": 3_368,
    "query identities": 750,
    "gallery images on disk": 19_732,
    "gallery junk images": 3_819,
    "gallery distractors": 2_798,
    "gallery images": 15_913,
}

SUFFIXES = (".jpg", ".jpeg", ".png")

EXAMPLE = "0002_c1s1_000451_03.jpg"
"""A file name, for messages."""

_NAME = re.compile(r"^(-1|\d+)_c(\d+)(?=[s_])")


def parse_name(name: str, *, what: str = "Market-1501", example: str = EXAMPLE) -> tuple[int, int]:
    """(person_id, camera_id) of a file name such as `0002_c1s1_000451_03.jpg`; cameras count from 1 as in the name.

    Args:
        name: Of a file.
        what: The data set, for the message.
        example: A name of it.

    Raises:
        ValueError: The name does not begin like one of Market-1501.
    """
    match = _NAME.match(name)
    if match is None:
        form = "<person>_c<camera>s<sequence>_<frame>_<box>.jpg" if example == EXAMPLE else "<person>_c<camera>_..."
        raise ValueError(
            f"{what} file name: got '{name}'; expected {form}, such as {example}; rename or remove the file"
        )
    return int(match[1]), int(match[2])


def matches(name: str, *, rest: str) -> bool:
    """Whether a file name begins with person and camera, and a pattern follows.

    Args:
        name: Of a file.
        rest: The pattern of what follows.
    """
    match = _NAME.match(name)
    return match is not None and re.match(rest, name[match.end() :]) is not None


def find_root(path: str | Path) -> Path:
    """The folder that holds bounding_box_train, query and bounding_box_test: `path`, or the archive's folder inside it.

    Raises:
        FileNotFoundError: Neither does.
    """
    path = Path(path)
    for root in (path, path / ARCHIVE):
        if all((root / folder).is_dir() for folder in FOLDERS.values()):
            return root
    raise FileNotFoundError(
        f"Market-1501: got '{path}'; expected a folder with {', '.join(FOLDERS.values())} or with {ARCHIVE}; "
        "check the path, or run mot-reid prepare-market1501"
    )


def list_images(folder: str | Path) -> list[Path]:
    """The image files of one folder in the order of their names, without hidden ones."""
    return sorted(
        path for path in Path(folder).iterdir() if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    )


def read_folder(folder: str | Path, *, what: str = "Market-1501", example: str = EXAMPLE) -> IdentityTable:
    """The images of one Market-1501 folder in the order of their names, junk and distractors included.

    Other files, and images in folders inside, are passed over with a warning.

    Args:
        folder: Where they are.
        what: The data set, for messages.
        example: A file name of it.

    Raises:
        ValueError: An image's name is not one of Market-1501's.
    """
    folder = Path(folder)
    names = [path.name for path in list_images(folder)]
    taken = set(names)
    others = [path for path in visible(folder) if path.name not in taken and path.is_file()]
    others += [path for path in sorted(folder.glob("*/**/*")) if path.suffix.lower() in SUFFIXES]
    warn_passed_over(what, others, folder, remedy=f"expected {', '.join(SUFFIXES)} files directly in it")
    parsed = np.array([parse_name(name, what=what, example=example) for name in names], dtype=np.int64).reshape(-1, 2)
    return IdentityTable(
        path=np.array([str(folder / name) for name in names], dtype=np.str_),
        person_id=parsed[:, 0],
        camera_id=parsed[:, 1],
    )


def read(root: str | Path, *, official_counts: bool = True) -> IdentitySplits:
    """Train, query and gallery of a Market-1501 folder; junk (-1) leaves the gallery, distractors (0) stay.

    Args:
        root: The folder Market-1501-v15.09.15, one of the same layout, or the parent of Market-1501-v15.09.15.
        official_counts: Require the published numbers of images and identities; turn off for other data in this layout.

    Returns:
        The three tables, each in the order of its file names; camera ids count from 1.

    Raises:
        FileNotFoundError: `root` has not the layout.
        ValueError: An unknown file name, or counts other than the official ones.
    """
    root = find_root(root)
    tables = {name: read_folder(root / folder) for name, folder in FOLDERS.items()}
    if official_counts:
        check_official_counts(count(tables["train"], tables["query"], tables["gallery"]), root)
    for name, table in tables.items():
        if not len(table) and name != "train":  # a data set may be there to test alone
            raise ValueError(
                f"Market-1501: got no image in '{root / FOLDERS[name]}'; expected .jpg files; unpack the archive again"
            )
    gallery = tables["gallery"]
    return IdentitySplits(tables["train"], tables["query"], gallery[gallery.person_id != -1])


def count(train: IdentityTable, query: IdentityTable, gallery_on_disk: IdentityTable) -> dict[str, int]:
    """Images and identities under the keys of OFFICIAL_COUNTS; the gallery as on disk, junk included."""
    junk = int((gallery_on_disk.person_id == -1).sum())
    return {
        "train images": len(train),
        "train identities": len(np.unique(train.person_id)),
        "query images": len(query),
        "query identities": len(np.unique(query.person_id)),
        "gallery images on disk": len(gallery_on_disk),
        "gallery junk images": junk,
        "gallery distractors": int((gallery_on_disk.person_id == 0).sum()),
        "gallery images": len(gallery_on_disk) - junk,
    }


def check_official_counts(counts: Mapping[str, int], root: str | Path) -> None:
    """Raise ValueError, naming every count that differs from the published one."""
    wrong = [
        f"{counts[name]:,} {name} (expected {expected:,})"
        for name, expected in OFFICIAL_COUNTS.items()
        if counts[name] != expected
    ]
    if wrong:
        raise ValueError(
            f"Market-1501 in '{root}': got {'; '.join(wrong)}; unpack the official archive again, "
            "or turn official_counts off for another data set in this layout"
        )
