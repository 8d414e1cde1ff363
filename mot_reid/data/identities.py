"""Who is on which picture: a table of crops, and its splits by person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from mot_reid.arrays import IntArray, StrArray
from mot_reid.structures import Column, Columns


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class IdentityTable(Columns):
    """N crops, one row each.

    Attributes:
        path: `(N,)` an image file each.
        person_id: `(N,)` from 1; 0 is a distractor (somebody nobody asks for), -1 is junk (to be ignored).
        camera_id: `(N,)`, or `None` when no camera is known.

    Raises:
        ValueError: naming the column, the row and what was expected there.
    """

    path: StrArray
    person_id: IntArray
    camera_id: IntArray | None = None

    COLUMNS: ClassVar[dict[str, Column]] = {
        "path": Column(str),
        "person_id": Column(int),
        "camera_id": Column(int, optional=True),
    }

    def _check(self) -> None:
        wrong = np.flatnonzero(self.person_id < -1)
        if len(wrong):
            raise ValueError(
                f"IdentityTable.person_id: got {self.person_id[wrong[0]]} in row {wrong[0]}; "
                "expected ids from 1, 0 for a distractor or -1 for junk"
            )


class IdentitySplits(NamedTuple):
    """A data set as every reader returns it; query and gallery are empty when the data set has one list only."""

    train: IdentityTable
    query: IdentityTable
    gallery: IdentityTable


def labels(person_id: IntArray) -> IntArray:
    """(N,) class labels 0, 1, .. P - 1, in the order of the sorted identities.

    Raises:
        ValueError: Junk or distractors among them, which are no class.
    """
    if (person_id < 1).any():
        raise ValueError(
            f"labels: got person_id {int(person_id.min())}; expected ids from 1 (0 is a distractor, -1 junk); "
            "drop those rows"
        )
    return np.unique(person_id, return_inverse=True)[1].astype(np.int64).reshape(-1)


def split_identities(table: IdentityTable, fraction: float, seed: int) -> tuple[IdentityTable, IdentityTable]:
    """(train, held-out): the rows of `table`, with `fraction` of its persons held out whole.

    Args:
        table: N crops of persons with ids from 1.
        fraction: In [0, 1): 0 holds out nobody; above 0 at least one person is on each side.
        seed: Chooses the persons.

    Raises:
        ValueError: A fraction out of range, junk or distractors in the table, or fewer than two persons to part.
    """
    if not 0 <= fraction < 1:
        raise ValueError(f"split_identities: got fraction {fraction}; expected a number from 0 to below 1; such as 0.2")
    label = labels(table.person_id)
    persons = int(label.max()) + 1 if len(label) else 0
    if fraction == 0:
        return table, table[:0]
    if persons < 2:
        raise ValueError(
            f"split_identities: got {persons} person(s); expected at least 2 to hold one out; "
            "add persons, or use fraction 0"
        )
    size = min(max(round(fraction * persons), 1), persons - 1)
    chosen = np.random.default_rng(seed).permutation(persons)[:size]
    held_out = np.isin(label, chosen)
    return table[~held_out], table[held_out]


def metric_ids(query: IdentityTable, gallery: IdentityTable) -> dict[str, Any]:
    """Returns the keywords of the metrics: who is on which crop and, where both sides know it, by which camera."""
    known = query.camera_id is not None and gallery.camera_id is not None
    return {
        "query_person_id": query.person_id,
        "gallery_person_id": gallery.person_id,
        "query_camera_id": query.camera_id if known else None,
        "gallery_camera_id": gallery.camera_id if known else None,
    }


def query_gallery(table: IdentityTable, seed: int) -> tuple[IdentityTable, IdentityTable]:
    """(query, gallery): for each person and camera one random crop asks, and the rest answer, as in Market-1501.

    A query is drawn only where an answer remains: persons seen by two cameras or more, and of those the cameras with
    two crops or more. Without cameras, one crop asks for each person with two crops or more. The order of rows is kept.

    Args:
        table: N crops of persons with ids from 1.
        seed: Chooses the crops.

    Raises:
        ValueError: No person qualifies, so that there is nothing to ask.
    """
    person = labels(table.person_id)
    camera = np.zeros_like(person) if table.camera_id is None else np.unique(table.camera_id, return_inverse=True)[1]
    group = person * (int(camera.max(initial=0)) + 1) + camera.reshape(-1)
    _, first, size = np.unique(group, return_index=True, return_counts=True)
    askable = size >= 2
    if table.camera_id is not None:
        cameras_of_person = np.bincount(person[first])
        askable &= cameras_of_person[person[first]] >= 2
    if not askable.any():
        rule = "two crops" if table.camera_id is None else "crops from two cameras, two from one of them"
        raise ValueError(
            f"query_gallery: got {len(table)} crops of {len(np.unique(person))} persons, none with an answer; "
            f"expected a person with {rule}; add images"
            + ("" if table.camera_id is None else ", or leave the cameras out if they are not known")
        )
    shuffled = np.random.default_rng(seed).permutation(len(table))
    one_of_group = shuffled[np.unique(group[shuffled], return_index=True)[1]]
    query = np.zeros(len(table), dtype=bool)
    query[one_of_group[askable]] = True
    return table[query], table[~query]
