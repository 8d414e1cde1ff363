"""The table of tracker parameters: name, type, rule, meaning, and where each one sits in a preset.

Everything else that names them is derived from here: the checks of `Tracker(...)`, the command line, the search of the
tuner, and the guide's table of defaults. So are the names of presets and of camera methods.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_type_hints

from mot_reid.settings.schema import Between, Key, OneOf, Share, schema

PresetName = Literal[
    "sort", "bytetrack", "ocsort", "botsort", "bytetrack_reid", "cbiou", "deepocsort", "strongsort", "tracktrack",
    "fasttrack", "hybridsort",
]  # fmt: skip
CameraMethod = Literal["none", "sparse_flow", "ecc"]
AppearanceMode = Literal["on_demand", "always"]
BandsMode = Literal["adaptive", "published"]

PRESET_NAMES: tuple[PresetName, ...] = get_args(PresetName)
NEED_EMBEDDINGS: tuple[PresetName, ...] = ("bytetrack_reid", "strongsort")
"""Presets that are nothing without embeddings: they are given a model, or refused."""
USE_EMBEDDINGS: tuple[PresetName, ...] = (*NEED_EMBEDDINGS, "botsort", "deepocsort", "tracktrack")
"""Presets that can use embeddings."""
IN_PLAIN_WORDS: dict[PresetName, str] = {
    "bytetrack_reid": "Knows people again who come back (ByteTrack with appearance)",
    "bytetrack": "Fast and steady (ByteTrack)",
    "botsort": "For a moving camera (BoT-SORT)",
    "ocsort": "For people who turn and stop (OC-SORT)",
    "fasttrack": "For people who hide each other (FastTracker)",
    "tracktrack": "For crowds: heights, scores and looks together (TrackTrack)",
    "deepocsort": "For people who turn and look different (Deep OC-SORT)",
    "strongsort": "For people who are told apart by their looks (StrongSORT)",
    "hybridsort": "For people who cross closely (Hybrid-SORT)",
    "cbiou": "For people who move fast or in leaps (C-BIoU)",
    "sort": "The plainest one (SORT)",
}
"""What each preset is for, in the order in which they are offered."""
TRACKING_MODEL = "osnet_x0_25_cameras"
"""The bundled Re-ID model of presets that need one, where none is named: the smallest, and no worse in one video."""
SEARCH_MODEL = "mobilenetv2_short_cameras"
"""The one of search and of links between cameras, where none is named: it knows more people again."""


def default_preset(reid: object) -> PresetName:
    """Returns the preset of those who name none: with a Re-ID model (not `None`) the one that needs it."""
    return NEED_EMBEDDINGS[0] if reid is not None else "bytetrack"


@dataclass(frozen=True)
class Place:
    """Where a parameter sits in a preset.

    Attributes:
        path: attributes and indices from the preset to the value, such as `life.birth` or `stages.0.limit`.
        unset: what `None` means in that place: the preset has `no use` for the parameter, sets `no limit`, or takes the
            `calibrated` value of the model.
        search: the smallest and the largest value that the tuner tries; `None`: it is not tuned.
    """

    path: str
    unset: Literal["no use", "no limit", "calibrated"] = "no use"
    search: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True)
class TrackerParameters:
    """The parameters of `Tracker` that change its preset. `None` keeps the value of the preset."""

    camera: Annotated[
        str | None, OneOf(get_args(CameraMethod)), Place("camera"), "how camera motion is estimated from the images"
    ]
    high: Annotated[
        float | None,
        Share,
        Place("bands.high", "no limit", search=(0.3, 0.8)),
        "score above which a box is in the high band: these boxes are matched first and may begin tracks",
    ]
    low: Annotated[
        float | None,
        Share,
        Place("bands.low", search=(0.05, 0.3)),
        "score above which a box is in the low band: these boxes only continue tracks",
    ]
    birth: Annotated[
        float | None,
        Share,
        Place("life.birth", "no limit", search=(0.3, 0.95)),
        "smallest score of a box that begins a track; follows `high` when only `high` is given",
    ]
    limit: Annotated[
        float | None,
        Share,
        Place("stages.0.limit", search=(0.5, 0.99)),
        "largest cost of a pair in the first stage; raise it to accept smaller overlaps",
    ]
    confirm_hits: Annotated[
        int | None,
        Between(0),
        Place("life.confirm_hits", search=(0, 4)),
        "frames after the first in which a track must be seen before it is confirmed",
    ]
    max_missed: Annotated[
        int | None,
        Between(0),
        Place("life.max_missed", search=(5, 150)),
        "frames (at 30 per second) that a track survives unseen",
    ]
    duplicate: Annotated[
        float | None,
        Share,
        Place("life.duplicate", search=(0.6, 1.0)),
        "IoU of a seen and a lost track above which the younger one is dropped",
    ]
    gate: Annotated[
        float | None,
        Share,
        Place("appearance.gate", "calibrated", search=(0.1, 0.95)),
        "smallest cosine similarity of the same person; unset: the model's calibrated threshold, or 0.5",
    ]
    proximity: Annotated[
        float | None,
        Share,
        Place("appearance.proximity", search=(0.0, 0.6)),
        "smallest IoU of a pair that appearance may join",
    ]
    max_lost_seconds: Annotated[
        float | None,
        Between(0),
        Place("appearance.max_lost_seconds", search=(0.0, 120.0)),
        "how long a lost person is remembered and recognised by appearance alone; 0: not at all",
    ]


@dataclass(frozen=True)
class Parameter:
    """One row of the table.

    Attributes:
        name: of the keyword of `Tracker` and of the key `tracker.NAME`.
        key: type, rules and meaning.
        place: where it sits in a preset.
    """

    name: str
    key: Key
    place: Place

    @property
    def whole(self) -> bool:
        """Whether values are whole numbers."""
        return int in get_args(self.key.hint)


def _parameters() -> dict[str, Parameter]:
    hints = get_type_hints(TrackerParameters, include_extras=True)
    places: dict[str, Any] = {
        name: next(note for note in hint.__metadata__ if isinstance(note, Place)) for name, hint in hints.items()
    }
    return {name: Parameter(name, key, places[name]) for name, key in schema(TrackerParameters).items()}


PARAMETERS: dict[str, Parameter] = _parameters()
"""The table by name."""
