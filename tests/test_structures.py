"""structures.py: what is accepted, what is refused and how it is said, and the shared behaviour of the columns."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from mot_reid import Detections, Tracks, TrackTable
from mot_reid.structures import as_detections

XYXY = np.array([[0.0, 0.0, 10.0, 20.0], [5.0, 5.0, 8.0, 9.0], [1.0, 2.0, 3.0, 4.0]])
SCORE = np.array([0.9, 0.5, 0.1])


def detections() -> Detections:
    return Detections(XYXY, SCORE, [0, 1, 0])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"xyxy": [[0, 0, 1, np.nan]], "score": [0.5]}, r"Detections.xyxy: got .*nan.* in row 0; expected finite"),
        ({"xyxy": [[0, 0, 1, np.inf]], "score": [0.5]}, r"row 0; expected finite"),
        ({"xyxy": [[0, 0, 1, 1], [5, 0, 1, 1]], "score": [0.5, 0.5]}, r"row 1; expected x1 <= x2"),
        ({"xyxy": [[0, 0, 1, 1]], "score": [1.5]}, r"Detections.score: got 1.5 in row 0; expected a score in \[0, 1\]"),
        ({"xyxy": [[0, 0, 1, 1]], "score": [np.nan]}, r"Detections.score: got nan"),
        ({"xyxy": [[0, 0, 1, 1]], "score": [0.5, 0.6]}, r"got xyxy 1, score 2.* rows; expected one length"),
        ({"xyxy": [0, 0, 1, 1], "score": [0.5]}, r"got shape \(4,\); expected numbers of shape \(N, 4\)"),
        ({"xyxy": [[0, 0, 1]], "score": [0.5]}, r"got shape \(1, 3\)"),
        ({"xyxy": [[0, 0, 1, 1]], "score": None}, r"Detections.score: got None"),
        ({"xyxy": [["a", 0, 1, 1]], "score": [0.5]}, r"Detections.xyxy: got .*'a'"),
        ({"xyxy": [[0, 0, 1, 1]], "score": [0.5], "class_id": [0.5]}, r"class_id: got .*; expected whole numbers"),
        ({"xyxy": [[0, 0, 1, 1]], "score": [0.5], "embedding": [[1.0, 1.0]]}, r"embedding \(length\): got 1.41.*norm"),
    ],
)
def test_detections_refuse_what_is_not_valid(columns, message):
    with pytest.raises(ValueError, match=message):
        Detections(**columns)


def test_detections_accept_boxes_without_area_and_unknown_embeddings():
    given = Detections([[3, 3, 3, 3], [0, 0, 1, 1]], [0, 1], embedding=[[np.nan, np.nan], [0.6, 0.8]])
    assert given.embedding is not None and given.embedding.dtype == np.float32


def test_detections_without_class_are_of_class_zero():
    np.testing.assert_array_equal(Detections(XYXY, SCORE).class_id, [0, 0, 0])


def test_arrays_are_copies_and_read_only():
    source = XYXY.copy()
    given = Detections(source, SCORE)
    source[0, 0] = -99
    assert given.xyxy[0, 0] == 0
    with pytest.raises(ValueError, match="read-only"):
        given.xyxy[0, 0] = 1
    assert source.flags.writeable


@pytest.mark.parametrize(
    ("index", "rows"),
    [
        (0, [0]),
        (-1, [2]),
        (slice(1, None), [1, 2]),
        ([2, 0], [2, 0]),
        (np.array([True, False, True]), [0, 2]),
        ([], []),
        (SCORE > 2, []),
    ],
)
def test_selection_gives_the_same_type_with_those_rows(index, rows):
    chosen = detections()[index]
    assert isinstance(chosen, Detections)
    np.testing.assert_array_equal(chosen.xyxy, XYXY[rows])
    np.testing.assert_array_equal(chosen.class_id, np.array([0, 1, 0])[rows])


def test_selection_by_a_mask_of_another_length_is_refused():
    with pytest.raises(IndexError):
        detections()[np.array([True, False])]


def test_iteration_yields_tables_of_one_row():
    assert [len(row) for row in detections()] == [1, 1, 1]


def test_concatenate_undoes_selection():
    whole = detections()
    parts = Detections.concatenate([whole[:1], Detections.empty(), whole[1:]])
    np.testing.assert_array_equal(parts.xyxy, whole.xyxy)
    np.testing.assert_array_equal(parts.class_id, whole.class_id)


def test_concatenate_of_nothing_is_empty():
    assert len(Detections.concatenate([])) == 0


def test_concatenate_refuses_a_column_that_only_some_parts_have():
    with_embedding = Detections(XYXY[:1], SCORE[:1], embedding=[[1.0, 0.0]])
    with pytest.raises(ValueError, match="got 'embedding' in 1 of 2 parts"):
        Detections.concatenate([with_embedding, detections()])


def test_replace_exchanges_one_column_and_validates_it():
    changed = detections().replace(score=[0.1, 0.2, 0.3])
    np.testing.assert_array_equal(changed.score, [0.1, 0.2, 0.3])
    np.testing.assert_array_equal(changed.xyxy, XYXY)
    with pytest.raises(ValueError, match="score"):
        detections().replace(score=[2, 2, 2])
    with pytest.raises(ValueError, match="no column 'scores'; expected one of xyxy, score"):
        detections().replace(scores=[1, 1, 1])


def test_to_pandas_has_a_column_per_coordinate():
    frame = detections().to_pandas()
    assert frame.columns.tolist() == ["x1", "y1", "x2", "y2", "score", "class_id"]
    assert frame.loc[1, "x2"] == 8.0


def test_repr_html_shows_the_first_rows_and_counts_the_others():
    many = Detections(np.tile(XYXY, (5, 1)), np.tile(SCORE, 5))
    html = many._repr_html_()
    assert html.count("<tr>") == 1 + 8 and "15 rows" in html and "and 7 more rows" in html


def test_repr_names_type_rows_and_shapes():
    assert repr(detections()).startswith("Detections(3 rows: xyxy float64[3, 4], score float64[3]")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"track_id": [0, 1]}, "identities from 1"),
        ({"track_id": [1, 1]}, "every identity once"),
        ({"track_id": [1, 2], "detection": [0, -1]}, "a row index, from 0"),
    ],
)
def test_tracks_refuse_what_is_not_valid(columns, message):
    with pytest.raises(ValueError, match=message):
        Tracks(XYXY[:2], **columns)


def test_track_table_refuses_frame_zero():
    with pytest.raises(ValueError, match=r"TrackTable.frame: got 0 in row 0; expected frame numbers from 1"):
        TrackTable([0], [1], XYXY[:1])


def test_track_table_from_frames_numbers_them_from_one():
    table = TrackTable.from_frames([Tracks.empty(), Tracks(XYXY[:2], [1, 2]), Tracks(XYXY[:1], [2])])
    np.testing.assert_array_equal(table.frame, [2, 2, 3])
    np.testing.assert_array_equal(table.track_id, [1, 2, 2])
    np.testing.assert_array_equal(table.ignore, [False] * 3)


ROWS = np.column_stack([XYXY, SCORE])


class FakeTensor:
    """Looks like a tensor on a GPU: no array until it was detached and moved."""

    def __init__(self, array):
        self.array = array

    def detach(self):
        return self

    def cpu(self):
        return self

    def numpy(self):
        return self.array


SOURCES = {
    "array of five": ROWS,
    "array of six": np.column_stack([ROWS, [0, 1, 0]]),
    "float32 array": ROWS.astype(np.float32),
    "list": ROWS.tolist(),
    "ultralytics result": SimpleNamespace(
        boxes=SimpleNamespace(xyxy=FakeTensor(XYXY), conf=FakeTensor(SCORE), cls=FakeTensor(np.array([0.0, 1.0, 0.0])))
    ),
    "supervision": SimpleNamespace(xyxy=XYXY, confidence=SCORE, class_id=np.array([0, 1, 0])),
    "supervision without classes": SimpleNamespace(xyxy=XYXY, confidence=SCORE, class_id=None),
    "detections": Detections(XYXY, SCORE, [0, 1, 0]),
}


@pytest.mark.parametrize("name", SOURCES)
def test_as_detections_reads(name):
    found = as_detections(SOURCES[name])
    np.testing.assert_allclose(found.xyxy, XYXY, atol=1e-6)
    np.testing.assert_allclose(found.score, SCORE, atol=1e-6)
    with_class = name in ("array of six", "ultralytics result", "supervision", "detections")
    np.testing.assert_array_equal(found.class_id, [0, 1, 0] if with_class else [0, 0, 0])


@pytest.mark.parametrize("nothing", [[], np.zeros((0, 5)), np.zeros((0, 6)), np.zeros(0)])
def test_as_detections_of_nothing_is_empty(nothing):
    assert len(as_detections(nothing)) == 0


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("boxes", "got str; expected Detections, an"),
        (np.zeros((2, 4)), r"got an array of shape \(2, 4\)"),
        (SimpleNamespace(xyxy=XYXY, confidence=None), "got confidence None"),
        (SimpleNamespace(boxes=None), "without boxes"),
        (np.array([[0, 0, np.nan, 1, 0.5]]), "Detections.xyxy"),
        (np.array([[5, 0, 1, 1, 0.5]]), "x1 <= x2"),
        (np.array([[0, 0, 1, 1, 5]]), "Detections.score"),
        (np.array([[0, 0, 1, 1, 0.5, 0.5]]), "class_id"),
    ],
)
def test_as_detections_refuses(value, message):
    with pytest.raises(ValueError, match=message):
        as_detections(value)


RESULT = SimpleNamespace(boxes=SimpleNamespace(xyxy=XYXY, conf=SCORE, cls=SCORE * 0))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([RESULT], r"got a list of 1 results \(SimpleNamespace\), one for each image; .*; pass results\[0\]$"),
        ((RESULT, RESULT), "got a list of 2 results .* call update for each of them"),
        ([Detections(XYXY, SCORE)], r"list of 1 results \(Detections\).*pass results\[0\]"),
        ([{"boxes": XYXY, "scores": SCORE}], r"list of 1 results \(a dictionary\)"),
        ((result for result in [RESULT]), "got a generator, which holds the results of many images"),
        ({"boxes": XYXY, "scores": SCORE}, r"got a dictionary with boxes, scores; .*pass Detections\(xyxy, score"),
        ([([0, 0, 10, 20], 0.9, 0)], r"\(box, score, class\) rows as DeepSORT takes them; .*l \+ w, t \+ h, score"),
        ([(np.zeros(4), 0.9, "person")], r"\(box, score, class\) rows as DeepSORT"),
        ((XYXY, SCORE), r"got a pair of boxes and scores; .*pass Detections\(boxes, scores\)"),
        ([[0, 0, 1, 1, 0.5], [0, 0, 1, 1]], "got rows of several lengths"),
        ([[0, 0, 1, 1, 0.5, "person"]], "got .*'person'.*; expected rows of numbers"),
        (np.zeros((480, 640, 3)), r"this looks like an image: update\(detections, image\) takes the detections first"),
        (np.column_stack([ROWS, SCORE * 0]).T, r"shape \(6, 3\).*pass array.T"),
        (np.zeros((2, 4)), "add a column of scores"),
        (np.zeros((2, 7)), "leave out the column of track identities"),
        (np.zeros((1, 3, 6)), r"a batch of one image: pass array\[0\]"),
        (np.zeros(6), r"for a single box pass array\[None\]"),
    ],
)
def test_as_detections_names_the_mistake_and_the_remedy(value, message):
    with pytest.raises(ValueError, match=message):
        as_detections(value)


def test_as_detections_names_the_list_that_a_real_model_returns():
    results = pytest.importorskip("ultralytics.engine.results")
    rows = np.column_stack([ROWS, [0, 1, 0]]).astype(np.float32)
    answer = [results.Results(np.zeros((100, 100, 3), np.uint8), path="", names={0: "person", 1: "car"}, boxes=rows)]
    with pytest.raises(ValueError, match=r"got a list of 1 results \(Results\).*pass results\[0\]"):
        as_detections(answer)
    np.testing.assert_allclose(as_detections(answer[0]).xyxy, XYXY)


def test_as_detections_copies_an_array():
    source = ROWS.copy()
    found = as_detections(source)
    source[:] = 0
    np.testing.assert_array_equal(found.xyxy, XYXY)


def test_as_detections_reads_real_library_objects():
    ultralytics = pytest.importorskip("ultralytics.engine.results")
    boxes = ultralytics.Boxes(np.column_stack([ROWS, [0, 1, 0]]).astype(np.float32), (100, 100))
    found = as_detections(SimpleNamespace(boxes=boxes))
    np.testing.assert_allclose(found.xyxy, XYXY, atol=1e-6)
    np.testing.assert_array_equal(found.class_id, [0, 1, 0])


TABLE = TrackTable([1, 2], [4, 7], [[0.125, 1, 10, 21], [1, 2, 3, 4]], [0.5, 1], [0, 2], [False, True])


@pytest.mark.parametrize("name", ["a.txt", "a.csv"])
def test_track_table_is_saved_and_loaded_by_the_ending_of_its_name(tmp_path, name):
    assert TABLE.save(tmp_path / name) == tmp_path / name
    found = TrackTable.load(tmp_path / name)
    np.testing.assert_array_equal(found.frame, [1, 2])
    np.testing.assert_array_equal(found.track_id, [4, 7])
    np.testing.assert_allclose(found.xyxy, TABLE.xyxy, atol=0.0051 if name == "a.txt" else 0)
    np.testing.assert_array_equal(found.class_id, [0, 0] if name == "a.txt" else [0, 2])


def test_track_table_refuses_another_ending(tmp_path):
    with pytest.raises(ValueError, match=r"expected a name ending in \.txt, \.csv, \.parquet"):
        TABLE.save(tmp_path / "a.json")


def test_to_coco_has_an_image_a_frame_and_an_annotation_a_box():
    coco = json.loads(json.dumps(TABLE.to_coco(class_names={2: "bag"})))
    assert coco["images"] == [
        {"id": 1, "file_name": "000001.jpg", "frame_id": 1},
        {"id": 2, "file_name": "000002.jpg", "frame_id": 2},
    ]
    assert coco["categories"] == [{"id": 0, "name": "person"}, {"id": 2, "name": "bag"}]
    assert coco["annotations"][0] == {
        "id": 1, "image_id": 1, "category_id": 0, "bbox": [0.125, 1, 9.875, 20], "area": 197.5, "iscrowd": 0,
        "track_id": 4, "score": 0.5,
    }  # fmt: skip
    assert [row["iscrowd"] for row in coco["annotations"]] == [0, 1]


def test_to_supervision_and_back_is_the_same():
    supervision = pytest.importorskip("supervision")
    given = Tracks(XYXY, [3, 1, 2], SCORE, [0, 1, 0])
    theirs = given.to_supervision()
    assert isinstance(theirs, supervision.Detections) and theirs.tracker_id.tolist() == [3, 1, 2]
    assert len(theirs[theirs.confidence > 0.4]) == 2
    for found in (as_detections(theirs), as_detections(detections().to_supervision())):
        np.testing.assert_array_equal(found.xyxy, XYXY)
        np.testing.assert_array_equal(found.score, SCORE)
        np.testing.assert_array_equal(found.class_id, [0, 1, 0])
    assert len(Tracks.empty().to_supervision()) == 0


def test_to_supervision_without_the_package_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(ImportError, match=r"^to_supervision: supervision is not installed; pip install supervision$"):
        Tracks.empty().to_supervision()


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (
            np.array([2.0**53, 2.0**53 + 2]),
            "got 9007199254740994.0 as float64; expected whole numbers below 90071992547",
        ),
        (np.array([2**24, 2**24 + 2], np.float32), "got 16777218.0 as float32; expected whole numbers below 16777216,"),
        (np.array([1, 2**63], np.uint64), "got 9223372036854775808 as uint64; expected whole numbers below 92233720"),
    ],
)
def test_identities_that_lost_their_last_digits_are_refused(ids, message):
    boxes = np.array([[0.0, 0, 1, 1]] * 2)
    with pytest.raises(ValueError, match=message):
        TrackTable([1, 1], ids, boxes)
    assert TrackTable([1, 1], [2**53, 2**53 + 1], boxes).track_id.tolist() == [2**53, 2**53 + 1]


@pytest.mark.parametrize(("images", "remedy"), [(1, r"pass arrays\[0\]"), (2, "call update for each of them")])
def test_arrays_of_several_images_are_not_taken_for_boxes_and_scores(images, remedy):
    with pytest.raises(ValueError, match=rf"got a list of {images} arrays of boxes, one for each image; .*{remedy}$"):
        as_detections([np.array([[0.0, 0, 1, 1, 0.9]])] * images)


def test_as_detections_takes_what_numpy_has_no_type_for():
    torch = pytest.importorskip("torch")
    assert as_detections(torch.tensor([[0, 0, 8, 16, 0.5]], dtype=torch.bfloat16)).xyxy.tolist() == [[0, 0, 8, 16]]


def test_rows_by_track_are_those_of_each_track_in_time():
    table = TrackTable([5, 2, 5, 2, 3], [7, 7, 1, 1, 7], np.tile([0.0, 0, 1, 1], (5, 1)))
    assert {identity: rows.tolist() for identity, rows in table.rows_by_track().items()} == {1: [3, 2], 7: [1, 4, 0]}
    assert list(table.rows_by_track()) == [1, 7]
    assert TrackTable.empty().rows_by_track() == {}


def test_rows_by_frame_are_those_of_each_frame_in_their_order():
    table = TrackTable([5, 2, 5, 2], [1, 1, 2, 2], np.repeat(XYXY[:1], 4, axis=0))
    assert {number: rows.tolist() for number, rows in table.rows_by_frame().items()} == {2: [1, 3], 5: [0, 2]}
    assert list(table.rows_by_frame()) == [2, 5]
    assert TrackTable.empty().rows_by_frame() == {}
