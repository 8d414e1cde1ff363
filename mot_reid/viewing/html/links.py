"""Who was where and when, over all cameras, and why tracks were joined; buttons to confirm a link or to split it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from mot_reid.arrays import Image
from mot_reid.viewing.crops import data_uri
from mot_reid.viewing.draw import css_colour
from mot_reid.viewing.html.page import Section, page_html
from mot_reid.viewing.html.templates import read_style, render
from mot_reid.viewing.html.timelines import Presence, presence_svg

Known = Mapping[str, Sequence[tuple[str, str]]]


@dataclass(frozen=True, eq=False)
class Sighting:
    """One track of one camera.

    Attributes:
        name: Camera and track, as a file of what is known names it.
        camera: Name of the camera.
        identity: The global identity.
        begin: Seconds at which it was first seen.
        end: Seconds at which it was last seen.
        picture: (h, w, 3) uint8 RGB.
    """

    name: str
    camera: str
    identity: int
    begin: float
    end: float
    picture: Image


@dataclass(frozen=True)
class Join:
    """Why two tracks have one identity.

    Attributes:
        left: Place of one among the sightings.
        right: Place of the other.
        similarity: Mean similarity of all that was joined.
        runner_up: To the next that was not chosen; None where none is near.
        expected_false: Share of strangers among pairs that are as similar.
        gap_seconds: Between the two; negative where both were seen at a time.
    """

    left: int
    right: int
    similarity: float
    runner_up: float | None
    expected_false: float
    gap_seconds: float


def links_html(sightings: Sequence[Sighting], joins: Sequence[Join], *, known: Known) -> Markup:
    """Returns a whole page that needs no other file.

    Args:
        sightings: All tracks.
        joins: What was joined.
        known: Pairs of names under `must` and `cannot` that were known before; the page's answers are added to them.
    """
    identities = len({one.identity for one in sightings})
    cameras = len({one.camera for one in sightings})
    subtitle = f"{len(sightings):,} tracks of {cameras:,} cameras, {len(joins):,} links, {identities:,} identities"
    presences = [
        Presence(one.identity, one.camera, one.begin, one.end, f"identity {one.identity}: {one.name}")
        for one in sightings
    ]
    sections = [
        Section("timeline", "Who was where", presence_svg(presences)),
        Section("links", "Why they were joined", _links(sightings, joins, known)),
    ]
    return page_html(
        "Links", heading="One identity over cameras", subtitle=subtitle, sections=sections, style="links.css"
    )


def _links(sightings: Sequence[Sighting], joins: Sequence[Join], known: Known) -> Markup:
    pictures = {place: data_uri(sightings[place].picture) for join in joins for place in (join.left, join.right)}
    cards = [
        {
            "identity": sightings[join.left].identity,
            "colour": css_colour(sightings[join.left].identity),
            "left": _side(sightings[join.left], pictures[join.left]),
            "right": _side(sightings[join.right], pictures[join.right]),
            "facts": _facts(join),
        }
        for join in joins
    ]
    pairs = {kind: [list(pair) for pair in known.get(kind, ())] for kind in ("must", "cannot")}
    values = {
        "links": cards,
        "names": [one.name for one in sightings],
        "known": Markup(json.dumps(pairs).replace("<", "\\u003c")),
        "script": read_style("links/links.js"),
    }
    return render("links/links.html", values)


def _side(sighting: Sighting, picture: str) -> dict[str, object]:
    return {"name": sighting.name, "begin": sighting.begin, "end": sighting.end, "picture": picture}


def _facts(join: Join) -> list[tuple[str, str]]:
    between = f"{join.gap_seconds:.1f} s" if join.gap_seconds >= 0 else "seen at the same time"
    return [
        ("similarity", f"{join.similarity:.3f}"),
        ("next best", "none near" if join.runner_up is None else f"{join.runner_up:.3f}"),
        ("strangers as similar", f"{100 * join.expected_false:.1f}%"),
        ("between them", between),
    ]
