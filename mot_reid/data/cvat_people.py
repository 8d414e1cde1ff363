"""People in zips of CVAT's format "Market-1501 1.0": crops whose names say who is on them, both ways.

Reference: CVAT's manual, "Market-1501", and Datumaro, which reads and writes these zips: bounding_box_<subset>/ and
query/ with images named <person>_c<camera>s<sequence>_<frame>_<box>; without images, lists images_<subset>.txt.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from mot_reid.data.identities import IdentitySplits, IdentityTable
from mot_reid.data.market1501 import FOLDERS, SUFFIXES, parse_name
from mot_reid.data.own_people import COLUMNS
from mot_reid.data.prepared import new_folder, unpack
from mot_reid.files import whole, write_text

_SUBSET = "bounding_box_"
_NAME = re.compile(r"-?\d+_c\d+s\d+_\d+_\d+.*")
_LISTS = re.compile(r"images_.+\.txt")


def is_people_zip(path: str | Path) -> bool:
    """Whether a file is a zip of this format.

    Args:
        path: of any file.
    """
    if Path(path).suffix != ".zip" or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        names = [PurePosixPath(name) for name in archive.namelist()]
    return any(_part(name) is not None or _LISTS.fullmatch(name.name) for name in names)


def read_people(path: str | Path, folder: str | Path) -> Mapping[str, int]:
    """Unpacks the crops of a zip, and lists them as `data=csv` takes them; returns the number of crops of each list.

    The subset `train` is trained on. Where the zip has queries, the other subsets are their gallery; else all are
    trained on.

    Args:
        path: of the zip, with images.
        folder: for the crops, and train.csv, query.csv and gallery.csv; new or empty. It appears whole or not at all.

    Raises:
        ValueError: there are no images in it, one is named in another way or damaged, or queries have no gallery.
        FileExistsError: the folder has other content, or is a file.
    """
    folder = Path(folder)
    if folder.is_file() or (folder.is_dir() and (any(folder.iterdir()) or folder.resolve() == Path.cwd())):
        raise FileExistsError(
            f"output: got '{folder}', which has content or is in use; expected a new folder; choose another"
        )
    with new_folder(folder) as part:
        return _unpacked(path, part)


def _unpacked(path: str | Path, folder: Path) -> dict[str, int]:
    """Writes the crops and their lists into an empty folder; returns the number of crops of each list."""
    damaged = unpack(path, folder, place=_part, progress=False)
    if damaged:
        raise ValueError(f"'{path}': {damaged[0][0]}: {damaged[0][1]}; expected whole images; export it again")
    with zipfile.ZipFile(path) as archive:
        crops = sorted({part for name in archive.namelist() if (part := _part(PurePosixPath(name))) is not None})
    if not crops:
        raise ValueError(f"'{path}': got lists without images; expected images; export with 'Save images'")
    asked = any(crop.parent.name == "query" for crop in crops)
    lists: dict[str, list[PurePosixPath]] = {}
    for crop in crops:
        lists.setdefault(_list_of(crop.parent.name, asked), []).append(crop)
    if asked and "gallery" not in lists:
        raise ValueError(
            f"'{path}': got queries and no subset besides train; expected one, such as test, where they are searched; "
            "give the images to search a subset in CVAT"
        )
    for name, paths in lists.items():
        write_text(folder / f"{name}.csv", _table(paths, path))
    return {name: len(lists[name]) for name in ("train", "query", "gallery") if name in lists}


def write_people(path: str | Path, splits: IdentitySplits) -> Path:
    """Writes crops as CVAT takes them for upload, whole or not at all; returns the path.

    Images keep their names where all have the form of Market-1501; else they are named after person and camera, as the
    images of the task must then be. Where no camera is known, it is camera 1.

    Args:
        path: of the zip.
        splits: the crops.

    Raises:
        ValueError: there is none.
        OSError: a file cannot be read or written.
    """
    tables = {FOLDERS[name]: table for name, table in zip(("train", "query", "gallery"), splits) if len(table)}
    if not tables:
        raise ValueError(f"'{path}': got no crops; expected a data set of people")
    kept = all(_NAME.fullmatch(Path(name).name) for table in tables.values() for name in table.path)
    kept = kept and all(len({Path(name).name for name in table.path}) == len(table) for table in tables.values())
    with whole(path) as partial, zipfile.ZipFile(partial, "w") as archive:
        for folder, table in tables.items():
            for row, source in enumerate(table.path.tolist()):
                name = Path(source).name if kept else _name(table, row, Path(source).suffix.lower())
                archive.write(source, f"{folder}/{name}")
    return Path(path)


def _part(path: PurePosixPath) -> PurePosixPath | None:
    """Returns folder and name of a crop by its path in a zip; None for what is none."""
    inside = len(path.parts) >= 2 and (path.parts[-2] == "query" or path.parts[-2].startswith(_SUBSET))
    return PurePosixPath(*path.parts[-2:]) if inside and path.suffix.lower() in SUFFIXES else None


def _list_of(folder: str, asked: bool) -> str:
    """Returns whether a folder's crops are trained on, ask or answer."""
    if folder == "query":
        return "query"
    return "gallery" if asked and folder != f"{_SUBSET}train" else "train"


def _table(crops: list[PurePosixPath], path: str | Path) -> str:
    """Returns the text of a CSV file of crops."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for crop in crops:
        rows.writerow([crop, *parse_name(crop.name, what=f"'{path}'")])
    return text.getvalue()


def _name(table: IdentityTable, row: int, suffix: str) -> str:
    """Returns the name of a crop by its person and camera; the row is its frame."""
    camera = 1 if table.camera_id is None else table.camera_id[row]
    return f"{table.person_id[row]:04d}_c{camera}s1_{row + 1:06d}_00{suffix}"
