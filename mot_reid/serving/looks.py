"""What is kept of the people of videos that belong to a site: their tracklets, in the folder of each job."""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Collection
from pathlib import Path

import numpy as np

from mot_reid.files import whole
from mot_reid.linking.tracklets import Tracklets

log = logging.getLogger(__name__)

SITE, LOOKS = "site", "looks.npz"
"""The names of these files in the folder of a job."""


class Looks:
    """The files `site` and `looks.npz` of all jobs: they go with their job, and before it with the site or person.

    Args:
        folder: holds a folder for each job.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def jobs(self, site: str) -> list[str]:
        """Returns the jobs of a site.

        Args:
            site: its name.
        """
        return [file.parent.name for file in self._folder.glob(f"*/{SITE}") if _text(file) == site]

    def sites(self) -> set[str]:
        """Returns the names of all sites that have jobs."""
        return {name for name in map(_text, self._folder.glob(f"*/{SITE}")) if name is not None}

    def of(self, job: str, *, model: str) -> Tracklets | None:
        """Returns the tracklets of a job; None where there are none, or the file is damaged or of another model.

        Args:
            job: its id.
            model: what their embeddings have to come from; those of another cannot be compared with its own.
        """
        found = self._read(job)
        if found is None:
            return None
        seen, own = found
        if own == model:
            return seen
        log.warning(
            "tracks of a video were embedded by another model and are not joined; upload the video again",
            extra={"job": job, "reason": f"got {own or 'no name of a model'}; expected {model}"},
        )
        return None

    def _read(self, job: str) -> tuple[Tracklets, str] | None:
        """Returns the tracklets of a job and their model, which older files do not name."""
        path = self._folder / job / LOOKS
        try:
            with np.load(path, allow_pickle=False) as stored:
                model = str(stored["model"]) if "model" in stored else ""
                return Tracklets(**{name: stored[name] for name in Tracklets.COLUMNS}), model
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            log.error("tracks of a video are damaged and are not joined", extra={"job": job, "reason": str(error)})
            return None

    def forget_tracks(self, job: str, tracks: Collection[int]) -> None:
        """Deletes what is known of some tracks of a job.

        Args:
            job: its id.
            tracks: their numbers.
        """
        found = self._read(job)
        if found is not None:
            seen, model = found
            write_tracklets(self._folder / job / LOOKS, seen[~np.isin(seen.track_id, list(tracks))], model=model)

    def forget_site(self, site: str) -> None:
        """Deletes what is known of the people of a site; its jobs go on, or stay, as jobs of no site.

        Args:
            site: its name.
        """
        for job in self.jobs(site):
            (self._folder / job / SITE).unlink(missing_ok=True)  # first: whoever writes tracklets looks for it then
            (self._folder / job / LOOKS).unlink(missing_ok=True)


def write_tracklets(path: Path, tracklets: Tracklets, *, model: str) -> None:
    """Writes tracklets, whole or not at all.

    Args:
        path: of the npz file.
        tracklets: the tracklets.
        model: what their embeddings come from.
    """
    with whole(path) as partial, partial.open("wb") as file:
        columns = {name: getattr(tracklets, name) for name in Tracklets.COLUMNS}
        np.savez(file, model=np.array(model), **columns)


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:  # the job was deleted meanwhile
        return None
