"""MOTChallenge files and tables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mot_reid.data import motchallenge as mot
from mot_reid.structures import TrackTable

INI = """[Sequence]
name=MOT17-02-FRCNN
imDir=img1
frameRate=30
seqLength=600
imWidth=1920
imHeight=1080
imExt=.jpg
"""
GROUND_TRUTH = "1,1,912,484,97,109,0,7,1\n2,5,10.5,20,30,40,1,1,0.25\n"
GROUND_TRUTH_2015 = "1,1,1703,385,157,339,1,-1,-1,-1\n3,2,5,6,7,8,0,-4.15,-7.3,0\n"
DETECTIONS = "69,-1,912.8,482.9,97.6,112.6,1\n2,-1,835.8,472.2,53.7,77,0.5\n2,-1,1,2,3,4,0.25\n"
RESULTS = "8,3,308.27,201.16,39.71,107.28,0.9,-1,-1,-1\n1,4,8.54,173.71,61.94,169.01,1,-1,-1,-1\n"


def _file(folder: Path, text: str, *, name: str = "file.txt") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_read_sequence_reads_every_key(tmp_path: Path) -> None:
    _file(tmp_path, INI, name="seqinfo.ini")
    sequence = mot.read_sequence(tmp_path)
    assert (sequence.name, sequence.frame_rate, sequence.length) == ("MOT17-02-FRCNN", 30, 600)
    assert (sequence.width, sequence.height) == (1920, 1080)
    assert sequence.frame_path(7) == tmp_path / "img1" / "000007.jpg"
    assert sequence.ground_truth_path == tmp_path / "gt" / "gt.txt"
    assert sequence.detections_path == tmp_path / "det" / "det.txt"


def test_write_sequence_is_read_back(tmp_path: Path) -> None:
    sequence = mot.Sequence(tmp_path, "a", "img1", 12.5, 7, 64, 48, ".png")
    mot.write_sequence(sequence)
    assert mot.read_sequence(tmp_path) == sequence


def test_read_sequence_names_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"without seqinfo\.ini; expected a MOTChallenge sequence"):
        mot.read_sequence(tmp_path)
    _file(tmp_path, INI.replace("seqLength=600\n", ""), name="seqinfo.ini")
    with pytest.raises(ValueError, match=r"seqinfo\.ini: no key 'seqLength'; expected name, frameRate"):
        mot.read_sequence(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seqLength=600", "seqLength=0", r"length: got 0; expected a number above 0"),
        ("frameRate=30", "frameRate=nan", r"frame_rate: got nan; expected a number above 0"),
        ("imWidth=1920", "imWidth=wide", r"invalid literal for int.*'wide'"),
        ("[Sequence]\n", "", r"expected \[Sequence\] with key=value lines"),
    ],
)
def test_read_sequence_refuses_nonsense(tmp_path: Path, old: str, new: str, message: str) -> None:
    _file(tmp_path, INI.replace(old, new), name="seqinfo.ini")
    with pytest.raises(ValueError, match=message):
        mot.read_sequence(tmp_path)


def test_read_ground_truth_of_mot17(tmp_path: Path) -> None:
    table = mot.read_ground_truth(_file(tmp_path, GROUND_TRUTH))
    assert table.frame.tolist() == [1, 2] and table.track_id.tolist() == [1, 5]
    assert table.xyxy.tolist() == [[912, 484, 1009, 593], [10.5, 20, 40.5, 60]]
    assert table.class_id.tolist() == [7, 1] and table.ignore.tolist() == [True, False]
    assert table.score.tolist() == [1, 1]


def test_read_ground_truth_of_mot15_has_pedestrians_only(tmp_path: Path) -> None:
    table = mot.read_ground_truth(_file(tmp_path, GROUND_TRUTH_2015))
    assert table.class_id.tolist() == [1, 1] and table.ignore.tolist() == [False, True]


def test_read_visibility_is_the_ninth_number(tmp_path: Path) -> None:
    assert mot.read_visibility(_file(tmp_path, GROUND_TRUTH)).tolist() == [1, 0.25]
    assert mot.read_visibility(_file(tmp_path, GROUND_TRUTH_2015)).tolist() == [1, 1]


def test_read_ground_truth_refuses_an_empty_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="got an empty file; expected ground truth"):
        mot.read_ground_truth(_file(tmp_path, ""))


def test_read_detections_keeps_order_and_scores(tmp_path: Path) -> None:
    table = mot.read_detections(_file(tmp_path, DETECTIONS))
    assert table.frame.tolist() == [69, 2, 2] and table.track_id.tolist() == [0, 0, 0]
    assert table.score.tolist() == [1, 0.5, 0.25]
    assert np.allclose(table.xyxy[0], [912.8, 482.9, 1010.4, 595.5])


def test_read_detections_accepts_scores_of_any_scale(tmp_path: Path) -> None:
    assert mot.read_detections(_file(tmp_path, "1,-1,1,1,5,5,-0.7\n")).score.tolist() == [-0.7]


def test_by_frame_gives_each_frame_its_rows(tmp_path: Path) -> None:
    frames = mot.by_frame(mot.read_detections(_file(tmp_path, DETECTIONS)), 70)
    assert [len(frame) for frame in frames] == [0, 2] + [0] * 66 + [1, 0]
    assert frames[1].score.tolist() == [0.5, 0.25]


def test_by_frame_refuses_a_frame_beyond_the_end(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="frame: got 69; expected at most 68"):
        mot.by_frame(mot.read_detections(_file(tmp_path, DETECTIONS)), 68)


def test_read_results_reads_identities_and_scores(tmp_path: Path) -> None:
    table = mot.read_results(_file(tmp_path, RESULTS))
    assert table.frame.tolist() == [8, 1] and table.track_id.tolist() == [3, 4] and table.score.tolist() == [0.9, 1]
    assert np.allclose(table.xyxy[0], [308.27, 201.16, 347.98, 308.44])


def test_read_results_of_an_empty_file_found_nothing(tmp_path: Path) -> None:
    assert len(mot.read_results(_file(tmp_path, ""))) == 0


@pytest.mark.parametrize(
    "text",
    [
        RESULTS.replace("\n", "\r\n"),
        "\ufeff" + RESULTS,
        RESULTS.replace(",", " "),
        RESULTS.replace("\n", "\n\n"),
        RESULTS[:-1],
    ],
)
def test_read_results_accepts_variants_of_the_format(tmp_path: Path, text: str) -> None:
    (tmp_path / "variant.txt").write_bytes(text.encode())
    variant, plain = mot.read_results(tmp_path / "variant.txt"), mot.read_results(_file(tmp_path, RESULTS))
    assert variant.xyxy.tolist() == plain.xyxy.tolist()


@pytest.mark.parametrize("read", [mot.read_ground_truth, mot.read_detections, mot.read_results])
@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2,1,1,2,3,4,nan,1,1", "confidence: got nan; expected a finite number"),
        ("2,1,inf,2,3,4,1,1,1", "left: got inf; expected a finite number"),
        ("2,1,x,2,3,4,1,1,1", "got 'x'; expected a number"),
        ("2,1,,2,3,4,1,1,1", "got ''; expected a number"),
        ("2,1,1,2,3,4", "got 6 numbers; expected 9 as in the first line"),
        (
            "0,1,1,2,3,4,1,1,1",
            "frame: got 0; expected a whole number from 1; frames that are counted from 0 need 1 added",
        ),
        ("2.5,1,1,2,3,4,1,1,1", "frame: got 2.5; expected a whole number from 1"),
    ],
)
def test_every_reader_names_file_and_line(
    tmp_path: Path, read: Callable[[Path], TrackTable], line: str, message: str
) -> None:
    path = _file(tmp_path, f"1,1,1,2,3,4,1,1,1\n\n{line}\n")
    with pytest.raises(ValueError, match=rf"file\.txt' line 3: {message}"):
        read(path)


@pytest.mark.parametrize("read", [mot.read_ground_truth, mot.read_detections])
def test_ground_truth_and_detections_of_negative_size_are_refused(
    tmp_path: Path, read: Callable[[Path], TrackTable]
) -> None:
    with pytest.raises(ValueError, match=r"file\.txt' line 2: width: got -3; expected 0 or more"):
        read(_file(tmp_path, "1,1,1,2,3,4,1,1,1\n2,1,1,2,-3,4,1,1,1\n"))


def test_results_of_negative_size_get_size_zero(tmp_path: Path) -> None:
    table = mot.read_results(_file(tmp_path, "1,1,10,20,-3,4,1\n1,2,10,20,3,-4,1\n"))
    assert table.xyxy.tolist() == [[10, 20, 10, 24], [10, 20, 13, 20]]


@pytest.mark.parametrize("text", ["1,2,3\n", "1," * 11 + "1\n"])
def test_readers_refuse_another_number_of_columns(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match=r"line 1: got (3|12) numbers; expected 7 to 10"):
        mot.read_results(_file(tmp_path, text))


def test_readers_refuse_what_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(ValueError, match="expected a MOTChallenge text file"):
        mot.read_results(tmp_path / "file.txt")


def test_readers_name_the_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone\.txt': no such file"):
        mot.read_results(tmp_path / "gone.txt")


def test_read_results_refuses_rows_without_identity(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="line 1: identity: got -1; expected a whole number from 0"):
        mot.read_results(_file(tmp_path, "1,-1,1,2,3,4,1\n"))


def test_write_results_is_the_servers_format(tmp_path: Path) -> None:
    table = TrackTable(
        frame=[2, 1, 1], track_id=[7, 9, 3], xyxy=[[1, 2, 4, 6], [0, 0, 1, 1], [1.004, 2, 3, 4.5]], score=[0.5, 1, 0.25]
    )
    path = mot.write_results(tmp_path / "new" / "MOT17-02.txt", table)
    assert path.read_text().splitlines() == [
        "1,3,1.00,2.00,2.00,2.50,0.25,-1,-1,-1",
        "1,9,0.00,0.00,1.00,1.00,1,-1,-1,-1",
        "2,7,1.00,2.00,3.00,4.00,0.5,-1,-1,-1",
    ]
    assert [item.name for item in path.parent.iterdir()] == ["MOT17-02.txt"]


def test_write_results_of_nothing_is_an_empty_file(tmp_path: Path) -> None:
    assert mot.write_results(tmp_path / "a.txt", TrackTable.empty()).read_text() == ""


def test_write_ground_truth_is_read_back(tmp_path: Path) -> None:
    table, seen = mot.read_ground_truth(_file(tmp_path, GROUND_TRUTH)), np.array([1, 0.25])
    path = mot.write_ground_truth(tmp_path / "again.txt", table, seen)
    assert path.read_text() == GROUND_TRUTH
    assert mot.read_visibility(path).tolist() == [1, 0.25]


def test_write_detections_is_read_back(tmp_path: Path) -> None:
    table = mot.read_detections(_file(tmp_path, DETECTIONS))
    again = mot.read_detections(mot.write_detections(tmp_path / "again.txt", table))
    assert np.allclose(again.xyxy, table.xyxy) and again.score.tolist() == table.score.tolist()


@pytest.mark.data
def test_real_files_have_the_published_numbers_of_rows(real_data: Path) -> None:
    folder = real_data / "MOT17" / "train" / "MOT17-02-FRCNN"
    sequence, truth = mot.read_sequence(folder), mot.read_ground_truth(folder / "gt" / "gt.txt")
    assert (sequence.length, sequence.width, len(truth)) == (600, 1920, 30_003)
    assert ((truth.class_id == 1) & ~truth.ignore).sum() == 18_581
    assert len(mot.read_detections(folder / "det" / "det.txt")) == 8_186


@pytest.mark.data
def test_real_ground_truth_survives_writing(real_data: Path, tmp_path: Path) -> None:
    path = real_data / "MOT17" / "train" / "MOT17-02-FRCNN" / "gt" / "gt.txt"
    written = mot.write_ground_truth(tmp_path / "gt.txt", mot.read_ground_truth(path), mot.read_visibility(path))
    assert written.read_text() == path.read_text().replace("\r\n", "\n")


def test_results_may_lie_in_a_data_folder_or_be_a_single_file(tmp_path: Path) -> None:
    results = tmp_path / "results"
    (results / "data").mkdir(parents=True)
    for name in ("a", "b"):
        (results / f"{name}.txt").touch()
    found = mot.find_results(results / "b.txt", ["anything"])
    for file in results.glob("*.txt"):
        file.rename(results / "data" / file.name)
    assert mot.find_results(results, ["a", "b"])["a"] == results / "data" / "a.txt"
    assert found == {"anything": results / "b.txt"}


def test_ground_truth_of_nine_numbers_without_classes_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"line 2: class: got -1; expected 1 for a person.*benchmark=MOT15"):
        mot.read_ground_truth(_file(tmp_path, "1,1,1,2,3,4,1,1,1\n1,2,1,2,3,4,1,-1,-1\n"))


def test_detections_given_as_results_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"line 1: identity: got -1; .*a file of detections: give the file that"):
        mot.read_results(_file(tmp_path, "1,-1,1,2,3,4,1\n2,-1,1,2,3,4,1\n"))


def test_results_are_found_as_csv_and_one_file_of_a_sequence_only(tmp_path: Path) -> None:
    for name in ("a.csv", "b.txt", "notes.md"):
        (tmp_path / name).touch()
    assert mot.find_results(tmp_path, ["a", "b"]) == {"a": tmp_path / "a.csv", "b": tmp_path / "b.txt"}
    (tmp_path / "b.csv").touch()
    with pytest.raises(ValueError, match=r"got b\.csv and b\.txt in .*; expected one file of a sequence"):
        mot.find_results(tmp_path, ["a", "b"])


@pytest.mark.parametrize("name", ["000007.jpg", "00000007.jpg", "7.jpg"])
def test_frame_is_found_however_many_digits_its_name_has(tmp_path: Path, name: str) -> None:
    sequence = mot.Sequence(tmp_path, "a", "img1", 10, 9, 64, 48, ".jpg")
    assert sequence.frame_path(7) == tmp_path / "img1" / "000007.jpg"
    (tmp_path / "img1").mkdir()
    (tmp_path / "img1" / name).touch()
    assert sequence.frame_path(7) == tmp_path / "img1" / name
