"""The report card as a browser reads it: sections, pictures, numbers, and nothing from elsewhere."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from mot_reid.metrics.calibration import calibrate
from mot_reid.metrics.camera_pairs import CameraPairs, evaluate_camera_pairs
from mot_reid.metrics.rank_lists import rank_lists
from mot_reid.metrics.scores import score_rankings
from mot_reid.metrics.verification import PairSimilarities, similarities_between
from mot_reid.viewing.crops import Crop, Evidence, Example
from mot_reid.viewing.html.report import ReportCard, cameras_html, report_html, scores_html, similarity_html

VOID = {"meta", "img", "br", "circle", "line", "polyline", "polygon"}


class Page(HTMLParser):
    """Collects what a page consists of, and refuses tags that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, str] = {}
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        for section in [attrs.get("id") for tag, attrs in self.tags if tag == "section"][-1:]:
            self.text[str(section)] = self.text.get(str(section), "") + data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def problem():
    rng = np.random.default_rng(0)
    center = 0.8 * rng.normal(size=(16, 8))
    person, gallery_person = rng.integers(1, 16, 40), rng.integers(0, 16, 200)
    ids = {
        "query_person_id": person,
        "gallery_person_id": gallery_person,
        "query_camera_id": rng.integers(1, 4, 40),
        "gallery_camera_id": rng.integers(1, 4, 200),
    }
    return center[person] + rng.normal(size=(40, 8)), center[gallery_person] + rng.normal(size=(200, 8)), ids


def crop(
    person: int, camera: int | None, status: str = "query", rank: int = 0, similarity: float | None = None
) -> Crop:
    picture = np.random.default_rng(person).integers(0, 256, (64, 32, 3), dtype=np.uint8)
    return Crop(picture, person, camera, status, rank, similarity)


@pytest.fixture(scope="module")
def card() -> ReportCard:
    query, gallery, ids = problem()
    scores = score_rankings(query, gallery, **ids, neighbours=3, reciprocal=10, samples=20)
    (ranked,) = rank_lists(query, gallery, rows=[0], length=8, **ids)
    answers = []
    for row, similarity, rank, status in zip(ranked.gallery, ranked.similarity, ranked.rank, ranked.status):
        person, camera = int(ids["gallery_person_id"][row]), int(ids["gallery_camera_id"][row])
        answers.append(crop(person, camera, status, int(rank), float(similarity)))
    asked = crop(int(ids["query_person_id"][0]), int(ids["query_camera_id"][0]))
    example = Example(asked, answers, float(scores["plain"].result.ap[0]))
    heat = np.linspace(0, 1, 8).reshape(4, 2)
    return ReportCard(
        title="A <model> & more",
        measured="40 queries",
        scores=scores,
        pairs=similarities_between(query, gallery, **ids),
        calibration=calibrate(gallery, person_id=ids["gallery_person_id"], false_match_rate=0.01).to_dict(),
        cameras=evaluate_camera_pairs(query, gallery, **ids),
        worst=[example],
        best=[example, example],
        evidence=[Evidence(asked, answers[0], heat, heat)],
        curves={"train/loss": ([0, 10], [3.0, 1.0]), "val/mAP": ([10], [0.4]), "lr-Adam": ([0, 10], [1e-3, 1e-4])},
        provenance={"seed": 0, "git": None, "config": {"run": {"name": "<x>"}}},
    )


SECTIONS = ["scores", "similarity", "cameras", "worst", "best", "evidence", "training", "provenance"]


def test_report_has_all_sections_in_order_and_links_to_them(card: ReportCard) -> None:
    page = Page(report_html(card))
    assert [section["id"] for section in page.all("section")] == SECTIONS
    assert [link["href"] for link in page.all("a")] == [f"#{name}" for name in SECTIONS]


def test_report_leaves_out_what_there_is_nothing_to_say_of(card: ReportCard) -> None:
    bare = ReportCard(title="x", measured="y", scores={"plain": card.scores["plain"]}, pairs=card.pairs)
    page = Page(report_html(bare))
    assert [section["id"] for section in page.all("section")] == ["scores", "similarity"]
    assert not page.all("img")


def test_report_needs_nothing_from_elsewhere(card: ReportCard) -> None:
    html = report_html(card)
    page = Page(html)
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "link", "iframe", "object", "embed", "base"}
    sources = [value for _, attrs in page.tags for name, value in attrs.items() if name in ("src", "href", "srcset")]
    assert all(str(source).startswith(("data:image/", "#")) for source in sources)
    assert not re.search(r"https?:|//[a-z]|url\(|@import", re.sub(r'src="data:[^"]*"', "", html))


def test_report_pictures_decode(card: ReportCard) -> None:
    pictures = Page(report_html(card)).all("img")
    assert len(pictures) == 3 * (1 + 8) + 4
    for picture in pictures:
        encoded = base64.b64decode(str(picture["src"]).partition(",")[2])
        assert cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR).shape == (64, 32, 3)
        assert picture["alt"]


def test_report_escapes_what_it_is_given(card: ReportCard) -> None:
    html = report_html(card)
    assert "<model>" not in html and "A &lt;model&gt; &amp; more" in html
    assert "<x>" not in html and "&lt;x&gt;" in html


def test_report_shows_the_scores_in_percent_with_their_intervals(card: ReportCard) -> None:
    text = Page(report_html(card)).text["scores"]
    for name, found in card.scores.items():
        low, high = found.intervals["mean_ap"]
        assert f"{100 * found.result.mean_ap:.1f}" in text, name
        assert f"{100 * low:.1f} – {100 * high:.1f}" in text, name


def test_scores_without_intervals_promise_none(card: ReportCard) -> None:
    html = scores_html({"plain": replace(card.scores["plain"], intervals={})})
    assert "–" not in html and "bootstrap" not in html and "<table" not in html


def test_rank_list_keeps_order_and_colours_of_the_ranking(card: ReportCard) -> None:
    page = Page(report_html(card))
    shown = [str(figure["class"]) for figure in page.all("figure") if str(figure.get("class")).startswith("crop")][:9]
    query, gallery, ids = problem()
    similarity = gallery @ query[0] / np.linalg.norm(gallery, axis=1)
    expected = ["crop query"]
    for row in np.argsort(-similarity)[:8]:
        same = ids["gallery_person_id"][row] == ids["query_person_id"][0]
        own = same and ids["gallery_camera_id"][row] == ids["query_camera_id"][0]
        expected.append("crop ignored" if own else "crop match" if same else "crop wrong")
    assert shown == expected
    assert {"crop match", "crop wrong", "crop ignored"} <= set(shown)


def test_measured_rates_are_those_of_the_pairs_at_the_threshold(card: ReportCard) -> None:
    assert card.calibration is not None
    query, gallery, ids = problem()
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (query, gallery)]
    similarity = unit[0] @ unit[1].T
    different = ids["query_person_id"][:, None] != ids["gallery_person_id"]
    rate = (similarity[different] >= card.calibration["threshold"]).mean()
    html = similarity_html(card.pairs, card.calibration)
    assert f"<td>1.000%</td><td>{100 * rate:.3f}%</td>" in html


def test_similarity_without_calibration_draws_no_threshold(card: ReportCard) -> None:
    assert "hreshold" not in similarity_html(card.pairs, None)


def test_similarity_says_nothing_without_pairs_of_both_kinds() -> None:
    none, some = np.zeros(256, dtype=np.int64), np.ones(256, dtype=np.int64)
    assert (
        similarity_html(PairSimilarities(none, some), None) == similarity_html(PairSimilarities(some, none), None) == ""
    )


def test_camera_matrix_writes_every_pair_and_names_the_hardest() -> None:
    pairs = CameraPairs(
        np.array([1, 2]),
        np.array([1, 2, 5]),
        np.array([[np.nan, 0.5, 0.25], [0.75, np.nan, 0.6]]),
        np.ones((2, 3), int),
    )
    html = cameras_html(pairs)
    assert re.findall(r"<td[^>]*>([^<]*)</td>", html) == ["–", "50.0", "25.0", "75.0", "–", "60.0"]
    assert "Hardest: from camera 1 to camera 5, 25.0%" in html


def test_camera_matrix_says_nothing_without_a_pair() -> None:
    nothing = CameraPairs(np.array([1]), np.array([1]), np.array([[np.nan]]), np.zeros((1, 1), int))
    assert cameras_html(nothing) == ""


def test_training_curves_have_a_chart_per_panel_that_has_values(card: ReportCard) -> None:
    text = Page(report_html(card)).text["training"]
    assert "Loss" in text and "Score (%)" in text and "Learning rate" in text and "Images per second" not in text
