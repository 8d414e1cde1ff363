"""A first look at the videos: their tracklets, which images of them will be compared, and whether that is enough."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mot_reid.adaptation.footage import Footage, Watched
from mot_reid.adaptation.tracklets import Rules, VideoTracklets, find_tracklets
from mot_reid.arrays import FloatArray, IntArray
from mot_reid.structures import TrackTable


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What was seen in one video.

    Attributes:
        footage: the video.
        watched: its tracks.
        tracklets: the parts of them that are sure.
        images: (N,) rows of `tracklets.table` whose pictures are compared.
    """

    footage: Footage
    watched: Watched
    tracklets: VideoTracklets
    images: IntArray

    @property
    def chosen(self) -> TrackTable:
        """The (N,) rows themselves."""
        return self.tracklets.table[self.images]

    @property
    def track_pairs(self) -> IntArray:
        """(P, 2) pairs of tracks of which tracklets were seen together."""
        return pairs_of(self.tracklets.tracklet, self.tracklets.table.track_id, self.tracklets.together)

    def __str__(self) -> str:
        pairs, seconds = self.track_pairs, self.watched.frames / self.watched.frame_rate
        return (
            f"{self.footage.name}: {self.watched.frames:,} frames ({seconds:.0f} s), {self.tracklets.count:,} "
            f"tracklets; {len(np.unique(pairs)):,} tracks seen with others, in {len(pairs):,} pairs"
        )


@dataclass(frozen=True, slots=True, eq=False)
class Links:
    """The images of all videos in one row, and how they are linked.

    Attributes:
        tracklet: (N,) of each image; no number is used in two videos.
        track: (N,) of each image, likewise.
        seconds: (N,) when each image was seen, since its video began.
        together: (P, 2) pairs of tracklets that show two persons.
    """

    tracklet: IntArray
    track: IntArray
    seconds: FloatArray
    together: IntArray

    @property
    def track_pairs(self) -> IntArray:
        """(P, 2) pairs of tracks seen together, each once."""
        return pairs_of(self.tracklet, self.track, self.together)


def pairs_of(tracklet: IntArray, track: IntArray, together: IntArray) -> IntArray:
    """Returns (P, 2) the pairs of tracks whose tracklets are linked, each once.

    Args:
        tracklet: (N,) of each image.
        track: (N,) of each image.
        together: pairs of tracklets.
    """
    known, first = np.unique(tracklet, return_index=True)
    owner = track[first][np.searchsorted(known, together)]
    return np.unique(np.sort(owner, axis=1), axis=0)


def look(
    footage: Footage, *, rules: Rules, images: int, batch: int = 1, progress: Callable[[int], None] | None = None
) -> Seen:
    """Returns what is seen in a video.

    Args:
        footage: the video.
        rules: what counts as a tracklet.
        images: most images of a tracklet that are compared.
        batch: frames that go through the detector together.
        progress: called with the number of frames done.
    """
    watched = footage.watch(batch=batch, progress=progress)
    tracklets = find_tracklets(watched.table, watched.frame_rate, rules)
    return Seen(footage, watched, tracklets, tracklets.spread(images))


def join(seen: Sequence[Seen]) -> Links:
    """Returns the links of all videos; people of two videos are not linked, since they may be the same.

    Args:
        seen: one or more videos.
    """
    tracklet, track, seconds, together = [], [], [], []
    tracklets = tracks = 0
    for one in seen:
        chosen = one.chosen
        tracklet.append(one.tracklets.tracklet[one.images] + tracklets)
        track.append(chosen.track_id + tracks)
        seconds.append(chosen.frame / one.watched.frame_rate)
        together.append(one.tracklets.together + tracklets)
        tracklets += one.tracklets.count
        tracks += int(one.watched.table.track_id.max(initial=0))
    return Links(
        tracklet=np.concatenate(tracklet),
        track=np.concatenate(track),
        seconds=np.concatenate(seconds),
        together=np.concatenate(together),
    )
