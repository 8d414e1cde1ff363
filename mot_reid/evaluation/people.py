"""Whom a model is scored on: the persons it was trained for, or those of any other data set."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mot_reid.data import splits
from mot_reid.data.identities import IdentityTable, metric_ids
from mot_reid.settings.load import ConfigError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class People:
    """What is asked, what answers, and how to say where it comes from.

    Attributes:
        query: Crops that ask.
        gallery: Crops that answer.
        kind: Of the data set, one of `splits.KINDS`.
        root: Where it is.
        split: Which part of it, one of `splits.PARTS`.
    """

    query: IdentityTable
    gallery: IdentityTable
    kind: str
    root: str
    split: str

    @property
    def paths(self) -> list[str]:
        """All crops, queries first."""
        return [*self.query.path, *self.gallery.path]

    @property
    def ids(self) -> dict[str, Any]:
        """The keywords of the metrics; cameras only where both sides know them."""
        return metric_ids(self.query, self.gallery)

    def __str__(self) -> str:
        seen = [camera for name, camera in self.ids.items() if "camera" in name]
        cameras = "cameras unknown" if seen[0] is None else f"{len(np.union1d(*seen))} cameras"
        return (
            f"{self.kind} {self.split} ({self.root}): {len(self.query):,} queries of "
            f"{len(np.unique(self.query.person_id)):,} persons, {len(self.gallery):,} gallery images, {cameras}"
        )


def read_people(
    provenance: Mapping[str, Any],
    *,
    kind: str | None = None,
    root: str | None = None,
    own: bool = False,
    split: str = "test",
    or_train: bool = False,
    validation: float | None = None,
    official_counts: bool | None = None,
) -> People:
    """Returns query and gallery of the data set that was asked for, or else of the one the model was trained on.

    Args:
        provenance: Of the model.
        kind: Of the data set; None for what it looks like.
        root: Where it is; None for that of the model.
        own: The root is one that the model was trained on, and was not named by anybody.
        split: One of `splits.PARTS`.
        or_train: Take all persons, in place of the test, of a data set of one list.
        validation: Share of its training persons that were held out; None for what the model says.
        official_counts: Require the published numbers of Market-1501; None for what the model or the kind implies.

    Raises:
        FileNotFoundError: There is no such data set.
        ValueError: The data set is not as its kind says, or has no such part.
    """
    trained = provenance.get("config", {}).get("data", {})
    own, roots = (own or root is None) and kind in (None, trained.get("kind")), trained_on(provenance)
    place = root or (roots[0] if own and roots else None)
    if place is None:
        raise ConfigError("command line: data.root is missing; expected data.root=PATH of the data set to score on")
    layout = kind or (trained["kind"] if own else "auto")
    layout = splits.recognise(place) if layout == "auto" else layout
    if official_counts is None:
        official_counts = trained["official_counts"] if own else kind not in (None, "auto")
    drawing = provenance["config"].get("synthetic") if own and layout == "synthetic" else None
    data_set = splits.read(layout, place, official_counts=official_counts, drawing=drawing)
    held_out = trained.get("validation", 0.0) if validation is None else validation
    if or_train and split == "test" and not len(data_set.query):
        split = "train"
    cameras = tuple(trained.get("validation_cameras", ()))
    query, gallery = splits.choose(data_set, split, validation=held_out, cameras=cameras)
    if split == "train" and Path(place).resolve() in (Path(one).resolve() for one in roots):
        log.warning(
            "data.split=train: the model was trained on these persons, so its scores on them say nothing about others; "
            "use data.split=test"
        )
    return People(query, gallery, layout, str(place), split)


def trained_on(provenance: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns the folders of the data sets that a model was trained on; models of before there were several say one."""
    roots = provenance.get("config", {}).get("data", {}).get("root", ())
    return (roots,) if isinstance(roots, str) else tuple(roots)
