"""What the demo shows, as HTML from its templates, which escape every name and number."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from mot_reid.serving.galleries.gallery import Answer, Person
from mot_reid.serving.jobs.job_store import StoredJob
from mot_reid.structures import TrackTable
from mot_reid.viewing.draw import css_colour
from mot_reid.viewing.html.templates import read_style, render
from mot_reid.viewing.html.timelines import seen_svg

_TEMPLATES = Path(__file__).parent / "templates"
_MOST_ROWS = 200
_TIMELINE_WIDTH = 640
_DAY_SECONDS = 86400.0


def style() -> Markup:
    """Returns the demo's CSS, which names no address outside of the page."""
    return read_style("demo.css", folder=_TEMPLATES)


def note(text: str) -> Markup:
    """Returns a sentence that tells how things are."""
    return _filled("sentence.html", {"kind": "note", "text": text})


def problem(sentence: str) -> Markup:
    """Returns a sentence that tells what was wrong."""
    return _filled("sentence.html", {"kind": "problem", "text": sentence})


def progress(job: StoredJob, *, ready: bool) -> Markup:
    """Returns how far a job is.

    Args:
        job: a job that waits or runs.
        ready: whether the models are loaded.
    """
    if job.state == "queued":
        text = "Waiting for its turn." if ready else "The models are being loaded."
        share = 0.0
    else:
        share = job.frames_done / job.frames if job.frames else 0.0
        text = f"{job.frames_done:,} of {job.frames:,} frames" if job.frames else f"{job.frames_done:,} frames"
    return _filled("progress.html", {"text": text, "share": min(share, 1.0)})


def result(job: StoredJob, table: TrackTable, *, video: bool) -> Markup:
    """Returns what came of a video: the annotated video, numbers, who was seen when, and the files.

    Args:
        job: a job that is done.
        table: its tracks.
        video: whether there is an annotated video.
    """
    facts = job.result or {}
    rate = float(facts["frame_rate"])
    identities = np.unique(table.track_id) if facts["tracks"] else np.zeros(0, dtype=np.int64)
    values = {
        "address": f"../api/jobs/{job.id}",
        "video": video,
        "tiles": _tiles(facts, rate),
        "timeline": seen_svg(table, length=facts["frames"], frame_rate=rate, most=_MOST_ROWS, width=_TIMELINE_WIDTH),
        "rows": [_row(table, identity, rate) for identity in identities[:_MOST_ROWS].tolist()],
        "more": max(len(identities) - _MOST_ROWS, 0),
    }
    return _filled("result.html", values)


def answer(found: Answer) -> Markup:
    """Returns who an image shows, or that it is nobody known."""
    matches = [
        {"name": match.person.name, "similarity": match.similarity, "share": _share(match.similarity)}
        for match in found.matches
    ]
    values = {
        "matches": matches,
        "known": None if found.person is None else found.person.name,
        "threshold": found.threshold,
        "threshold_share": _share(found.threshold),
    }
    return _filled("answer.html", values)


def persons(known: Sequence[Person]) -> Markup:
    """Returns the people of a gallery as a table."""
    if not known:
        return note("Nobody is in this gallery yet.")
    rows = [
        {"name": one.name, "crops": one.crops, "enrolled": _ago(one.enrolled), "seen": _ago(one.seen)} for one in known
    ]
    return _filled("persons.html", {"persons": rows})


def _filled(template: str, values: Mapping[str, Any]) -> Markup:
    return render(template, values, folder=_TEMPLATES)


def _tiles(facts: Mapping[str, Any], rate: float) -> dict[str, str]:
    return {
        "People followed": f"{facts['tracks']:,}",
        "Frames": f"{facts['frames']:,}",
        "Length": f"{facts['frames'] / rate:.1f} s",
        "At the same time": f"{facts['tracks_per_frame']:.1f}",
        "Typical stay": f"{facts['median_length'] / rate:.1f} s",
        "Frames per second": f"{facts['frames_per_second']:.1f}",
    }


def _row(table: TrackTable, identity: int, rate: float) -> dict[str, Any]:
    """Returns when a person was first and last seen, and for how long."""
    mine = table[table.track_id == identity]
    first, last = (int(mine.frame.min()) - 1) / rate, int(mine.frame.max()) / rate
    return {
        "id": identity,
        "colour": css_colour(identity),
        "first": f"{first:.1f} s",
        "last": f"{last:.1f} s",
        "seen": f"{len(mine) / rate:.1f} s",
        "score": f"{float(mine.score.mean()):.0%}",
    }


def _share(similarity: float) -> float:
    return min(max(similarity, 0.0), 1.0)


def _ago(moment: float) -> str:
    days = int((time.time() - moment) / _DAY_SECONDS)
    return "today" if days < 1 else "yesterday" if days == 1 else f"{days} days ago"
