"""How well do the weights track? Replays a video at validation and logs `val/idf1` and `val/hota`.

Retrieval says how well a network tells crops of one gallery apart. A tracker asks something else: few people, seen
again within seconds or minutes, in boxes of a detector. This score asks that, of the weights of the moment.
"""

from __future__ import annotations

import logging
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from lightning import Callback, LightningModule, Trainer

from mot_reid.arrays import Float32Array, FloatArray, Image
from mot_reid.data.identities import IdentityTable
from mot_reid.data.motchallenge import by_frame, read_detections, read_ground_truth
from mot_reid.data.video import VideoReader
from mot_reid.metrics.calibration import calibrate
from mot_reid.metrics.mot import evaluate_mot
from mot_reid.structures import TrackTable
from mot_reid.training.module import ReIDModule
from mot_reid.viewing.mot_plots import plot_timeline

if TYPE_CHECKING:
    from mot_reid.viewing.mot_plots import Figure

log = logging.getLogger(__name__)


LEAST_INSIDE = 0.5


class TrackingMetric(Callback):
    """Tracks a video with the current weights at the end of a validation, and scores the tracks.

    Detections are read from a file, so that nothing but the embeddings changes from one time to the next. The tracker
    gets what the exported model would give it: embeddings on demand by the averaged weights where there are some, the
    same preprocessing, and the threshold that calibration finds on the validation persons. Every process does it all.
    """

    def __init__(
        self,
        video: str | Path,
        *,
        detections: str | Path,
        ground_truth: str | Path,
        preset: str,
        scale: float = 1.0,
        every_n_epochs: int = 1,
        false_match_rate: float = 1e-3,
    ) -> None:
        """Reads the two files and looks into the video.

        Args:
            video: A file or a folder of frames.
            detections: A det.txt with scores from 0 to 1.
            ground_truth: A gt.txt.
            preset: A tracker that uses appearance.
            scale: What coordinates of the two files are multiplied by to be pixels of the video.
            every_n_epochs: Skips validations in epochs that are not a multiple of this, except in the last epoch.
            false_match_rate: For which the gate is calibrated.

        Raises:
            FileNotFoundError: A file is missing.
            ValueError: A file is malformed, or does not belong to the video.
        """
        self.video, self.every_n_epochs = video, every_n_epochs
        self.preset, self.false_match_rate = preset, false_match_rate
        with closing(VideoReader(video)) as reader:
            if reader.length is None:
                raise ValueError(f"tracking_metric.video: got '{video}'; expected a file or a folder, no stream")
            self.length, self.frame_rate, size = reader.length, reader.frame_rate, (reader.width, reader.height)
        self.truth = _scaled(read_ground_truth(ground_truth), scale)
        boxes = _scaled(read_detections(detections), scale)
        for name, table, path in (("ground_truth", self.truth, ground_truth), ("detections", boxes, detections)):
            _check_fit(name, table, path=path, length=self.length, size=size)
        self.detections = by_frame(boxes, self.length)
        self.table: TrackTable | None = None

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Logs `val/idf1` and `val/hota`, before the module logs `val/mAP`."""
        assert isinstance(pl_module, ReIDModule)
        left_out = (trainer.current_epoch + 1) % self.every_n_epochs != 0
        between = trainer.state.fn == "fit" and not trainer.should_stop  # the end of a run is always scored
        if trainer.fast_dev_run or (between and left_out):  # type: ignore[attr-defined]
            return
        from mot_reid.tracking.tracker import Tracker

        threshold = self._threshold(trainer, pl_module)
        tracker = Tracker(self.preset, reid=_Weights(pl_module, threshold), frame_rate=self.frame_rate)
        with closing(VideoReader(self.video)) as reader:
            found = [tracker.update(boxes, frame.image) for frame, boxes in zip(reader, self.detections)]
        self.table = TrackTable.from_frames(found)
        scores = evaluate_mot(self.truth, self.table, benchmark="MOT17", lengths={"sequence": self.length}).combined
        pl_module.log("val/idf1", scores.identity.idf1)
        pl_module.log("val/hota", float(scores.hota.hota.mean()))

    def timeline(self) -> Figure | None:
        """Returns a picture of who was seen when in the last validation; None before the first."""
        return None if self.table is None else plot_timeline(self.table, length=self.length, frame_rate=self.frame_rate)

    def _threshold(self, trainer: Trainer, module: ReIDModule) -> float | None:
        """Returns the threshold of the weights, calibrated on the validation persons; None where they are too few."""
        people = IdentityTable.concatenate(trainer.datamodule.validation)  # type: ignore[attr-defined]
        try:
            found = calibrate(
                module.gathering.current(),
                person_id=people.person_id,
                camera_id=people.camera_id,
                false_match_rate=self.false_match_rate,
            )
        except ValueError as error:
            log.debug("tracking with the preset's gate: %s", error)
            return None
        return float(np.clip(found.threshold, 0.0, 1.0))


class _Weights:
    """What embeds boxes with the weights of the moment, as a validation step does.

    Attributes:
        threshold: Least cosine similarity of the same person, which a tracker takes as its gate; None if unknown.
    """

    def __init__(self, module: ReIDModule, threshold: float | None) -> None:
        self._module, self._precision = module, module.trainer.precision_plugin
        self.threshold = threshold

    @torch.inference_mode()
    def __call__(self, image: Image, xyxy: FloatArray) -> Float32Array:
        """Maps a (H, W, 3) uint8 BGR frame and (N, 4) boxes to (N, D) embeddings."""
        module = self._module
        crops = module.preprocess.crops(torch.from_numpy(image).to(module.device), xyxy, color="bgr")
        batch = self._precision.convert_input(crops.contiguous(memory_format=module.memory_format))
        with self._precision.val_step_context():
            return module.embed(batch).float().cpu().numpy()


def _scaled(table: TrackTable, scale: float) -> TrackTable:
    return table.replace(xyxy=table.xyxy * scale)


def _check_fit(name: str, table: TrackTable, *, path: Any, length: int, size: tuple[int, int]) -> None:
    """Raises ValueError where boxes lie beyond the video's frames or mostly beyond its edges."""
    if len(table) and table.frame.max() > length:
        raise ValueError(
            f"tracking_metric.{name}: got '{path}' with frame {table.frame.max()}; expected at most {length}, "
            "the length of the video"
        )
    centre = (table.xyxy[:, :2] + table.xyxy[:, 2:]) / 2
    inside = ((centre >= 0) & (centre <= size)).all(axis=1)
    if len(table) and inside.mean() < LEAST_INSIDE:
        raise ValueError(
            f"tracking_metric.{name}: got '{path}' with {(~inside).sum()} of {len(table)} boxes outside of the "
            f"{size[0]}x{size[1]} picture; expected pixels of the video; check tracking_metric.scale"
        )
