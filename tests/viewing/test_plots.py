"""Curves read back from the files they were logged to, and from the picture's axes."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from mot_reid.viewing.plots import plot_training, read_curves

METRICS = """epoch,lr-Adam,step,test/mAP,test/rank10,train/images_per_second,train/loss,val/mAP
,0.001,9,,,,,
0,,9,,,,2.5,
0,,12,,,,,0.25
0,,12,,,300.0,,
,0.0005,19,,,,,
1,,19,,,,1.5,
1,,25,0.5,0.9,,,
"""


@pytest.fixture
def metrics(tmp_path: Path) -> Path:
    (tmp_path / "metrics.csv").write_text(METRICS)
    return tmp_path / "metrics.csv"


def test_curves_are_the_filled_cells_by_step(metrics: Path) -> None:
    assert read_curves(metrics) == {
        "lr-Adam": ([9.0, 19.0], [0.001, 0.0005]),
        "train/loss": ([9.0, 19.0], [2.5, 1.5]),
        "val/mAP": ([12.0], [0.25]),
        "train/images_per_second": ([12.0], [300.0]),
        "test/mAP": ([25.0], [0.5]),
        "test/rank10": ([25.0], [0.9]),
    }


def drawn(metrics: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, list[float]]]:
    """Title of each panel, and its lines by name, as matplotlib got them."""
    from matplotlib.figure import Figure

    found: dict[str, dict[str, list[float]]] = {}
    original = Figure.savefig

    def savefig(self: Figure, *arguments: object, **named: object) -> None:
        for axes in self.axes:
            found[axes.get_title()] = {str(line.get_label()): list(line.get_ydata()) for line in axes.lines}
        original(self, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Figure, "savefig", savefig)
    plot_training(metrics, metrics.with_name("curves.png"))
    return found


def test_panels_show_what_belongs_together(metrics: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert drawn(metrics, monkeypatch) == {
        "loss": {"train/loss": [2.5, 1.5]},
        "score": {"val/mAP": [0.25], "test/mAP": [0.5]},
        "learning rate": {"lr-Adam": [0.001, 0.0005]},
        "images per second": {"train/images_per_second": [300.0]},
    }


def test_only_the_first_parameter_group_shows_its_rate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others are the same curve at another height."""
    (tmp_path / "metrics.csv").write_text("lr-SGD/pg1,lr-SGD/pg2,step\n0.1,0.2,0\n")
    assert drawn(tmp_path / "metrics.csv", monkeypatch) == {"learning rate": {"lr-SGD/pg1": [0.1]}}


def test_picture_is_written_where_asked(metrics: Path, tmp_path: Path) -> None:
    path = plot_training(metrics, tmp_path / "picture.png")
    assert path == tmp_path / "picture.png"
    with Image.open(path) as image:
        assert image.width > image.height > 100


def test_run_that_logged_nothing_gives_an_empty_picture(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("epoch,step\n")
    assert plot_training(tmp_path / "metrics.csv", tmp_path / "curves.png").is_file()
