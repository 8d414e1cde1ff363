"""Where a package of an extra is missing, one sentence has the command that installs it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mot_reid.extras import EXTRAS, explained, require
from mot_reid.settings.load import ROOT

WITHOUT = f"import sys; sys.modules.update(dict.fromkeys({list(EXTRAS)!r}))\n"
"""Makes every package of an extra look as if it were not installed."""


def plain(code: str, folder: Path = ROOT) -> str:
    """What a fresh process prints in which no extra is installed."""
    done = subprocess.run(
        [sys.executable, "-c", f"{WITHOUT}sys.path.insert(0, {str(ROOT)!r})\n{code}"],
        capture_output=True, text=True, cwd=folder, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_require_passes_what_is_there_and_names_the_extra_of_what_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    require("numpy", "scores", "reid")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=re.escape('engine: ray is not installed; pip install "mot-reid[ray]"')):
        require("ray", "engine")


def test_only_pythons_own_words_about_a_package_of_an_extra_are_replaced() -> None:
    own = ModuleNotFoundError("No module named 'matplotlib'", name="matplotlib.figure")
    assert str(explained(own, "fit")) == 'fit: matplotlib is not installed; pip install "mot-reid[report]"'
    others: list[Exception] = [
        ModuleNotFoundError("No module named 'x'", name="x"),
        ImportError("a"),
        ValueError("torch"),
    ]
    assert [explained(error, "fit") is error for error in others] == [True] * 3


def test_public_names_say_which_extra_they_need() -> None:
    code = (
        "import mot_reid\n"
        "def said(work):\n"
        "    try: work(); print('fine')\n"
        "    except ImportError as error: print(error)\n"
        "said(lambda: mot_reid.Embedder('person_small'))\n"
        "said(lambda: mot_reid.Tracker('bytetrack_reid', reid='person_small'))\n"
        "said(lambda: mot_reid.fit('quickstart'))\n"
        "said(lambda: mot_reid.YoloDetector('yolov8n.pt'))\n"
        "said(lambda: mot_reid.TrackTable.empty().to_pandas())\n"
        "said(lambda: mot_reid.Tracker('bytetrack').update([[0, 0, 9, 9, 0.9]]))\n"
    )
    needs = (
        'needs PyTorch, which is not installed; pip install "mot-reid[reid]", take mobilenetv2_short_cameras or '
        "osnet_x0_25_cameras, which does without, or make an ONNX file of it where PyTorch is: "
        "mot-reid export checkpoint=person_small format=onnx"
    )
    assert plain(code).splitlines() == [
        f"checkpoint: 'person_small' {needs}",
        f"checkpoint: 'person_small' {needs}",
        'training: lightning is not installed; pip install "mot-reid[train]"',
        'detector: needs Ultralytics (import of ultralytics halted; None in sys.modules); pip install "mot-reid[yolo]"',
        'to_pandas: pandas is not installed; pip install "mot-reid[report]"',
        "fine",
    ]


def test_commands_say_which_extra_they_need_in_one_line(tmp_path: Path) -> None:
    calls = {
        "reid": ["export checkpoint=person_small", "import source=a.pth kind=timm"],
        "train": ["fit experiment=quickstart"],
        "serve": ["serve"],
        "tune": ["tune-tracker ground_truth=."],
    }
    words = [call.split() for of_one in calls.values() for call in of_one]
    code = (
        "import contextlib, io\n"
        "from mot_reid.cli.main import main\n"
        f"for words in {words!r}:\n"
        "    with contextlib.redirect_stderr(io.StringIO()) as told:\n"
        "        code = main(words)\n"
        "    print(code, told.getvalue().count(chr(10)), told.getvalue(), end='')\n"
    )
    lines = plain(code, tmp_path).splitlines()
    extras = [extra for extra, of_one in calls.items() for _ in of_one]
    assert len(lines) == len(extras)
    for line, extra in zip(lines, extras):
        assert line.startswith("2 1 ") and line.endswith(f'pip install "mot-reid[{extra}]"'), line
