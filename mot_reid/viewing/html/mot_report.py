"""Why did it switch? One HTML file that shows every identity switch and fragment of a tracker, and its cause.

The causes are those of `metrics.mot_events`, whose `MotEvent.cause` defines the rule.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from markupsafe import Markup

from mot_reid.metrics.mot import ClearPairs, MotScores
from mot_reid.metrics.mot_events import CAUSES, MotEvent
from mot_reid.structures import TrackTable
from mot_reid.viewing.charts import Axis, Frame, chart, line
from mot_reid.viewing.draw import css_colour
from mot_reid.viewing.html.page import Section, page_html
from mot_reid.viewing.html.templates import render
from mot_reid.viewing.html.timelines import Mark, Row, person_rows, timeline_svg, track_rows
from mot_reid.viewing.mot_pictures import Picture, Shot, of_event, shot_svg

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


def mot_report_html(report: MotReport) -> Markup:
    """Returns the whole page."""
    sections = [
        Section("scores", "Scores", scores_html(report)),
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
    return page_html(title, heading=title, subtitle=report.measured, sections=sections, style="mot_report.css")


def scores_html(report: MotReport) -> Markup:
    """Returns the scores of all boxes together as tiles, and a table where there are several sequences."""
    entries = [(one.name, one.scores) for one in report.sequences]
    rows = [(name, _headline_scores(scores)) for name, scores in [*entries, ("Together", report.combined)]]
    values = {"tiles": _headline_scores(report.combined), "counts": COUNTS, "rows": rows if len(entries) > 1 else []}
    return render("mot_report/scores.html", values)


def causes_html(report: MotReport) -> Markup:
    """Returns how many switches and fragments each cause has."""
    switches, fragments = (_causes(report, kind) for kind in ("switch", "fragment"))
    found = sorted(
        (cause for cause in CAUSES if switches[cause] or fragments[cause]),
        key=lambda cause: (-switches[cause], -fragments[cause]),
    )
    causes = [
        {"name": cause, "switches": switches[cause], "fragments": fragments[cause], "meaning": CAUSES[cause]}
        for cause in found
    ]
    both = sum(one.scores.clear.frag for one in report.sequences) - fragments.total()
    values = {"causes": causes, "both": both, "gate": f"{report.gate:g}", "threshold": f"{report.threshold:.3g}"}
    return render("mot_report/causes.html", values)


def timelines_html(sequence: SequenceReport, number: int) -> Markup:
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
    tracks = track_rows(sequence.result, sequence.pairs)
    values = {
        "persons": timeline_svg(persons, length=sequence.length, what="person"),
        "tracks": timeline_svg(tracks, length=sequence.length, what="track"),
        "over_time": _over_time(sequence) if sequence.events else "",
    }
    return render("mot_report/timelines.html", values)


def events_html(report: MotReport, number: int, kind: str) -> Markup:
    """Returns a card for each event of a kind; where there are more than `CARDS`, the shorter ones are only listed."""
    sequence = report.sequences[number]
    chosen = [(place, event) for place, event in enumerate(sequence.events) if event.kind == kind]
    if not chosen:
        return Markup("")
    longest = {place for place, _ in sorted(chosen, key=lambda item: -item[1].between)[:CARDS]}
    cards = [
        {**_shown(report, number, place, event), "facts": _facts(event), "shots": _shots(sequence, event)}
        for place, event in chosen
        if place in longest
    ]
    listed = [_shown(report, number, place, event) for place, event in chosen if place not in longest]
    return render("mot_report/events.html", {"cards": cards, "listed": listed})


def _headline_scores(scores: MotScores) -> dict[str, Any]:
    values = scores.to_dict()
    return {name: values[key] for name, key in {**TILES, **COUNTS}.items()}


def _shown(report: MotReport, number: int, place: int, event: MotEvent) -> dict[str, Any]:
    """Returns the headline of an event, and where it stands."""
    return {
        "anchor": _anchor(number, place),
        "cause": report.cause(event),
        "person": event.person,
        "last_track": _track(event.last_track),
        "track": _track(event.track),
        "last_frame": event.last_frame,
        "frame": event.frame,
    }


def _shots(sequence: SequenceReport, event: MotEvent) -> list[dict[str, Any]]:
    """Returns the pictures of an event; the track is that of the person in the frame."""
    tracks = {event.last_frame: event.last_track, event.frame: event.track}
    shown = []
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
        track = _track(tracks[shot.frame]) if shot.frame in tracks else None
        shown.append({"svg": svg, "frame": shot.frame, "track": track})
    return shown


def _track(track: int) -> dict[str, Any]:
    return {"id": track, "colour": css_colour(track)}


def _facts(event: MotEvent) -> list[tuple[str, str]]:
    """Returns what was measured, by name."""
    facts = [("Overlap with the expected place", f"{event.iou:.2f}")]
    if not math.isnan(event.camera_iou) and abs(event.camera_iou - event.iou) >= 0.1:
        facts.append(("… moved as the others did", f"{event.camera_iou:.2f}"))
    if not math.isnan(event.cosine):
        facts.append(("Similarity of the appearance", f"{event.cosine:.2f}"))
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


def _over_time(sequence: SequenceReport) -> Markup:
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


def _anchor(number: int, place: int) -> str:
    return f"event{number}-{place}"
