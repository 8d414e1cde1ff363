"""Trackers as data: SORT, ByteTrack, OC-SORT, BoT-SORT and later ones are frozen values.

The engine in `tracker.py` reads them; a further tracker is a further value. Times are frames at 30 frames per second
(the tracker's `frame_rate` scales them). A limit bounds a cost, and every cost is 1 minus a similarity in [0, 1], so a
limit of 0.9 accepts an IoU of 0.1.

Where our value differs from the code that its authors published:

- *Scores on the border.* The originals drop a box whose score equals `high`; here it belongs to the low band.
- *Pixels.* ByteTrack and BoT-SORT compute IoU with inclusive pixels (+ 1); here coordinates are continuous.
- *Expiry.* Their lost tracks can be found one frame longer than documented, and one found in that frame is dropped at
  its next miss; here `max_missed` frames unseen are survived and no more.
- *Negative coordinates.* OC-SORT takes a box whose coordinates sum to less than zero for "never observed".
- *ByteTrack's match threshold* is 0.8 in the paper and in the code's default, 0.9 in the commands of its README that
  give the published numbers. The preset uses 0.9, as its other values are those of the published numbers.
- *ByteTrack's buffer* is 30 frames, and 14 or 25 for some videos by name. The preset survives 60 frames (two seconds)
  in every video. The value was chosen after seeing PETS09-S2L1, MOT15 and MOT17-02, on which 60 to 120 score alike and
  30 keeps fewer identities; it has not been tried on a set of its own.
- *C-BIoU's code* is not published. Its cascade is the paper's: who found no box with a small buffer is compared once
  more with a large one. The stage of weak boxes and the lives of tracks are ByteTrack's, as in roboflow's
  implementation, which has the large buffer for weak boxes only. The paper moves tracks by the mean of their latest
  steps; here they have BoT-SORT's filter.
- *Deep OC-SORT* adds to the weight of appearance half of the margin between best and second of a row and of a
  column, as its authors' code does. boxmot multiplies by a ratio of the two instead.
- *StrongSORT* scales the variance of a measurement by (1 - score), as the paper says; its code scales the deviation.
  Matching is global, as the paper found better than DeepSORT's cascade, and tracks that were not seen are not reported.
  Who has no embedding is compared by overlap.
- *TrackTrack* also looks at boxes that the detector's suppression of overlaps deleted; we are not given them. As in the
  paper a person is waited for two seconds; Ultralytics waits one, removes duplicates, and reports tracks born in the
  first frame while it still treats them as tentative.
- *FastTracker* is as Ultralytics has it, with ByteTrack's limit of 0.9 and without the late expiry. Of new boxes that
  overlap, the one with the higher score begins the track.
- *Hybrid-SORT* has the values of its authors' commands for MOT17, without their branch for appearance. Pairs of the
  second stage whose scores differ by more than they overlap are worth nothing, not less.
- *Score bands* of ByteTrack and BoT-SORT (0.6 / 0.1, birth 0.7) were made for a detector trained on MOT17. Here
  `shares` lowers `high` and `birth` where the detector's scores are lower; `Tracker(bands="published")` does not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from mot_reid.settings.tracker_parameters import CameraMethod
from mot_reid.tracking.motion import Motion, Noise, ScoreNoise

BoxBand = Literal["high", "low", "both"]
TrackGroup = Literal["all", "confirmed", "seen", "tentative", "recent"]
CostName = Literal["iou", "iou_score", "direction", "last_observed", "appearance", "blend", "appearance_in_gate",
                   "several_cues", "weak_cues", "height_score", "height_last_observed"]  # fmt: skip
Policy = Literal["gated", "cut", "clear_or_cut", "mutual"]


@dataclass(frozen=True, slots=True)
class Bands:
    """Score bands: high is `score > high` (`None`: every box), low is `low < score <= high` (`None`: none)."""

    high: float | None
    low: float | None


@dataclass(frozen=True, slots=True)
class Shares:
    """Adaptive bands: thresholds as shares of the score that the detector gives people it sees well.

    That level is measured while tracking, see `score_level.py`. What `Bands` and `Life` have written are upper bounds.

    Attributes:
        high: share at which the high band begins.
        birth: share from which on a box may begin a track.
    """

    high: float
    birth: float


@dataclass(frozen=True, slots=True)
class Stage:
    """One round of matching free boxes with free tracks.

    Attributes:
        boxes: band of the boxes.
        tracks: `all`; `confirmed` (seen lately or lost); `seen` (confirmed and seen in the previous frame);
            `tentative`; `recent` (seen in the previous frame, confirmed or not).
        cost: name of a cost in `costs.py`.
        limit: largest cost of a pair.
        buffer: share of their size by which boxes and tracks are grown on every side before they are compared.
        policy: `gated`: a pair is formed only where it is cheaper than leaving both alone; `cut`: the best total
            over all pairs, then pairs beyond the limit are dropped; `clear_or_cut`: as `cut`, unless the pairs within
            the limit are one-to-one already; `mutual`: pairs in which each is the other's cheapest, in rounds with a
            falling limit.
    """

    boxes: BoxBand
    tracks: TrackGroup
    cost: CostName
    limit: float
    policy: Policy = "gated"
    buffer: float = 0.0


@dataclass(frozen=True, slots=True)
class Life:
    """Birth, confirmation and death.

    Attributes:
        birth: least score of a box that may begin a track (`None`: every box of the high band).
        confirm_hits: sights after the first that confirm a track.
        warmup: first frames in which every track is confirmed at once.
        sticky: whether a confirmed track stays confirmed; else each miss starts the count again.
        tentative_dies: whether a tentative track dies at its first miss.
        max_missed: frames unseen that a track survives.
        duplicate: IoU of a seen and a lost track above which the younger is dropped (`None`: never).
        clear: IoU with a seen track, or with a better box that begins one, above which a box begins none; `None`: none.
        reports_tentative: whether tracks are reported before they are confirmed.
    """

    birth: float | None
    confirm_hits: int
    warmup: int
    sticky: bool
    tentative_dies: bool
    max_missed: int
    duplicate: float | None = None
    clear: float | None = None
    reports_tentative: bool = False


@dataclass(frozen=True, slots=True)
class Appearance:
    """How embeddings are kept and used.

    Attributes:
        ema: weight of the past in a track's mean embedding.
        gate: least cosine similarity of a pair; `None`: the threshold calibrated for the model, else 0.5.
        proximity: least IoU of a pair that appearance may join; `None`: the costs of the preset do not ask.
        trust_from: score from which on an embedding is believed, and more so the higher the score: towards it `ema`
            grows to 1. `None`: all are believed alike.
        weight: of the cosine similarity beside IoU and direction (Deep OC-SORT).
        boost: most that this weight grows where the best similarity is clearly larger than the second.
        always: whether the costs need the embedding of every box, not only where motion is ambiguous.
        exemplars: number of differing embeddings kept beside the mean; 0 keeps the mean only.
        max_lost_seconds: how long a lost identity is remembered and found again by appearance alone; 0 turns the
            memory off.
        memory: most identities remembered.
        refresh: frames after which a track's embedding is computed anew although nothing is ambiguous.
        optional: whether the preset is a tracker of its own without embeddings; else their absence is warned of.
    """

    ema: float = 0.9
    gate: float | None = None
    proximity: float | None = 0.5
    trust_from: float | None = None
    weight: float = 0.0
    boost: float = 0.0
    always: bool = False
    exemplars: int = 0
    max_lost_seconds: float = 0.0
    memory: int = 256
    refresh: int = 10
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Direction:
    """OC-SORT's momentum: the bonus of a pair whose step continues the track's direction.

    Attributes:
        inertia: weight of the bonus.
        span: frames back to the observation that the direction is measured from.
    """

    inertia: float
    span: int


@dataclass(frozen=True, slots=True)
class Occlusion:
    """FastTracker's care for people who are hidden behind others.

    Attributes:
        cover: share of an unseen track that a seen one covers, above which it is hidden.
        place_back: sights back to the place that a hidden track is sent to.
        velocity_back: sights back to the velocity that it takes.
        slower: factor of that velocity.
        taller: factor of its height.
        misses: frames unseen after which a track that is not hidden counts as lost.
        patience: frames that a hidden one does not.
        memory: frames after the occlusion in which a track is kept in any case.
    """

    cover: float = 0.7
    place_back: int = 3
    velocity_back: int = 5
    slower: float = 0.5
    taller: float = 1.1
    misses: int = 2
    patience: int = 10
    memory: int = 40


@dataclass(frozen=True, slots=True)
class Preset:
    """A tracker.

    Attributes:
        name: how it is asked for.
        corners: frames back from which the directions of the four corners are measured; 0: they are not.
        occlusion: what happens to tracks that others hide; `None`: nothing.
        shares: how `high` and `birth` follow the detector's scores; `None`: they are what is written.
        report: the box that is reported: `filtered`: the filter's; `observed`: the detector's; `between`: three tenths
            of the way from the filter's to the detector's.
        camera: how camera motion is estimated when an image is given.
        pixel: added to x2 and y2 when overlaps are computed; 1 reproduces the inclusive pixels of the originals.
        expiry_slip: 1 reproduces the late expiry of the originals of ByteTrack and BoT-SORT.
    """

    name: str
    motion: Motion
    bands: Bands
    stages: tuple[Stage, ...]
    life: Life
    appearance: Appearance | None = None
    direction: Direction | None = None
    corners: int = 0
    occlusion: Occlusion | None = None
    shares: Shares | None = None
    camera: CameraMethod = "none"
    report: Literal["filtered", "observed", "between"] = "filtered"
    pixel: float = 0.0
    expiry_slip: int = 0


_SORT_MOTION = Motion(
    space="xysr",
    scale=(3, 3, 3, 3),
    initial=(
        Noise(absolute=(10**0.5, 10**0.5, 10**0.5, 10**0.5)),
        Noise(absolute=(100.0, 100.0, 100.0, 0.0)),  # the aspect has no velocity
    ),
    process=(Noise(absolute=(1.0, 1.0, 1.0, 1.0)), Noise(absolute=(0.1, 0.1, 0.01, 0.0))),
    measurement=Noise(absolute=(1.0, 1.0, 10**0.5, 10**0.5)),
)

_BYTETRACK_MOTION = Motion(
    space="xyah",
    scale=(3, 3, 3, 3),
    initial=(
        Noise(relative=(1 / 10, 1 / 10, 0.0, 1 / 10), absolute=(0.0, 0.0, 1e-2, 0.0)),
        Noise(relative=(1 / 16, 1 / 16, 0.0, 1 / 16), absolute=(0.0, 0.0, 1e-5, 0.0)),
    ),
    process=(
        Noise(relative=(1 / 20, 1 / 20, 0.0, 1 / 20), absolute=(0.0, 0.0, 1e-2, 0.0)),
        Noise(relative=(1 / 160, 1 / 160, 0.0, 1 / 160), absolute=(0.0, 0.0, 1e-5, 0.0)),
    ),
    measurement=Noise(relative=(1 / 20, 1 / 20, 0.0, 1 / 20), absolute=(0.0, 0.0, 1e-1, 0.0)),
    stops=(3,),
    predicts_tentative=False,
)

_BOTSORT_MOTION = Motion(
    space="cxcywh",
    scale=(2, 3, 2, 3),
    initial=(Noise(relative=(1 / 10,) * 4), Noise(relative=(1 / 16,) * 4)),
    process=(Noise(relative=(1 / 20,) * 4), Noise(relative=(1 / 160,) * 4)),
    measurement=Noise(relative=(1 / 20,) * 4),
    stops=(2, 3),
    predicts_tentative=False,
)

SORT = Preset(
    name="sort",
    motion=_SORT_MOTION,
    bands=Bands(high=None, low=None),
    stages=(Stage("high", "all", "iou", 0.7, "clear_or_cut"),),
    life=Life(birth=None, confirm_hits=3, warmup=3, sticky=False, tentative_dies=False, max_missed=1),
)
"""Bewley et al., Simple Online and Realtime Tracking, ICIP 2016."""

OCSORT = Preset(
    name="ocsort",
    motion=Motion(
        space="xysr",
        scale=_SORT_MOTION.scale,
        initial=_SORT_MOTION.initial,
        process=_SORT_MOTION.process,
        measurement=_SORT_MOTION.measurement,
        replay=True,
    ),
    bands=Bands(high=0.6, low=None),
    stages=(
        Stage("high", "all", "direction", 0.7, "clear_or_cut"),
        Stage("high", "all", "last_observed", 0.7, "cut"),
    ),
    life=Life(birth=None, confirm_hits=3, warmup=3, sticky=False, tentative_dies=False, max_missed=30),
    direction=Direction(inertia=0.2, span=3),
    report="observed",
)
"""Cao et al., Observation-Centric SORT, CVPR 2023."""

_SHARES = Shares(high=0.6, birth=1.0)

BYTETRACK = Preset(
    name="bytetrack",
    motion=_BYTETRACK_MOTION,
    bands=Bands(high=0.6, low=0.1),
    stages=(
        Stage("high", "confirmed", "iou_score", 0.9),
        Stage("low", "seen", "iou", 0.5),
        Stage("high", "tentative", "iou_score", 0.7),
    ),
    life=Life(birth=0.7, confirm_hits=1, warmup=1, sticky=True, tentative_dies=True, max_missed=60, duplicate=0.85),
    shares=_SHARES,
)
"""Zhang et al., ByteTrack: Multi-Object Tracking by Associating Every Detection Box, ECCV 2022."""

BOTSORT = Preset(
    name="botsort",
    motion=_BOTSORT_MOTION,
    bands=Bands(high=0.6, low=0.1),
    stages=(
        Stage("high", "confirmed", "appearance", 0.8),
        Stage("low", "seen", "iou", 0.5),
        Stage("high", "tentative", "appearance", 0.7),
    ),
    life=Life(
        birth=0.7,
        confirm_hits=1,
        warmup=1,
        sticky=True,
        tentative_dies=True,
        max_missed=30,
        duplicate=0.85,
        reports_tentative=True,
    ),
    appearance=Appearance(ema=0.9, proximity=0.5, optional=True),
    shares=_SHARES,
    camera="sparse_flow",
)
"""Aharon et al., BoT-SORT: Robust Associations Multi-Pedestrian Tracking, 2022."""

BYTETRACK_REID = Preset(
    name="bytetrack_reid",
    motion=_BYTETRACK_MOTION,
    bands=BYTETRACK.bands,
    stages=(
        Stage("high", "confirmed", "blend", 0.9),
        Stage("low", "seen", "iou", 0.5),
        Stage("high", "tentative", "iou_score", 0.7),
    ),
    life=BYTETRACK.life,
    appearance=Appearance(exemplars=5, proximity=0.1, max_lost_seconds=60.0),
    shares=_SHARES,
    report="between",
)
"""Ours: ByteTrack whose first stage weighs appearance, with a memory of the identities that left."""

CBIOU = Preset(
    name="cbiou",
    motion=replace(_BOTSORT_MOTION, stops=(), predicts_tentative=True),
    bands=BYTETRACK.bands,
    stages=(
        Stage("high", "confirmed", "iou_score", 0.8, "cut", buffer=0.3),
        Stage("high", "confirmed", "iou_score", 0.8, "cut", buffer=0.5),
        Stage("low", "seen", "iou", 0.5, "cut", buffer=0.5),
        Stage("high", "tentative", "iou_score", 0.7, "cut", buffer=0.3),
    ),
    life=Life(birth=0.7, confirm_hits=1, warmup=1, sticky=True, tentative_dies=True, max_missed=30),
    shares=_SHARES,
    report="observed",
)
"""Yang et al., Hard To Track Objects with Irregular Motions and Similar Appearances?, WACV 2023."""

DEEPOCSORT = replace(
    OCSORT,
    name="deepocsort",
    appearance=Appearance(ema=0.95, trust_from=0.6, weight=0.75, boost=0.5, proximity=None, optional=True),
    camera="sparse_flow",
)
"""Maggiolino et al., Deep OC-SORT: Multi-Pedestrian Tracking by Adaptive Re-Identification, ICIP 2023."""

STRONGSORT = Preset(
    name="strongsort",
    motion=replace(_BYTETRACK_MOTION, by_score=ScoreNoise(), stops=(), predicts_tentative=True),
    bands=Bands(high=0.6, low=None),
    stages=(
        Stage("high", "confirmed", "appearance_in_gate", 0.45),
        Stage("high", "recent", "iou", 0.7),
    ),
    life=Life(birth=None, confirm_hits=2, warmup=0, sticky=True, tentative_dies=True, max_missed=30),
    appearance=Appearance(ema=0.9, proximity=None, always=True),
    camera="ecc",
)
"""Du et al., StrongSORT: Make DeepSORT Great Again, IEEE Transactions on Multimedia 2023."""

TRACKTRACK = Preset(
    name="tracktrack",
    motion=replace(_BOTSORT_MOTION, by_score=ScoreNoise(least=0.05), predicts_tentative=True),
    bands=Bands(high=0.6, low=0.25),
    stages=(
        Stage("both", "confirmed", "several_cues", 0.7, "mutual"),
        Stage("high", "tentative", "several_cues", 0.7, "mutual"),
    ),
    life=Life(birth=0.7, confirm_hits=2, warmup=1, sticky=True, tentative_dies=True, max_missed=60, clear=0.55),
    appearance=Appearance(ema=0.95, trust_from=0.0, proximity=None, optional=True),
    corners=3,
    shares=_SHARES,
    camera="sparse_flow",
)
"""Shim et al., Focusing on Tracks for Online Multi-Object Tracking (TrackTrack), CVPR 2025."""

FASTTRACK = replace(
    BYTETRACK,
    name="fasttrack",
    life=replace(BYTETRACK.life, max_missed=30, clear=0.7),
    occlusion=Occlusion(),
)
"""Hashempoor et al., FastTracker: Real-Time and Accurate Visual Tracking, 2025."""

HYBRIDSORT = replace(
    OCSORT,
    name="hybridsort",
    bands=Bands(high=0.6, low=0.1),
    stages=(
        Stage("high", "all", "weak_cues", 0.75, "clear_or_cut"),
        Stage("low", "all", "height_score", 0.75, "cut"),
        Stage("high", "all", "height_last_observed", 0.75, "cut"),
    ),
    direction=Direction(inertia=0.05, span=3),
)
"""Yang et al., Hybrid-SORT: Weak Cues Matter for Online Multi-Object Tracking, AAAI 2024."""

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        SORT,
        BYTETRACK,
        OCSORT,
        BOTSORT,
        BYTETRACK_REID,
        CBIOU,
        DEEPOCSORT,
        STRONGSORT,
        TRACKTRACK,
        FASTTRACK,
        HYBRIDSORT,
    )
}
