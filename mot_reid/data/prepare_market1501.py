"""Market-1501 from the official archive to a checked folder with labels and statistics."""

from __future__ import annotations

import csv
import shutil
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from mot_reid.arrays import IntArray
from mot_reid.data import market1501
from mot_reid.data.identities import IdentityTable, labels, split_identities
from mot_reid.data.images import decode, in_threads
from mot_reid.data.prepared import (
    checksum,
    find_prepared,
    new_folder,
    refuse_bad_files,
    refuse_changes,
    relative,
    unpack,
    write_metadata,
)

FORMAT = "mot_reid.market1501"
FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class _Inspected:
    """One image: why it is refused if it is, the checksum of its file, and how often each level occurs, (3, 256)."""

    reason: str | None
    checksum: int
    levels: IntArray | None = None


def prepare(
    source: str | Path,
    output: str | Path,
    *,
    validation: float = 0.0,
    seed: int = 0,
    official_counts: bool = True,
    workers: int | None = None,
    progress: bool = True,
) -> tuple[dict[str, Any], bool]:
    """Check every image of Market-1501 and lay it out in `output` with label CSVs and metadata.json.

    The output appears whole or not at all; a second run checks that it is as it was written.

    Args:
        source: The official ZIP archive, the folder Market-1501-v15.09.15, or its parent.
        output: The folder to make: bounding_box_train, query, bounding_box_test, train.csv, val.csv (with a validation
            split), query.csv, gallery.csv and metadata.json.
        validation: Share of the training identities that go to val.csv instead of train.csv.
        seed: Chooses those identities, as `split_identities` does.
        official_counts: Require the published numbers of images and identities.
        workers: Threads; one for each processor when None.
        progress: Show progress bars.

    Returns:
        (metadata, new): what metadata.json says, and whether it was written now rather than found and verified.

    Raises:
        FileNotFoundError: No such source, or it has not the layout.
        ValueError: Bad files (every one is named), wrong counts, or an output that is something else.
    """
    source, output = Path(source), Path(output)
    settings = {"validation": validation, "seed": seed}
    found = find_prepared(output, kind=FORMAT, version=FORMAT_VERSION, settings=settings)
    if found is not None:
        _verify(output, found, workers, progress)
        return found, False
    if not source.exists():
        raise FileNotFoundError(f"source: got '{source}'; expected the Market-1501 archive or folder; check the path")
    with new_folder(output) as part:
        damaged = _collect(source, part, progress)
        inspected = _inspect(part, workers, progress)
        _refuse(damaged + _bad_names(part) + _bad_images(inspected), source)
        tables = {name: market1501.read_folder(part / folder) for name, folder in market1501.FOLDERS.items()}
        counts = market1501.count(tables["train"], tables["query"], tables["gallery"])
        if official_counts:
            market1501.check_official_counts(counts, source)
        lists = _lists(tables, validation, seed, source)
        for name, table in lists.items():
            _write_labels(part / f"{name}.csv", table, part)
        metadata = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "source": source.name,
            "settings": settings,
            "counts": counts,
            "lists": {name: _describe(table) for name, table in lists.items()},
            **_statistics([inspected[relative(path, part)] for path in lists["train"].path]),
            "checksum": _checksum(inspected, part),
        }
        write_metadata(part, metadata)
    return metadata, True


def _collect(source: Path, part: Path, progress: bool) -> list[tuple[str, str]]:
    """Bring the images of the three folders below `part`; returns the damaged ones."""
    from tqdm import tqdm

    for folder in market1501.FOLDERS.values():
        (part / folder).mkdir()
    if source.is_file():
        damaged = unpack(source, part, place=_place, progress=progress)
        if not damaged and not any(any((part / folder).iterdir()) for folder in market1501.FOLDERS.values()):
            raise ValueError(
                f"archive: got '{source}' without {', '.join(market1501.FOLDERS.values())}; "
                f"expected {market1501.ARCHIVE}.zip; download it again"
            )
        return damaged
    root = market1501.find_root(source)
    files = [path for folder in market1501.FOLDERS.values() for path in market1501.list_images(root / folder)]
    for path in tqdm(files, "copying", unit="file", disable=None if progress else True, leave=False):
        shutil.copyfile(path, part / path.parent.name / path.name)
    return []


def _place(path: PurePosixPath) -> PurePosixPath | None:
    """Images of the three folders, with any folder that the archive wraps around them; macOS adds shadows of files."""
    wanted = path.parent.name in market1501.FOLDERS.values() and path.suffix.lower() in market1501.SUFFIXES
    if not wanted or path.name.startswith("._"):
        return None
    return PurePosixPath(path.parent.name, path.name)


def _inspect(root: Path, workers: int | None, progress: bool) -> dict[str, _Inspected]:
    """What is in every image below `root`, by its path relative to that."""

    def inspect(path: Path) -> _Inspected:
        try:
            checksum = zlib.crc32(path.read_bytes())
            pixels = decode(path).reshape(-1, 3)
        except (OSError, ValueError) as error:
            return _Inspected(reason=str(error), checksum=0)
        levels = [np.bincount(channel, minlength=256) for channel in pixels.T]
        return _Inspected(None, checksum, np.stack(levels))

    files = [path for folder in market1501.FOLDERS.values() for path in market1501.list_images(root / folder)]
    results = in_threads(inspect, files, workers, "checking" if progress else None)
    return {relative(path, root): one for path, one in zip(files, results)}


def _bad_images(inspected: dict[str, _Inspected]) -> list[tuple[str, str]]:
    return [(name, one.reason) for name, one in inspected.items() if one.reason is not None]


def _bad_names(root: Path) -> list[tuple[str, str]]:
    bad = []
    for folder in market1501.FOLDERS.values():
        for path in market1501.list_images(root / folder):
            try:
                market1501.parse_name(path.name)
            except ValueError as error:
                bad.append((relative(path, root), str(error)))
    return bad


def _refuse(bad: list[tuple[str, str]], source: Path) -> None:
    refuse_bad_files(bad, f"Market-1501 in '{source}'", rule="every image to open")


def _lists(tables: dict[str, IdentityTable], validation: float, seed: int, source: Path) -> dict[str, IdentityTable]:
    """The tables as they are used: junk dropped, validation persons apart."""
    for name, table in tables.items():
        if not len(table):
            raise ValueError(f"Market-1501 in '{source}': got no {name} image; expected some; unpack the archive again")
    train, held_out = split_identities(tables["train"], validation, seed)
    gallery = tables["gallery"]
    lists = {"train": train, "query": tables["query"], "gallery": gallery[gallery.person_id != -1]}
    return {**lists, "val": held_out} if len(held_out) else lists


def _write_labels(file: Path, table: IdentityTable, root: Path) -> None:
    """path, person_id, camera_id, label: labels 0, 1, .. of the list's sorted persons; a distractor has none."""
    person = table.person_id > 0
    label = np.full(len(table), -1)
    label[person] = labels(table.person_id[person])
    assert table.camera_id is not None
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["path", "person_id", "camera_id", "label"])
        for path, person_id, camera_id, number in zip(table.path, table.person_id, table.camera_id, label):
            writer.writerow([relative(path, root), person_id, camera_id, number if number >= 0 else ""])


def _describe(table: IdentityTable) -> dict[str, Any]:
    cameras, images = np.unique(np.asarray(table.camera_id), return_counts=True)
    persons = np.unique(table.person_id[table.person_id > 0])
    return {
        "images": len(table),
        "identities": len(persons),
        "images_per_camera": {str(camera): int(count) for camera, count in zip(cameras, images)},
        "person_ids": persons.tolist(),
    }


def _statistics(images: Iterable[_Inspected]) -> dict[str, Any]:
    """Mean and standard deviation of each RGB channel over all pixels, in [0, 1], from exact counts of the levels."""
    levels = np.zeros((3, 256), dtype=np.int64)
    for one in images:
        levels += one.levels if one.levels is not None else 0
    share, value = levels / levels.sum(axis=1, keepdims=True), np.arange(256) / 255
    mean = share @ value
    std = np.sqrt(share @ value**2 - mean**2)
    return {"channel_mean": [round(float(x), 6) for x in mean], "channel_std": [round(float(x), 6) for x in std]}


def _checksum(inspected: dict[str, _Inspected], root: Path) -> str:
    """One number for names and contents of all images and lists."""
    lists = {path.name: zlib.crc32(path.read_bytes()) for path in root.glob("*.csv")}
    return checksum({**{name: one.checksum for name, one in inspected.items()}, **lists})


def _verify(output: Path, metadata: dict[str, Any], workers: int | None, progress: bool) -> None:
    """Raise ValueError if a folder prepared before has changed."""
    inspected = _inspect(output, workers, progress)
    _refuse(_bad_images(inspected), output)
    refuse_changes(output, metadata, _checksum(inspected, output), note=f" ({len(inspected):,} images now)")
