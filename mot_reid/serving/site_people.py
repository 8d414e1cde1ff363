"""Who was at the sites: in live sessions, in videos whose jobs are done, and by the names of a gallery."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mot_reid.arrays import Float32Array
from mot_reid.serving.galleries.gallery import Galleries
from mot_reid.serving.galleries.gallery import Person as KnownPerson
from mot_reid.serving.jobs.job_store import ENDED, StoredJob
from mot_reid.serving.jobs.video_jobs import VideoJobs
from mot_reid.serving.refusal import Refusal, disk_refusal
from mot_reid.serving.sites import NameOf, Person, Site, Sites
from mot_reid.serving.weights import model_name

_NOBODY = 2.0
"""A similarity that nobody reaches."""


@dataclass(frozen=True, slots=True)
class SiteVideo:
    """A video of a site.

    Attributes:
        job: that tracks it, or tracked it.
        global_ids: identities of its tracks, by their number; None: the jobs of the site are not all done yet.
    """

    job: StoredJob
    global_ids: dict[int, int] | None


class SitePeople:
    """The people of all sites. Videos are joined when it is asked for them and no job of their site waits or runs.

    Args:
        sites: what is in memory.
        jobs: of videos, which say of which site they are.
        galleries: that name people.
        facts: returns what a worker tells of its models.
    """

    def __init__(
        self, sites: Sites, jobs: VideoJobs, galleries: Galleries, facts: Callable[[], Mapping[str, Any]]
    ) -> None:
        self._sites, self._jobs, self._galleries, self._facts = sites, jobs, galleries, facts

    def open(self, name: str) -> Site:
        """Returns a site, which is made where there is none of that name.

        Args:
            name: of the site.

        Raises:
            Refusal: the name is none, there are too many, or the server has no calibrated Re-ID model.
        """
        site = self._sites.open(name, self._facts().get("calibration"))
        self._join(name, site)
        return site

    def find(self, name: str) -> Site:
        """Returns a site that live sessions or videos have named, before or after the server was started.

        Args:
            name: of the site.

        Raises:
            Refusal: there is none, or the models are not loaded yet.
        """
        if self._jobs.looks.jobs(name):
            return self.open(name)
        site = self._sites.find(name)
        self._join(name, site)
        return site

    def videos(self, name: str) -> list[SiteVideo]:
        """Returns the videos of a site, the oldest first. Those of failed and cancelled jobs are not among them.

        Args:
            name: of the site.

        Raises:
            Refusal: there is no such site.
        """
        site = self.find(name)
        return [SiteVideo(job, site.in_video(job.id)) for job in self._jobs.of_site(name)]

    def persons(self, name: str, gallery: str | None = None) -> list[tuple[Person, str | None]]:
        """Returns who is remembered of a site, and what the people of a gallery are called.

        Args:
            name: of the site.
            gallery: that names people; None: nobody is named.

        Raises:
            Refusal: there is no such site or gallery, or the gallery is of another model.
        """
        found = self.find(name).persons()
        if gallery is None:
            return [(person, None) for person in found]
        called = self.names(gallery)
        return [(person, called(person.embedding)) for person in found]

    def names(self, gallery: str) -> NameOf:
        """Returns what says how somebody is called whom a gallery knows; None for nobody known.

        Args:
            gallery: its name.

        Raises:
            Refusal: there is no such gallery, it is of another model, or the server has no Re-ID model.
        """
        facts = self._facts()
        if "embedding_dim" not in facts:
            raise Refusal("invalid", f"gallery: got '{gallery[:80]}', but the server has no Re-ID model; set reid=")
        self._galleries.search(gallery, _unit(facts["embedding_dim"]), model=model_name(facts), threshold=_NOBODY)

        def name(embedding: Float32Array) -> str | None:
            known = self._known(gallery, embedding)
            return None if known is None else known.name

        return name

    def forget(self, name: str, global_id: int) -> None:
        """Deletes a person of a site: what is in memory, and what is kept of the videos.

        Args:
            name: of the site.
            global_id: of the person.

        Raises:
            Refusal: there is no such site or person, or the disk fails.
        """
        site = self.find(name)
        for job in self._jobs.of_site(name):
            tracks = [track for track, identity in (site.in_video(job.id) or {}).items() if identity == global_id]
            if tracks:
                try:
                    self._jobs.looks.forget_tracks(job.id, tracks)
                except OSError as error:
                    raise disk_refusal(error) from error
        if not site.forget(global_id):
            raise Refusal("not_found", "person: there is none of this number at the site")

    def forget_known(self, gallery: str, id: str | None = None) -> None:
        """Deletes at all sites whom a gallery knows, before they are deleted from the gallery.

        Args:
            gallery: its name.
            id: of the person; None: all of the gallery.

        Raises:
            Refusal: the models, by which people are recognised, are not loaded yet.
        """
        for name in sorted({*self._sites.names(), *self._jobs.looks.sites()}):
            for person in self.find(name).persons():
                known = self._known(gallery, person.embedding)
                if known is not None and id in (None, known.id):
                    self.forget(name, person.global_id)

    def delete(self, name: str) -> None:
        """Forgets a site with everybody in it; sessions that are open go on without identities, jobs as those of none.

        Args:
            name: of the site.

        Raises:
            Refusal: there is none.
        """
        on_disk = bool(self._jobs.looks.jobs(name))
        self._jobs.looks.forget_site(name)
        if not on_disk or name in self._sites.names():
            self._sites.delete(name)

    def _known(self, gallery: str, embedding: Float32Array) -> KnownPerson | None:
        """Returns whom an embedding shows; None for nobody known, and where the gallery is gone or of another model."""
        facts = self._facts()
        if facts["threshold"] is None:
            return None
        try:
            return self._galleries.search(
                gallery, embedding, model=model_name(facts), threshold=facts["threshold"], most=1
            ).person
        except Refusal as refusal:
            if refusal.kind in ("not_found", "conflict"):
                return None
            raise

    def _join(self, name: str, site: Site) -> None:
        jobs = self._jobs.of_site(name)
        over = all(job.state in ENDED for job in jobs)
        wanted = [job.id for job in jobs if over or site.in_video(job.id) is not None]
        site.join_videos(wanted, lambda job: self._jobs.looks.of(job, model=model_name(self._facts())))


def _unit(dimension: int) -> Float32Array:
    return np.eye(1, dimension, dtype=np.float32)[0]
