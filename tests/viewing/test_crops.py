"""Pictures in a report: what is encoded, what is laid over, what is written below."""

from __future__ import annotations

import base64

import cv2
import numpy as np
import pytest

from mot_reid.viewing.crops import Crop, data_uri, overlay
from mot_reid.viewing.crops import Example as RankedExample
from mot_reid.viewing.html.examples import rank_lists_html


def decoded(uri: str) -> np.ndarray:
    kind, _, text = uri.partition(",")
    assert kind == "data:image/jpeg;base64"
    return cv2.imdecode(np.frombuffer(base64.b64decode(text), np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]


def red(height: int = 128, width: int = 64) -> np.ndarray:
    return np.full((height, width, 3), (220, 30, 40), dtype=np.uint8)


def test_data_uri_keeps_size_and_channel_order() -> None:
    found = decoded(data_uri(red()))
    assert found.shape == (128, 64, 3)
    assert abs(found.astype(int) - red()).max() <= 4


def test_data_uri_shrinks_what_is_high_and_keeps_its_shape() -> None:
    assert decoded(data_uri(red(1024, 300))).shape == (256, 75, 3)


def test_overlay_is_warm_where_the_map_is_high() -> None:
    gray = np.full((128, 64, 3), 100, dtype=np.uint8)
    heat = np.zeros((8, 4))
    heat[0] = 1
    found = overlay(gray, heat)
    assert found.shape == gray.shape and found.dtype == np.uint8
    assert (found[64:] == 100).all()
    top = found[2, 32].astype(int)
    assert top[0] > 150 and top[0] > top[2]  # red above blue
    assert (gray == 100).all()


@pytest.mark.parametrize(("status", "rank", "mark"), [("match", 1, "✓ 1"), ("wrong", 2, "✗ 2"), ("ignored", 0, "–")])
def test_example_says_of_an_answer_whether_it_is_right(status: str, rank: int, mark: str) -> None:
    answer = Crop(red(), 5, 2, status, rank, 0.734)
    html = rank_lists_html([RankedExample(Crop(red(), 7, 1), [answer], 0.25)])
    assert f'class="crop {status}"' in html and mark in html
    assert "0.73" in html and "5 · c2" in html and "7 · c1" in html and "AP 25.0%" in html


def test_example_names_distractors_and_unknown_cameras() -> None:
    html = rank_lists_html([RankedExample(Crop(red(), 7), [Crop(red(), 0, None, "wrong", 1, 0.5)], 0.5)])
    assert "distractor" in html and "· c" not in html
