"""What people of one video are doing: the run's settings, and the answer as columns and summary."""

from __future__ import annotations

from mot_reid.actions.describe import Described, describe
from mot_reid.actions.zones import polygon, segment
from mot_reid.data.zones import Scene, read_scene
from mot_reid.settings.load import ConfigError
from mot_reid.settings.tracking import TrackSettings
from mot_reid.structures import TrackTable


class Doing:
    """Says what tracks are doing where a run asks for it.

    Args:
        settings: of the run; `actions` or `zones` ask for it.

    Raises:
        ConfigError: a zone or line makes no sense.
        FileNotFoundError, ValueError: the file of zones is missing or malformed.
    """

    def __init__(self, settings: TrackSettings) -> None:
        self.wanted = settings.actions or settings.zones is not None
        self._scene = Scene() if settings.zones is None else read_scene(settings.zones)
        try:
            for name, zone in self._scene.zones.items():
                polygon(zone, name=f"zone '{name}'")
            for name, line in self._scene.lines.items():
                segment(line, name=f"line '{name}'")
        except ValueError as error:
            raise ConfigError(f"zones: {error}") from None

    def __call__(self, table: TrackTable, frame_rate: float) -> Described | None:
        """Returns what tracks are doing; None where nobody asked.

        Args:
            table: of the video.
            frame_rate: frames per second.
        """
        if not self.wanted:
            return None
        return describe(table, frame_rate=frame_rate, zones=self._scene.zones, lines=self._scene.lines)
