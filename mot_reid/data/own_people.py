"""One's own people: a folder per identity, or a CSV of paths and identities."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from mot_reid.data.file_names import natural, visible, warn_passed_over
from mot_reid.data.identities import IdentitySplits, IdentityTable
from mot_reid.data.images import SUFFIXES
from mot_reid.data.market1501 import parse_name

SPLITS = ("train", "query", "gallery")
COLUMNS = ("path", "person_id", "camera_id")

_LARGEST = 2**63 - 1
_WHOLE = re.compile(r"[+-]?\d+(\.0*)?")
_DECIMAL = re.compile(r"[+-]?\d*\.\d+")
_MISSING = frozenset({"nan", "NaN", "NA", "N/A", "None", "null", "NULL", "<NA>"})
"""How tables of other programs write that there is no value."""

Row = tuple[str, str, int | None]  # path, identity as written, camera


def read_folders(root: str | Path) -> IdentitySplits:
    """A data set of one folder per identity: `root/<identity>/*.jpg`, or the same below root/train, query and gallery.

    Folder names are names of persons, of any form ("0", "anna"), numbered from 1 in natural order over all
    splits. Of train, and query with gallery, either may be absent. Cameras are known when every file is named as in
    Market-1501, such as 0002_c1s1_000451_03.jpg, and unknown when none is. Files that are no images, and images in
    folders inside the identities, are passed over with a warning; hidden ones (._photo.jpg) without.

    Args:
        root: The folder.

    Returns:
        The three tables; query and gallery are empty when the folder has one list only (see `split_identities` and
        `query_gallery`).

    Raises:
        FileNotFoundError: No such folder.
        ValueError: No identities in it or a negative number for one, only one image, images next to the folders of
            persons, query without gallery, another folder next to train, query and gallery, or a camera in some names
            only.
    """
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"data.root: got '{root}'; expected an existing folder; check the path")
    present = [name for name in SPLITS if (root / name).is_dir()]
    if present:
        others = [
            f.name for f in sorted(root.iterdir()) if f.is_dir() and f.name not in SPLITS and not f.name.startswith(".")
        ]
        if others:
            raise ValueError(
                f"folders: got '{others[0]}' beside '{present[0]}' in '{root}'; expected train, query, gallery alone; "
                "move it away (data.validation holds persons out of train)"
            )
        rows = {name: _folder_rows(root / name) if name in present else [] for name in SPLITS}
    else:
        rows = {"train": _folder_rows(root), "query": [], "gallery": []}
    return _build(rows, str(root), numbers_are_ids=False)


def read_csv(path: str | Path) -> IdentitySplits:
    """A data set listed in a CSV with the columns path, person_id and, where known, camera_id; others are ignored.

    Paths are relative to the CSV's folder. Where every person_id is a whole number (12, or 12.0) they are kept: from 1
    for persons, and in a gallery 0 for a distractor and -1 for junk, which is dropped. Where none is, they are names,
    numbered from 1 in natural order. Cameras are given for all images or for none.

    Args:
        path: One CSV, read as the train list; or a folder with train.csv, or query.csv and gallery.csv, or all three.

    Returns:
        The three tables; query and gallery are empty when there is one list only (see `split_identities` and
        `query_gallery`).

    Raises:
        FileNotFoundError: The CSV, or an image in it, does not exist.
        ValueError: The file is no CSV, misses a column or a value, lists an image twice, has only one, or mixes names
            with numbers or images with and without cameras.
    """
    path = Path(path)
    if path.is_dir():
        present = [name for name in SPLITS if (path / f"{name}.csv").is_file()] or ["train"]
        rows = {name: _csv_rows(path / f"{name}.csv") if name in present else [] for name in SPLITS}
    else:
        rows = {"train": _csv_rows(path), "query": [], "gallery": []}
    return _build(rows, str(path), numbers_are_ids=True)


def _folder_rows(root: Path) -> list[Row]:
    shown = visible(root)
    rows: list[Row] = []
    passed_over: list[Path] = []
    for folder in (path for path in shown if path.is_dir()):
        if re.fullmatch(r"-\d+(\.0*)?", folder.name):
            raise ValueError(
                f"folders: got '{folder}'; expected the name of a person, and -1 is junk elsewhere; remove the folder, "
                "or rename it if it is one person"
            )
        entries = visible(folder)
        files = [path for path in entries if _is_image(path) and path.is_file()]
        rows += [(str(path), folder.name, _camera(path.name)) for path in sorted(files)]
        passed_over += [path for path in entries if path.is_file() and not _is_image(path)]
        passed_over += [path for inner in entries if inner.is_dir() for path in _images_below(inner)]
    if not rows:
        inside = f"; {len(passed_over)} are one folder too deep, such as '{passed_over[0]}'" if passed_over else ""
        raise ValueError(
            f"folders: got no image below '{root}'; expected one folder per identity with images "
            f"({', '.join(sorted(SUFFIXES))}) in it; move the images there{inside}"
        )
    stray = [path.name for path in shown if _is_image(path)]
    if stray:
        raise ValueError(
            f"folders: got '{root / stray[0]}' next to the folders of persons ({len(stray)} such); expected images in "
            "the folder of the person they show; move them there or remove them"
        )
    remedy = (
        f"expected images ({', '.join(sorted(SUFFIXES))}) directly in the folder of their person; move or convert them"
    )
    warn_passed_over("folders", passed_over, root, remedy=remedy)
    return rows


def _images_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if _is_image(path) and path.is_file())


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def _camera(name: str) -> int | None:
    try:
        return parse_name(name)[1]
    except ValueError:
        return None


def _csv_rows(path: Path) -> list[Row]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise FileNotFoundError(f"data.root: got '{path}'; expected an existing file; check the path") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"csv: got '{path}' ({error}); expected UTF-8 text; save it as CSV again") from None
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        found = [name.strip() for name in reader.fieldnames or ()]
        reader.fieldnames = found
        missing = [name for name in COLUMNS[:2] if name not in found]
        if missing:
            raise ValueError(
                f"csv '{path}': got columns {', '.join(found) or 'none'}; expected {', '.join(missing)} as well; "
                "the first line names the columns path, person_id and optionally camera_id"
            )
        lines: dict[str, int] = {}
        return [_csv_row(path, reader.line_num, values, lines) for values in reader]
    except csv.Error as error:
        raise ValueError(
            f"csv '{path}': after line {reader.line_num}: got {error}; expected comma separated values"
        ) from None


def _csv_row(table: Path, line: int, values: dict[str, str | None], lines: dict[str, int]) -> Row:
    """One row; `lines` knows the line of every image so far, and learns this one's."""
    where = f"csv '{table}' line {line}"
    if None in values:  # where the csv module puts what has no column
        raise ValueError(f"{where}: got more values than columns; expected one for each; put quotes around commas")
    image, person = values["path"], (values["person_id"] or "").strip()
    if not image or not person or person in _MISSING:
        raise ValueError(f"{where}: got path '{image or ''}', person_id '{person}'; expected both; fill them in")
    image_path = table.parent / image
    if not image_path.is_file():
        raise FileNotFoundError(
            f"{where}: got '{image_path}'; expected an existing image; paths are relative to the CSV's folder"
        )
    first = lines.setdefault(os.path.normpath(image_path), line)
    if first != line:
        raise ValueError(f"{where}: got '{image}', listed in line {first} too; expected every image once; remove one")
    camera = values.get("camera_id")
    if camera is not None and not re.fullmatch(r"[+-]?\d{1,18}(\.0*)?", camera.strip()):
        raise ValueError(f"{where}: got camera_id '{camera}'; expected a whole number; remove the column if unknown")
    if camera is not None and camera.strip().startswith("-"):
        raise ValueError(
            f"{where}: got camera_id '{camera}'; expected 0 or more; images of unknown cameras would be those of one "
            "camera: remove them, or the column"
        )
    return str(image_path), person, None if camera is None else int(camera.partition(".")[0])


def _build(rows: dict[str, list[Row]], source: str, *, numbers_are_ids: bool) -> IdentitySplits:
    """The three tables, identities numbered over all of them; checks what every reader must hold."""
    everything = [row for name in SPLITS for row in rows[name]]
    if len(everything) < 2:
        raise ValueError(
            f"'{source}': got {len(everything)} image(s); expected at least two images to compare; add images"
        )
    if bool(rows["query"]) != bool(rows["gallery"]):
        there, gone = ("query", "gallery") if rows["query"] else ("gallery", "query")
        raise ValueError(f"'{source}': got a {there} and no {gone}; expected both or neither; add or remove one")
    number = _number(everything, source) if numbers_are_ids else _count(person for _, person, _ in everything)
    cameras_known = _cameras_known(everything, source)
    tables = {name: _table(rows[name], number, cameras_known) for name in SPLITS}
    for name in ("train", "query"):
        low = tables[name].person_id < 1
        if low.any():
            raise ValueError(
                f"'{source}': got person_id {tables[name].person_id[low][0]} in the {name} list; expected ids from 1 "
                "(0 is a distractor and -1 junk, in a gallery only); number the persons from 1, or use names"
            )
    gallery = tables["gallery"]
    return IdentitySplits(tables["train"], tables["query"], gallery[gallery.person_id != -1])


def _table(rows: Sequence[Row], number: dict[str, int], cameras_known: bool) -> IdentityTable:
    return IdentityTable(
        path=np.array([path for path, _, _ in rows], dtype=np.str_),
        person_id=np.array([number[person] for _, person, _ in rows], dtype=np.int64),
        camera_id=np.array([camera for _, _, camera in rows], dtype=np.int64) if cameras_known else None,
    )


def _cameras_known(rows: Sequence[Row], source: str) -> bool:
    """Whether the images have cameras; refuses some with and some without, where either answer changes the scores."""
    known = [path for path, _, camera in rows if camera is not None]
    unknown = [path for path, _, camera in rows if camera is None]
    if known and unknown:
        raise ValueError(
            f"'{source}': got '{unknown[0]}' without a camera ({len(unknown):,} such) and '{known[0]}' with one "
            f"({len(known):,} such); expected a camera for every image or for none, because matches from the "
            "same camera do not count; rename as in 0002_c1s1_000451_03.jpg, fill in camera_id, or remove the odd ones"
        )
    return bool(known)


def _number(rows: Sequence[Row], source: str) -> dict[str, int]:
    """Returns the identity of each text in a table: the whole numbers themselves, or names numbered from 1."""
    kinds = {person: "whole" if _WHOLE.fullmatch(person) else "name" for _, person, _ in rows}
    if "whole" not in kinds.values() and not any(_DECIMAL.fullmatch(person) for person in kinds):
        return _count(kinds)
    odd = [(path, person) for path, person, _ in rows if kinds[person] == "name"]
    if odd:
        path, person = odd[0]
        raise ValueError(
            f"'{source}': got person_id '{person}' of '{path}' ({len(odd):,} such) together with whole numbers "
            f"({len(rows) - len(odd):,} images); expected whole numbers for all images, or names for all; "
            "correct it, or put a letter before the numbers (0 and -1 mark distractors and junk among numbers only)"
        )
    number = {person: int(person.partition(".")[0]) for person in kinds}
    largest = max(number, key=lambda person: abs(number[person]))
    if abs(number[largest]) > _LARGEST:
        raise ValueError(f"person_id: got {largest}; expected whole numbers up to {_LARGEST}, or names")
    return number


def _count(names: Iterable[str]) -> dict[str, int]:
    return {name: i for i, name in enumerate(sorted(set(names), key=natural), start=1)}
