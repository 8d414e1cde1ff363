"""Tracking scores against TrackEval's recorded numbers, naive loops and hand examples."""

from __future__ import annotations

import configparser
import json
from pathlib import Path

import motmetrics
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import linear_sum_assignment

from mot_reid.boxes import iou
from mot_reid.metrics.bootstrap import bootstrap_mot
from mot_reid.metrics.mot import Clear, Identity, evaluate_mot
from mot_reid.structures import TrackTable

GOLDEN = Path(__file__).parents[1] / "golden"
NAMES = {
    "HOTA": {
        **{name: name.lower() for name in ("HOTA", "DetA", "AssA", "DetRe", "DetPr", "AssRe", "AssPr", "LocA", "OWTA")},
        **{f"HOTA_{name}": name.lower() for name in ("TP", "FN", "FP")},
    },
    "CLEAR": {
        **{name: name.lower() for name in ("MOTA", "MOTP", "MODA", "sMOTA", "MOTAL", "IDSW", "MT", "PT", "ML", "Frag")},
        **{f"CLR_{name}": name.lower() for name in ("TP", "FN", "FP", "F1", "Frames")},
        "CLR_Re": "recall",
        "CLR_Pr": "precision",
        "FP_per_frame": "fp_per_frame",
        "MOTP_sum": "similarity_sum",
    },
    "Identity": {name: name.lower() for name in ("IDF1", "IDR", "IDP", "IDTP", "IDFN", "IDFP")},
}
FIELDS = [(family, theirs, ours) for family, names in NAMES.items() for theirs, ours in names.items()]


def assert_equals_trackeval(scores, recorded):
    """Every number of the three families; counts exactly, scores to 1e-9."""
    families = {"HOTA": scores.hota, "CLEAR": scores.clear, "Identity": scores.identity}
    for family, theirs, ours in FIELDS:
        value = getattr(families[family], ours)
        assert_allclose(value, recorded[family][theirs], rtol=0, atol=1e-9, err_msg=f"{family} {theirs}")


def table(rows, *, truth, classes):
    """A table from the rows of a MOT text file; boxes of negative size, which trackers do write, get size 0."""
    low, size = rows[:, 2:4], np.maximum(rows[:, 4:6], 0)
    return TrackTable(
        frame=rows[:, 0].astype(int),
        track_id=rows[:, 1].astype(int),
        xyxy=np.column_stack([low, low + size]),
        class_id=rows[:, 7].astype(int) if truth and classes else None,
        ignore=rows[:, 6] == 0 if truth else None,
    )


@pytest.fixture(scope="module")
def synthetic():
    with np.load(GOLDEN / "mot_synthetic.npz") as file:
        return dict(file)


@pytest.mark.parametrize("benchmark", ["MOT15", "MOT16", "MOT17", "MOT20", "DanceTrack", "SportsMOT"])
def test_evaluate_mot_equals_trackeval_on_drawn_tracks(synthetic, benchmark):
    """Fails when: distractors are not removed, or MOT20's vehicles stay; ignored rows count; MOT15 looks at classes;
    pairs are carried on for longer than a step, or not at all; contested pairs all match, or none; fragments count
    frames instead of steps; alpha, the alignment or the association sums are off; one sequence stands for all.
    """
    names = ("first", "second")
    result = evaluate_mot(
        {name: table(synthetic[f"{name}/truth"], truth=True, classes=True) for name in names},
        {name: table(synthetic[f"{name}/result"], truth=False, classes=False) for name in names},
        benchmark=benchmark,
        lengths={"first": 60, "second": 45},
    )
    for name, scores in {**result.sequences, "COMBINED_SEQ": result.combined}.items():
        recorded = {
            family: {field: synthetic[f"{benchmark}/{name}/{family}/{field}"] for field in fields}
            for family, fields in NAMES.items()
        }
        assert_equals_trackeval(scores, recorded)


@pytest.mark.data
@pytest.mark.parametrize("tracker", ["boxmot_bytetrack_python", "norfair"])
@pytest.mark.parametrize("benchmark", ["MOT15", "MOT17"])
def test_evaluate_mot_equals_trackeval_on_real_sequences(real_data, benchmark, tracker):
    """Fails as the test above, on six sequences of MOT15 and one of MOT17."""
    recorded = json.loads((GOLDEN / "mot_trackeval.json").read_text())[benchmark][tracker]
    truths, results, lengths = {}, {}, {}
    with np.load(GOLDEN / "mot_results.npz") as file:
        for name in recorded.keys() - {"COMBINED_SEQ"}:
            folder = real_data / benchmark / "train" / name
            rows = np.loadtxt(folder / "gt" / "gt.txt", delimiter=",")
            truths[name] = table(rows, truth=True, classes=benchmark != "MOT15")
            stored = file[f"{benchmark}/{tracker}/{name}"]
            results[name] = table(np.column_stack([stored[:, :2], stored[:, 2:] / 100]), truth=False, classes=False)
            info = configparser.ConfigParser()
            info.read(folder / "seqinfo.ini")
            lengths[name] = info.getint("Sequence", "seqLength")
    result = evaluate_mot(truths, results, benchmark=benchmark, lengths=lengths)
    for name, scores in {**result.sequences, "COMBINED_SEQ": result.combined}.items():
        assert_equals_trackeval(scores, recorded[name])


def naive_clear(truth, result):
    """TP, FP, FN, switches and fragments in loops: carry on by a large bonus, then the largest sum of overlaps."""
    last, previous, runs = {}, {}, {}
    tp = fp = fn = switches = 0
    for frame in range(1, int(max(truth.frame.max(), result.frame.max())) + 1):
        a, b = truth[truth.frame == frame], result[result.frame == frame]
        if not len(a) or not len(b):
            fn, fp = fn + len(a), fp + len(b)
            continue
        score = np.zeros((len(a), len(b)))
        for i, j in np.ndindex(score.shape):
            low = np.maximum(a.xyxy[i, :2], b.xyxy[j, :2])
            size = np.maximum(np.minimum(a.xyxy[i, 2:], b.xyxy[j, 2:]) - low, 0)
            area = [np.prod(t.xyxy[k, 2:] - t.xyxy[k, :2]) for t, k in ((a, i), (b, j))]
            similarity = size.prod() / (sum(area) - size.prod())
            if similarity >= 0.5:
                score[i, j] = similarity + 1000 * (previous.get(a.track_id[i]) == b.track_id[j])
        pairs = [(i, j) for i, j in zip(*linear_sum_assignment(-score)) if score[i, j] > 0]
        now = {a.track_id[i]: b.track_id[j] for i, j in pairs}
        switches += sum(person in last and last[person] != track for person, track in now.items())
        for person in now.keys() - previous.keys():
            runs[person] = runs.get(person, 0) + 1
        last, previous = last | now, now
        tp, fp, fn = tp + len(pairs), fp + len(b) - len(pairs), fn + len(a) - len(pairs)
    return tp, fp, fn, switches, sum(runs.values()) - len(runs)


def crowd(rng, identities, frames, keep=0.7):
    """Boxes that overlap so much that most matches are contested."""
    frame, identity = np.meshgrid(np.arange(1, frames + 1), np.arange(identities), indexing="ij")
    shown = rng.random(frame.shape) < keep
    low = 10 * identity[..., None] + rng.normal(0, 8, (*frame.shape, 2))
    xyxy = np.concatenate([low, low + 60], axis=-1)
    return TrackTable(frame=frame[shown], track_id=identity[shown], xyxy=xyxy[shown])


@given(seed=st.integers(0, 2**32 - 1))
@example(seed=201)  # matching as many boxes as possible, as py-motmetrics does, gives another answer here
@settings(max_examples=40, deadline=None)
def test_clear_equals_naive_loops_in_a_dense_crowd(seed):
    rng = np.random.default_rng(seed)
    truth, result = crowd(rng, 6, 12), crowd(rng, 6, 12)
    clear = evaluate_mot(truth, result, benchmark="MOT15").combined.clear
    assert (clear.tp, clear.fp, clear.fn, clear.idsw, clear.frag) == naive_clear(truth, result)


@pytest.mark.parametrize("seed", range(5))
def test_identity_equals_py_motmetrics_in_a_dense_crowd(seed):
    rng = np.random.default_rng(seed)
    truth, result = crowd(rng, 6, 12), crowd(rng, 6, 12)
    accumulator = motmetrics.MOTAccumulator(auto_id=True)
    for frame in range(1, 13):
        a, b = truth[truth.frame == frame], result[result.frame == frame]
        overlap = iou(a.xyxy, b.xyxy)
        accumulator.update(a.track_id, b.track_id, np.where(overlap >= 0.5, 1 - overlap, np.nan))
    names = ["idtp", "idfp", "idfn"]
    expected = motmetrics.metrics.create().compute(accumulator, metrics=names, return_dataframe=False)
    identity = evaluate_mot(truth, result, benchmark="MOT15").combined.identity
    assert [identity.idtp, identity.idfp, identity.idfn] == [int(expected[name]) for name in names]


def walk(frames, track_id=1, left=0.0):
    """One box of 10 x 10 per frame."""
    frames = np.asarray(frames)
    box = np.array([left, 0, left + 10, 10])
    return TrackTable(frame=frames, track_id=np.full(len(frames), track_id), xyxy=np.tile(box, (len(frames), 1)))


def join(*tables):
    return TrackTable.concatenate(tables)


def score(truth, result):
    return evaluate_mot(truth, result, benchmark="MOT15")


def test_perfect_result_scores_one_everywhere():
    truth = join(walk(range(1, 11)), walk(range(3, 9), 2, left=50))
    scores = score(truth, truth).combined.to_dict()
    names = ("hota", "deta", "assa", "loca", "mota", "motp", "idf1", "idp", "idr", "recall", "precision")
    assert [scores[name] for name in names] == [1.0] * len(names)
    assert (scores["idsw"], scores["frag"], scores["mt"], scores["fp"], scores["fn"]) == (0, 0, 2, 0, 0)


def test_one_switch_is_found_with_its_frame_and_its_tracks():
    result = score(walk(range(1, 11)), join(walk(range(1, 5), 7), walk(range(5, 11), 8)))
    pairs = result.pairs["sequence"]
    at = int(np.flatnonzero(pairs.switch)[0])
    assert result.combined.clear.idsw == pairs.switch.sum() == 1
    assert (pairs.frame[at], pairs.track[at - 1], pairs.track[at]) == (5, 7, 8)
    assert result.combined.identity == Identity(idtp=6, idfn=4, idfp=4)


def test_a_switch_is_counted_after_any_absence():
    elsewhere = walk(range(1, 31), 9, left=90)
    result = score(walk(range(1, 31)), join(walk(range(1, 5), 7), walk(range(25, 31), 8), elsewhere))
    assert (result.combined.clear.idsw, result.combined.clear.frag) == (1, 1)


def test_frames_without_any_result_interrupt_nothing():
    # TrackEval's rule: such frames are misses, but no step
    clear = score(walk(range(1, 31)), join(walk(range(1, 5), 7), walk(range(25, 31), 7))).combined.clear
    assert (clear.frag, clear.fn) == (0, 20)


def test_association_accuracy_of_one_switch_is_by_hand():
    # four boxes of ten with one track, six with another: (4 * 4/10 + 6 * 6/10) / 10
    hota = score(walk(range(1, 11)), join(walk(range(1, 5), 7), walk(range(5, 11), 8))).combined.hota
    assert_allclose(hota.assa, 0.52)
    assert_allclose(hota.hota, np.sqrt(0.52))


def test_a_fragment_is_found_where_the_matching_resumes():
    pairs = score(walk(range(1, 11)), join(walk([1, 2, 3, 6, 7], 5), walk(range(1, 11), 9, left=90))).pairs["sequence"]
    assert_array_equal(pairs.frame[pairs.fragment], [6])


@pytest.mark.parametrize(("matched", "counts"), [(9, (1, 0, 0)), (8, (0, 1, 0)), (2, (0, 1, 0)), (1, (0, 0, 1))])
def test_mostly_tracked_is_more_than_80_and_mostly_lost_less_than_20_percent(matched, counts):
    clear = score(walk(range(1, 11)), walk(range(1, matched + 1))).combined.clear
    assert (clear.mt, clear.pt, clear.ml) == counts


def test_a_box_at_exactly_half_overlap_matches():
    result = walk(range(1, 4)).replace(xyxy=np.tile([0.0, 0, 10, 5], (3, 1)))
    assert score(walk(range(1, 4)), result).combined.clear.tp == 3


def test_combined_sums_counts_and_does_not_average():
    truth = {"long": walk(range(1, 91)), "short": walk(range(1, 11))}
    result = {"long": walk(range(1, 91)), "short": TrackTable.empty()}
    combined = evaluate_mot(truth, result, benchmark="MOT15").combined
    assert combined.clear.mota == pytest.approx(0.9)
    assert combined.identity.idf1 == pytest.approx(2 * 90 / (90 + 100))
    assert_allclose(combined.hota.deta, 0.9)


def test_nothing_found_scores_zero():
    scores = score(walk(range(1, 11)), TrackTable.empty()).combined
    assert (scores.clear.fn, scores.clear.ml, scores.clear.mota, scores.identity.idf1) == (10, 1, 0, 0)
    assert_array_equal(scores.hota.hota, np.zeros(19))


def test_nothing_there_makes_every_box_a_false_alarm():
    scores = score(TrackTable.empty(), walk(range(1, 11))).combined
    assert (scores.clear.fp, scores.clear.mota, scores.identity.idfp) == (10, -10, 10)
    assert_array_equal(scores.hota.fp, np.full(19, 10))


@pytest.mark.parametrize("change", [lambda x: x + 1000, lambda x: 3 * x])
def test_scores_do_not_depend_on_where_and_how_large_the_picture_is(synthetic, change):
    truth, result = (
        table(synthetic[f"first/{side}"], truth=side == "truth", classes=False) for side in ("truth", "result")
    )
    moved = score(truth.replace(xyxy=change(truth.xyxy)), result.replace(xyxy=change(result.xyxy))).combined.to_dict()
    assert moved == pytest.approx(score(truth, result).combined.to_dict(), abs=1e-9)


def test_scores_do_not_depend_on_the_names_of_identities_and_the_order_of_rows(synthetic):
    truth, result = (
        table(synthetic[f"first/{side}"], truth=side == "truth", classes=False) for side in ("truth", "result")
    )
    order = np.random.default_rng(0).permutation(len(result))
    renamed = result.replace(track_id=1000 - result.track_id)[order]
    assert score(truth, renamed).combined.to_dict() == pytest.approx(score(truth, result).combined.to_dict())


def test_lengths_count_frames_without_boxes():
    clear = evaluate_mot({"a": walk([1])}, {"a": walk([2])}, benchmark="MOT15", lengths={"a": 50}).combined.clear
    assert (clear.frames, clear.fp_per_frame) == (50, 1 / 50)


def test_clear_scores_of_given_counts_are_by_hand():
    clear = Clear(frames=10, tp=80, fn=20, fp=10, idsw=10, frag=3, mt=1, pt=1, ml=0, similarity_sum=60.0)
    assert (clear.mota, clear.moda, clear.motal, clear.smota) == pytest.approx((0.6, 0.7, 0.69, 0.4))
    assert (clear.motp, clear.recall, clear.precision, clear.f1) == pytest.approx((0.75, 0.8, 80 / 90, 80 / 95))


def test_to_dict_is_json(synthetic):
    answer = json.loads(json.dumps(score(walk(range(1, 5)), walk(range(1, 5))).to_dict()))
    assert answer["combined"]["hota"] == answer["sequences"]["sequence"]["mota"] == 1


def test_bootstrap_of_equal_sequences_has_no_width_and_of_different_ones_has():
    def intervals(lost):
        truth = {str(n): walk(range(1, 11)) for n in range(4)}
        result = {name: walk(range(1, 11 - lost * int(name))) for name in truth}
        return bootstrap_mot(evaluate_mot(truth, result, benchmark="MOT15"), samples=200)

    assert intervals(0)["hota"] == pytest.approx((1, 1))
    low, high = intervals(2)["mota"]
    assert 0.4 <= low < 0.7 < high <= 1


@pytest.mark.parametrize(
    ("truth", "result", "options", "message"),
    [
        ({"a": walk([1])}, {"b": walk([1])}, {}, "result: got a, b on one side only"),
        ({}, {}, {}, "result: got no sequence"),
        (walk([1]), walk([1]), {"benchmark": "MOT18"}, "benchmark: got 'MOT18'; expected one of MOT15"),
        (
            walk([1]),
            walk([1]),
            {"benchmark": "MOT17"},
            "sequence: ground truth: got class 0; expected 1 to 13 on MOT17",
        ),
        (walk([1, 1]), walk([1]), {"benchmark": "MOT15"}, "ground truth: got identity 1 twice in frame 1"),
        (walk([1]), walk([2, 2], 9), {"benchmark": "MOT15"}, "sequence: result: got identity 9 twice in frame 2"),
        (
            {"a": walk([9])},
            {"a": walk([1])},
            {"benchmark": "MOT15", "lengths": {"a": 5}},
            "a: frame: got 9; expected at most 5",
        ),
    ],
)
def test_evaluate_mot_refuses(truth, result, options, message):
    with pytest.raises(ValueError, match=message):
        evaluate_mot(truth, result, **options)


@pytest.mark.parametrize(
    ("class_id", "ignore", "benchmark", "message"),
    [
        (
            3,
            False,
            "MOT17",
            r"^a: ground truth: got no row that counts on MOT17: class 3 in 4 rows; expected",
        ),
        (
            1,
            True,
            "MOT17",
            r"got class 1 in 4 rows, all marked to be ignored \(0 as .*; expected 1 there",
        ),
        (0, True, "MOT15", r"got class 0 in 4 rows, all marked to be ignored"),
        (
            [3, 3, 1, 1],
            [0, 0, 1, 1],
            "MOT20",
            r"class 1 in 2 rows, class 3 in 2 rows; those of class 1 are .*MOT15$",
        ),
    ],
)
def test_ground_truth_of_which_no_row_counts_is_refused_with_its_classes(class_id, ignore, benchmark, message):
    truth = walk([1, 2, 3, 4])
    given = truth.replace(class_id=np.broadcast_to(class_id, 4), ignore=np.broadcast_to(ignore, 4).astype(bool))
    with pytest.raises(ValueError, match=message):
        evaluate_mot({"a": given}, {"a": truth}, benchmark=benchmark)


def test_ground_truth_of_which_one_row_counts_is_scored():
    truth = walk([1, 2, 3, 4]).replace(class_id=[3, 3, 3, 1])
    assert evaluate_mot(truth, truth, benchmark="MOT17").combined.clear.tp == 1


def test_repr_of_scores_is_one_line_with_the_main_numbers():
    """By hand: of two boxes in two frames one is found; the sequences are named."""
    result = evaluate_mot({"a": walk([1, 2])}, {"a": walk([1])}, benchmark="MOT15")
    numbers = "HOTA 50.00%, MOTA 50.00%, IDF1 66.67%, 0 identity switches, 0 false alarms, 1 misses, 2 frames"
    assert repr(result) == f"MotResult(a: {numbers})"
    assert repr(result.combined) == f"MotScores({numbers})"
