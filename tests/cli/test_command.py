"""What is the same in every command."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from mot_reid.cli.command import Command, bad_data, called_as, check_source
from mot_reid.cli.main import COMMANDS, module_of
from mot_reid.settings.export import ExportSettings
from mot_reid.settings.load import ROOT, ConfigError, load_config
from mot_reid.settings.schema import schema

EXPORT = Command("export", ExportSettings, usage="checkpoint=PATH", about="Writes a model.", examples=("checkpoint=x",))


def module(name: str) -> Any:
    return import_module(module_of(name))


def raising(error: BaseException) -> Callable[[object, object], None]:
    def work(settings: object, given: object) -> None:
        raise error

    return work


@pytest.mark.parametrize("error", [ValueError, FileNotFoundError, ImportError, ConfigError])
def test_mistake_is_one_line_and_exit_code_two(error: type[Exception], capsys: pytest.CaptureFixture[str]) -> None:
    assert EXPORT.run(raising(error("got this;\n  expected that")), ["checkpoint=x"]) == 2
    assert capsys.readouterr().err == "got this; expected that\n"


def test_fault_of_the_program_shows_where_it_happened() -> None:
    with pytest.raises(KeyError):
        EXPORT.run(raising(KeyError("x")), ["checkpoint=x"])


def test_interrupt_is_exit_code_130(capsys: pytest.CaptureFixture[str]) -> None:
    assert EXPORT.run(raising(KeyboardInterrupt()), ["checkpoint=x"], interrupted="stopped") == 130
    assert capsys.readouterr().err == "stopped\n"


@pytest.mark.parametrize(("answer", "code"), [(None, 0), (0, 0), (1, 1)])
def test_work_says_the_exit_code(answer: int | None, code: int) -> None:
    assert EXPORT.run(lambda settings, given: answer, ["checkpoint=x"]) == code


def test_work_gets_typed_settings_and_what_was_given() -> None:
    seen: list[Any] = []
    EXPORT.run(lambda *both: seen.extend(both), ["checkpoint=x", "--half=true"])
    assert (seen[0].half, seen[0].format) == (True, "safetensors")
    assert seen[1] == {"checkpoint": "x", "half": "true"}


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [(ConfigError("a\nb"), 2, "a b\n"), (ValueError("a\n  b"), 1, "a\n  b\n"), (OSError("a"), 1, "a\n")],
)
def test_bad_data_is_told_line_by_line(
    error: Exception, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert EXPORT.run(raising(error), ["checkpoint=x"], judge=bad_data) == code
    assert capsys.readouterr().err == said


# Help


@pytest.mark.parametrize("word", ["--help", "-h"])
def test_help_shows_the_examples_before_the_keys(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert EXPORT.run(raising(ValueError()), [word]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "usage: mot-reid export checkpoint=PATH"
    assert lines.index("  mot-reid export checkpoint=x") < lines.index("  checkpoint: string, required")


def test_help_shows_type_value_choices_and_meaning(capsys: pytest.CaptureFixture[str]) -> None:
    assert EXPORT.run(raising(ValueError()), ["--help"]) == 0
    told = capsys.readouterr().out
    assert (
        "  format: string = 'safetensors' (safetensors | onnx | openvino | tensorrt)\n      onnx needs the extra"
        in told
    )
    assert "  half: true or false = false\n" in told


def test_help_shows_the_values_that_the_other_arguments_give(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "my.yaml").write_text("format: onnx\n")
    assert EXPORT.run(raising(ValueError()), ["half=true", f"config={tmp_path / 'my.yaml'}", "--help"]) == 0
    told = capsys.readouterr().out
    assert "  format: string = 'onnx'" in told and "  half: true or false = true\n" in told


def test_help_is_printed_for_wrong_arguments_with_the_mistake_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    assert EXPORT.run(raising(ValueError()), ["hlaf=true", "--help"]) == 2
    told = capsys.readouterr()
    assert "  half: true or false = false\n" in told.out
    assert told.err == "command line: no key 'hlaf'; did you mean 'half'?\n"


def test_help_of_training_shows_the_values_of_the_experiment(capsys: pytest.CaptureFixture[str]) -> None:
    """The file of the experiment says 120 epochs; its bases give Adam's rate; the name fills the folder in."""
    assert module("fit").main(["experiment=resnet50_market", "--help"]) == 0
    told = capsys.readouterr().out
    assert "  trainer.max_epochs: int or null = 120\n" in told
    assert "  optim.lr: float = 0.00035 (above 0)\n" in told
    assert "  run.dir: string = 'runs/resnet50_market'\n" in told
    assert (
        "  loss.triplet_margin: float or null = 0.3 (0 or more)\n      margin of the hinge; null: the soft margin"
        in told
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_every_command_explains_every_key(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert module(name).main(["--help"]) == 0
    told = capsys.readouterr().out
    assert [key for key in schema(module(name).COMMAND.settings) if f"\n  {key}: " not in told] == []
    assert told.count(f"  mot-reid {name}") >= len(module(name).COMMAND.examples) >= 1


@pytest.mark.parametrize("name", COMMANDS)
def test_every_key_has_a_meaning(name: str) -> None:
    assert [key for key, spec in schema(module(name).COMMAND.settings).items() if not spec.meaning] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_are_what_the_command_takes(name: str) -> None:
    for example in module(name).COMMAND.examples:
        words = [word for word in example.replace("NAME", "quickstart").split() if word != "--help"]
        module(name).COMMAND.load([word for word in words if not word.startswith("config=")])


# The schema for editors


@pytest.mark.parametrize(("name", "task"), [(name, "") for name in COMMANDS] + [("fit", "actions")])
def test_schema_accepts_the_file_of_values_and_refuses_a_typo(
    name: str, task: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The judge is the jsonschema package."""
    jsonschema = pytest.importorskip("jsonschema")
    yaml = pytest.importorskip("yaml")
    experiments = sorted((ROOT / "experiments").glob("*.yaml"))
    files = [one for one in experiments if ("actions" in yaml.safe_load(one.read_text())["bases"]) == bool(task)]
    assert module(name).main([*([f"experiment={files[0].stem}"] if task else []), "--schema"]) == 0
    found = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator.check_schema(found)
    judge = jsonschema.Draft202012Validator(found)
    if name != "fit":
        files = [ROOT / "configs" / f"{name.replace('-', '_')}.yaml"]
    for file in files:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        assert [error.message for error in judge.iter_errors(content)] == []
        assert [*judge.iter_errors(content | {"jsn": 1})]


@pytest.mark.parametrize(
    "content",
    [
        {"optim": {"lr": 0}},
        {"optim": {"name": "adm"}},
        {"data": {"images": 2.5}},
        {"optim": {"betas": [0.9]}},
        {"bases": ["modle/resnet50"]},
        {"augment": {"erase": "often"}},
    ],
)
def test_schema_of_experiments_refuses_what_the_loader_refuses(
    content: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    assert module("fit").main(["--schema"]) == 0
    judge = jsonschema.Draft202012Validator(json.loads(capsys.readouterr().out))
    assert [*judge.iter_errors(content)]
    bases = ["base", "model/resnet50", "data/synthetic", "optim/adam", "trainer/default", "logger/csv"]
    whole = {"bases": bases, "run": {"name": "x"}, "trainer": {"max_epochs": 1}}
    assert not [*judge.iter_errors(whole)]
    (tmp_path / "x.yaml").write_text(json.dumps(whole | content))
    with pytest.raises(ConfigError):
        load_config([f"experiment={tmp_path / 'x.yaml'}"])


# Small things


def test_source_may_be_gone_once_the_output_is_made(tmp_path: Path) -> None:
    gone = str(tmp_path / "gone")
    with pytest.raises(ConfigError, match=r"source: got '.*gone'; expected an existing archive or folder"):
        check_source(gone, str(tmp_path), made="done.json")
    (tmp_path / "done.json").touch()
    assert check_source(gone, str(tmp_path), made="done.json") == (tmp_path / "gone", tmp_path)


@pytest.mark.parametrize(
    ("program", "called"),
    [
        ("/usr/bin/mot-reid", "mot-reid evaluate-mot"),
        ("tools/evaluate_mot.py", "python tools/evaluate_mot.py"),
        ("/x/mot_reid/__main__.py", "python -m mot_reid evaluate-mot"),
    ],
)
def test_next_call_is_offered_in_the_form_of_this_one(
    program: str, called: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", [program])
    assert called_as("evaluate-mot") == called
