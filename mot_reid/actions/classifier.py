"""`ActionClassifier`: what is done in the clips of a track, by a trained network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mot_reid.actions.model_file import describe, load
from mot_reid.arrays import Float32Array, FloatArray
from mot_reid.data.frame import Frame
from mot_reid.data.track_clips import Window, cut, windows
from mot_reid.structures import TrackTable

_BATCH = 8


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """What a classifier says of tracks.

    Attributes:
        windows: W parts of tracks.
        label: (W,) name of the likeliest action of each.
        probability: (W,) of that action.
    """

    windows: tuple[Window, ...]
    label: NDArray[np.str_]
    probability: FloatArray

    def of_rows(self, table: TrackTable) -> tuple[NDArray[np.str_], FloatArray]:
        """Returns the (M,) label and probability of each row of a table; "" and NaN outside of all windows.

        Where the last two windows of a track overlap, the earlier one counts.
        """
        label = np.full(len(table), "", dtype=self.label.dtype if len(self.label) else "<U1")
        probability = np.full(len(table), np.nan)
        rows = table.rows_by_track()
        for place in reversed(range(len(self.windows))):
            window = self.windows[place]
            mine = rows[window.track_id]
            inside = mine[(table.frame[mine] >= window.first_frame) & (table.frame[mine] <= window.last_frame)]
            label[inside], probability[inside] = self.label[place], self.probability[place]
        return label, probability


class ActionClassifier:
    """A model that `mot-reid fit` has trained on clips of actions.

    Args:
        path: Of its `model.safetensors`.
        device: "auto", "cpu", "cuda", "cuda:1" or "mps".

    Attributes:
        classes: Names of the actions.
        clip: What a clip must be.

    Raises:
        FileNotFoundError: There is no such file.
        CheckpointError: It is no action classifier of ours, or was changed.
        ValueError: There is no such device.
    """

    def __init__(self, path: str | Path, *, device: str = "auto") -> None:
        describe(path)  # says what is wrong with a file before torch is loaded
        from mot_reid.reid.torch_backend import find_device

        self._device = find_device(device)
        model = load(path, device=self._device)
        self._network, self.clip, self.classes = model.network, model.clip, model.classes

    def __call__(self, clips: NDArray[np.uint8]) -> Float32Array:
        """Returns the (N, C) probability of each action in each clip.

        Args:
            clips: (N, T, H, W, 3) uint8 RGB, as `clip` says; N may be 0.

        Raises:
            ValueError: They have another shape or type.
        """
        import torch

        wanted = (self.clip.frames, *self.clip.size, 3)
        if clips.ndim != 5 or clips.shape[1:] != wanted or clips.dtype != np.uint8:
            raise ValueError(f"clips: got {clips.dtype} of shape {clips.shape}; expected uint8 of (N, {wanted})")
        found = [np.empty((0, len(self.classes)), np.float32)]
        with torch.inference_mode():
            for start in range(0, len(clips), _BATCH):
                part = torch.from_numpy(np.ascontiguousarray(clips[start : start + _BATCH])).to(self._device)
                found.append(self._network(self.clip.normalised(part)).softmax(dim=1).float().cpu().numpy())
        return np.concatenate(found)

    def label(self, frames: Iterable[Frame], table: TrackTable, *, frame_rate: float) -> Labelled:
        """Returns what each track does in each window of its time.

        Args:
            frames: Of the video, from its start.
            table: Its tracks.
            frame_rate: Frames per second.
        """
        chosen = windows(
            table,
            frame_rate=frame_rate,
            seconds=self.clip.seconds,
            frames=self.clip.frames,
            context=self.clip.context,
        )
        places: list[int] = []
        probability = [np.empty((0, len(self.classes)), np.float32)]
        waiting: list[NDArray[np.uint8]] = []
        for place, clip in cut(frames, chosen, size=self.clip.size):
            places.append(place)
            waiting.append(clip)
            if len(waiting) == _BATCH:
                probability.append(self(np.stack(waiting)))
                waiting = []
        probability += [self(np.stack(waiting))] if waiting else []
        order = np.argsort(places)
        found = np.concatenate(probability)[order]
        return Labelled(
            tuple(chosen[places[at]] for at in order),
            np.array(self.classes)[found.argmax(axis=1)],
            found.max(axis=1, initial=0.0).astype(np.float64),
        )
