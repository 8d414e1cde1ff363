"""Joins tracks of several cameras: `mot-reid link tracks=a.txt,b.txt videos=a.mp4,b.mp4 output=linked`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mot_reid.cli.command import Command, Given
from mot_reid.files import check_writable, given_by, write_json
from mot_reid.settings.linking import LinkSettings

COMMAND = Command(
    "link",
    LinkSettings,
    usage="tracks=FILE,FILE videos=VIDEO,VIDEO output=FOLDER [key=value ...]",
    about="""
Gives the tracks of one person one identity, over cameras and over gaps, without calibrated cameras. It leaves apart
what it cannot tell, says why it joined what it joined, and keeps to what you know of the people.""",
    examples=(
        "tracks=a.txt,b.txt videos=a.mp4,b.mp4 output=linked",
        "tracks=a.txt,b.txt videos=a.mp4,b.mp4 output=linked max_false_links=0.01 constraints=known.json",
    ),
)


def main(argv: Sequence[str]) -> int:
    """Joins the tracks; returns the exit code."""
    return COMMAND.run(_link, argv)


def _link(settings: LinkSettings, given: Given) -> None:
    """Reads, embeds, joins and writes."""
    from mot_reid.linking.chance import stored
    from mot_reid.linking.link import link
    from mot_reid.pipeline.link import look, outline, read_cameras, read_constraints, report, write_linked
    from mot_reid.reid.embedder import Embedder
    from mot_reid.settings.tracker_parameters import SEARCH_MODEL

    cameras = read_cameras(settings.tracks, settings.videos)
    tracklets, folder = outline(cameras), Path(settings.output)
    known = read_constraints(settings.constraints, tracklets, cameras)
    check_writable(folder / "links.json", "output")
    with given_by("reid"):
        embedder = Embedder(settings.reid or SEARCH_MODEL, device=settings.device, runtime=settings.runtime)
    stored(embedder.metadata["calibration"])  # refuses a model without one
    tracklets, pictures = look(cameras, tracklets, embedder, crops=settings.crops)
    linked = link(
        tracklets,
        embedder.metadata["calibration"],
        max_false_links=settings.max_false_links,
        must=known["must"],
        cannot=known["cannot"],
    )
    for path in write_linked(folder, cameras, tracklets, linked, pictures=pictures, known=known):
        print(f"written  {path}")
    print(f"links    {write_json(folder / 'links.json', report(cameras, tracklets, linked))}")
    people = len(set(linked.global_id.tolist()))
    print(f"{len(tracklets)} tracks of {len(cameras)} videos, {len(linked.links)} links, {people} identities")
