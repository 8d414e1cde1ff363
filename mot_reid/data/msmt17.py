"""MSMT17, versions 1 and 2: a folder per person, and list files that say who is where.

Reference:
    Wei et al., "Person Transfer GAN to Bridge Domain Gap for Person Re-identification", CVPR 2018. Each line of a list
    is a path and a number from 0 for its person, such as `0000/0000_000_01_0303morning_0015_0.jpg 0`; the third part of
    the file name is the camera. Persons to train on and to test are numbered from 0 each, and are not the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mot_reid.data.file_names import visible
from mot_reid.data.identities import IdentitySplits, IdentityTable
from mot_reid.data.published import Counts, check_counts

NAME = "MSMT17"
LISTS: Mapping[str, tuple[str, ...]] = {
    "train": ("list_train.txt", "list_val.txt"),
    "query": ("list_query.txt",),
    "gallery": ("list_gallery.txt",),
}
"""The lists of each part; list_val.txt shows more of the same persons as list_train.txt, and is trained on as well."""
OFFICIAL_COUNTS: Counts = (32_621, 1_041, 11_659, 3_060, 82_161)
_FOLDERS = (("train", "test"), ("mask_train_v2", "mask_test_v2"))  # of version 1 and 2
_LINE = re.compile(r"(?P<path>\S+[/\\](?P<name>[^\s/\\]+)) (?P<person>\d+)")
_CAMERA = re.compile(r"\d+_\d+_(\d+)_")


def is_root(root: Path) -> bool:
    """Whether a folder has a list of MSMT17 and one of its folders."""
    lists = any((root / name).is_file() for names in LISTS.values() for name in names)
    return lists and any((root / name).is_dir() for pair in _FOLDERS for name in pair)


def read(root: str | Path, *, official_counts: bool = True) -> IdentitySplits:
    """Returns train, query and gallery; persons count from 1, those of the test behind those of the training.

    Args:
        root: The folder with the lists, MSMT17_V1 or MSMT17_V2.
        official_counts: Require the published numbers of images and identities.

    Raises:
        FileNotFoundError: There is no such folder; a list, or an image that it names, is missing.
        ValueError: A line of a list is not as it should be, a list is empty, or counts are not the published ones.
    """
    root = Path(root)
    train_folder, test_folder = _image_folders(root)
    missing = [name for names in LISTS.values() for name in names if not (root / name).is_file()]
    if missing:
        raise FileNotFoundError(
            f"{NAME}: got '{root}' without {', '.join(missing)}; expected the lists next to the folders of images; "
            "unpack the archive again"
        )
    train = [_read_list(root / name, train_folder) for name in LISTS["train"]]
    first_test = 1 + max(int(table.person_id.max()) for table in train)
    query, gallery = (_read_list(root / LISTS[part][0], test_folder, first=first_test) for part in ("query", "gallery"))
    splits = IdentitySplits(IdentityTable.concatenate(train), query, gallery)
    if official_counts:
        check_counts(splits, (OFFICIAL_COUNTS,), name=NAME, root=root)
    return splits


def _image_folders(root: Path) -> tuple[Path, Path]:
    for train, test in _FOLDERS:
        if (root / train).is_dir() and (root / test).is_dir():
            return root / train, root / test
    raise FileNotFoundError(
        f"{NAME}: got '{root}'; expected a folder with {' and '.join(_FOLDERS[0])} (version 1) or "
        f"{' and '.join(_FOLDERS[1])} (version 2); {nearby(root) or 'check the path'}"
    )


def nearby(root: Path) -> str:
    """Says which folder was meant, where one just above or below is MSMT17; otherwise nothing."""
    if root.resolve().name in {name for pair in _FOLDERS for name in pair} and is_root(root.resolve().parent):
        return f"set data.root={root.parent}"
    below = [path for path in (visible(root) if root.is_dir() else ()) if path.is_dir() and is_root(path)]
    return "set data.root=" + " or data.root=".join(str(path) for path in below) if below else ""


def _read_list(file: Path, folder: Path, *, first: int = 1) -> IdentityTable:
    """The images of one list, whose person 0 gets the number `first`."""
    lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    found = [_parse(file, number, line) for number, line in enumerate(lines, start=1) if line]
    if not found:
        raise ValueError(f"{NAME}: got no line in '{file}'; expected a path and a person in each; unpack it again")
    paths = [str(folder / path) for path, _, _ in found]
    gone = [path for path in paths if not Path(path).is_file()]
    if gone:
        raise FileNotFoundError(
            f"{NAME}: got no image for {len(gone):,} of {len(paths):,} lines of '{file}', the first '{gone[0]}'; "
            "expected all of them; unpack the archive again"
        )
    return IdentityTable(
        path=np.array(paths, dtype=np.str_),
        person_id=np.array([person + first for _, person, _ in found], dtype=np.int64),
        camera_id=np.array([camera for _, _, camera in found], dtype=np.int64),
    )


def _parse(file: Path, number: int, line: str) -> tuple[str, int, int]:
    """Path, person and camera of a line."""
    match = _LINE.fullmatch(line)
    camera = _CAMERA.match(match["name"]) if match else None
    if match is None or camera is None:
        raise ValueError(
            f"{NAME}: '{file}' line {number}: got '{line}'; expected a path and a person, such as "
            "0000/0000_000_01_0303morning_0015_0.jpg 0; unpack the archive again"
        )
    return match["path"].replace("\\", "/"), int(match["person"]), int(camera[1])
