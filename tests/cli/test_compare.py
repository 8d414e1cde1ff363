"""The command line of tools/compare.py."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mot_reid.cli import compare as tool
from mot_reid.data.motchallenge import read_ground_truth, write_results
from mot_reid.data.synthetic_clip import walkers
from mot_reid.evaluation import comparison
from mot_reid.reid.embedder import Embedder
from tests.helpers.sequences import NAMES, write_sequences


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_sequences(tmp_path / "truth")


def board(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "compare.json").read_text())


def test_rows_of_perfect_boxes_are_ranked(root: Path, tmp_path: Path) -> None:
    """SORT reports all boxes; published ByteTrack would report none of them, whose score is 0.55."""
    out = tmp_path / "out"
    assert tool.main([f"ground_truth={root}", "trackers=bytetrack,sort", f"output={out}", "bootstrap=20"]) == 0
    found = board(out)
    assert found["videos"] == list(NAMES)
    assert {row["tracker"] for row in found["rows"]} == {"sort", "bytetrack"}
    hota = [row["combined"]["hota"] for row in found["rows"]]
    assert hota == sorted(hota, reverse=True)
    assert found["rows"][0]["interval"]["hota"] == [0, 0]
    assert hota[0] > 0.9


def test_first_frames_alone_are_compared(root: Path, tmp_path: Path) -> None:
    """Of 12 frames with three people 4 are taken, so that 12 boxes of each sequence can be found."""
    words = [f"ground_truth={root}", "trackers=sort", "bootstrap=20", f"peers={tmp_path / 'oracle'}"]
    for name in NAMES:
        truth = read_ground_truth(root / name / "gt" / "gt.txt")
        write_results(tmp_path / "oracle" / f"{name}.txt", truth[truth.frame <= 4])
    assert tool.main([*words, "length=4", f"output={tmp_path / 'out'}"]) == 0
    first = {row["tracker"]: row["combined"]["hota"] for row in board(tmp_path / "out")["rows"]}
    assert first["oracle"] == pytest.approx(1, abs=1e-3)
    assert tool.main([*words, f"output={tmp_path / 'whole'}"]) == 0
    whole = {row["tracker"]: row["combined"]["hota"] for row in board(tmp_path / "whole")["rows"]}
    assert whole["oracle"] < 0.8


def test_finished_cells_are_not_tracked_again(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [f"ground_truth={root}", "trackers=sort", f"output={tmp_path / 'out'}", "bootstrap=20"]
    assert tool.main(words) == 0
    first = board(tmp_path / "out")

    def refuse(*_: object) -> None:
        raise AssertionError("tracked again")

    monkeypatch.setattr(comparison, "_track", refuse)
    assert tool.main(words) == 0
    assert board(tmp_path / "out") == first
    with pytest.raises(AssertionError, match="tracked again"):
        tool.main([*words[:-1], "bootstrap=21"])


def test_results_of_others_stand_in_the_same_table(root: Path, tmp_path: Path) -> None:
    """The ground truth as results of a program scores 1."""
    for name in NAMES:
        write_results(tmp_path / "oracle" / f"{name}.txt", read_ground_truth(root / name / "gt" / "gt.txt"))
    words = [f"ground_truth={root}", "trackers=sort", f"peers=[{tmp_path / 'oracle'}]", f"output={tmp_path / 'out'}"]
    assert tool.main([*words, "bootstrap=20"]) == 0
    first = board(tmp_path / "out")["rows"][0]
    assert (first["tracker"], first["milliseconds"]) == ("oracle", None)
    assert first["combined"]["hota"] == pytest.approx(1, abs=1e-3)
    assert "oracle" in (tmp_path / "out" / "index.html").read_text()


def test_each_video_has_an_interval_of_its_own(root: Path, tmp_path: Path) -> None:
    """The one that it has when it is compared alone."""
    words = [f"ground_truth={root}", "trackers=sort,bytetrack", "reference=sort", "bootstrap=20"]
    assert tool.main([*words, f"output={tmp_path / 'all'}"]) == 0
    assert tool.main([*words, "sequences=b", f"output={tmp_path / 'one'}"]) == 0
    both = [
        next(row for row in board(tmp_path / name)["rows"] if row["tracker"] == "bytetrack") for name in ("all", "one")
    ]
    assert both[0]["sequences"]["b"]["interval"] == both[1]["interval"] != both[0]["interval"]


def detected_twice(root: Path, folder: Path) -> str:
    """A second detector, which has lost a person of each sequence; the `detectors=` of both."""
    for name in NAMES:
        lines = (root / name / "det" / "det.txt").read_text().splitlines(keepends=True)
        (folder / "half").mkdir(parents=True, exist_ok=True)
        (folder / "half" / f"{name}.txt").write_text("".join(line for n, line in enumerate(lines) if n % 3))
    return f"detectors=[det/det.txt, {folder / 'half'}/{{sequence}}.txt]"


def test_rows_stand_beside_the_reference_on_the_same_boxes(root: Path, tmp_path: Path) -> None:
    """Every row of a reference is 0 from itself, with the boxes of both detectors."""
    words = [f"ground_truth={root}", detected_twice(root, tmp_path), "trackers=sort,ocsort", "reference=ocsort"]
    assert tool.main([*words, f"output={tmp_path / 'out'}", "bootstrap=20"]) == 0
    rows = board(tmp_path / "out")["rows"]
    assert {(row["detector"], row["reference"]) for row in rows} == {
        ("det", "ocsort · det"),
        ("half", "ocsort · half"),
    }
    for row in rows:
        before = next(r for r in rows if r["name"] == row["reference"])
        assert row["difference"]["hota"] == row["combined"]["hota"] - before["combined"]["hota"]
        assert (row["interval"]["hota"] == [0, 0]) == (row["tracker"] == "ocsort")
    page = (tmp_path / "out" / "index.html").read_text()
    assert "Boxes of det" in page
    assert "Boxes of half" in page


def test_peers_of_two_detectors_are_timed_and_named(root: Path, tmp_path: Path) -> None:
    """Their rows stand beside the same boxes; the time is the mean over the sequences that the file gives: 2."""
    detectors = detected_twice(root, tmp_path)
    for detector in ("det", "half"):
        folder = tmp_path / "results" / detector / "theirs+osnet"
        for name in NAMES:
            write_results(folder / f"{name}.txt", read_ground_truth(root / name / "gt" / "gt.txt"))
        (folder / "milliseconds.json").write_text('{"a": 1.0, "b": 2.0, "c": 3.0}')
    words = [f"ground_truth={root}", detectors, "trackers=sort", f"output={tmp_path / 'out'}", "bootstrap=20"]
    peers = f"peers={tmp_path / 'results'}/{{detector}}/theirs+osnet"
    assert tool.main([*words, peers, "reference=theirs+osnet"]) == 0
    theirs = [row for row in board(tmp_path / "out")["rows"] if row["tracker"] == "theirs"]
    assert [(row["detector"], row["embedder"], row["milliseconds"]) for row in theirs] == [
        ("det", "osnet", 2.0),
        ("half", "osnet", 2.0),
    ]


def test_whether_map_predicts_idf1_is_told_for_models_that_have_both(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three peers stand for three models that find three, two and one of three people."""
    for kept, model in ((3, "whole"), (2, "more"), (1, "less")):
        for name in NAMES:
            truth = read_ground_truth(root / name / "gt" / "gt.txt")
            write_results(tmp_path / f"theirs+{model}" / f"{name}.txt", truth[truth.track_id <= kept])
    (tmp_path / "map.csv").write_text("embedder,mean_ap,data\nless,0.1,here\nmore,0.4,here\nwhole,0.3,here\n")
    peers = ",".join(str(tmp_path / f"theirs+{model}") for model in ("whole", "more", "less"))
    words = [f"ground_truth={root}", "trackers=sort", f"peers={peers}", f"retrieval={tmp_path / 'map.csv'}"]
    assert tool.main([*words, f"output={tmp_path / 'out'}", "bootstrap=20"]) == 0
    found = board(tmp_path / "out")["correlations"]
    assert [(row["tracker"], row["embedders"], row["data"]) for row in found] == [("theirs", 3, "here")]
    assert found[0]["correlation"] == pytest.approx(0.5)  # ranks 1, 3, 2 and 1, 2, 3
    assert "+0.50" in capsys.readouterr().out
    assert "Does mAP predict IDF1?" in (tmp_path / "out" / "index.html").read_text()


def test_what_refinement_gains_is_what_lies_between_both_rows(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the unrefined row as the reference, the refined row's own intervals are those of the gain."""
    words = [f"ground_truth={root}", "trackers=sort", "refine=smooth", "reference=sort", "bootstrap=20"]
    assert tool.main([*words, f"output={tmp_path / 'out'}"]) == 0
    found = board(tmp_path / "out")
    online, offline = sorted(found["rows"], key=lambda row: row["offline"])
    together, *each = found["refinement"]
    assert [gain["video"] for gain in found["refinement"]] == ["", *NAMES]
    assert (together["before"], together["after"]) == (online["combined"], offline["combined"])
    assert together["before"]["hota"] != together["after"]["hota"]
    assert together["interval"] == offline["interval"]
    for gain in each:
        before, after = (row["sequences"][gain["video"]] for row in (online, offline))
        assert gain["before"]["idf1"] == before["idf1"] and gain["after"]["hota"] == after["hota"]
        assert gain["interval"] == after["interval"]
    said = capsys.readouterr().out
    assert f"HOTA {100 * together['before']['hota']:.2f} > {100 * together['after']['hota']:.2f}" in said
    assert "Once the video is over" in (tmp_path / "out" / "index.html").read_text()


def test_the_best_of_each_kind_is_named_with_those_as_good(root: Path, tmp_path: Path) -> None:
    """Two programs that answer the truth are as good; SORT, which answers detections a little worse, is not."""
    for program in ("oracle", "prophet", "looks+osnet"):
        for name in NAMES:
            write_results(tmp_path / program / f"{name}.txt", read_ground_truth(root / name / "gt" / "gt.txt"))
    peers = ",".join(str(tmp_path / name) for name in ("oracle", "prophet", "looks+osnet"))
    detectors = detected_twice(root, tmp_path).replace("det/det.txt, ", "")
    words = [f"ground_truth={root}", detectors, "trackers=sort", "refine=fill_linear", f"peers={peers}"]
    assert tool.main([*words, f"output={tmp_path / 'out'}", "bootstrap=20"]) == 0
    assert board(tmp_path / "out")["best"] == [
        {"detector": "half", "name": "oracle · half", "led": 3, "level": ["prophet"]},
        {"detector": "half", "name": "looks · osnet · half", "led": 3, "level": []},
        {"detector": "half", "name": "sort · half · refined", "led": 3, "level": []},
    ]
    page = (tmp_path / "out" / "index.html").read_text()
    assert "Which one to take" in page and "3 of 3 videos" in page


def test_refined_rows_are_marked(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [f"ground_truth={root}", "trackers=sort", "refine=fill_linear", f"output={tmp_path / 'out'}"]
    assert tool.main([*words, "bootstrap=20"]) == 0
    assert [row["offline"] for row in board(tmp_path / "out")["rows"]].count(True) == 1
    assert "(refined, offline)" in (tmp_path / "out" / "index.html").read_text()
    assert "refined" in capsys.readouterr().out


def test_without_anything_the_synthetic_clip_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mot_reid.evaluation.comparison_data.walkers", lambda: walkers(frames=20))
    words = ["trackers=sort,bytetrack,bytetrack_reid", f"output={tmp_path / 'out'}", "bootstrap=20"]
    assert tool.main(words) == 0
    found = board(tmp_path / "out")
    assert found["videos"] == ["synthetic"]
    with_looks = next(row for row in found["rows"] if row["embedder"])
    assert (with_looks["tracker"], with_looks["embedder"]) == ("bytetrack_reid", "osnet_x0_25_cameras")
    assert len(list((tmp_path / "out" / "embeddings").iterdir())) == 1


def test_embeddings_of_each_runtime_are_its_own_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By default ONNX Runtime's, as in `track`: the last digits are others than torch's, the direction is the same."""
    pytest.importorskip("onnxruntime")
    clip = walkers(frames=8)
    monkeypatch.setattr("mot_reid.evaluation.comparison_data.walkers", lambda: clip)
    words = ["trackers=bytetrack_reid", f"output={tmp_path / 'out'}", "bootstrap=20", "device=cpu"]
    kept = tmp_path / "out" / "embeddings"
    boxes = [found.xyxy[found.score > 0.2] for found in clip.detections]
    expected = {}
    for runtime, extra in (("onnx", []), ("torch", ["runtime=torch"])):
        before = set(kept.iterdir()) if kept.is_dir() else set()
        assert tool.main([*words, *extra]) == 0
        (file,) = set(kept.iterdir()) - before
        embedder = Embedder("osnet_x0_25_cameras", device="cpu", runtime=runtime)
        expected[runtime] = np.concatenate(embedder.many(list(clip.images), boxes))
        found = np.load(file)
        np.testing.assert_array_equal(found[~np.isnan(found).any(axis=1)], expected[runtime])
    assert not np.array_equal(expected["onnx"], expected["torch"])


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["trackers=bytetrak"], "trackers: got .*bytetrak.*; did you mean 'bytetrack'?"),
        (["detectors=[det/gone.txt]"], "det/gone.txt': no such file"),
        (["detectors=[det/det.txt, det/det.txt]"], "expected names that differ"),
        (["peers=[gone]"], "gone"),
        (["peers=a/theirs,b/theirs"], "peers: got two folders called 'theirs'; .*rename one"),
        (["peers=a/sort"], "peers: got 'sort', a row of our own; .*rename the folder"),
        (["detectors=[]"], "detectors: got none; expected at least one"),
        (["sequences=[]"], "sequences: got none; expected at least one"),
        (["trackers=[]"], "trackers: got none with . embedders, which makes no row"),
        (["trackers=bytetrack_reid", "embedders=[]"], "trackers: got bytetrack_reid with 0 embedders"),
        (["peers=a/theirs", "length=4"], r"peers: got frame 12 in 'a/theirs/.*\.txt'; expected the 4 frames"),
        (["retrieval=twice.csv"], "retrieval: got 'one' twice in 'twice.csv'"),
        (["peers=late/theirs"], "peers: got -3 for x in .*; expected milliseconds, 0 or more"),
        (["reference=sorte"], "reference: got 'sorte'; expected one of sort, which were run on the boxes of det"),
        (["retrieval=gone.csv"], "gone.csv"),
        (["retrieval=gt.csv"], "retrieval: got 'gt.csv'; expected the JSON file"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_two(
    root: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    extra: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("gt.csv").write_text("frame,id\n1,1\n")
    Path("twice.csv").write_text("embedder,mean_ap\none,0.5\none,0.6\n")
    for folder in ("a/theirs", "b/theirs", "a/sort", "late/theirs"):
        for name in NAMES:
            write_results(Path(folder, f"{name}.txt"), read_ground_truth(root / name / "gt" / "gt.txt"))
    Path("late/theirs/milliseconds.json").write_text('{"x": -3}')
    words = [f"ground_truth={root}", f"output={tmp_path / 'out'}", "bootstrap=20"]
    sort = [] if extra[0].startswith("trackers") else ["trackers=sort"]
    assert tool.main([*words, *sort, *extra]) == 2
    assert re.search(message, capsys.readouterr().err)
