"""Several data sets as one: nobody and no camera of one is taken for those of another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mot_reid.arrays import IntArray
from mot_reid.data import market1501, splits
from mot_reid.data.identities import IdentitySplits, IdentityTable
from mot_reid.data.origins import Origin, find_origins


class Source(NamedTuple):
    """One of the data sets.

    Attributes:
        kind: Its layout, one of `splits.KINDS` but "auto".
        root: Where it is.
        splits: Its crops.
    """

    kind: str
    root: str
    splits: IdentitySplits

    @property
    def origins(self) -> list[Origin]:
        """Where its training crops come from."""
        paths, official = self.splits.train.path.tolist(), False
        if self.kind == "market1501":  # junk has left the gallery, so the numbers that remain are compared
            train, query, gallery = (len(table) for table in self.splits)
            expected = [market1501.OFFICIAL_COUNTS[f"{part} images"] for part in ("train", "query", "gallery")]
            official = [train, query, gallery] == expected
        return find_origins(paths, kind=self.kind, official=official)


class Joined(NamedTuple):
    """A table of several sources.

    Attributes:
        table: N crops.
        source: (N,) which source each is of, from 0.
    """

    table: IdentityTable
    source: IntArray


def read_sources(
    roots: Sequence[str], *, kind: str, official_counts: bool = False, drawing: Mapping[str, Any] | None = None
) -> list[Source]:
    """Returns the data sets in some folders.

    Args:
        roots: The folders, each once.
        kind: As in `splits.read`; "auto" takes each by its layout.
        official_counts: As in `splits.read`.
        drawing: As in `splits.read`.

    Raises:
        FileNotFoundError: One of them is not there.
        ValueError: None is given, one is given twice, or one is not as its kind says.
    """
    if not roots or len(set(roots)) != len(roots):
        raise ValueError(f"data.root: got {', '.join(roots) or 'none'}; expected one folder or more, each only once")
    if kind == "synthetic" and len(roots) > 1:
        raise ValueError(
            f"data.root: got {len(roots)} folders with data.kind=synthetic, which would show the same people in all; "
            "expected one; use data=auto for synthetic people that are there already"
        )
    found = []
    for root in roots:
        layout = splits.recognise(root) if kind == "auto" else kind
        try:
            found.append(
                Source(layout, root, splits.read(layout, root, official_counts=official_counts, drawing=drawing))
            )
        except (FileNotFoundError, ValueError) as error:
            if len(roots) == 1:
                raise
            raise type(error)(f"{error} (one of {len(roots)} data sets; data=auto takes each by its layout)") from None
    return found


def join(parts: Sequence[Sequence[IdentityTable]]) -> list[Joined]:
    """Returns the tables of several sources as if they were of one, such as all queries, and all galleries.

    A single source is returned as it is. Of several, persons are numbered from 1 over all of them, cameras likewise;
    distractors and junk keep their numbers. Where some sources know cameras and one does not, each of its tables is one
    camera, so that all crops of a person in its gallery answer a query, as without cameras.

    Args:
        parts: For each source its tables, such as query and gallery, whose persons are numbered together.
    """
    cameras_known = any(table.camera_id is not None for tables in parts for table in tables)
    people = cameras = 0
    found: list[list[IdentityTable]] = []
    for tables in parts:
        if len(parts) == 1:
            found.append(list(tables))
            break
        person, persons = _numbered([table.person_id for table in tables], people, kept=0)
        by_camera = all(table.camera_id is not None for table in tables)
        given = [table.camera_id if by_camera else np.full(len(table), i) for i, table in enumerate(tables)]
        camera, seen = _numbered(given, cameras, kept=-1)  # type: ignore[arg-type]
        found.append(
            [
                IdentityTable(table.path, person_id, camera_id if cameras_known else None)
                for table, person_id, camera_id in zip(tables, person, camera)
            ]
        )
        people, cameras = people + persons, cameras + seen
    return [
        Joined(
            IdentityTable.concatenate(list(tables)) if len(tables) > 1 else tables[0],
            np.repeat(np.arange(len(tables)), [len(table) for table in tables]),
        )
        for tables in zip(*found)
    ]


def _numbered(numbers: Sequence[NDArray[np.int64]], first: int, *, kept: int) -> tuple[list[NDArray[np.int64]], int]:
    """Numbers over several arrays from `first` + 1 on, those up to `kept` unchanged; and how many there are."""
    known = np.unique(np.concatenate(numbers))
    known = known[known > kept]
    return [np.where(n > kept, first + 1 + np.searchsorted(known, n), n) for n in numbers], len(known)
