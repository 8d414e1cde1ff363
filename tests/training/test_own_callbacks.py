"""Lightning callbacks that the user names."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mot_reid.training.fit import fit
from mot_reid.training.own_callbacks import own_callbacks
from tests.helpers.runs import small_config

BEEP = """
from lightning import Callback

ends = []

class Beep(Callback):
    def on_train_epoch_end(self, trainer, pl_module):
        ends.append(trainer.current_epoch)

class Needy(Callback):
    def __init__(self, volume):
        pass
"""


@pytest.fixture
def beeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "beeps.py").write_text(BEEP)
    monkeypatch.syspath_prepend(str(tmp_path))


def test_callback_of_the_user_is_called(beeps: None, people: Path, tmp_path: Path) -> None:
    config = small_config(people, tmp_path / "run", "trainer.max_epochs=1", "run.callbacks=[beeps.Beep]")
    fit(config)
    import beeps as module  # type: ignore[import-not-found]

    assert module.ends == list(range(config.trainer.max_epochs or 0))


@pytest.mark.parametrize("path", ["beeps.Needy", "beeps.Boop", "nowhere.Beep", "Beep", "math.pi", ""])
def test_what_is_no_callback_is_refused_by_its_name(beeps: None, path: str) -> None:
    with pytest.raises(ValueError, match=rf"run.callbacks: got '{path}' \(.+\); expected the import path"):
        own_callbacks([path])


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("class Beep(:\n", r"SyntaxError: .+broken\.py, line 1\)"),
        ("import json\njson.loads('{')\n", "JSONDecodeError: .+"),
        ("from lightning import Callback\nclass Beep(Callback):\n def __init__(self):\n  {}['x']\n", "KeyError: 'x'"),
    ],
)
def test_code_that_fails_is_told_with_its_cause(
    code: str, cause: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "broken", raising=False)
    with pytest.raises(ValueError, match=rf"run.callbacks: got 'broken.Beep' \({cause}\); expected the import path"):
        own_callbacks(["broken.Beep"])
