"""The keys of `mot-reid link`: types, rules and meanings; the values are in `configs/link.yaml`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from mot_reid.settings.runtimes import Runtime
from mot_reid.settings.schema import COMMAS, Between, Count

MAX_FALSE_LINKS = Between(1e-6, 0.5)


@dataclass(frozen=True, kw_only=True)
class LinkSettings:
    """Whose tracks are joined, and how surely."""

    tracks: Annotated[
        tuple[str, ...], COMMAS, "tracks of each camera, as mot-reid track writes them, such as a.txt,b.txt"
    ]
    videos: Annotated[tuple[str, ...], COMMAS, "the video of each, in the same order"]
    output: Annotated[str, "folder for the tracks with global identities, links.json and montage.jpg"]
    reid: Annotated[
        str | None, "a calibrated model file, or the name of a bundled model; null: the one for several cameras"
    ]
    max_false_links: Annotated[
        float,
        MAX_FALSE_LINKS,
        "largest share of joined pairs of tracks that may show two persons; with less, fewer are joined",
    ]
    constraints: Annotated[
        str | None, 'JSON file with what is known: {"must": [["a:3", "b:7"]], "cannot": []}, each as tracks:identity'
    ]
    crops: Annotated[int, Count, "crops of each track that are embedded, evenly spaced"]
    device: Annotated[str, "auto, cpu, cuda, cuda:1 or mps"]
    runtime: Runtime
