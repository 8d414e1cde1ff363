"""A threshold from links: counted against loops, and its promise against worlds whose people are all known."""

from __future__ import annotations

import numpy as np
import pytest

from mot_reid.metrics.linked_pairs import BINS, LinkedPairs, calibrate_linked, check_evidence, link_pairs


def world(seed: int, *, tracks: int = 12, images: int = 5) -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
    """Images of people, each around a face of its own, some faces more alike than others."""
    rng = np.random.default_rng(seed)
    faces = rng.normal(size=(tracks, 12)) + 0.8
    return np.repeat(faces, images, axis=0) + rng.normal(size=(tracks * images, 12)) * 0.7, np.arange(tracks), rng


def all_together(tracks: int) -> np.ndarray:
    return np.stack(np.triu_indices(tracks, 1), axis=1)


def links(seed: int, *, tracks: int = 12, images: int = 5) -> LinkedPairs:
    embedding, _, _ = world(seed, tracks=tracks, images=images)
    of = np.repeat(np.arange(tracks), images)
    seconds = np.tile(np.arange(images, dtype=float), tracks)
    return link_pairs(embedding, tracklet=of, track=of, seconds=seconds, together=all_together(tracks), apart=1.0)


def bin_of(one: np.ndarray, other: np.ndarray) -> int:
    cosine = float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))
    return min(int((cosine + 1) / 2 * BINS), BINS - 1)


def test_pairs_are_those_of_the_definition() -> None:
    """Tracklets 0 and 1 are of one track; 0 and 2, 1 and 2, 2 and 3 were seen together, and nobody else."""
    rng = np.random.default_rng(0)
    tracklet = np.array([0, 0, 0, 1, 1, 2, 2, 2, 3])
    track = np.array([7, 7, 7, 7, 7, 8, 8, 8, 9])
    seconds = np.array([0, 0.5, 1.0, 3, 4, 0, 1, 2.5, 2])
    embedding = rng.normal(size=(9, 6)).astype(np.float32)
    together = np.array([[0, 2], [1, 2], [2, 3]])
    found = link_pairs(embedding, tracklet=tracklet, track=track, seconds=seconds, together=together, apart=1.0)
    genuine, impostor = np.zeros(BINS, int), {(7, 8): np.zeros(BINS, int), (8, 9): np.zeros(BINS, int)}
    for one in range(9):
        for other in range(one + 1, 9):
            place = bin_of(embedding[one], embedding[other])
            if tracklet[one] == tracklet[other] and abs(seconds[one] - seconds[other]) >= 1:
                genuine[place] += 1
            if [tracklet[one], tracklet[other]] in together.tolist():
                impostor[track[one], track[other]][place] += 1
    assert genuine.sum() == 5  # 0 and 1.0; 3 and 4; 0 and 1, 0 and 2.5, 1 and 2.5
    np.testing.assert_array_equal(found.genuine, genuine)
    assert [tuple(pair) for pair in found.together.tolist()] == list(impostor)
    np.testing.assert_array_equal(found.impostor, list(impostor.values()))


def test_threshold_of_a_draw_is_that_of_its_pairs_written_out() -> None:
    """Each draw by loops: a pair of tracks counts as often as both were drawn together; then the sorted list."""
    found, rate = links(3), 0.05
    rng = np.random.default_rng(5)
    expected = []
    for drawn in rng.multinomial(12, np.full(12, 1 / 12), size=20):
        counts = sum(
            drawn[one] * drawn[other] * row for (one, other), row in zip(found.together.tolist(), found.impostor)
        )
        codes = np.repeat(np.arange(BINS), counts)
        threshold = next(edge for edge in range(BINS + 1) if (codes >= edge).mean() <= rate)
        expected.append(threshold / BINS * 2 - 1)
    np.testing.assert_allclose(found.thresholds(rate, samples=20, seed=5), expected, atol=1e-12)


def test_promise_holds_for_people_who_were_not_seen_where_the_estimate_does_not() -> None:
    """12 people seen, 300 others judge: with 95% confidence the promise is kept, the plain estimate breaks it often."""
    kept = estimates_kept = 0
    for seed in range(40):
        found = calibrate_linked(links(seed), false_match_rate=0.05, samples=300)
        others, _, _ = world(1000 + seed, tracks=300, images=2)
        unit = others / np.linalg.norm(others, axis=1, keepdims=True)
        strangers = np.triu(np.repeat(np.repeat(~np.eye(300, dtype=bool), 2, 0), 2, 1))
        similarity = (unit @ unit.T)[strangers]
        kept += (similarity >= found.calibration.threshold).mean() <= 0.05
        estimates_kept += (similarity >= found.estimate).mean() <= 0.05
    assert kept >= 34
    assert estimates_kept <= 30


def test_calibration_says_what_it_stands_on() -> None:
    pairs = links(1)
    found = calibrate_linked(pairs, false_match_rate=0.05)
    stored, total = found.calibration, pairs.total()
    above = total.edges[:-1] >= stored.threshold - 1e-12
    assert found.false_match_rate == pytest.approx(total.impostor[above].sum() / total.impostor.sum())
    assert stored.true_match_rate == pytest.approx(total.genuine[above].sum() / total.genuine.sum())
    assert (stored.identities, found.track_pairs) == (12, 66)
    assert (stored.genuine_pairs, stored.impostor_pairs) == (12 * 10, 66 * 25)
    assert found.interval.low <= found.estimate <= stored.threshold <= found.interval.high


@pytest.mark.parametrize(
    ("tracks", "rate", "expected"),
    [
        (4, 0.05, "source: got 4 tracks of people seen together with others; expected 10 or more"),
        (0, 0.05, "source: got 0 tracks of people seen together with others; expected 10 or more"),
        (12, 0.001, "got 0.001 with 66 pairs of tracks seen together; expected 0.016 or more, or 1000 pairs"),
        (12, 1.5, "false_match_rate: got 1.5; expected between 0 and 1"),
    ],
)
def test_thin_evidence_is_refused(tracks: int, rate: float, expected: str) -> None:
    with pytest.raises(ValueError, match=expected.replace("(", r"\(")):
        check_evidence(all_together(tracks), rate)


def test_model_that_cannot_tell_people_apart_is_refused() -> None:
    """Everybody looks the same, but each person differs from time to time."""
    pairs = links(0)
    alike = np.zeros_like(pairs.impostor)
    alike[:, -1] = 25
    with pytest.raises(ValueError, match="cannot tell these people apart"):
        calibrate_linked(LinkedPairs(pairs.genuine, alike, pairs.together), false_match_rate=0.05)


def test_images_that_are_never_apart_in_time_are_refused() -> None:
    pairs = links(0)
    with pytest.raises(ValueError, match="no two images of one tracklet far enough apart"):
        calibrate_linked(LinkedPairs(0 * pairs.genuine, pairs.impostor, pairs.together), false_match_rate=0.05)
