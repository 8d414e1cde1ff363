"""Score bands that fit the detector: the level against its definition, and what a tracker makes of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mot_reid import Detections, Tracker, Tracks
from mot_reid.tracking.presets import BOTSORT, BYTETRACK, BYTETRACK_REID, OCSORT, SORT, Bands, Shares
from mot_reid.tracking.score_level import ScoreLevel, fitted, least_high, level_of


def counted(*scores: float, times: int = 100) -> np.ndarray:
    """The counts after so many frames with these scores, without what is assumed before the first one."""
    level = ScoreLevel()
    return times * (level.counts_with(np.array(scores)) - level.counts_with(np.zeros(0)))


def naive_level(scores: np.ndarray) -> float:
    """From above, one candidate after the other: the first that is the median of what lies above half of it."""
    scores = np.sort(scores)
    for candidate in scores[::-1]:
        if (scores >= candidate).mean() >= 0.02 and np.median(scores[scores >= candidate / 2]) >= candidate:
            return float(candidate)
    raise AssertionError


def test_level_is_the_median_of_scores_above_half_of_it():
    """By hand: 0.8 is in the middle of 0.7, 0.8 and 0.9; what lies below 0.4 does not count, however much it is."""
    assert level_of(counted(0.705, 0.805, 0.905, 0.305, 0.205, 0.105, 0.105, 0.105)) == pytest.approx(0.805)
    assert level_of(counted(0.705, 0.805, 0.905)) == pytest.approx(0.805)


@pytest.mark.parametrize("seed", range(20))
def test_level_is_that_of_a_search_one_by_one(seed):
    rng = np.random.default_rng(seed)
    people = rng.normal(rng.uniform(0.65, 0.95), 0.08, 401)
    clutter = rng.exponential(0.1, rng.integers(0, 1400)) + 0.1
    scores = np.clip(np.concatenate((people, clutter)), 0, 0.999)
    assert level_of(counted(*scores, times=1)) == pytest.approx(naive_level(scores), abs=0.0201)


def test_level_does_not_depend_on_where_the_detector_cuts_its_boxes():
    rng = np.random.default_rng(0)
    scores = np.concatenate((rng.normal(0.75, 0.06, 500), rng.uniform(0.1, 0.35, 1000)))
    levels = {level_of(counted(*scores[scores > floor], times=1)) for floor in (0.1, 0.2, 0.3)}
    assert len(levels) == 1 and levels.pop() == pytest.approx(0.75, abs=0.015)


@pytest.mark.parametrize("factor", [0.75, 1.2])
def test_level_follows_the_scale_of_the_scores(factor):
    scores = np.random.default_rng(1).normal(0.75, 0.04, 900)
    assert level_of(counted(*(scores * factor), times=1)) == pytest.approx(0.75 * factor, abs=0.012)


def test_clutter_alone_has_no_level_of_its_own():
    assert level_of(counted(0.15, 0.2, 0.25)) == 0.5


def test_first_boxes_alone_decide_nothing_and_a_change_is_followed():
    level = ScoreLevel()
    assert level_of(level.counts_with(np.array([0.3]))) == pytest.approx(0.755)
    for score, expected in ((0.955, 0.955), (0.655, 0.655)):
        for _ in range(2000):
            level.keep(level.counts_with(np.array([score])))
        assert level_of(level.counts_with(np.zeros(0))) == pytest.approx(expected)


def test_fitted_bands_are_shares_of_the_level_and_never_above_those_written():
    preset = replace(BYTETRACK, shares=Shares(high=0.5, birth=0.9), bands=Bands(high=0.6, low=0.3))
    for level, high, low, birth in ((0.7, 0.35, 0.3, 0.63), (0.5, 0.25, 0.25, 0.45), (1.0, 0.5, 0.3, 0.7)):
        found = fitted(preset, level)
        assert (found.bands.high, found.bands.low, found.life.birth) == pytest.approx((high, low, birth))
    assert least_high(preset) == 0.25
    assert (least_high(OCSORT), least_high(SORT)) == (0.6, None)


# ---- in a tracker --------------------------------------------------------------------------------------------------


def street(people: float, *, frames: int = 60, seed: int = 0, clutter: float = 0.15) -> list[Detections]:
    """Five people who walk beside each other, scored around `people`, and boxes on nobody."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(frames):
        corner = np.column_stack((60.0 * np.arange(5) + 2 * number, np.full(5, 50.0)))
        false = rng.uniform(0, 400, (4, 2))
        corner = np.concatenate((corner, false))
        xyxy = np.hstack((corner, corner + np.array([30, 80])))
        score = np.concatenate((rng.normal(people, 0.05, 5), rng.normal(clutter, 0.03, 4)))
        found.append(Detections(xyxy, np.clip(score, 0, 1)))
    return found


def answers(tracker: Tracker, frames: list[Detections]) -> list[Tracks]:
    return [tracker.update(detections) for detections in frames]


def same(first: list[Tracks], second: list[Tracks]) -> bool:
    return all(np.array_equal(a.track_id, b.track_id) and np.array_equal(a.xyxy, b.xyxy) for a, b in zip(first, second))


def test_weak_detector_is_tracked_as_a_strong_one():
    """People around 0.6: the published bands see most births fail; fitted ones find all five and nobody else."""
    frames = street(0.6)
    published, adaptive = Tracker("bytetrack", bands="published"), Tracker("bytetrack")
    assert sum(map(len, answers(published, frames)[-20:])) < 90
    found = answers(adaptive, frames)
    assert {len(tracks) for tracks in found[-20:]} == {5}
    assert max(tracks.track_id.max(initial=0) for tracks in found) == 5


@pytest.mark.parametrize("factor", [0.8, 0.9, 1.1])
def test_scaled_scores_give_the_same_identities(factor):
    """Once the level is known; pairs are as close in all scales, so only bands could tell them apart."""
    frames = street(0.75, frames=120)
    scaled = [one.replace(score=np.clip(one.score * factor, 0, 1)) for one in frames]
    first, second = answers(Tracker("bytetrack"), frames), answers(Tracker("bytetrack"), scaled)
    assert [len(tracks) for tracks in first[60:]] == [len(tracks) for tracks in second[60:]]
    assert np.array_equal(first[-1].track_id, second[-1].track_id)


@pytest.mark.parametrize("preset", [BYTETRACK, BYTETRACK_REID, BOTSORT], ids=lambda preset: preset.name)
def test_published_bands_are_those_of_the_preset_without_shares(preset):
    frames = street(0.65)
    plain = replace(preset, shares=None)
    published = answers(Tracker(preset, bands="published"), frames)
    assert same(published, answers(Tracker(plain), frames))
    assert same(published, answers(Tracker(preset, high=0.6, birth=0.7), frames))
    assert not same(published, answers(Tracker(preset), frames))


def test_given_values_win():
    assert Tracker("bytetrack").preset.shares is not None
    for given in ({"high": 0.5}, {"birth": 0.5}, {"bands": "published"}):
        assert Tracker("bytetrack", **given).preset.shares is None
    high, birth = Tracker("bytetrack", high=0.5), Tracker("bytetrack", birth=0.5)
    assert (high.preset.bands.high, high.preset.life.birth) == (0.5, pytest.approx(0.6))
    assert (birth.preset.bands.high, birth.preset.life.birth) == (0.6, 0.5)
    assert Tracker("bytetrack", low=0.2).preset.shares is not None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bands": "fitted"}, "bands: got 'fitted'; expected one of adaptive, published"),
        ({"bands": "adaptive", "high": 0.5}, "bands: got 'adaptive' together with a value of high or birth"),
        (
            {"preset": "sort", "bands": "adaptive"},
            "preset 'sort' has no adaptive bands; .* or the preset bytetrack",
        ),
    ],
)
def test_contradictions_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Tracker(**options)


@pytest.mark.parametrize("cut", [1, 7, 40])
def test_run_that_is_cut_goes_on_with_the_same_level(cut):
    frames = street(0.62)
    whole, first, second = Tracker("bytetrack"), Tracker("bytetrack"), Tracker("bytetrack")
    expected = answers(whole, frames)
    answers(first, frames[:cut])
    second.load_state_dict(first.state_dict())
    assert same(answers(second, frames[cut:]), expected[cut:])
    assert np.array_equal(second.state_dict()["scores/counts"], whole.state_dict()["scores/counts"])


def test_frame_that_is_refused_does_not_count():
    tracker = Tracker("bytetrack_reid", reid=lambda image, xyxy: np.eye(len(xyxy), 8, dtype=np.float32))
    before = tracker.state_dict()["scores/counts"]
    with pytest.raises(ValueError, match="image: got None"):
        tracker.update(street(0.9)[0])
    assert np.array_equal(tracker.state_dict()["scores/counts"], before)


def test_state_of_other_bands_is_refused():
    adaptive, published = Tracker("bytetrack"), Tracker("bytetrack", bands="published")
    with pytest.raises(ValueError, match="got bands published; expected adaptive, that of this tracker"):
        adaptive.load_state_dict(published.state_dict())
    with pytest.raises(ValueError, match="got bands adaptive; expected published, that of this tracker"):
        published.load_state_dict(adaptive.state_dict())
