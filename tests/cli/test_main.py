"""`mot-reid` finds the command that was asked for, and nothing heavy is loaded before its arguments are checked."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from mot_reid import __version__
from mot_reid.cli import main as dispatcher
from mot_reid.cli.main import COMMANDS, main, module_of
from mot_reid.settings.load import ROOT

HEAVY = ("torch", "lightning", "numpy", "scipy", "pandas", "PIL", "cv2", "timm", "ultralytics", "uvicorn", "fastapi")


def test_help_has_a_line_for_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    told = [line.split()[0] for line in lines if line.startswith("  ")]
    assert told == list(COMMANDS)
    assert all(len(line) <= 100 for line in lines)


def test_every_command_has_a_module_and_a_tool() -> None:
    names = {name.replace("-", "_") for name in COMMANDS}
    assert names == {path.stem for path in (ROOT / "tools").glob("*.py")}
    assert [name for name in COMMANDS if not callable(import_module(module_of(name)).main)] == []
    assert {name: import_module(module_of(name)).COMMAND.name for name in COMMANDS} == {name: name for name in COMMANDS}


def test_command_gets_its_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate-mot", "results=x"]) == 2
    assert "command line: ground_truth is missing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["fti"], "mot-reid: no command 'fti'; did you mean 'fit'?\n"),
        (["evaluate_mot"], "mot-reid: no command 'evaluate_mot'; did you mean 'evaluate-mot'?\n"),
        (["xyz"], "mot-reid: no command 'xyz'\nthe commands are: fit, evaluate, "),
        ([], "usage: mot-reid COMMAND"),
    ],
)
def test_unknown_command_is_answered_with_the_nearest(
    argv: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 2
    told = capsys.readouterr()
    assert told.err.startswith(said) and told.out == ""


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"mot-reid {__version__}\n"


def test_arguments_of_the_process_are_taken_without_any(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["mot-reid", "--version"])
    assert dispatcher.main() == 0
    assert __version__ in capsys.readouterr().out


@pytest.mark.parametrize("call", [["-m", "mot_reid", "export"], [str(ROOT / "tools" / "export.py")]])
def test_module_and_tool_are_the_same_command(call: list[str]) -> None:
    done = subprocess.run([sys.executable, *call, "frmat=onnx"], capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stderr) == (2, "command line: no key 'frmat'; did you mean 'format'?\n")


def test_arguments_are_checked_and_help_is_printed_before_anything_heavy_is_loaded() -> None:
    """One process for all commands, since each would cost a start of Python."""
    code = (
        "import sys, io, contextlib\n"
        "from mot_reid.cli.main import COMMANDS, main\n"
        "for name in COMMANDS:\n"
        "    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as told:\n"
        "        assert main([name, 'no_such_key=1']) == 2, name\n"
        "        assert main([name, '--help']) == 0, name\n"
        "        assert main([name, '--schema']) == 0, name\n"
        "    assert \"no key 'no_such_key'\" in told.getvalue(), (name, told.getvalue())\n"
        f"    print(name, [heavy for heavy in {HEAVY!r} if heavy in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"{name} []" for name in COMMANDS]
