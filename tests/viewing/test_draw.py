"""Drawings on frames, and several pictures in one."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from mot_reid.structures import Tracks
from mot_reid.viewing.draw import Annotator, colour, montage

GREY = np.full((100, 160, 3), 90, dtype=np.uint8)


def tracks(*boxes: tuple[float, float, float, float], ids: list[int] | None = None) -> Tracks:
    return Tracks(np.array(boxes), np.array(ids or range(1, len(boxes) + 1)))


def changed(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """(H, W) whether a pixel differs."""
    return (before != after).any(axis=2)


def only(**shown: bool) -> Annotator:
    return Annotator(**{"boxes": False, "ids": False, "trails": False, "scores": False, **shown})


def test_colour_of_an_identity_is_stable() -> None:
    assert colour(7) == colour(7)
    assert {type(value) for value in colour(10**6)} == {int}


def test_colours_of_neighbouring_identities_are_far_apart() -> None:
    for start in range(0, 60, 6):
        for first, second in combinations(range(start, start + 6), 2):
            assert np.abs(np.subtract(colour(first), colour(second))).sum() > 60, (first, second)


def test_input_is_left_as_it_was() -> None:
    image = GREY.copy()
    Annotator(scores=True)(image, tracks((20, 30, 60, 90)))
    assert np.array_equal(image, GREY)


def test_box_is_drawn_along_its_border_in_its_colour() -> None:
    drawn = only(boxes=True)(GREY, tracks((20, 30, 60, 90), ids=[5]))
    assert drawn[60, 20].tolist() == list(colour(5))
    assert drawn[60, 59].tolist() == list(colour(5))
    assert drawn[89, 40].tolist() == list(colour(5))
    assert not changed(GREY, drawn)[40:80, 30:50].any()


def test_label_is_above_the_box_or_inside_at_the_top() -> None:
    rows = np.flatnonzero(changed(GREY, only(ids=True)(GREY, tracks((20, 40, 60, 90)))).any(axis=1))
    assert rows.max() <= 40 and rows.min() > 20
    rows = np.flatnonzero(changed(GREY, only(ids=True)(GREY, tracks((20, 0, 60, 90)))).any(axis=1))
    assert rows.min() == 0 and rows.max() < 25


def label(box: tuple[float, float, float, float], track_id: int) -> np.ndarray:
    """(H, W) where the label of a box is that stands alone."""
    return changed(GREY, only(ids=True)(GREY, tracks(box, ids=[track_id])))


def test_label_is_not_covered_by_the_box_of_another() -> None:
    behind, before = (60, 60, 90, 95), (30, 50, 80, 80)
    where = label(behind, 1)
    alone = only(ids=True, boxes=True)(GREY, tracks(behind, ids=[1]))
    both = only(ids=True, boxes=True)(GREY, tracks(behind, before, ids=[1, 2]))
    assert where.sum() > 50
    assert np.array_equal(both[where], alone[where])


def test_labels_of_twins_do_not_cover_each_other() -> None:
    box = (60, 30, 90, 70)
    drawn = only(ids=True)(GREY, tracks(box, box, box, ids=[1, 2, 3]))
    for track_id in (1, 2, 3):
        alone = only(ids=True)(GREY, tracks(box, ids=[track_id]))
        plate, shown = ((picture == colour(track_id)).all(axis=2).sum() for picture in (alone, drawn))
        assert shown == plate > 50


def test_scores_make_the_label_longer() -> None:
    box = tracks((20, 40, 60, 90))
    short = changed(GREY, only(ids=True)(GREY, box)).any(axis=0).sum()
    long = changed(GREY, only(ids=True, scores=True)(GREY, box)).any(axis=0).sum()
    assert long > short + 10


def test_nothing_switched_on_draws_nothing() -> None:
    assert np.array_equal(only()(GREY, tracks((20, 40, 60, 90))), GREY)


def test_trail_follows_the_feet() -> None:
    annotator = only(trails=True)
    annotator(GREY, tracks((20, 30, 40, 50)))
    drawn = changed(GREY, annotator(GREY, tracks((60, 30, 80, 50))))
    assert drawn[50, 30:71].all()
    assert not drawn[:48].any() and not drawn[53:].any()


def test_trail_ends_where_it_is_too_old() -> None:
    annotator = Annotator(boxes=False, ids=False, trail_seconds=0.3, frame_rate=10)
    for step in range(8):
        drawn = changed(GREY, annotator(GREY, tracks((10 * step, 30, 10 * step + 10, 50))))
    columns = np.flatnonzero(drawn.any(axis=0))
    assert columns.min() >= 75 - 30 - 2 and columns.max() <= 77


def test_trail_does_not_jump_over_an_absence() -> None:
    annotator = Annotator(boxes=False, ids=False, trail_seconds=10, frame_rate=10)
    annotator(GREY, tracks((0, 30, 20, 50)))
    for _ in range(9):
        annotator(GREY, Tracks.empty())
    assert not changed(GREY, annotator(GREY, tracks((120, 30, 140, 50)))).any()


def test_boxes_beyond_the_picture_do_no_harm() -> None:
    drawn = Annotator(scores=True)(GREY, tracks((-50, -50, 20, 20), (150, 90, 400, 300), (500, 500, 600, 600)))
    assert drawn.shape == GREY.shape


@pytest.mark.parametrize("image", [GREY[..., 0], GREY.astype(float)])
def test_what_is_no_picture_is_refused(image: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"expected uint8 \(H, W, 3\)"):
        Annotator()(image, Tracks.empty())


def test_trail_of_no_time_is_refused() -> None:
    with pytest.raises(ValueError, match="trail_seconds: got 0; expected a number above 0"):
        Annotator(trail_seconds=0)


def flat(value: int, height: int = 40, width: int = 60) -> np.ndarray:
    return np.full((height, width, 3), value, dtype=np.uint8)


def test_montage_puts_pictures_row_by_row() -> None:
    sheet = montage([flat(10), flat(20), flat(30)])
    assert sheet.shape == (80, 120, 3)
    assert [int(sheet[y, x, 0]) for y, x in ((20, 30), (20, 90), (60, 30), (60, 90))] == [10, 20, 30, 0]


def test_montage_keeps_the_shape_of_a_picture() -> None:
    sheet = montage([flat(10), flat(20, height=40, width=20)], columns=2)
    row = sheet[20, 60:, 0]
    assert row[:18].tolist() == [0] * 18 and row[22:38].tolist() == [20] * 16 and row[42:].tolist() == [0] * 18


def test_montage_fits_the_width_in_even_sizes() -> None:
    sheet = montage([flat(10)] * 4, columns=4, width=101)
    assert sheet.shape[1] <= 104 and sheet.shape[1] % 2 == 0 and sheet.shape[0] % 2 == 0


def test_titles_are_written_in_the_corner_of_their_picture() -> None:
    plain, titled = montage([flat(10), flat(20)]), montage([flat(10), flat(20)], titles=["a", "b"])
    where = changed(plain, titled)
    assert where[:20, :20].any() and where[:20, 60:80].any() and not where[30:].any()


def test_montage_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="got 0 pictures"):
        montage([])
    with pytest.raises(ValueError, match="got 2 pictures and 1 titles"):
        montage([flat(1), flat(2)], titles=["a"])
