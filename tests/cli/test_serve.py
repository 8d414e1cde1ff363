"""The command line of tools/serve.py."""

from __future__ import annotations

import importlib
import logging
import socket
from pathlib import Path
from typing import Any

import pytest

tool: Any = importlib.import_module("mot_reid.cli.serve")


def test_keys_of_the_server_and_of_tracking_share_a_command_line(tmp_path: Path) -> None:
    (tmp_path / "track.yaml").write_text("min_score: 0.1\ntracker: {high: 0.5}\n")
    settings, tracking = tool.COMMAND.load(
        ["port=0", "limits.jobs=2", "reid=null", f"tracking={tmp_path / 'track.yaml'}", "tracker.high=0.4"]
    )
    assert (settings.port, settings.limits.jobs, settings.reid) == (0, 2, None)
    assert (tracking.min_score, tracking.tracker.high, tracking.reid) == (0.1, 0.4, None)


def test_what_people_do_can_be_asked_for_in_both_places(tmp_path: Path) -> None:
    (tmp_path / "track.yaml").write_text("zones: door.json\nactions: {describe: true, classifier: a.safetensors}\n")
    for words in (
        [f"tracking={tmp_path / 'track.yaml'}"],
        ["zones=door.json", "actions=true", "actions.classifier=a.safetensors"],
    ):
        _, tracking = tool.COMMAND.load(words)
        assert (tracking.zones, tracking.actions.describe) == ("door.json", True)
        assert tracking.actions.classifier == "a.safetensors"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("reid: person_small", "tracking: got reid: person_small in '.*', which would have no effect here; give"),
        ("max_frames: 9", "tracking: got max_frames: 9 in '.*', which would have no effect here; leave it out"),
        ("link: true", "tracking: got link: True in"),
    ],
)
def test_key_of_tracking_without_effect_is_refused(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "track.yaml").write_text(f"{line}\n")
    with pytest.raises(ValueError, match=message):
        tool.COMMAND.load([f"tracking={tmp_path / 'track.yaml'}"])


def test_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MOT_REID_API_KEY", raising=False)
    assert tool.COMMAND.load([])[0].api_key is None
    monkeypatch.setenv("MOT_REID_API_KEY", "open sesame")
    assert tool.COMMAND.load([])[0].api_key == "open sesame"
    for empty in ("", " "):
        monkeypatch.setenv("MOT_REID_API_KEY", empty)
        with pytest.raises(ValueError, match="api_key: got an empty text"):
            tool.COMMAND.load([])
    assert tool.COMMAND.load(["api_key=null"])[0].api_key is None


def test_database_comes_from_the_environment_and_an_empty_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOT_REID_DATABASE", "postgresql://keeper@db/people")
    assert tool.COMMAND.load([])[0].database == "postgresql://keeper@db/people"
    with pytest.raises(ValueError, match="demo: got true with a database="):
        tool.COMMAND.load(["demo=true"])
    monkeypatch.setenv("MOT_REID_DATABASE", "")
    with pytest.raises(ValueError, match="database: got an empty text; expected an address such as postgresql://"):
        tool.COMMAND.load([])


@pytest.mark.parametrize("word", ["--help", "--schema"])
def test_secrets_are_shown_by_no_help(
    word: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MOT_REID_API_KEY", "open sesame")
    assert tool.main([word, "database=postgresql://keeper:xyzzy@db/people"]) == 0
    told = capsys.readouterr()
    assert "xyzzy" not in told.out + told.err and "open sesame" not in told.out + told.err
    assert '"api_key"' in told.out or told.out.count("= (set, not shown)") == 2


@pytest.mark.parametrize("key", ["database", "api_key"])
@pytest.mark.parametrize(
    "wrong", ["{a: xyzzy}", "[xyzzy]", "'${xyzzy}'", "'${oc.env:xyzzy}'", "'a: xyzzy", "a: b: xyzzy"]
)
def test_secret_is_in_no_message_about_it(
    key: str, wrong: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "serve.yaml").write_text(f"{key}: {wrong}\n")
    for argument in (f"config={tmp_path / 'serve.yaml'}", f"{key}={wrong.strip(chr(39))}"):
        assert tool.main([argument, "port=70000"]) == 2
        told = "".join(capsys.readouterr())
        assert "xyzzy" not in told and told.count("\n") == 1


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("prot=1", "command line: no key 'prot'; did you mean 'port'?"),
        ("source=a.mp4", "command line: no key 'source'"),
        ("limits.jobs=0", "limits.jobs: got 0; expected a number of at least 1"),
        ("port=70000", "port: got 70000; expected a number of at least 0 and at most 65535"),
        ("api_key=", "api_key: got an empty text; expected a key, or null for a server that asks for none"),
        ("tracker.high=2", "tracker.high: got 2.0; expected"),
    ],
)
def test_mistake_is_one_line_and_exit_code_2(argument: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert tool.main([argument]) == 2
    told = capsys.readouterr().err
    assert message in told and told.count("\n") == 1


def test_address_that_is_taken_is_told_before_anything_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert tool.main([f"port={port}", f"folder={tmp_path / 'served'}"]) == 2
    assert f"host, port: got 127.0.0.1 and {port}" in capsys.readouterr().err
    assert not (tmp_path / "served").exists()


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://localhost:80"),
        ("::", "http://localhost:80"),
        ("::1", "http://[::1]:80"),
        ("people.example.org", "http://people.example.org:80"),
    ],
)
def test_address_can_be_opened_in_a_browser(host: str, address: str) -> None:
    assert tool.address(host, 80) == address


def test_help_lists_every_limit(capsys: pytest.CaptureFixture[str]) -> None:
    assert tool.main(["--help"]) == 0
    told = capsys.readouterr().out
    assert "limits.upload_bytes: int = 500000000 (1 or more)" in told and "mot-reid track" in told
