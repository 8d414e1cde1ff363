"""Why did it switch? One HTML file that shows every identity switch and fragment of a tracker, and its cause.

The causes are those of `metrics.mot_events`, whose `MotEvent.cause` defines the rule.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

import numpy as np

from mot_reid.metrics.mot import ClearPairs, MotScores
from mot_reid.metrics.mot_events import CAUSES, MotEvent
from mot_reid.structures import TrackTable
from mot_reid.viewing.charts import Axis, Frame, chart, line
from mot_reid.viewing.html.mot_style import MOT_STYLE
from mot_reid.viewing.html.page import Section, page_html
from mot_reid.viewing.html.timelines import Mark, Row, person_rows, timeline_svg, track_rows
from mot_reid.viewing.mot_pictures import Picture, Shot, css_colour, of_event, shot_svg

TILES = {"HOTA": "hota", "DetA": "deta", "AssA": "assa", "MOTA": "mota", "IDF1": "idf1"}
COUNTS = {"Switches": "idsw", "Fragments": "frag", "False alarms": "fp", "Misses": "fn"}
CARDS = 100
"""Events of a kind that are shown with pictures, per sequence; the others are listed."""


@dataclass(frozen=True, eq=False)
class SequenceReport:
    """One sequence of a report.

    Attributes:
        name: Of the sequence.
        scores: Of the sequence.
        truth: Its ground truth.
        result: The tracker's rows.
        pairs: The matches.
        events: From `metrics.mot_events.find_events`.
        length: Frames of the sequence.
        pictures: What was seen, by shot; empty without a video.
    """

    name: str
    scores: MotScores
    truth: TrackTable
    result: TrackTable
    pairs: ClearPairs
    events: Sequence[MotEvent]
    length: int
    pictures: Mapping[Shot, Picture] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class MotReport:
    """All that the page shows.

    Attributes:
        title: Name of the tracker.
        measured: One line on what was scored.
        combined: Scores of all sequences together.
        sequences: In their order.
        gate: Least IoU of a box with where its track was expected.
        threshold: Least cosine similarity of the same person.
    """

    title: str
    measured: str
    combined: MotScores
    sequences: Sequence[SequenceReport]
    gate: float = 0.1
    threshold: float = 0.5

    def cause(self, event: MotEvent) -> str:
        """Returns the cause of an event by the report's gate and threshold."""
        return event.cause(gate=self.gate, threshold=self.threshold)


def mot_report_html(report: MotReport) -> str:
    """Returns the whole page."""
    table = scores_table(report) if len(report.sequences) > 1 else ""
    sections = [
        Section("scores", "Scores", tiles_html(report.combined) + table),
        Section("causes", "Causes", causes_html(report)),
    ]
    for number, sequence in enumerate(report.sequences):
        prefix = f"{sequence.name}: " if len(report.sequences) > 1 else ""
        parts = {
            "timeline": ("who was followed by whom", timelines_html(sequence, number)),
            "switch": ("switches", events_html(report, number, "switch")),
            "fragment": ("fragments", events_html(report, number, "fragment")),
        }
        for name, (title, body) in parts.items():
            sections.append(Section(f"{name}{number}", prefix + title if prefix else title.capitalize(), body))
    title = f"{report.title}: why did it switch?"
    return page_html(title, heading=title, subtitle=report.measured, sections=sections, style=MOT_STYLE)


def tiles_html(scores: MotScores) -> str:
    """Returns the headline scores as tiles."""
    values = scores.to_dict()
    tiles = [(name, f"{100 * values[key]:.1f}<small>%</small>") for name, key in TILES.items()]
    tiles += [(name, f"{values[key]:,}") for name, key in COUNTS.items()]
    return (
        '<div class="tiles">'
        + "".join(f'<div class="tile"><b>{name}</b><strong>{value}</strong></div>' for name, value in tiles)
        + "</div>"
    )


def scores_table(report: MotReport) -> str:
    """Returns the scores of each sequence and of all together."""
    head = "".join(f"<th>{name}</th>" for name in (*TILES, *COUNTS))
    rows = []
    entries = [*((one.name, one.scores) for one in report.sequences), ("Together", report.combined)]
    for name, scores in entries:
        values = scores.to_dict()
        cells = "".join(f"<td>{100 * values[key]:.1f}</td>" for key in TILES.values())
        cells += "".join(f"<td>{values[key]:,}</td>" for key in COUNTS.values())
        rows.append(f"<tr><th>{escape(name)}</th>{cells}</tr>")
    return f'<div class="scroll"><table class="numbers"><tr><th></th>{head}</tr>{"".join(rows)}</table></div>'


def causes_html(report: MotReport) -> str:
    """Returns how many switches and fragments each cause has."""
    counts = {kind: _causes(report, kind) for kind in ("switch", "fragment")}
    found = sorted(
        (cause for cause in CAUSES if counts["switch"][cause] or counts["fragment"][cause]),
        key=lambda cause: (-counts["switch"][cause], -counts["fragment"][cause]),
    )
    if not found:
        return "<p>No switch and no fragment: every person was followed without interruption.</p>"
    rows = "".join(
        f"<tr><th>{_badge(cause)}</th><td>{counts['switch'][cause] or '–'}</td>"
        f"<td>{counts['fragment'][cause] or '–'}</td><td class='text'>{escape(CAUSES[cause])}</td></tr>"
        for cause in found
    )
    both = sum(one.scores.clear.frag for one in report.sequences) - counts["fragment"].total()
    return (
        "<p>A switch: a person is matched to another track than before. A fragment: a person is matched again after an "
        f"interruption; the {both} in which the track is another one, too, are told of among the switches. The cause "
        "is the first that fits what was measured. The old track is expected where constant velocity takes it; it is "
        f"elsewhere if the overlap is below {report.gate:g}. Looks differ if they were compared and the similarity is "
        f"below {report.threshold:.3g}.</p>"
        '<div class="scroll"><table class="numbers causes"><tr><th>Cause</th><th>Switches</th><th>Fragments</th>'
        f"<th></th></tr>{rows}</table></div>"
    )


def timelines_html(sequence: SequenceReport, number: int) -> str:
    """Returns the rows of persons and of tracks, and the switches and fragments over time."""
    marks: dict[int, list[Mark]] = {}
    for place, event in enumerate(sequence.events):
        if event.kind == "switch":
            title = f"frame {event.frame}: track {event.last_track} to {event.track}"
            marks.setdefault(event.person, []).append(Mark(event.frame, _anchor(number, place), title))
    counted = set(sequence.pairs.person.tolist())
    persons = [
        Row(row.identity, row.bars, marks.get(row.identity, ()))
        for row in person_rows(sequence.truth[~sequence.truth.ignore], sequence.pairs)
        if row.identity in counted or row.bars
    ]
    return (
        "<h3>Persons</h3><p>A row for each person of the ground truth, with the tracks that followed them; pale where "
        "nobody did. An arrow is a switch.</p>"
        + timeline_svg(persons, length=sequence.length, what="person")
        + "<h3>Tracks</h3><p>A row for each track, with the persons it was on; pale where it was on nobody (a false "
        "alarm). A good track has one colour.</p>"
        + timeline_svg(track_rows(sequence.result, sequence.pairs), length=sequence.length, what="track")
        + (_over_time(sequence) if sequence.events else "")
    )


def events_html(report: MotReport, number: int, kind: str) -> str:
    """Returns a card for each event of a kind, worst first where there are more than `CARDS`."""
    sequence = report.sequences[number]
    chosen = [(place, event) for place, event in enumerate(sequence.events) if event.kind == kind]
    if not chosen:
        return ""
    longest = sorted(chosen, key=lambda item: -item[1].between)[:CARDS]
    shown = {place for place, _ in longest}
    cards = "".join(_card(report, number, place, event) for place, event in chosen if place in shown)
    rest = [(place, event) for place, event in chosen if place not in shown]
    more = f"<p>The {CARDS} longest; {len(rest):,} shorter ones below.</p>" if rest else ""
    listed = "".join(f'<li id="{_anchor(number, place)}">{_headline(report, event)}</li>' for place, event in rest)
    key = (
        '<p class="note">Dashed white: the person in the ground truth. In colour: tracks, with their number those of '
        "the event. Dotted: where the old track was expected when the person was matched again.</p>"
    )
    return f'{key}{more}<div class="events">{cards}</div>' + (f'<ul class="rest">{listed}</ul>' if listed else "")


def _card(report: MotReport, number: int, place: int, event: MotEvent) -> str:
    sequence = report.sequences[number]
    figures = []
    for shot, picture in of_event(event, sequence.truth, sequence.pictures):
        svg = shot_svg(
            shot,
            picture,
            person=event.person,
            truth=sequence.truth,
            result=sequence.result,
            tracks=(event.last_track, event.track),
            expected=event.expected if shot.frame == event.frame else None,
        )
        figures.append(f"<figure>{svg}<figcaption>{_when(event, shot.frame)}</figcaption></figure>")
    facts = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in _facts(event))
    return (
        f'<article class="event" id="{_anchor(number, place)}"><h3>{_headline(report, event)}</h3>'
        f'<div class="shots">{"".join(figures)}</div><dl>{facts}</dl></article>'
    )


def _headline(report: MotReport, event: MotEvent) -> str:
    change = (
        _chip(event.track) if event.track == event.last_track else f"{_chip(event.last_track)} → {_chip(event.track)}"
    )
    frames = f"frames {event.last_frame} → {event.frame}"
    return f"{_badge(report.cause(event))}<span>person {event.person}</span><span>{change}</span><span>{frames}</span>"


def _facts(event: MotEvent) -> list[tuple[str, str]]:
    """Returns what was measured, by name."""
    facts = [("Overlap with the expected place", f"{event.iou:.2f}")]
    if not math.isnan(event.camera_iou) and abs(event.camera_iou - event.iou) >= 0.1:
        facts.append(("… moved as the others did", f"{event.camera_iou:.2f}"))
    if not math.isnan(event.cosine):
        facts.append(("Similarity of the looks", f"{event.cosine:.2f}"))
    if event.between:
        facts.append(("Frames between", f"{event.between}"))
        facts.append(("… without a box of their own", f"{event.missing}"))
        if event.missing:
            facts.append(("… … and hidden behind another", f"{event.hidden}"))
        facts.append(("… with the old track reported", f"{event.reported}"))
        if not math.isnan(event.score):
            facts.append(("… mean score of those boxes", f"{event.score:.2f}"))
    if event.neighbour is not None:
        facts.append(("The other person", f"{event.neighbour}"))
    return facts


def _when(event: MotEvent, frame: int) -> str:
    if frame == event.last_frame:
        return f"frame {frame}: {_chip(event.last_track, word=False)}"
    if frame == event.frame:
        return f"frame {frame}: {_chip(event.track, word=False)}"
    return f"frame {frame}: none"


def _over_time(sequence: SequenceReport) -> str:
    """Returns how switches and fragments add up over the frames."""
    frame = Frame(
        Axis("frame", 1, max(sequence.length, 2)),
        Axis("events", 0, 1.05 * len(sequence.events) or 1),
        width=960,
        height=220,
    )
    shapes, legend = [], {}
    for kind, name, color in (("switch", "switches", "c2"), ("fragment", "fragments", "c1")):
        at = np.sort([event.frame for event in sequence.events if event.kind == kind])
        x = np.concatenate([[1], np.repeat(at, 2), [sequence.length]])
        y = np.concatenate([np.repeat(np.arange(len(at) + 1), 2)])
        shapes.append(line(frame, x, y, color=color))
        legend[name] = color
    return chart(frame, *shapes, title="Switches and fragments so far", legend=legend)


def _causes(report: MotReport, kind: str) -> Counter[str]:
    return Counter(report.cause(event) for one in report.sequences for event in one.events if event.kind == kind)


def _badge(cause: str) -> str:
    return f'<b class="badge {cause.replace(" ", "-")}">{escape(cause)}</b>'


def _chip(track: int, *, word: bool = True) -> str:
    return f'<i class="chip" style="background:{css_colour(track)}"></i>{"track " if word else ""}{track}'


def _anchor(number: int, place: int) -> str:
    return f"event{number}-{place}"
