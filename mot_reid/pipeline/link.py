"""Tracks of several videos as tracklets, and the answer as files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mot_reid.arrays import Float32Array, FloatArray, Image, IntArray
from mot_reid.data.tables import read_tracks, write_tracks
from mot_reid.files import read_json, whole, write_text
from mot_reid.linking.link import Linked, check_known
from mot_reid.linking.tracklets import Tracklets
from mot_reid.pipeline.plan import SYNTHETIC_CAMERAS
from mot_reid.pipeline.source import Source
from mot_reid.structures import TrackTable
from mot_reid.viewing.draw import montage
from mot_reid.viewing.html.links import Join, Sighting, links_html

CROPS = 8
"""Crops of each track that are embedded, evenly spaced, where nobody says how many."""
_CELL = (64, 128)
_MOST_PICTURES = 400


class Embeds(Protocol):
    """What embeds boxes of an image."""

    def __call__(self, image: Image, xyxy: FloatArray) -> Float32Array:
        """Returns one unit-length row for each box."""


@dataclass(frozen=True, slots=True, eq=False)
class Camera:
    """One video and its tracks.

    Attributes:
        name: Of the file of tracks, without its ending.
        video: Where the video is.
        table: The tracks.
    """

    name: str
    video: str
    table: TrackTable


def read_cameras(tracks: Sequence[str], videos: Sequence[str]) -> list[Camera]:
    """Returns the cameras.

    Args:
        tracks: Files of tracks, as `read_tracks` takes them.
        videos: The video of each.

    Raises:
        ValueError: There are not as many of both, two files of tracks have one name, or one is malformed.
        FileNotFoundError: A file is missing.
    """
    if len(tracks) != len(videos):
        raise ValueError(f"videos: got {len(videos)} for {len(tracks)} files of tracks; expected one video for each")
    names = [Path(path).stem for path in tracks]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"tracks: got two files called '{twice}'; expected different names; rename one")
    missing = next((video for video in videos if video not in SYNTHETIC_CAMERAS and not Path(video).exists()), None)
    if missing is not None:
        raise FileNotFoundError(f"videos: got '{missing}'; expected an existing video; check the path")
    return [Camera(name, video, read_tracks(path)) for name, video, path in zip(names, videos, tracks)]


def outline(cameras: Sequence[Camera]) -> Tracklets:
    """Returns the tracklets of all cameras before anybody was looked at: every embedding is the number 1.

    Args:
        cameras: Videos and their tracks.

    Raises:
        ValueError: There is no track, or a video cannot be opened.
    """
    parts = []
    for number, camera in enumerate(cameras):
        if len(camera.table):
            with Source(camera.video) as source:
                parts.append(_outline(camera.table, number, source.frame_rate))
    if not parts:
        raise ValueError("tracks: got files without a row; expected at least one track")
    return Tracklets.concatenate(parts)


def _outline(table: TrackTable, camera: int, frame_rate: float) -> Tracklets:
    tracks, first = np.unique(table.track_id, return_index=True)
    rows = table.rows_by_track().values()
    return Tracklets(
        camera_id=np.full(len(rows), camera),
        track_id=tracks,
        begin_seconds=np.array([(table.frame[of[0]] - 1) / frame_rate for of in rows]),
        end_seconds=np.array([(table.frame[of[-1]] - 1) / frame_rate for of in rows]),
        embedding=np.ones((len(rows), 1), np.float32),
        crops=np.array([len(of) for of in rows]),
        class_id=table.class_id[first],
    )


def look(
    cameras: Sequence[Camera], tracklets: Tracklets, embed: Embeds, *, crops: int
) -> tuple[Tracklets, list[Image]]:
    """Returns the tracklets with their embeddings, and a picture of each.

    Args:
        cameras: Videos and their tracks.
        tracklets: Their `outline`.
        embed: What embeds boxes.
        crops: How many boxes of a track are embedded at most, evenly spaced over it.

    Raises:
        ValueError: A video ends before its tracks.
    """
    means, pictures = [], []
    for camera in cameras:
        if len(camera.table):
            mean, found = _look_at(camera, embed, crops=crops)
            means.append(mean)
            pictures += found
    mean = np.concatenate(means)
    return tracklets.replace(embedding=mean / np.linalg.norm(mean, axis=1, keepdims=True)), pictures


def _look_at(camera: Camera, embed: Embeds, *, crops: int) -> tuple[FloatArray, list[Image]]:
    """Returns the mean embedding and a picture of each track."""
    table, rows = camera.table, camera.table.rows_by_track()
    wanted: dict[int, list[int]] = defaultdict(list)
    for of in rows.values():
        for row in of[np.unique(np.linspace(0, len(of) - 1, crops + 2).round().astype(int)[slice(1, -1)])]:
            wanted[int(table.frame[row])].append(int(row))
    vectors: dict[int, list[Float32Array]] = defaultdict(list)
    shown: dict[int, Image] = {}
    with Source(camera.video, max_frames=int(table.frame.max())) as source:
        for frame in source:
            for row, vector in zip(
                wanted.get(frame.number, ()), _embedded(embed, frame.image, table, wanted, frame.number)
            ):
                track = int(table.track_id[row])
                vectors[track].append(vector)
                shown.setdefault(track, _crop(frame.image, table.xyxy[row]))
    unseen = [track for track in rows if track not in vectors]
    if unseen:
        raise ValueError(
            f"{camera.name}: got track {unseen[0]} in frame {table.frame[rows[unseen[0]][0]]}, which '{camera.video}' "
            "does not have; expected the video in which the tracks were found; check that videos= is in their order"
        )
    return np.stack([np.mean(vectors[track], axis=0) for track in rows]), [shown[track] for track in rows]


def _embedded(
    embed: Embeds, image: Image, table: TrackTable, wanted: Mapping[int, list[int]], number: int
) -> Float32Array | tuple[()]:
    return embed(image, table.xyxy[wanted[number]]) if number in wanted else ()


def _crop(image: Image, xyxy: FloatArray) -> Image:
    """Returns the picture of a box, in the size of the montage's cells."""
    import cv2

    height, width = image.shape[:2]
    x1, y1 = (int(np.clip(value, 0, side - 1)) for value, side in zip(xyxy[:2], (width, height)))
    x2, y2 = (
        int(np.clip(np.ceil(value), low + 1, side)) for value, low, side in zip(xyxy[2:], (x1, y1), (width, height))
    )
    return cv2.resize(image[y1:y2, x1:x2], _CELL, interpolation=cv2.INTER_AREA).astype(np.uint8)


def read_constraints(
    path: str | None, tracklets: Tracklets, cameras: Sequence[Camera]
) -> dict[str, list[tuple[int, int]]]:
    """Returns pairs of rows that are one person (`must`) and two persons (`cannot`).

    Args:
        path: JSON file with lists of pairs under both names; None knows nothing.
        tracklets: The tracklets.
        cameras: What their cameras are called.

    Raises:
        ValueError: The file is no such JSON, names a track that is not there, says two things of one pair, or makes
            one person of tracks that cannot be one.
        FileNotFoundError: It is missing.
    """
    names = {name: row for row, name in enumerate(track_names(tracklets, cameras))}
    found: dict[str, list[tuple[int, int]]] = {"must": [], "cannot": []}
    if path is None:
        return found
    if not Path(path).is_file():
        raise FileNotFoundError(f"constraints: got '{path}'; expected an existing JSON file; check the path")
    try:
        content = read_json(path)
        if not isinstance(content, dict):
            raise TypeError("no object")
        pairs = [(kind, str(a), str(b)) for kind in content for a, b in content[kind]]
    except (ValueError, TypeError) as error:
        raise ValueError(
            f'constraints: got \'{path}\' ({error}); expected JSON such as {{"must": [["a:3", "b:7"]], "cannot": []}}'
        ) from None
    for kind, *pair in pairs:
        wrong = kind if kind not in found else next((name for name in pair if name not in names), None)
        if wrong is not None:
            raise ValueError(
                f"constraints: got '{wrong}' in '{path}'; expected must or cannot, "
                f"and tracks such as '{next(iter(names))}'"
            )
        if pair[0] == pair[1]:
            raise ValueError(f"constraints: got '{pair[0]}' twice in a pair in '{path}'; expected two different tracks")
        found[kind].append((names[pair[0]], names[pair[1]]))
    both = {frozenset(pair) for pair in found["must"]} & {frozenset(pair) for pair in found["cannot"]}
    if both:
        one, other = (list(names)[row] for row in sorted(next(iter(both))))
        raise ValueError(
            f"constraints: got '{one}' and '{other}' under must and under cannot in '{path}'; expected one of the two; "
            "remove the other"
        )
    try:
        check_known(tracklets, must=found["must"], cannot=found["cannot"], names=list(names))
    except ValueError as error:
        raise ValueError(f"constraints: '{path}': {error}") from None
    return found


def track_names(tracklets: Tracklets, cameras: Sequence[Camera]) -> list[str]:
    """Returns `camera:track` for each tracklet.

    Args:
        tracklets: The tracklets.
        cameras: What their cameras are called.
    """
    pairs = zip(tracklets.camera_id.tolist(), tracklets.track_id.tolist())
    return [f"{cameras[camera].name}:{track}" for camera, track in pairs]


def report(cameras: Sequence[Camera], tracklets: Tracklets, linked: Linked) -> dict[str, Any]:
    """Returns identities and links in plain numbers and names, for JSON.

    Args:
        cameras: Videos and their tracks.
        tracklets: The tracklets.
        linked: The answer of `link`.
    """
    names = track_names(tracklets, cameras)
    identities: dict[str, list[str]] = defaultdict(list)
    for name, identity in zip(names, linked.global_id.tolist()):
        identities[str(identity)].append(name)
    links = [asdict(one) | {"left": names[one.left], "right": names[one.right]} for one in linked.links]
    return {
        "max_false_links": linked.max_false_links,
        "threshold": linked.threshold if linked.threshold <= 1 else None,
        "identities": identities,
        "links": links,
    }


def with_global_ids(table: TrackTable, track_id: IntArray, global_id: IntArray) -> TrackTable:
    """Returns the tracks of a camera with global identities.

    Args:
        table: The tracks.
        track_id: (N,) identities of the camera's tracks, rising.
        global_id: (N,) what each becomes.
    """
    if not len(table):
        return table
    return table.replace(track_id=global_id[np.searchsorted(track_id, table.track_id)])


def write_linked(
    folder: Path,
    cameras: Sequence[Camera],
    tracklets: Tracklets,
    linked: Linked,
    *,
    pictures: Sequence[Image],
    known: Mapping[str, Sequence[tuple[int, int]]] | None = None,
) -> list[Path]:
    """Writes the tracks of each camera with global identities, the montage and the page; returns the paths.

    Args:
        folder: Where to.
        cameras: Videos and their tracks.
        tracklets: The tracklets.
        linked: The answer of `link`.
        pictures: A picture of each tracklet; those of one identity stand side by side.
        known: Pairs of rows that were known, as `read_constraints` returns them; the page adds answers to them.
    """
    import cv2

    paths = []
    for number, camera in enumerate(cameras):
        here = tracklets.camera_id == number
        table = with_global_ids(camera.table, tracklets.track_id[here], linked.global_id[here])
        paths.append(write_tracks(folder / f"{camera.name}.txt", table))
    order = np.argsort(linked.global_id, kind="stable")[:_MOST_PICTURES]
    names = [cameras[n].name for n in tracklets.camera_id[order].tolist()]
    titles = [f"{identity} {name}" for identity, name in zip(linked.global_id[order].tolist(), names)]
    sheet = montage([pictures[n] for n in order.tolist()], titles=titles)
    with whole(folder / "montage.jpg") as partial:
        cv2.imwrite(str(partial), sheet)
    page = _page(cameras, tracklets, linked, pictures, known or {})
    return [*paths, folder / "montage.jpg", write_text(folder / "links.html", page)]


def _page(
    cameras: Sequence[Camera],
    tracklets: Tracklets,
    linked: Linked,
    pictures: Sequence[Image],
    known: Mapping[str, Sequence[tuple[int, int]]],
) -> str:
    """Returns the page of timelines and links."""
    names, t = track_names(tracklets, cameras), tracklets
    columns = zip(names, t.camera_id.tolist(), linked.global_id.tolist(), t.begin_seconds.tolist(),
                  t.end_seconds.tolist(), pictures)  # fmt: skip
    sightings = [
        Sighting(name, cameras[camera].name, identity, begin, end, picture[:, :, ::-1])
        for name, camera, identity, begin, end, picture in columns
    ]
    joins = [
        Join(one.left, one.right, one.similarity, one.runner_up, one.expected_false, one.gap_seconds)
        for one in linked.links
    ]
    by_name = {kind: [(names[a], names[b]) for a, b in pairs] for kind, pairs in known.items()}
    return links_html(sightings, joins, known=by_name)
