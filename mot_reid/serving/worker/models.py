"""Detector and embedder of one worker process, and what is asked of them apart from whole videos."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from mot_reid.arrays import Image
from mot_reid.data.images import decode_bytes, encode_jpeg
from mot_reid.data.tables import read_tracks
from mot_reid.files import given_by
from mot_reid.pipeline.doing import Doing
from mot_reid.pipeline.link import CROPS, Camera, look, outline
from mot_reid.pipeline.run import build_annotator, build_detector
from mot_reid.serving.content import HEAD_BYTES, image_format
from mot_reid.serving.looks import write_tracklets
from mot_reid.serving.refusal import Refusal
from mot_reid.serving.weights import model_name
from mot_reid.settings.serving import Limits
from mot_reid.settings.tracker_parameters import NEED_EMBEDDINGS
from mot_reid.settings.tracking import TrackSettings
from mot_reid.structures import Detections, Tracks, as_detections
from mot_reid.tracking.parameters import find_preset
from mot_reid.tracking.tracker import Tracker

_LOOK_FRAMES = 10
"""Frames from one look at a track of a site to the next."""
_SURE = 0.4
"""The least score of a person who is looked for in an image."""


class Models:
    """What a worker has loaded.

    Args:
        settings: of tracking; `reid` names the embedder.
        limits: of the service.

    Attributes:
        detector: finds people.
        doing: says what the people of a video do, where the settings ask for it.
        facts: what the service tells of the models.

    Raises:
        ConfigError, FileNotFoundError, ValueError, ImportError: a model is missing or bad.
    """

    def __init__(self, settings: TrackSettings, limits: Limits) -> None:
        self.settings, self.limits = settings, limits
        self.detector, self.doing = build_detector(settings, ""), Doing(settings)
        self._embedder: Any = None
        self.facts: dict[str, Any] = {"device": settings.device, "detector": _shown(settings.detector.weights)}
        if settings.reid is not None:
            from mot_reid.reid.embedder import Embedder

            with given_by("reid"):
                self._embedder = Embedder(settings.reid, device=settings.device, runtime=settings.runtime)
            self.facts |= {
                "device": str(self._embedder.device),
                "reid": _shown(settings.reid),
                "reid_digest": digest(settings.reid, self._embedder.metadata),
                "embedding_dim": self._embedder.embedding_dim,
                "threshold": self._embedder.threshold,
                "calibration": self._embedder.metadata.get("calibration"),
            }
        self._sessions: dict[str, _Session] = {}

    def embedder_for(self, preset: str) -> Any:
        """Returns the embedder for presets with appearance; None for the others.

        Raises:
            Refusal: the preset needs one, and the server has none.
        """
        if find_preset(preset).appearance is None:
            return None
        if self._embedder is None and preset in NEED_EMBEDDINGS:
            raise Refusal("invalid", f"preset: got '{preset}', but the server has no Re-ID model; choose another")
        return self._embedder

    def track_image(self, path: str, visualize: bool) -> dict[str, Any]:
        """Returns the people in one image, and on request the image with their boxes.

        Args:
            path: of the image.
            visualize: whether the annotated image is asked for.

        Raises:
            Refusal: it is no image that is taken.
        """
        image = self._open(path)
        found = self._detect(image, 1)
        answer: dict[str, Any] = {"width": image.shape[1], "height": image.shape[0], "detections": _listed(found)}
        if visualize:
            answer["jpeg"] = self._annotated(image, found)
        return answer

    def embed(self, paths: list[str], boxes: list[list[float]] | None) -> list[list[float]]:
        """Returns an embedding of each image, or of each box of the one image.

        Args:
            paths: of the images, one person each where no boxes are given.
            boxes: x1, y1, x2, y2 in pixels of the first image.

        Raises:
            Refusal: an image is none, a box is no box, or there is no Re-ID model.
        """
        if self._embedder is None:
            raise Refusal("invalid", "embed: the server has no Re-ID model; start it with reid=")
        images = [self._open(path) for path in paths]
        try:
            if boxes is not None:
                inside = [self._box_of(images[0], box) for box in boxes]
                found = self._embedder(images[0], np.array(inside, dtype=float).reshape(-1, 4))
            else:
                found = self._embedder.embed(images)
        except ValueError as error:
            raise Refusal("invalid", str(error)) from None
        return [[round(float(value), 7) for value in row] for row in found]

    def embed_people(self, paths: list[str], where: str | list[float]) -> dict[str, Any]:
        """Returns an embedding of the person that each image shows, where that is, and the model with its threshold.

        Args:
            paths: of the images.
            where: "whole" for images of one person each, "largest" for the largest one that the detector finds, or
                x1, y1, x2, y2 in pixels.

        Raises:
            Refusal: an image is none, nobody is in it, the box is none, or there is no Re-ID model.
        """
        if self._embedder is None:
            raise Refusal("invalid", "people: the server has no Re-ID model; start it with reid=")
        rows, boxes = [], []
        for path in paths:
            image = self._open(path)
            box = self._box_of(image, where)
            whole = [0.0, 0.0, float(image.shape[1]), float(image.shape[0])]
            rows.append(self._embedder(image, np.array([box or whole]))[0])
            boxes.append(box)
        return {
            "embedding": [[round(float(value), 7) for value in row] for row in rows],
            "xyxy": boxes,
            "model": model_name(self.facts),
            "threshold": self._embedder.threshold,
        }

    def write_looks(self, source: str, results: str, path: str) -> None:
        """Writes the tracklets of a tracked video, which are joined with those of others; no file where no track is.

        Args:
            source: the video.
            results: its tracks, as a MOT file.
            path: of the npz file.

        Raises:
            OSError, ValueError: the video cannot be read again, or the file cannot be written.
        """
        camera = Camera("upload", source, read_tracks(results))
        if len(camera.table):
            seen, _ = look([camera], outline([camera]), self._embedder, crops=CROPS)
            write_tracklets(Path(path), seen, model=model_name(self.facts))

    def open_live(self, session: str, preset: str, frame_rate: float) -> None:
        """Begins a live session: a tracker of its own.

        Args:
            session: its name.
            preset: of the tracker.
            frame_rate: frames per second.

        Raises:
            Refusal: the preset and the settings of the server do not go together.
        """
        try:
            reid = self.embedder_for(preset)
            parameters = self.settings.tracker.parameters(reid=reid is not None)
            self._sessions[session] = _Session(Tracker(preset, reid=reid, frame_rate=frame_rate, **parameters))
        except ValueError as error:
            raise Refusal("invalid", f"live: {error}") from None

    def track_live(self, session: str, encoded: bytes, time_seconds: float | None, look: bool) -> dict[str, Any]:
        """Returns the tracks of the next frame of a live session.

        Args:
            session: its name.
            encoded: the frame, as JPEG or another image format that is taken.
            time_seconds: when it came; None goes by the frame rate.
            look: whether tracks get an embedding: each when it is first seen, and again every ten frames.

        Raises:
            Refusal: it is no image that is taken.
        """
        state = self._sessions.get(session)
        if state is None:
            raise Refusal("not_found", "live: no such session")
        image = self._decoded(encoded, self.limits.pixels)
        detections = self._detect(image, state.frames + 1)
        try:
            tracks = state.tracker.update(detections, image, time_seconds=time_seconds)
        except ValueError as error:
            raise Refusal("invalid", f"live: {error}") from None
        state.frames += 1
        rows = [{"track_id": int(number)} | row for number, row in zip(tracks.track_id, _listed(tracks), strict=True)]
        if look:
            self._look(state, image, tracks, rows)
        return {
            "frame": state.frames,
            "width": image.shape[1],
            "height": image.shape[0],
            "tracks": rows,
        }

    def _look(self, state: _Session, image: Image, tracks: Tracks, rows: list[dict[str, Any]]) -> None:
        """Adds an embedding to the rows of tracks that were not looked at for a while."""
        state.looked = {row["track_id"]: state.looked.get(row["track_id"], -_LOOK_FRAMES) for row in rows}
        due = [n for n, row in enumerate(rows) if state.frames - state.looked[row["track_id"]] >= _LOOK_FRAMES]
        if not due:
            return
        for n, vector in zip(due, self._embedder(image, tracks.xyxy[due])):
            rows[n]["embedding"] = [round(float(value), 5) for value in vector]
            state.looked[rows[n]["track_id"]] = state.frames

    def close_live(self, session: str) -> None:
        """Ends a live session; one that is not known is none."""
        self._sessions.pop(session, None)

    def _detect(self, image: Image, number: int) -> Detections:
        at = getattr(self.detector, "at", None)
        return as_detections(self.detector(image) if at is None else at(number))  # type: ignore[operator]

    def _box_of(self, image: Image, where: str | list[float]) -> list[float] | None:
        """Returns the box of the person who is meant; None for all of the image."""
        if where == "whole":
            return None
        if where == "largest":
            return self._largest(image)
        x1, y1, x2, y2 = (float(side) for side in where)
        if not (max(x1, 0) + 1 <= min(x2, image.shape[1]) and max(y1, 0) + 1 <= min(y2, image.shape[0])):
            raise Refusal(
                "invalid",
                f"box: got {x1:g}, {y1:g}, {x2:g}, {y2:g} in an image of {image.shape[1]} x {image.shape[0]} pixels; "
                "expected x1, y1, x2, y2 with a pixel of it inside",
            )
        return [x1, y1, x2, y2]

    def _largest(self, image: Image) -> list[float]:
        """Returns the box of the largest person who is found."""
        found = self._detect(image, 1)
        found = found[found.score >= _SURE]
        if not len(found):
            raise Refusal("invalid", "image: nobody was found in it; cut the person out, or choose another image")
        size = found.xyxy[:, 2:] - found.xyxy[:, :2]
        return [round(float(side), 2) for side in found.xyxy[int(size.prod(axis=1).argmax())]]

    def _open(self, path: str) -> Image:
        return self._decoded(Path(path).read_bytes(), self.limits.image_pixels)

    def _decoded(self, encoded: bytes, most_pixels: int) -> Image:
        """Returns an image as BGR."""
        kind = image_format(encoded[:HEAD_BYTES])
        if kind is None:
            raise Refusal("unsupported", "image: got bytes of another kind; expected a JPEG, PNG, WebP or BMP image")
        try:
            rgb = decode_bytes(encoded, format=kind, max_pixels=most_pixels)
        except ValueError as error:
            raise Refusal("invalid", str(error)) from None
        return np.ascontiguousarray(rgb[..., ::-1])

    def _annotated(self, image: Image, found: Detections) -> str:
        """Returns the image with boxes and scores drawn on it, as JPEG in base64."""
        tracks = Tracks(found.xyxy, np.arange(1, len(found) + 1), found.score, found.class_id)
        settings = replace(self.settings, draw=replace(self.settings.draw, ids=False, trails=False, scores=True))
        drawn = build_annotator(settings, 30.0)(image, tracks)
        return base64.b64encode(encode_jpeg(drawn[..., ::-1])).decode()


@dataclass(slots=True)
class _Session:
    tracker: Tracker
    frames: int = 0
    looked: dict[int, int] = field(default_factory=dict)


def _listed(found: Detections | Tracks) -> list[dict[str, Any]]:
    """Returns a mapping for each row, boxes to a hundredth of a pixel."""
    return [
        {"xyxy": [round(float(side), 2) for side in xyxy], "score": round(float(score), 4), "class_id": int(class_id)}
        for xyxy, score, class_id in zip(found.xyxy, found.score, found.class_id, strict=True)
    ]


def digest(path_or_name: str, metadata: Mapping[str, Any]) -> str:
    """Returns what tells a Re-ID model from others of the same name, 16 hexadecimal digits.

    It is the same for all files of the same weights, as a checkpoint and its ONNX twin, but another for one in 8 bits.
    That of a network of others is its file's.

    Args:
        path_or_name: the file, or the name of a bundled model.
        metadata: what it says of itself.
    """
    if "tensors_sha256" not in metadata:
        from mot_reid.reid.checkpoint import identify

        return identify(path_or_name)["sha256"][:16]
    content = [metadata[part] for part in ("tensors_sha256", "preprocess", "embedding")]
    content.append(metadata["provenance"].get("int8"))
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _shown(path_or_name: str | None) -> str | None:
    """Returns the name of a model without the folder it lies in."""
    return None if path_or_name is None else Path(path_or_name).name
