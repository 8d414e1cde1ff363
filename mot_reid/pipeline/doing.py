"""What people of one video are doing: the run's settings, and the answer as columns and summary."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mot_reid.actions.describe import Described, describe
from mot_reid.actions.zones import polygon, segment
from mot_reid.data.zones import Scene, read_scene
from mot_reid.files import given_by
from mot_reid.pipeline.plan import Job
from mot_reid.pipeline.source import Source
from mot_reid.settings.load import ConfigError
from mot_reid.settings.tracking import ActionSettings, TrackSettings
from mot_reid.structures import TrackTable

if TYPE_CHECKING:
    from mot_reid.actions.classifier import ActionClassifier

NOTHING = ActionSettings(describe=False, classifier=None)
"""Settings that ask for nothing."""


class Doing:
    """Says what tracks are doing where a run asks for it.

    Args:
        settings: of the run; `actions` or `zones` ask for it.

    Raises:
        ConfigError: a zone or line makes no sense, or a classifier is named that nothing asks for.
        FileNotFoundError, ValueError: the file of zones or the classifier is missing or malformed.
    """

    def __init__(self, settings: TrackSettings) -> None:
        self._settings = settings
        self.wanted = settings.actions.describe or settings.zones is not None
        chosen = settings.actions.classifier
        if chosen is not None and not settings.actions.describe:
            raise ConfigError(f"actions.classifier: got '{chosen}' without actions=true; expected both; add it")
        self._scene = Scene() if settings.zones is None else read_scene(settings.zones)
        try:
            for name, zone in self._scene.zones.items():
                polygon(zone, name=f"zone '{name}'")
            for name, line in self._scene.lines.items():
                segment(line, name=f"line '{name}'")
        except ValueError as error:
            raise ConfigError(f"zones: {error}") from None
        self._classifier: ActionClassifier | None = None
        if chosen is not None:
            from mot_reid.actions.classifier import ActionClassifier

            with given_by("actions.classifier"):
                self._classifier = ActionClassifier(chosen, device=settings.device)

    def refuse_live(self, source: str, *, live: bool) -> None:
        """Refuses a classifier for what cannot be read a second time.

        Raises:
            ConfigError: the source is a camera or a stream.
        """
        if live and self._classifier is not None:
            raise ConfigError(
                f"actions.classifier: got it for '{source}', which is live; expected a video that ends, since it is "
                "read again for the classifier; leave it out"
            )

    def __call__(self, table: TrackTable, job: Job, *, frame_rate: float | None = None) -> Described | None:
        """Returns what tracks are doing; None where nobody asked. For a classifier the source is read once more.

        Args:
            table: of the source of the job.
            job: whose tracks they are.
            frame_rate: frames per second; None: the source is opened to find out.
        """
        if not self.wanted:
            return None
        chosen = self._settings
        if self._classifier is None and frame_rate is not None:
            return describe(table, frame_rate=frame_rate, zones=self._scene.zones, lines=self._scene.lines)
        with Source(job.source, frame_rate=chosen.tracker.frame_rate, max_frames=chosen.max_frames) as source:
            rate = chosen.tracker.frame_rate or source.frame_rate
            found = describe(table, frame_rate=rate, zones=self._scene.zones, lines=self._scene.lines)
            if self._classifier is None:
                return found
            return replace(found, labelled=self._classifier.label(source, table, frame_rate=rate))
