"""Calibration against exact thresholds from sorted similarities, and on people it has not seen."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose

from mot_reid.metrics.calibration import Calibration, calibrate
from mot_reid.metrics.verification import BINS, similarities_within


def people(seed=0, count=120, each=8, size=16):
    rng = np.random.default_rng(seed)
    centre = rng.normal(size=(count, size))
    person = np.repeat(np.arange(1, count + 1), each)
    embedding = centre[person - 1] + 0.35 * rng.normal(size=(len(person), size))
    return embedding, person, rng.integers(1, 4, len(person))


@pytest.fixture(scope="module")
def calibration():
    embedding, person, camera = people()
    return calibrate(embedding, person_id=person, camera_id=camera, false_match_rate=0.01)


def test_calibrate_equals_the_quantile_of_sorted_impostor_similarities(calibration):
    embedding, person, camera = people()
    unit = embedding / np.linalg.norm(embedding, axis=1, keepdims=True)
    i, j = np.triu_indices(len(unit), 1)
    similarity = np.einsum("pd,pd->p", unit[i], unit[j])
    impostor = np.sort(similarity[person[i] != person[j]])[::-1]
    genuine = similarity[(person[i] == person[j]) & (camera[i] != camera[j])]
    allowed = int(0.01 * len(impostor))
    # above the first impostor that is one too many, by less than a bin
    assert impostor[allowed] < calibration.threshold <= impostor[allowed] + 2.1 / BINS
    assert calibration.true_match_rate == pytest.approx((genuine >= calibration.threshold).mean(), abs=1e-3)
    assert (calibration.genuine_pairs, calibration.impostor_pairs) == (len(genuine), len(impostor))
    assert calibration.identities == 120


def test_calibrate_keeps_its_promise_on_other_people(calibration):
    embedding, person, camera = people(seed=1)
    roc = similarities_within(embedding, person_id=person, camera_id=camera).roc()
    at = np.searchsorted(roc.threshold, calibration.threshold)
    assert roc.false_match_rate[at] == pytest.approx(0.01, rel=0.3)


def test_roc_points_are_few_monotone_and_reach_both_ends(calibration):
    threshold, false_match, true_match = np.array(calibration.roc).T
    assert len(threshold) <= 50
    assert (np.diff(threshold) > 0).all() and (np.diff(false_match) <= 0).all() and (np.diff(true_match) <= 0).all()
    assert false_match[0] == 1
    assert 0 <= false_match[-1] <= 1 / calibration.impostor_pairs


def test_distractors_and_junk_are_not_counted_as_identities():
    embedding, person, camera = people(count=10)
    person = np.where(person == 1, 0, np.where(person == 2, -1, person))
    assert calibrate(embedding, person_id=person, camera_id=camera, false_match_rate=0.1).identities == 8


def test_calibration_survives_json(calibration):
    assert Calibration.from_dict(json.loads(json.dumps(calibration.to_dict()))) == calibration


def test_to_dict_has_the_keys_of_the_checkpoint(calibration):
    values = calibration.to_dict()
    assert {"threshold", "false_match_rate", "true_match_rate", "roc", "identities"} <= set(values)
    assert_allclose(values["roc"], calibration.roc)


@pytest.mark.parametrize("change", [{"threshold": None}, {"surprise": 1}])
def test_from_dict_refuses_a_missing_or_unknown_key(calibration, change):
    values = {key: value for key, value in (calibration.to_dict() | change).items() if value is not None}
    with pytest.raises(ValueError, match=f"missing or unknown keys: {next(iter(change))}"):
        Calibration.from_dict(values)


@pytest.mark.parametrize(
    ("rate", "message"),
    [
        (0.0, "false_match_rate: got 0.0; expected between 0 and 1"),
        (1.0, "false_match_rate: got 1.0; expected between 0 and 1"),
        (1e-6, "got 1e-06 with .* impostor pairs; expected at least 1000000 pairs"),
    ],
)
def test_calibrate_refuses(rate, message):
    embedding, person, camera = people(count=5)
    with pytest.raises(ValueError, match=message):
        calibrate(embedding, person_id=person, camera_id=camera, false_match_rate=rate)


def test_calibrate_compares_people_of_one_data_set_only():
    """Strangers of two data sets lie far apart here; with them among the pairs, the threshold would be lower."""
    rng = np.random.default_rng(0)
    person, source = np.repeat(np.arange(1, 41), 4), np.repeat([0, 1], 80)
    identity = rng.normal(size=(41, 16))[person]
    embedding = identity + rng.normal(size=(160, 16)) + 6 * np.where(source[:, None] == 0, 1.0, -1.0)
    apart = calibrate(embedding, person_id=person, source=source, false_match_rate=0.01)
    pairs = [(i, j) for i in range(160) for j in range(i) if person[i] != person[j] and source[i] == source[j]]
    assert apart.impostor_pairs == len(pairs) == 2 * (80 * 79 // 2 - 20 * 6)
    unit = embedding / np.linalg.norm(embedding, axis=1, keepdims=True)
    above = np.mean([unit[i] @ unit[j] >= apart.threshold for i, j in pairs])
    assert 0.005 < above <= 0.01
    assert calibrate(embedding, person_id=person, false_match_rate=0.01).threshold < apart.threshold
