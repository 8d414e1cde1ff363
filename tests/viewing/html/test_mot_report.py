"""The tracking report: what is told of a switch, in numbers, bars and pictures."""

from __future__ import annotations

import base64
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from mot_reid.metrics.mot import evaluate_mot
from mot_reid.metrics.mot_events import find_events
from mot_reid.structures import TrackTable
from mot_reid.viewing.html import mot_report
from mot_reid.viewing.html.mot_report import MotReport, SequenceReport, mot_report_html
from mot_reid.viewing.html.timelines import person_rows, timeline_svg, track_rows
from mot_reid.viewing.mot_pictures import Shot, shot_svg, shots, take

VOID = {"meta", "img", "br", "image", "rect", "line", "path", "circle", "polyline", "polygon"}


class Tags(HTMLParser):
    """Checks that tags close in the order in which they opened; collects identifiers, links and sources."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.links, self.text = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.ids += [values["id"]] if "id" in values else []
        self.links += [values[name] for name in ("href", "src") if name in values]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in ("href", "src")]

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def path(frames, identity, *, x=0.0):
    frames = np.asarray(frames)
    return TrackTable(frames, np.full(len(frames), identity), np.tile([x, 10.0, x + 20, 50.0], (len(frames), 1)))


TRUTH = TrackTable.concatenate([path(range(1, 21), 1, x=30), path(range(1, 21), 2, x=100)])
RESULT = TrackTable.concatenate(
    [path(range(1, 6), 7, x=30), path(range(10, 21), 8, x=30), path(range(1, 21), 9, x=100), path([3, 4], 5, x=160)]
)


def sequence(name="a", *, pictures=None, truth=TRUTH, result=RESULT):
    scored = evaluate_mot({name: truth}, {name: result}, benchmark="MOT15")
    events = find_events(truth, result, scored.pairs[name])
    return SequenceReport(
        name,
        scored.sequences[name],
        truth=truth,
        result=result,
        pairs=scored.pairs[name],
        events=events,
        length=20,
        pictures=pictures or {},
    )


def report(*sequences):
    return MotReport("mine", "measured <here>", sequences[0].scores, sequences)


def frames():
    """Frame n has n in every pixel's blue; the person's place is white in frame 10."""
    for number in range(1, 21):
        image = np.zeros((60, 200, 3), dtype=np.uint8)
        image[:, :, 0] = number
        if number == 10:
            image[10:50, 30:50] = 255
        yield number, image


def test_page_tells_of_the_switch():
    page = Tags(mot_report_html(report(sequence())))
    text = " ".join("".join(page.text).split())
    assert "mine: why did it switch?" in text and "measured <here>" in text
    assert re.search(r"missed detectionperson 1track 7 → track 8frames 5 → 10", text)
    assert "Overlap with the expected place1.00" in text and "Frames between4" in text


def test_page_needs_nothing_beside_it_and_links_within_itself_lead_somewhere():
    taken = take(frames(), [shot for event in sequence().events for shot in shots(event, TRUTH)])
    page = Tags(mot_report_html(report(sequence(pictures=taken))))
    inside = [link[1:] for link in page.links if link.startswith("#")]
    assert set(inside) <= set(page.ids) and "event0-0" in inside
    assert {link[:23] for link in page.links if not link.startswith("#")} == {"data:image/jpeg;base64,"}
    assert len(page.ids) == len(set(page.ids))


def test_several_sequences_have_sections_and_a_table():
    page = Tags(mot_report_html(report(sequence("a"), sequence("b"))))
    text = "".join(page.text)
    assert "a: switches" in text and "b: who was followed by whom" in text and "Together" in text
    assert {"switch0", "switch1", "event0-0", "event1-0"} <= set(page.ids)


def test_flawless_result_says_so():
    text = "".join(Tags(mot_report_html(report(sequence(result=TRUTH)))).text)
    assert "every person was followed without interruption" in text


def test_causes_are_counted_by_the_gate_of_the_report():
    jumped = TrackTable.concatenate(
        [path(range(1, 6), 1, x=30), path(range(6, 21), 1, x=48), path(range(1, 21), 2, x=99)]
    )
    tracks = TrackTable.concatenate(
        [path(range(1, 6), 7, x=30), path(range(6, 21), 8, x=48), path(range(1, 21), 9, x=99)]
    )
    part = sequence(truth=jumped, result=tracks)
    assert ">gate</b>" in mot_report.causes_html(MotReport("", "", part.scores, [part], gate=0.1))
    assert ">association</b>" in mot_report.causes_html(MotReport("", "", part.scores, [part], gate=0.04))


def test_events_beyond_the_cards_are_listed(monkeypatch):
    gaps = TrackTable.concatenate([path([1, 2, 4, 5, 6, 10, 11, 13, 14], 7, x=30), path(range(1, 21), 9, x=100)])
    part = sequence(result=gaps)
    monkeypatch.setattr(mot_report, "CARDS", 1)
    body = mot_report.events_html(report(part), 0, "fragment")
    assert body.count('<article class="event"') == 1 and body.count("<li id=") == 2
    assert "frames 6 → 10" in body.split("<ul")[0]  # the longest is the one with a picture


# Timelines


def test_person_rows_have_runs_of_tracks_over_the_annotation():
    part = sequence()
    first = person_rows(part.truth, part.pairs)[0]
    assert [(bar.start, bar.stop, bar.identity) for bar in first.bars] == [(1, 20, None), (1, 5, 7), (10, 20, 8)]


def test_a_switch_without_a_gap_begins_a_new_bar():
    part = sequence(result=TrackTable.concatenate([path(range(1, 6), 7, x=30), path(range(6, 21), 8, x=30)]))
    bars = person_rows(part.truth, part.pairs)[0].bars
    assert [(bar.start, bar.stop, bar.identity) for bar in bars[1:]] == [(1, 5, 7), (6, 20, 8)]


def test_track_rows_are_pale_where_nobody_is():
    part = sequence()
    rows = {row.identity: row.bars for row in track_rows(part.result, part.pairs)}
    assert [(bar.start, bar.stop, bar.identity) for bar in rows[5]] == [(3, 4, None)]
    assert rows[9][-1].identity == 2


def test_timeline_is_valid_svg_with_bars_in_proportion():
    part = sequence()
    svg = ET.fromstring(timeline_svg(person_rows(part.truth, part.pairs), length=20, what="person"))[0]
    bars = {child[0].text: float(child.get("width")) for child in svg if child.tag == "rect"}
    short, long = bars["person 1, frames 1 to 5: track 7"], bars["person 1, frames 10 to 20: track 8"]
    assert short / long == pytest.approx(5 / 10, abs=0.02)  # the end of the last frame is the end of the axis


# Pictures


def test_shots_are_before_between_and_after():
    event = sequence().events[0]
    assert [shot.frame for shot in shots(event, TRUTH)] == [5, 8, 10]
    assert shots(event, TRUTH)[0].region == (10.0, -6.0, 70.0, 66.0)


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_a_picture_is_the_piece_of_the_right_frame(scale):
    """Fails when: the frame is another, the scale is forgotten, or rows are taken for columns."""
    shot = Shot(10, (30 / scale, 10 / scale, 50 / scale, 50 / scale))
    picture = take(frames(), [shot], scale=scale)[shot]
    pixels = cv2.imdecode(np.frombuffer(base64.b64decode(picture.uri.partition(",")[2]), np.uint8), cv2.IMREAD_COLOR)
    assert pixels.shape == (40, 20, 3) and pixels.min() > 240
    assert picture.region == shot.region


def test_a_picture_ends_where_the_frame_ends_and_colours_are_right():
    shot = Shot(20, (-40.0, -40.0, 30.0, 30.0))
    picture = take(frames(), [shot])[shot]
    assert picture.region == (0.0, 0.0, 30.0, 30.0)
    pixels = cv2.imdecode(np.frombuffer(base64.b64decode(picture.uri.partition(",")[2]), np.uint8), cv2.IMREAD_COLOR)
    assert abs(pixels[..., 0].mean() - 20) < 4 and pixels[..., 2].mean() < 4


def test_shots_without_a_frame_or_outside_of_it_have_no_picture():
    assert take(frames(), [Shot(21, (0, 0, 9, 9)), Shot(3, (500, 0, 600, 9))]) == {}


def test_frames_after_the_last_shot_are_not_read():
    seen = []

    def counted():
        for number, image in frames():
            seen.append(number)
            yield number, image

    take(counted(), [Shot(3, (0, 0, 9, 9))])
    assert seen == [1, 2, 3]


def test_a_shot_shows_the_tracks_of_the_event_with_their_numbers():
    svg = ET.fromstring(
        shot_svg(
            Shot(10, (0, 0, 60, 60)),
            None,
            person=1,
            truth=TRUTH,
            result=RESULT,
            tracks=(7, 8),
            expected=np.array([31.0, 10, 51, 50]),
        )
    )
    assert [child.text for child in svg if child.tag == "text"] == ["8"]
    dashed = [float(child.get("x")) for child in svg if child.get("stroke-dasharray")]
    assert dashed == [31, 30]
