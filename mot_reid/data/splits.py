"""Which crops are asked for, and which answer? A data set of any kind, and one of its parts as query and gallery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mot_reid.data import market1501, msmt17, own_people, published, synthetic_dataset
from mot_reid.data.cameras import listed, seen_by
from mot_reid.data.identities import IdentitySplits, IdentityTable, query_gallery, split_identities

KINDS = ("auto", "market1501", "msmt17", "dukemtmc", "cuhk03", "veri776", "folders", "csv", "synthetic")
PARTS = ("test", "validation", "train")
SPLIT_SEED = 0
"""Chooses the validation persons: the same ones for every seed, so that runs can be compared."""


def read(
    kind: str, root: str | Path, *, official_counts: bool = False, drawing: Mapping[str, Any] | None = None
) -> IdentitySplits:
    """Returns train, query and gallery of a data set.

    Args:
        kind: One of `KINDS`; "auto" takes it by its layout.
        root: Its folder; for "csv" also a file.
        official_counts: Require the published numbers of images, of a data set that has some.
        drawing: The keywords of `synthetic_dataset.generate`, for people that are not drawn yet.

    Raises:
        FileNotFoundError: There is no such data set.
        ValueError: The kind is unknown, or the data set is not as the kind says.
    """
    if kind == "auto":
        kind = recognise(root)
    if kind == "market1501":
        return market1501.read(root, official_counts=official_counts)
    if kind == "msmt17":
        return msmt17.read(root, official_counts=official_counts)
    if kind in published.PUBLISHED:
        return published.read(kind, root, official_counts=official_counts)
    if kind == "folders":
        return own_people.read_folders(root)
    if kind == "csv":
        return own_people.read_csv(root)
    if kind == "synthetic":
        return market1501.read(synthetic_dataset.generate(root, **(drawing or {})), official_counts=False)
    raise ValueError(f"data: got '{kind}'; expected one of {', '.join(KINDS)}")


def recognise(root: str | Path) -> str:
    """Returns the kind of the data set in a folder or file, by its layout and names: one of `KINDS` but "auto".

    Raises:
        FileNotFoundError: There is no such folder or file.
        ValueError: A folder just above or below is a published data set.
    """
    root = Path(root)
    if not root.exists():
        raise FileNotFoundError(f"data.root: got '{root}'; expected an existing folder or CSV; check the path")
    if msmt17.is_root(root):
        return "msmt17"
    known = published.recognise(root)
    if known is not None:
        return known
    try:
        market1501.find_root(root)
    except FileNotFoundError:
        if root.is_file() or any((root / f"{name}.csv").is_file() for name in own_people.SPLITS):
            return "csv"
        published.refuse_wrong_level(root)
        if meant := msmt17.nearby(root):
            raise ValueError(
                f"data.root: got '{root}'; expected the folder that holds the lists of MSMT17; {meant}"
            ) from None
        return "folders"
    return "market1501"


def choose(
    splits: IdentitySplits, part: str, *, validation: float = 0.0, cameras: Sequence[int] = ()
) -> tuple[IdentityTable, IdentityTable]:
    """Returns query and gallery of one part of a data set.

    Args:
        splits: The data set.
        part: "test", its own query and gallery; "validation", the persons held out of its training persons; or "train",
            all of those, which says something only about a model that never saw them.
        validation: Share of the training persons that was held out.
        cameras: Those that alone ask in "validation"; none: all do.

    Raises:
        ValueError: The data set has no such part.
    """
    if part not in PARTS:
        raise ValueError(f"data.split: got '{part}'; expected one of {', '.join(PARTS)}")
    if part == "test":
        if not len(splits.query):
            held_out = "validation for those that training held out, or data.split=" if validation else ""
            raise ValueError(
                "data.split: got 'test', but the data set has one list only; expected query and gallery; "
                f"use data.split={held_out}train if the model never saw these persons"
            )
        return splits.query, splits.gallery
    if not len(splits.train):
        raise ValueError(f"data.split: got '{part}', but the data set has no train list; use data.split=test")
    if part == "train":
        return query_gallery(splits.train, SPLIT_SEED)
    if not validation:
        raise ValueError(
            "data.split: got 'validation', but training held nobody out; expected data.validation above 0; "
            "use data.split=test, or give the share that was held out"
        )
    return ask(split_identities(splits.train, validation, SPLIT_SEED)[1], cameras=cameras)


def ask(held_out: IdentityTable, *, cameras: Sequence[int] = ()) -> tuple[IdentityTable, IdentityTable]:
    """Returns query and gallery of persons held out of training.

    Args:
        held_out: Their crops.
        cameras: Those that alone ask; none: all do. Every other crop answers.

    Raises:
        ValueError: There is nothing to ask.
    """
    query, gallery = query_gallery(held_out, SPLIT_SEED)
    if not cameras:
        return query, gallery
    asking = seen_by(query, cameras)
    if not asking.any():
        raise ValueError(
            f"data.validation_cameras: got {listed(cameras)}, where no held-out person is seen twice and elsewhere as "
            "well; expected a camera that sees some; choose another one, or raise data.validation"
        )
    return query[asking], gallery
