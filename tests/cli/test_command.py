"""What is the same in every tool."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mot_reid.cli.command import Arguments, bad_data, run
from mot_reid.settings.load import ConfigError


def raising(error: BaseException) -> Callable[[object], None]:
    def work(argv: object) -> None:
        raise error

    return work


@pytest.mark.parametrize("error", [ValueError, FileNotFoundError, ImportError, ConfigError])
def test_mistake_is_one_line_and_exit_code_two(error: type[Exception], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(raising(error("got this;\n  expected that")), [], usage=str) == 2
    assert capsys.readouterr().err == "got this; expected that\n"


def test_fault_of_the_program_shows_where_it_happened() -> None:
    with pytest.raises(KeyError):
        run(raising(KeyError("x")), [], usage=str)


def test_interrupt_is_exit_code_130(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(raising(KeyboardInterrupt()), [], usage=str, interrupted="stopped") == 130
    assert capsys.readouterr().err == "stopped\n"


@pytest.mark.parametrize("word", ["--help", "-h"])
def test_help_is_printed_whatever_else_is_said(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(raising(ValueError()), ["wrong", word], usage=lambda: "usage: x") == 0
    assert capsys.readouterr().out == "usage: x\n"


@pytest.mark.parametrize(("answer", "code"), [(None, 0), (0, 0), (1, 1)])
def test_work_says_the_exit_code(answer: int | None, code: int) -> None:
    assert run(lambda argv: answer, [], usage=str) == code


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [(ConfigError("a\nb"), 2, "a b\n"), (ValueError("a\n  b"), 1, "a\n  b\n"), (OSError("a"), 1, "a\n")],
)
def test_bad_data_is_told_line_by_line(
    error: Exception, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(raising(error), [], usage=str, judge=bad_data) == code
    assert capsys.readouterr().err == said


@pytest.mark.parametrize(
    ("ask", "text", "rule"),
    [
        (lambda a: a.whole("key", 3, low=1), "0", "a whole number from 1"),
        (lambda a: a.whole("key", 3), "-1", "a whole number from 0"),
        (lambda a: a.wholes("key", 3), "x", "a whole number from 0"),
        (lambda a: a.number("key", 3.0), "nan", "a number from 0"),
        (lambda a: a.number("key", 3.0), "inf", "a number from 0"),
        (lambda a: a.number("key", 0.5, below=1.0), "1", "a number from 0 to below 1"),
        (lambda a: a.number("key", 0.5, low=0.1, high=1.0), "0", "a number from 0.1 to 1"),
        (lambda a: a.switch("key", True), "yes", "true or false"),
        (lambda a: a.choice("key", ("plain", "fancy"), "plain"), "x", "plain or fancy"),
        (lambda a: a.choice("key", ("a", "b", "hota"), "a"), "hotta", "one of a, b, hota; did you mean 'hota'?"),
    ],
)
def test_wrong_value_names_key_value_and_rule(ask: Callable[[Arguments], object], text: str, rule: str) -> None:
    with pytest.raises(ConfigError) as raised:
        ask(Arguments([f"key={text}"], ["key"]))
    assert str(raised.value) == f"command line: key: got '{text}'; expected {rule}"
    ask(Arguments([], ["key"]))  # the default is allowed


def test_right_values_have_their_types() -> None:
    asked = Arguments(["a=7", "b=1,2", "c=0.5", "--d=True", "e=x,y"], "abcdef")
    assert (asked.whole("a", 0), asked.wholes("b", 0), asked.number("c", 0.0)) == (7, [1, 2], 0.5)
    assert (asked.switch("d", False), asked.names("e"), asked.names("f"), asked.text("f")) == (
        True,
        ["x", "y"],
        None,
        None,
    )


def test_source_may_be_gone_once_the_output_is_made(tmp_path: Path) -> None:
    asked = Arguments([f"source={tmp_path / 'gone'}", f"output={tmp_path}"], ("source", "output"))
    with pytest.raises(ConfigError, match=r"source: got '.*gone'; expected an existing archive or folder"):
        asked.source_and_output(made="done.json")
    (tmp_path / "done.json").touch()
    assert asked.source_and_output(made="done.json") == (tmp_path / "gone", tmp_path)
