"""The command line of tools/compare.py."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from mot_reid.cli import compare as tool
from mot_reid.data.motchallenge import read_ground_truth, write_results
from mot_reid.evaluation import comparison
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
    assert found["rows"][0]["to_best"]["hota"] == [0, 0]
    assert hota[0] > 0.9


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


def test_refined_rows_are_marked(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [f"ground_truth={root}", "trackers=sort", "refine=fill_linear", f"output={tmp_path / 'out'}"]
    assert tool.main([*words, "bootstrap=20"]) == 0
    assert [row["offline"] for row in board(tmp_path / "out")["rows"]].count(True) == 1
    assert "(refined, offline)" in (tmp_path / "out" / "index.html").read_text()
    assert "refined" in capsys.readouterr().out


def test_without_anything_the_synthetic_clip_is_compared(tmp_path: Path) -> None:
    words = ["trackers=sort,bytetrack,bytetrack_reid", f"output={tmp_path / 'out'}", "bootstrap=20"]
    assert tool.main(words) == 0
    found = board(tmp_path / "out")
    assert found["videos"] == ["synthetic"]
    with_looks = next(row for row in found["rows"] if row["embedder"])
    assert (with_looks["tracker"], with_looks["embedder"]) == ("bytetrack_reid", "osnet_x0_25_taught")
    assert len(list((tmp_path / "out" / "embeddings").iterdir())) == 1


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["trackers=bytetrak"], "trackers: got .*bytetrak.*; did you mean 'bytetrack'?"),
        (["detectors=[det/gone.txt]"], "det/gone.txt': no such file"),
        (["detectors=[det/det.txt, det/det.txt]"], "expected names that differ"),
        (["peers=[gone]"], "gone"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_two(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], extra: list[str], message: str
) -> None:
    words = [f"ground_truth={root}", f"output={tmp_path / 'out'}", "bootstrap=20"]
    sort = [] if extra[0].startswith("trackers") else ["trackers=sort"]
    assert tool.main([*words, *sort, *extra]) == 2
    assert re.search(message, capsys.readouterr().err)
