"""What the demo shows, as HTML: every name and number in it is escaped here."""

from __future__ import annotations

import time
from collections.abc import Sequence
from html import escape

import numpy as np

from mot_reid.serving.galleries.gallery import Answer, Person
from mot_reid.serving.jobs.job_store import StoredJob
from mot_reid.structures import TrackTable
from mot_reid.viewing.draw import colour
from mot_reid.viewing.html.timelines import seen_svg

_MOST_ROWS = 200
_TIMELINE_WIDTH = 640
_DAY_SECONDS = 86400.0


def note(text: str) -> str:
    """Returns a sentence that tells how things are."""
    return f'<p class="note" role="status">{escape(text)}</p>'


def problem(sentence: str) -> str:
    """Returns a sentence that tells what was wrong."""
    return f'<p class="problem" role="alert">{escape(sentence)}</p>'


def progress(job: StoredJob, *, ready: bool) -> str:
    """Returns how far a job is.

    Args:
        job: that waits or runs.
        ready: whether the models are loaded.
    """
    if job.state == "queued":
        text = "Waiting for its turn." if ready else "The models are being loaded."
        share = 0.0
    else:
        share = job.frames_done / job.frames if job.frames else 0.0
        text = f"{job.frames_done:,} of {job.frames:,} frames" if job.frames else f"{job.frames_done:,} frames"
    return (
        f'<div class="progress" role="status"><div class="track"><div style="width:{100 * min(share, 1):.1f}%"></div>'
        f"</div><span>{text}</span></div>"
    )


def result(job: StoredJob, table: TrackTable, *, video: bool) -> str:
    """Returns what came of a video: the annotated video, numbers, who was seen when, and the files.

    Args:
        job: one that is done.
        table: its tracks.
        video: whether there is an annotated video.
    """
    facts = job.result or {}
    rate = float(facts["frame_rate"])
    if not facts["tracks"]:
        people = note("Nobody was found in it.")
    else:
        timeline = seen_svg(table, length=facts["frames"], frame_rate=rate, most=_MOST_ROWS, width=_TIMELINE_WIDTH)
        people = f"<h3>Who was seen when</h3>{timeline}{_tracks(table, rate)}"
    shown = f'<video controls playsinline muted loop autoplay src="{_address(job, "video")}"></video>' if video else ""
    links = f'<a href="{_address(job, "mot")}" download>Tracks (MOTChallenge text)</a>'
    if video:
        links = f'<a href="{_address(job, "video")}" download>Annotated video (MP4)</a>' + links
    return f'<div class="result">{shown}{_tiles(job, rate)}{people}<p class="links">{links}</p></div>'


def answer(found: Answer) -> str:
    """Returns who an image shows, or that it is nobody known."""
    if not found.matches:
        return '<div class="answer nobody"><strong>Nobody is in this gallery yet.</strong></div>'
    best = found.matches[0]
    if found.person is None:
        headline, kind = "Nobody I know", "nobody"
        why = (
            f"The most similar person is {escape(best.person.name)}, with {best.similarity:.2f}; "
            f"{found.threshold:.2f} is needed to be the same person."
        )
    else:
        headline, kind = f"This is {escape(found.person.name)}", "known"
        why = f"Similarity {best.similarity:.2f}; {found.threshold:.2f} is needed to be the same person."
    bars = "".join(
        f'<li><span>{escape(match.person.name)}</span><span class="bar">'
        f'<i style="width:{_share(match.similarity)}%"></i><b style="left:{_share(found.threshold)}%"></b></span>'
        f"<span>{match.similarity:.2f}</span></li>"
        for match in found.matches
    )
    return f'<div class="answer {kind}"><strong>{headline}</strong><p>{why}</p><ol class="similar">{bars}</ol></div>'


def persons(known: Sequence[Person]) -> str:
    """Returns the people of a gallery as a table."""
    if not known:
        return note("Nobody is in this gallery yet.")
    rows = "".join(
        f"<tr><td>{escape(person.name)}</td><td>{person.crops}</td><td>{_ago(person.enrolled)}</td>"
        f"<td>{_ago(person.seen)}</td></tr>"
        for person in known
    )
    head = "<tr><th>Name</th><th>Pictures</th><th>Enrolled</th><th>Last seen</th></tr>"
    return f'<div class="scroll"><table class="rows">{head}{rows}</table></div>'


def _tiles(job: StoredJob, rate: float) -> str:
    facts = job.result or {}
    tiles = (
        ("People followed", f"{facts['tracks']:,}"),
        ("Frames", f"{facts['frames']:,}"),
        ("Length", f"{facts['frames'] / rate:.1f} s"),
        ("At the same time", f"{facts['tracks_per_frame']:.1f}"),
        ("Typical stay", f"{facts['median_length'] / rate:.1f} s"),
        ("Frames per second", f"{facts['frames_per_second']:.1f}"),
    )
    return (
        '<dl class="tiles">' + "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in tiles) + "</dl>"
    )


def _tracks(table: TrackTable, rate: float) -> str:
    """Returns a row for each person: when first and last seen, and for how long."""
    head = "<tr><th>Person</th><th>From</th><th>To</th><th>Seen for</th><th>Mean score</th></tr>"
    rows = []
    identities = np.unique(table.track_id)
    for identity in identities[:_MOST_ROWS].tolist():
        mine = table[table.track_id == identity]
        blue, green, red = colour(identity)
        first, last = (int(mine.frame.min()) - 1) / rate, int(mine.frame.max()) / rate
        dot = f'<i class="dot" style="background:rgb({red},{green},{blue})"></i>'
        rows.append(
            f"<tr><td>{dot}{identity}</td><td>{first:.1f} s</td><td>{last:.1f} s</td>"
            f"<td>{len(mine) / rate:.1f} s</td><td>{float(mine.score.mean()):.0%}</td></tr>"
        )
    more = len(identities) - len(rows)
    rest = note(f"{more:,} more are in the file with the tracks.") if more else ""
    return f'<div class="scroll"><table class="rows">{head}{"".join(rows)}</table></div>{rest}'


def _address(job: StoredJob, what: str) -> str:
    """Returns where a file of a job is, seen from the page of the demo."""
    return f"../api/jobs/{job.id}/{what}"


def _share(similarity: float) -> str:
    return f"{100 * min(max(similarity, 0.0), 1.0):.1f}"


def _ago(moment: float) -> str:
    days = int((time.time() - moment) / _DAY_SECONDS)
    return "today" if days < 1 else "yesterday" if days == 1 else f"{days} days ago"
