"""What is to be tracked, and where the answers go: settings become jobs, and mistakes are reported before any work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mot_reid.data.file_names import is_pattern, matching
from mot_reid.files import check_writable
from mot_reid.settings.load import ConfigError
from mot_reid.settings.tracker_parameters import NEED_EMBEDDINGS, TRACKING_MODEL, default_preset
from mot_reid.settings.tracking import TrackSettings

SYNTHETIC = "synthetic"
SYNTHETIC_CAMERAS = ("synthetic-1", "synthetic-2", "synthetic-3")
"""Three cameras of one street; what `link` joins where no source is named."""


@dataclass(frozen=True, slots=True)
class Job:
    """One source, tracked with one preset, and where the answers go.

    Attributes:
        name: a short one, no two of a run the same.
        source: a video file, a folder, a camera's index, an address, "synthetic", or one of the synthetic cameras.
        preset: of the tracker.
        reid: the Re-ID model; None for none.
        output: the annotated video; None for none.
        results: the tracks; None for none.
    """

    name: str
    source: str
    preset: str
    reid: str | None = None
    output: str | None = None
    results: str | None = None


def plan(settings: TrackSettings, folder: str | None = None) -> list[Job]:
    """Returns a job for each source and preset, with names of their own.

    Args:
        settings: of the run.
        folder: where annotated videos go if `output` does not say.

    Raises:
        ConfigError: a setting makes no sense, or a pattern matches nothing.
    """
    from mot_reid.tracking.parameters import find_preset

    sources = expanded(settings.source)
    if settings.link:
        sources = list(SYNTHETIC_CAMERAS) if sources == [SYNTHETIC] else sources
        live = next((source for source in sources if _live(source)), None)
        if live is not None:
            raise ConfigError(f"link: got it for '{live}', which is live; expected videos that end; leave it out")
        if settings.compare:
            raise ConfigError("link: got it with compare; expected one preset, whose tracks are joined; leave one out")
    preset = settings.tracker.preset or default_preset(settings.reid)
    presets = {chosen: find_preset(chosen) for chosen in (preset, *settings.compare)}
    needing = [chosen for chosen in presets if chosen in NEED_EMBEDDINGS]
    if settings.tracker.appearance == "always" and not settings.reid and not needing:
        raise ConfigError("tracker.appearance: got 'always' without a model; expected reid=PATH or reid=NAME")
    names = short_names(sources)
    several = len(sources) * len(presets) > 1
    jobs = []
    for source, stem in zip(sources, names):
        for chosen in presets:
            name = f"{stem}-{chosen}" if len(presets) > 1 else stem
            # A comparison may include presets that have no use for the model, and those that are nothing without one;
            # with link, the model may be for linking only.
            given = settings.reid or (TRACKING_MODEL if chosen in needing else None)
            used = presets[chosen].appearance or (len(presets) == 1 and not settings.link)
            reid = given if used else None
            output = _placed("output", settings.output or folder, name, ".mp4", several=several or folder is not None)
            results = _placed("results", settings.results, name, ".txt", several=several)
            jobs.append(Job(name, source, chosen, reid, output, results))
    return jobs


def check_outputs(settings: TrackSettings, jobs: Sequence[Job]) -> None:
    """Refuses what could not be written in the end, before any work is done; makes the folders it goes to.

    Raises:
        OSError: a place cannot be written to.
        ValueError: results of an unknown format.
    """
    from mot_reid.data.tables import check_ending

    for job in jobs:
        if job.results:
            check_ending(job.results)
    given = {"json": [settings.json], "montage": [settings.montage]}
    given |= {key: [getattr(job, key) for job in jobs] for key in ("output", "results")}
    for key, paths in given.items():
        for path in (path for path in paths if path):
            check_writable(path, key)


def expanded(sources: Sequence[str]) -> list[str]:
    """Returns sources with the files that patterns stand for in their place.

    Args:
        sources: as given, such as `videos/*.mp4`.

    Raises:
        ConfigError: one is empty, or a pattern that matches nothing.
    """
    return [found for source in sources for found in _expanded(source)]


def _expanded(source: str) -> list[str]:
    """Returns the files that a pattern stands for; anything else as it is."""
    if not source:
        raise ConfigError("source: got nothing; expected a video file, a folder, a camera's index or an address")
    if not is_pattern(source) or "://" in source or Path(source).exists():
        return [source]
    found = matching(source)
    if not found:
        raise ConfigError(f"source: got '{source}', which no file matches; expected a pattern such as videos/*.mp4")
    return found


def short_names(sources: Sequence[str]) -> list[str]:
    """Returns a short name for each source, no two the same.

    Args:
        sources: files, folders, cameras or addresses.
    """
    names: list[str] = []
    for source in sources:
        path = Path(source)
        camera = _camera(source)
        name = f"camera{source}" if camera else path.name if path.is_dir() else path.stem
        name = path.resolve().parent.name if name in ("img1", "") else name
        twins = sum(name == other.rpartition("~")[0] or name == other for other in names)
        names.append(f"{name}~{twins + 1}" if twins else name)
    return names


def _camera(source: str) -> bool:
    return source.isdecimal() and not Path(source).exists()


def _live(source: str) -> bool:
    return "://" in source or _camera(source)


def _placed(key: str, given: str | None, name: str, ending: str, *, several: bool) -> str | None:
    """Returns the file of one job."""
    if given is None or "{name}" in given:
        return given and given.replace("{name}", name)
    if not several:
        return given
    if Path(given).suffix:
        raise ConfigError(f"{key}: got '{given}' for several results; expected a folder, or a name with {{name}} in it")
    return str(Path(given) / f"{name}{ending}")
