"""One identity for each person over all sources of a run: tracks are joined, written and drawn once all are over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from mot_reid.arrays import Float32Array, FloatArray, Image
from mot_reid.data.tables import read_tracks, write_tracks
from mot_reid.data.video_writer import VideoWriter
from mot_reid.linking.link import link
from mot_reid.pipeline.doing import Doing
from mot_reid.pipeline.link import CROPS, Camera, look, outline, report, with_global_ids
from mot_reid.pipeline.plan import Job
from mot_reid.pipeline.refining import tracks_by_frame
from mot_reid.pipeline.run import build_annotator
from mot_reid.pipeline.source import Source
from mot_reid.settings.tracking import TrackSettings
from mot_reid.structures import Tracks, TrackTable


class CalibratedEmbedder(Protocol):
    """What embeds boxes, and says how alike strangers are."""

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What the model's file says of itself, with `calibration`."""

    def __call__(self, image: Image, xyxy: FloatArray) -> Float32Array:
        """Returns `(N, D)` unit vectors of `(N, 4)` boxes."""


def link_sources(
    settings: TrackSettings, jobs: Sequence[Job], embedder: CalibratedEmbedder, doing: Doing
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Writes the tracks of each job with global identities, and draws its video.

    Args:
        settings: of the run.
        jobs: that are done; each has its tracks in `results`. A video is drawn where `output` says so.
        embedder: a calibrated one.
        doing: says what people do, by their global identities, where the run asks for it.

    Returns:
        What was joined and why; and what people do in each job, by its name.

    Raises:
        ValueError: the model was never calibrated, or nobody was tracked.
        OSError: a file cannot be written.
    """
    cameras = [Camera(job.name, job.source, read_tracks(str(job.results))) for job in jobs]
    tracklets, _ = look(cameras, outline(cameras), embedder, crops=CROPS)
    linked = link(tracklets, embedder.metadata["calibration"], max_false_links=settings.max_false_links)
    told: dict[str, dict[str, Any]] = {}
    for number, (job, camera) in enumerate(zip(jobs, cameras)):
        here = tracklets.camera_id == number
        table = with_global_ids(camera.table, tracklets.track_id[here], linked.global_id[here])
        described = doing(table, job)
        write_tracks(str(job.results), table, more=None if described is None else described.columns())
        if described is not None:
            told[job.name] = described.summary()
        if job.output:
            _draw(settings, job, table)
    return report(cameras, tracklets, linked), told


def _draw(settings: TrackSettings, job: Job, table: TrackTable) -> None:
    """Draws the tracks on the frames of a source, which is read once more."""
    with (
        Source(job.source, frame_rate=settings.tracker.frame_rate, max_frames=settings.max_frames) as source,
        VideoWriter(str(job.output), frame_rate=source.frame_rate) as writer,
    ):
        annotate, tracks = build_annotator(settings, source.frame_rate), tracks_by_frame(table)
        for frame in source:
            writer.write_fitted(annotate(frame.image, tracks.get(frame.number, Tracks.empty())))
