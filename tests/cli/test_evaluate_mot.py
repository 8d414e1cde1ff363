"""The command line of tools/evaluate_mot.py."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mot_reid.cli import evaluate_mot as tool
from mot_reid.data.motchallenge import (
    Sequence,
    write_detections,
    write_ground_truth,
    write_results,
    write_sequence,
)
from mot_reid.structures import TrackTable

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"


def walk(frames: range, track_id: int, *, left: float = 0.0) -> TrackTable:
    """A box of 10 x 20 in each frame, one pixel further right."""
    number = np.array(frames)
    xyxy = np.stack([number + left, np.zeros(len(number)), number + left + 10, np.full(len(number), 20.0)], axis=1)
    return TrackTable(frame=number, track_id=np.full(len(number), track_id), xyxy=xyxy)


def write(root: Path, truths: dict[str, TrackTable], results: dict[str, TrackTable], *, length: int = 10) -> list[str]:
    """Sequences and result files; returns the arguments that score them."""
    for name, truth in truths.items():
        sequence = Sequence(root / "truth" / name, name, "img1", 10, length, 100, 50, ".jpg")
        sequence.folder.mkdir(parents=True)
        write_sequence(sequence)
        write_ground_truth(sequence.ground_truth_path, truth.replace(class_id=np.ones(len(truth), dtype=np.int64)))
    for name, table in results.items():
        write_results(root / "results" / f"{name}.txt", table)
    return [f"ground_truth={root / 'truth'}", f"results={root / 'results'}"]


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    """Sequence a: one person, whose track changes at frame 6. Sequence b: one person, found throughout."""
    switched = TrackTable.concatenate([walk(range(1, 6), 7), walk(range(6, 11), 8)])
    truth = walk(range(1, 11), 1)
    return write(tmp_path, {"a": truth, "b": truth}, {"a": switched, "b": truth})


def test_json_holds_fractions_per_sequence_and_combined(arguments: list[str], tmp_path: Path) -> None:
    """By hand: of 20 boxes one naming gets 15 right; one switch among 20 boxes."""
    assert tool.main([*arguments, f"json={tmp_path / 'scores.json'}"]) == 0
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["combined"]["idf1"] == pytest.approx(0.75)
    assert scores["combined"]["mota"] == pytest.approx(0.95)
    assert (scores["combined"]["idsw"], scores["sequences"]["b"]["idsw"]) == (1, 0)
    assert scores["sequences"]["a"]["hota"] == pytest.approx(0.5**0.5)
    assert scores["settings"]["ground_truth"].endswith("truth")


def test_table_is_in_percent(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert tool.main(arguments) == 0
    head, first, *_, last = capsys.readouterr().out.splitlines()
    assert head.split()[:6] == ["HOTA", "DetA", "AssA", "MOTA", "IDF1", "IDs"]
    assert first.split()[:7] == ["a", "70.71", "100.00", "50.00", "90.00", "50.00", "1"]
    assert last.split()[:7] == ["combined", "86.60", "100.00", "75.00", "95.00", "75.00", "1"]


def test_bootstrap_adds_intervals(arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tool.main([*arguments, "bootstrap=50", f"json={tmp_path / 'scores.json'}"]) == 0
    assert json.loads((tmp_path / "scores.json").read_text())["intervals"]["idf1"] == [0.5, 1.0]
    assert "95% from" in capsys.readouterr().out


def test_a_chosen_sequence_is_scored_alone(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert tool.main([*arguments, "sequences=b"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:2] == ["b", "100.00"]


@pytest.mark.parametrize(
    ("change", "extra", "message"),
    [
        (lambda root: (root / "results" / "b.txt").unlink(), [], "results: got no b.txt in"),
        (lambda root: (root / "results" / "c.txt").touch(), [], "results: got c.txt in .* no such sequence"),
        (
            lambda root: (root / "results" / "b.txt").rename(root / "results" / "B.txt"),
            [],
            "got no b.txt in .*; these belong to no sequence: B",
        ),
        (
            lambda root: (root / "results" / "b.txt").write_text("1,1,0,0,9,9,1\n2,1,0,zero,9,9,1\n"),
            [],
            r"results/b\.txt' line 2: got 'zero'; expected a number",
        ),
        (
            lambda root: (root / "results" / "b.txt").write_text("11,1,0,0,9,9,1\n"),
            [],
            "b: frame: got 11; expected at most 10, the length of the sequence",
        ),
        (
            lambda root: (root / "results" / "b.txt").write_text("1,1,0,0,9,9,1\n1,1,5,0,9,9,1\n"),
            [],
            "b: result: got identity 1 twice in frame 1",
        ),
        (lambda root: (root / "truth" / "a" / "gt" / "gt.txt").write_text(""), [], r"gt\.txt': got an empty file"),
        (lambda root: None, ["benchmark=MOT18"], "benchmark: got 'MOT18'; expected one of MOT15, MOT16"),
        (lambda root: None, ["sequences=c"], "sequences: got 'c'; expected some of a, b"),
        (lambda root: None, ["bootstrap=many"], "bootstrap: got 'many'; expected int"),
        (
            lambda root: None,
            ["sequences=b", "bootstrap=9"],
            "bootstrap: got only one sequence, b; expected two or more",
        ),
        (lambda root: None, ["result=x"], "no key 'result'; did you mean 'results'?"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_two(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], change, extra: list[str], message: str
) -> None:
    change(tmp_path)
    assert tool.main([*arguments, *extra]) == 2
    told = capsys.readouterr()
    assert re.search(message, told.err) and told.err.count("\n") == 1
    assert told.out == ""


@pytest.mark.parametrize("key", ["ground_truth", "results"])
def test_a_missing_argument_is_named(arguments: list[str], capsys: pytest.CaptureFixture[str], key: str) -> None:
    assert tool.main([argument for argument in arguments if not argument.startswith(key)]) == 2
    assert f"{key} is missing" in capsys.readouterr().err


@pytest.mark.parametrize(("key", "place"), [("ground_truth", "truth"), ("results", "results")])
def test_an_empty_folder_is_named(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], key: str, place: str
) -> None:
    (tmp_path / place).rename(tmp_path / "elsewhere")
    assert tool.main(arguments) == 2
    assert f"{key}: got '{tmp_path / place}'" in capsys.readouterr().err


@pytest.mark.parametrize(("benchmark", "separator"), [("DanceTrack", ","), ("SportsMOT", ", ")])
def test_other_benchmarks_are_scored_in_their_own_layout(tmp_path: Path, benchmark: str, separator: str) -> None:
    """As published: an identity 0, class 1 throughout, commas with spaces in SportsMOT, nothing but these folders.

    By hand: of three boxes two are found, under one identity, and none that is not there.
    """
    rows = [(1, 0, 10, 10, 20, 40, 1, 1, 1), (2, 0, 12, 10, 20, 40, 1, 1, 1), (2, 5, 70, 10, 20, 40, 1, 1, 1)]
    sequence = tmp_path / "val" / "one"
    (sequence / "gt").mkdir(parents=True)
    (sequence / "gt" / "gt.txt").write_text("\n".join(separator.join(map(str, row)) for row in rows))
    (sequence / "seqinfo.ini").write_text(
        "[Sequence]\nname=one\nimDir=img1\nframeRate=25\nseqLength=2\nimWidth=128\nimHeight=72\nimExt=.jpg\n"
    )
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "one.txt").write_text("1,1,10,10,20,40,0.9,-1,-1,-1\n2,1,12,10,20,40,0.9,-1,-1,-1\n")
    arguments = [f"ground_truth={tmp_path / 'val'}", f"results={tmp_path / 'results'}", f"benchmark={benchmark}"]
    assert tool.main([*arguments, f"json={tmp_path / 'scores.json'}"]) == 0
    scores = json.loads((tmp_path / "scores.json").read_text())["combined"]
    assert (scores["fn"], scores["fp"], scores["idsw"]) == (1, 0, 0)
    assert scores["mota"] == pytest.approx(2 / 3) and scores["idf1"] == pytest.approx(4 / 5)


@pytest.mark.data
@pytest.mark.parametrize("tracker", ["boxmot_bytetrack_python", "norfair"])
@pytest.mark.parametrize("benchmark", ["MOT15", "MOT17"])
def test_files_of_two_trackers_score_as_recorded_from_trackeval(
    real_data: Path, tmp_path: Path, benchmark: str, tracker: str
) -> None:
    """From text files to JSON. Fails when: negative sizes stay, sequences are averaged, lengths or classes are lost,
    or percent are written for fractions.
    """
    recorded = json.loads((GOLDEN / "mot_trackeval.json").read_text())[benchmark][tracker]
    with np.load(GOLDEN / "mot_results.npz") as file:
        for name in recorded.keys() - {"COMBINED_SEQ"}:
            rows = file[f"{benchmark}/{tracker}/{name}"]
            numbers = np.column_stack([rows[:, :2], rows[:, 2:] / 100, np.ones(len(rows))])
            np.savetxt(tmp_path / f"{name}.txt", numbers, fmt="%g", delimiter=",")
    done = tool.main(
        [
            f"benchmark={benchmark}",
            f"ground_truth={real_data / benchmark / 'train'}",
            f"results={tmp_path}",
            f"json={tmp_path / 'scores.json'}",
        ]
    )
    assert done == 0
    scores = json.loads((tmp_path / "scores.json").read_text())
    for name, expected in recorded.items():
        found = scores["combined"] if name == "COMBINED_SEQ" else scores["sequences"][name]
        assert found["hota"] == pytest.approx(np.mean(expected["HOTA"]["HOTA"]), abs=1e-9)
        assert found["mota"] == pytest.approx(expected["CLEAR"]["MOTA"], abs=1e-9)
        assert found["idf1"] == pytest.approx(expected["Identity"]["IDF1"], abs=1e-9)
        counts = {"idsw": "IDSW", "frag": "Frag", "mt": "MT", "fp": "CLR_FP", "fn": "CLR_FN", "frames": "CLR_Frames"}
        assert {key: found[key] for key in counts} == {key: expected["CLEAR"][name] for key, name in counts.items()}


# The report and the plots


@pytest.fixture
def filmed(tmp_path: Path) -> list[str]:
    """A person who walks to the right, and is lost in frames 5 to 7; half-size frames of the walk, and detections."""
    truth = walk(range(1, 11), 1).replace(xyxy=2 * walk(range(1, 11), 1, left=10).xyxy)
    result = truth.replace(track_id=np.where(truth.frame < 5, 7, 8))[(truth.frame < 5) | (truth.frame > 7)]
    found = write(tmp_path, {"a": truth}, {"a": result})
    write_detections(tmp_path / "truth" / "a" / "det" / "mine.txt", truth)
    folder = tmp_path / "truth" / "a" / "img1"
    folder.mkdir()
    for number in range(1, 11):
        Image.new("RGB", (60, 40), (number, 0, 0)).save(folder / f"{number:06d}.png")
    return [*found, "benchmark=MOT15", f"report={tmp_path / 'mot.html'}", "scale=0.5"]


def test_report_shows_pictures_from_the_sequence_and_the_cause(filmed: list[str], tmp_path: Path) -> None:
    assert tool.main(filmed) == 0
    page = (tmp_path / "mot.html").read_text()
    assert page.count("data:image/jpeg") == 3
    assert "badge missed-detection" in page and "Similarity of the appearance" not in page


def test_report_takes_detections_of_the_sequence(filmed: list[str], tmp_path: Path) -> None:
    assert tool.main([*filmed, "detections=det/mine.txt"]) == 0
    assert "badge association" in (tmp_path / "mot.html").read_text()


def test_report_compares_looks_at_the_boxes_in_the_frames(
    filmed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when: frames are shifted, boxes are not scaled, the wrong two looks are compared, or by another runtime."""
    asked, runtimes = [], []

    def embed(image: np.ndarray, xyxy: np.ndarray) -> np.ndarray:
        asked.extend((int(image[0, 0, 2]), *box) for box in xyxy.tolist())
        angle = len(asked)
        return np.array([[np.cos(angle), np.sin(angle)]] * len(xyxy))

    embed.threshold = 0.9  # type: ignore[attr-defined]
    monkeypatch.setattr("mot_reid.reid.embedder.Embedder", lambda name, runtime: runtimes.append(runtime) or embed)
    assert tool.main([*filmed, "reid=model", "detections=det/mine.txt"]) == 0
    assert asked == [(4, 14, 0, 24, 20), (8, 18, 0, 28, 20)]
    page = (tmp_path / "mot.html").read_text()
    assert "badge appearance" in page and f"<dt>Similarity of the appearance</dt><dd>{np.cos(1):.2f}</dd>" in page
    assert tool.main([*filmed, "reid=model", "runtime=torch", "detections=det/mine.txt", "threshold=0"]) == 0
    assert runtimes == ["auto", "torch"]
    assert "badge association" in (tmp_path / "mot.html").read_text()


def test_report_does_without_frames(arguments: list[str], tmp_path: Path) -> None:
    assert tool.main([*arguments, f"report={tmp_path / 'mot.html'}"]) == 0
    assert "data:image" not in (tmp_path / "mot.html").read_text()


def test_plots_lie_beside_the_results_or_where_they_are_wanted(arguments: list[str], tmp_path: Path) -> None:
    assert tool.main([*arguments, "plots=true"]) == tool.main([*arguments, f"plots={tmp_path / 'x'}"]) == 0
    assert len(list((tmp_path / "plots").glob("*.png"))) == len(list((tmp_path / "x").glob("*.png"))) == 3


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["frames=gone.avi"], "frames: got 'gone.avi'; expected a file of a"),
        (["detections=det/gone.txt"], "detections: got 'det/gone.txt'; expected a file of a"),
        (["scale=0"], "scale: got 0.0; expected a number of at least 1e-06"),
        (["gate=2"], "gate: got 2.0; expected a number of at least 1e-06 and at most 1"),
        (["threshold=x"], "threshold: got 'x'; expected float or null"),
        (["reid=gone"], "gone"),
    ],
)
def test_mistakes_in_what_the_report_needs_are_one_line(
    filmed: list[str], capsys: pytest.CaptureFixture[str], extra: list[str], message: str
) -> None:
    kept = [argument for argument in filmed if argument.partition("=")[0] != extra[0].partition("=")[0]]
    assert tool.main([*kept, *extra]) == 2
    assert message in capsys.readouterr().err


def test_keys_of_the_report_need_a_report(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert tool.main([*arguments, "frames=x"]) == 2
    assert "frames: got no report=FILE" in capsys.readouterr().err


def test_table_that_track_wrote_scores_as_its_text_does(arguments: list[str], tmp_path: Path) -> None:
    """As a folder of CSV files, and as the file of a single sequence."""
    for name in ("a", "b"):
        table = TrackTable.load(tmp_path / "results" / f"{name}.txt")
        table.save(tmp_path / "tables" / f"{name}.csv")
    for given, scores in ((arguments, "text"), ([arguments[0], f"results={tmp_path / 'tables'}"], "table")):
        assert tool.main([*given, f"json={tmp_path / scores}.json"]) == 0
    read = [json.loads((tmp_path / f"{name}.json").read_text()) for name in ("text", "table")]
    assert read[0]["combined"] == read[1]["combined"] and read[0]["combined"]["idf1"] == pytest.approx(0.75)
    single = [arguments[0], "sequences=a", f"results={tmp_path / 'tables' / 'a.csv'}"]
    assert tool.main([*single, f"json={tmp_path / 'one.json'}"]) == 0
    assert json.loads((tmp_path / "one.json").read_text())["combined"] == read[0]["sequences"]["a"]


def test_frames_without_a_result_are_told_once_and_scored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By hand: 15 of 20 boxes are found."""
    truth = walk(range(1, 21), 1)
    given = write(tmp_path, {"a": truth}, {"a": truth[truth.frame <= 15]}, length=20)
    assert tool.main(given) == 0
    told = capsys.readouterr()
    assert told.out.splitlines()[1].split()[4] == "75.00"
    assert re.fullmatch(r"warning: a: the result has no box in 5 of 20 frames with people \(16 to 20\); .*\n", told.err)
